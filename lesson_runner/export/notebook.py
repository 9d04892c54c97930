"""Episode, language → notebook, through jupytext. Pure.

One notebook per language, because jupytext reads ```` ```R ```` and ```` ```bash ```` in a Python
page as cells with a magic. Everything that is no cell of the language is put between jupytext's
`<!-- #region -->` marks, which keep text as one Markdown cell whatever fences and `:::` it holds.
"""

import json
from collections.abc import Iterable

import jupytext
from nbformat import NotebookNode

from lesson_runner.export.boxes import (
    flat,
    folded_texts,
    headed,
    markdown_box,
    relinked,
    tidied,
    with_heading,
)
from lesson_runner.export.outline import FOLDED, Text, outline
from lesson_runner.page.episode import Block, Episode

FENCE_NAMES = {"python": "python", "r": "R", "bash": "bash"}  # as jupytext knows them

METADATA = {
    "python": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    },
    "r": {
        "kernelspec": {"name": "ir", "display_name": "R", "language": "R"},
        "language_info": {"name": "R"},
    },
    "bash": {
        "kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"},
        "language_info": {"name": "bash"},
    },
}

# Characters of a page that mean something to jupytext: backticks end a cell, even where the page's
# fence is longer or of tildes; an open quote keeps a cell open; `<` begins a region; the others
# break lines. jupytext sees characters in their place that Unicode reserves for such internal use.
TO_HIDE = "`\"'<\v\f\x1c\x1d\x1e\x85\u2028\u2029"
HIDE = {ord(character): 0xFDD0 + number for number, character in enumerate(TO_HIDE)}
UNHIDE = {hidden: character for character, hidden in HIDE.items()}

HEADER = "---\njupyter:\n  jupytext:\n    main_language: {}\n---"


class ConversionError(Exception):
    """jupytext made other cells than the page has: the runner's fault, not the page's."""


def to_notebook(episode: Episode, language: str, for_instructors: bool = False) -> NotebookNode:
    """The page as a notebook: a code cell per block of the language, in order, text between.

    Each code cell carries the line of its block in `metadata.line`; starter code is tagged
    `exercise`, solutions are tagged `solution` and folded. Outputs are empty, cell ids stable.
    Instructors see what is folded, and the notes for them.
    """
    cells = _cells(episode, language, for_instructors)
    header = HEADER.format(FENCE_NAMES[language])
    made = [_as_jupytext(cell, language, for_instructors) for cell in cells]
    text = "\n\n".join([header, *made]) + "\n"
    notebook: NotebookNode = jupytext.reads(text, fmt="md:markdown")
    for cell in notebook.cells:
        cell["source"] = cell["source"].translate(UNHIDE)
    _require_same_cells(notebook, cells, episode.path)
    notebook.metadata = NotebookNode(METADATA[language] | {"lesson": {"page": episode.path}})
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def with_titled_folds(notebook: NotebookNode) -> NotebookNode:
    """JupyterLab shows the first line of a folded cell: that must not be the solution."""
    for cell in notebook.cells:
        name = next(iter(set(cell["metadata"].get("tags", ())) & set(FOLDED)), None)
        # A magic of the cell has to stay its first line.
        if name and cell["cell_type"] == "code" and not cell["source"].startswith("%%"):
            cell["source"] = f"# {FOLDED[name]}\n{cell['source']}"
    return notebook


def _cells(episode: Episode, language: str, for_instructors: bool) -> list[Text | Block]:
    items = outline(
        episode,
        language,
        relinked=lambda line: relinked(line, episode.path, "ipynb"),
        with_notes=for_instructors,
    )
    body = flat(items, markdown_box(headed if for_instructors else folded_texts))
    return list(with_heading(f"# {episode.title}", tidied(body)))


def _as_jupytext(cell: Text | Block, language: str, for_instructors: bool) -> str:
    source = cell.source.translate(HIDE)
    if isinstance(cell, Text):
        return f"<!-- #region -->\n{source}\n<!-- #endregion -->"
    info = f"{FENCE_NAMES[language]} line={cell.line}{_metadata(cell, for_instructors)}"
    return f"```{info}\n{source}```"


def _metadata(block: Block, for_instructors: bool) -> str:
    """jupytext reads what stands behind the language of a fence as metadata of the cell."""
    # Jupyter goes on after a cell with the tag `raises-exception`: "Run all cells" reaches the end.
    # IRkernel stops there all the same (its issue 467).
    tags = ["exercise"] if block.role == "exercise" else []
    tags += ["raises-exception"] if block.role == "exercise" or block.shows("error") else []
    folds = _folds(block.div)
    tags += folds
    found = f" tags={json.dumps(tags)}" if tags else ""
    hidden = folds and not for_instructors
    return found + (' jupyter={"source_hidden": true}' if hidden else "")


def _folds(divs: Iterable[str]) -> list[str]:
    """The outermost div that is folded."""
    return [name for name in divs if name in FOLDED][:1]


def _require_same_cells(notebook: NotebookNode, cells: list[Text | Block], path: str) -> None:
    """A page with `:::` once came back from jupytext as one Markdown cell and all "passed"."""
    for cell, made in zip(cells, notebook.cells, strict=False):
        got = (made["cell_type"], made["metadata"].get("line"), made["source"])
        if isinstance(cell, Block):
            same = got == ("code", cell.line, cell.source.removesuffix("\n"))
            what = f"the block at line {cell.line}"
        else:
            same = got == ("markdown", None, cell.source)
            what = f"the text {cell.source[:40]!r}"
        if not same:
            raise ConversionError(f"{path}: jupytext made another cell of {what}")
    if len(cells) != len(notebook.cells):
        raise ConversionError(f"{path}: {len(cells)} cells became {len(notebook.cells)}")
