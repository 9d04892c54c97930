"""Episode, language → notebook, through jupytext. Pure.

One notebook per language, because jupytext reads ```` ```R ```` and ```` ```bash ```` in a Python
page as cells with a magic. Everything that is no cell of the language is put between jupytext's
`<!-- #region -->` marks, which keep text as one Markdown cell whatever fences and `:::` it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jupytext
from nbformat import NotebookNode

from lesson_runner.episode import (
    ALIASES,
    DIRECTIVES,
    TAB_LEVEL,
    TABS,
    Block,
    Episode,
    directive_name,
)
from lesson_runner.fences import Comment, DivClose, DivOpen, Heading, front_matter_end, split_lines

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

TITLES = {"keypoints": "Key points", "prereq": "Before you start", "instructor": "For instructors"}


class ConversionError(Exception):
    """jupytext made other cells than the page has: the runner's fault, not the page's."""


def to_notebook(episode: Episode, language: str) -> NotebookNode:
    """The page as a notebook: a code cell per block of the language, in order, text between.

    Each code cell carries the line of its block in `metadata.line`; starter code and blocks that
    are not run are tagged `exercise` and `not-run`. Outputs are empty and cell ids stable.
    """
    cells = _cells(episode, language)
    header = HEADER.format(FENCE_NAMES[language])
    text = "\n\n".join([header, *(_as_jupytext(cell, language) for cell in cells)]) + "\n"
    notebook: NotebookNode = jupytext.reads(text, fmt="md:markdown")
    for cell in notebook.cells:
        cell["source"] = cell["source"].translate(UNHIDE)
    _require_same_cells(notebook, cells, episode.path)
    notebook.metadata = NotebookNode(METADATA[language] | {"lesson": {"page": episode.path}})
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03d}"
    return notebook


@dataclass(frozen=True)
class _Text:
    source: str


def _cells(episode: Episode, language: str) -> list[_Text | Block]:
    blocks = {block.line: block for block in _code_blocks(episode, language)}
    hidden = _hidden_lines(episode, language)
    replaced = _replaced_lines(episode)
    cells: list[_Text | Block] = []
    text = [f"# {episode.title}", ""]
    lines = split_lines(episode.text)
    number = front_matter_end(episode.text) + 1
    while number <= len(lines):
        if block := blocks.get(number):
            cells += [*_text(text), block]
            text = []
            assert block.fence is not None
            number = block.fence.end
        elif number not in hidden:
            text.append(replaced.get(number, lines[number - 1]))
        number += 1
    return [*cells, *_text(text)]


def _text(lines: list[str]) -> list[_Text]:
    source = "\n".join(lines).strip("\n")
    return [_Text(source)] if source.strip() else []


def _code_blocks(episode: Episode, language: str) -> Iterator[Block]:
    for block in episode.blocks:
        if block.language == language and block.role in ("run", "exercise", "not run"):
            yield block


def _hidden_lines(episode: Episode, language: str) -> set[int]:
    """Lines that a notebook of this language leaves out."""
    hidden: set[int] = set()
    for block in _code_blocks(episode, language):
        for shown in block.shown:
            hidden.update(range(shown.line, shown.fence.end + 1))
        if block.figure:
            hidden.add(block.figure.line)
    for element in episode.elements:
        if isinstance(element, Comment) and directive_name(element) in DIRECTIVES:
            hidden.update(range(element.line, element.end + 1))
    for tabs in _tab_groups(episode):
        labels = [label for label, _, _ in tabs]
        if language in labels:
            for label, first, last in tabs:
                hidden.update(range(first, last + 1) if label != language else [first])
    return hidden


def _tab_groups(episode: Episode) -> list[list[tuple[str, int, int]]]:
    """For each group of tabs: the language of each tab, its heading's line and its last line."""
    groups: list[list[tuple[str, int, int]]] = []
    open_divs: list[tuple[str, list[tuple[str, int]], int]] = []
    for element in episode.elements:
        if isinstance(element, DivOpen):
            open_divs.append((element.name, [], element.line))
        elif (
            isinstance(element, Heading)
            and element.level == TAB_LEVEL
            and open_divs
            and open_divs[-1][0] in TABS
        ):
            label = element.text.strip().lower()
            open_divs[-1][1].append((ALIASES.get(label, label), element.line))
        elif isinstance(element, DivClose) and open_divs:
            name, tabs, _ = open_divs.pop()
            if name in TABS and tabs:
                lasts = [line - 1 for _, line in tabs[1:]] + [element.line - 1]
                pairs = zip(tabs, lasts, strict=True)
                groups.append([(label, line, last) for (label, line), last in pairs])
    return groups


def _replaced_lines(episode: Episode) -> dict[int, str]:
    """Div markers become what a reader of the notebook expects: a title, nothing at the end."""
    replaced: dict[int, str] = {}
    for element in episode.elements:
        if isinstance(element, DivOpen):
            title = TITLES.get(element.name, element.name.capitalize())
            replaced[element.line] = "" if element.name in TABS else f"**{title}**\n"
        elif isinstance(element, DivClose):
            replaced[element.line] = ""
    return replaced


def _as_jupytext(cell: _Text | Block, language: str) -> str:
    source = cell.source.translate(HIDE)
    if isinstance(cell, _Text):
        return f"<!-- #region -->\n{source}\n<!-- #endregion -->"
    tags = {"exercise": ' tags=["exercise"]', "not run": ' tags=["not-run"]'}.get(cell.role, "")
    return f"```{FENCE_NAMES[language]} line={cell.line}{tags}\n{source}```"


def _require_same_cells(notebook: NotebookNode, cells: list[_Text | Block], path: str) -> None:
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
