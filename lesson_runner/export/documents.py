"""Episode, language → R Markdown, Quarto or a script, through jupytext. Pure.

Documents leave out what notebooks leave out. Scripts and documents run from top to bottom:
starter code with blanks, which no language can run, is switched off.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml
from nbformat import NotebookNode, v4

from lesson_runner.export.boxes import (
    NO_NAMES,
    Names,
    OfBox,
    details,
    flat,
    headed,
    markdown_box,
    relinked,
    tidied,
    title_of,
)
from lesson_runner.export.outline import FOLDED, Box, Text, outline
from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.places import LessonError
from lesson_runner.run.notebook import METADATA
from lesson_runner.run.slow_imports import jupytext


@dataclass(frozen=True)
class Format:
    """`name` is also the ending of its files; `folder` follows the language: `r-rmd`."""

    name: str
    what: str
    languages: tuple[str, ...]
    folder: str = ""


FORMATS = {
    one.name: one
    for one in (
        Format("ipynb", "notebook", ("python", "r", "bash")),
        Format("qmd", "Quarto document", ("python", "r"), "-qmd"),
        Format("Rmd", "R Markdown document", ("python", "r"), "-rmd"),
        Format("py", "Python script", ("python",), "-script"),
        Format("R", "R script", ("r",), "-script"),
    )
}

JUPYTEXT = {"Rmd": "Rmd", "qmd": "Rmd", "py": "py:percent", "R": "R:spin"}
"""jupytext has a writer for Quarto of its own, which needs the program `quarto`. It is not needed:
the chunks are those of R Markdown, the rest is the header, the options and the boxes below."""

CALLOUTS = {
    "challenge": "tip",
    "prereq": "important",
    "checklist": "important",
    "caution": "caution",
    "warning": "warning",
}
"""Quarto's kind of callout for each box; a `note` for all others."""

BLANKS = {
    "Rmd": "Starter code has blanks (`____`) and the chunk option `eval=FALSE`, so that the "
    "document can be knitted. Remove the option once you have filled in the blanks.",
    "qmd": "Starter code has blanks (`____`) and the line `#| eval: false`, so that the document "
    "can be rendered. Remove the line once you have filled in the blanks.",
}
WHERE_TO_RUN = {
    "py": "Run this script in the folder that it lies in: it reads files from there.",
    "R": "Run this script in the folder that it lies in: it reads files from there. In RStudio, "
    "choose Session, Set Working Directory, To Source File Location.",
}
SWITCHED_OFF = {
    "exercise": "**Starter code.** Remove the `# ` before each line, and fill in the blanks.",
    "run": "**This code ends with an error, on purpose.** Remove the `# ` before each line to "
    "run it.",
}

IMAGE = re.compile(r"!\[(?P<alt>.*)\]\((?P<source>[^()\s]+)\)")
GLOSSARY_LINK = re.compile(r"\[([^\[\]]+)\]\(learners/reference\.md#[^)\s]*\)")


def to_text(episode: Episode, language: str, name: str, names: Names = NO_NAMES) -> str:
    """The page in the format of this name, as `FORMATS` has it. Raises `LessonError` where a
    block cannot be written in it."""
    items = outline(episode, language, lambda line: _relinked(line, episode.path, name, names))
    boxes = {"Rmd": markdown_box(_details_around), "qmd": _callout}
    body = flat(items, boxes.get(name, markdown_box(headed)))
    cells = [*_notes(episode, language, name), *(body if name == "qmd" else tidied(body))]
    is_script = name in WHERE_TO_RUN
    notebook = v4.new_notebook(metadata=METADATA[language])
    notebook.metadata["jupytext"] = {"notebook_metadata_filter": "-all"}
    notebook.cells = [v4.new_raw_cell(_header(episode, language, name))]
    for cell in merged(_switched_off(cells) if is_script else cells):
        if isinstance(cell, Text):
            notebook.cells.append(v4.new_markdown_cell(cell.source))
        else:
            notebook.cells.append(_chunk(cell, name))
    text: str = jupytext().writes(notebook, JUPYTEXT[name])
    if not is_script:
        _require_same_chunks(text, cells, episode.path, name)
    return text


def _relinked(line: str, page: str, name: str, names: Names) -> str:
    line = relinked(line, page, name, names)
    if name == "qmd":
        line = IMAGE.sub(_image_for_quarto, line)
    # Hundreds of addresses of one glossary would hide the sentences of a script.
    return GLOSSARY_LINK.sub(r"\1", line) if name in WHERE_TO_RUN else line


def _image_for_quarto(image: re.Match[str]) -> str:
    """Quarto prints the text in brackets below the image, and has an attribute for the alt text."""
    alt = re.sub(r"\\([\[\]\\])", r"\1", image["alt"])
    alt = alt.replace("\\", "\\\\").replace('"', '\\"')
    return f'![]({image["source"]}){{fig-alt="{alt}"}}'


def _header(episode: Episode, language: str, name: str) -> str:
    header: dict[str, object] = {"title": " ".join(episode.title.split())}
    if name == "Rmd":
        # Without `fig_caption`, the text about an image is not printed below it.
        header["output"] = {"html_document": {"fig_caption": False}}
    if name == "qmd":
        header["format"] = {"html": {"embed-resources": True}}
        header |= {"engine": "knitr"} if language == "r" else {"jupyter": "python3"}
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=float("inf"))
    return f"---\n{text}---"


def _notes(episode: Episode, language: str, name: str) -> Iterator[Text]:
    """Notes for readers about this format."""
    if name in WHERE_TO_RUN:
        yield Text(f"> {WHERE_TO_RUN[name]}")
    elif any(b.role == "exercise" and b.language == language for b in episode.blocks):
        yield Text(f"> {BLANKS[name]}")


# Boxes


def _details_around(box: Box, of_box: OfBox) -> Iterator[Text | Block]:
    yield Text(details(title_of(box)))
    yield from flat(box.items, of_box)
    yield Text("</details>")


def _callout(box: Box) -> Iterator[Text | Block]:
    """Quarto takes the first heading in a callout for its title."""
    colons = ":" * (3 + _height(box))
    collapse = ' collapse="true"' if box.name in FOLDED else ""
    kind = f".callout-{CALLOUTS.get(box.name, 'note')}{collapse}"
    yield Text(f"{colons} {{{kind}}}\n\n## {title_of(box)}")
    yield from flat(box.items, _callout)
    yield Text(colons)


def _height(box: Box) -> int:
    return max((1 + _height(item) for item in box.items if isinstance(item, Box)), default=0)


# Cells


def merged(cells: Iterable[Text | Block]) -> Iterator[Text | Block]:
    """Texts that follow each other as one, as in a document."""
    texts: list[str] = []
    for cell in cells:
        if isinstance(cell, Text):
            texts.append(cell.source)
            continue
        if texts:
            yield Text("\n\n".join(texts))
        texts = []
        yield cell
    if texts:
        yield Text("\n\n".join(texts))


def _switched_off(cells: Iterable[Text | Block]) -> Iterator[Text | Block]:
    """In a script, a comment: R could not even read the rest of a script with blanks in it."""
    for cell in cells:
        if isinstance(cell, Block) and _stops_a_script(cell):
            yield Text(SWITCHED_OFF[cell.role])
        yield cell


def _stops_a_script(block: Block) -> bool:
    return block.role == "exercise" or block.must_raise


def _chunk(block: Block, name: str) -> NotebookNode:
    source = block.source.removesuffix("\n")
    options: dict[str, object] = {}
    if block.role == "exercise":
        options = {"eval": False}
    elif block.must_raise:
        options = {"error": True}
    if name == "qmd":
        lines = [f"#| {option}: {str(value).lower()}" for option, value in options.items()]
        source = "\n".join([*lines, source])
    elif name in WHERE_TO_RUN and _stops_a_script(block):
        source = "\n".join(f"# {line}".rstrip() for line in source.split("\n"))
    cell: NotebookNode = v4.new_code_cell(source, metadata=options if name == "Rmd" else {})
    return cell


def _require_same_chunks(text: str, cells: Iterable[Text | Block], path: str, name: str) -> None:
    """LessonError where a reader of the document would find other chunks than the page has."""
    advice = f"in a .{name} file: leave {name} out of --format"
    blocks = [cell for cell in cells if isinstance(cell, Block)]
    for block in blocks:
        if re.search(r"^\s*```", block.source, re.MULTILINE):
            raise LessonError(f"{path}:{block.line}: a line of ``` would end this block {advice}")
    chunks = [c["source"] for c in jupytext().reads(text, JUPYTEXT[name]).cells if is_code(c)]
    if chunks != [_chunk(block, name)["source"] for block in blocks]:
        raise LessonError(f"{path}: what the page shows as text would become code {advice}")


def is_code(cell: NotebookNode) -> bool:
    return bool(cell["cell_type"] == "code")
