"""Cells → notebook, through jupytext. Pure.

One notebook per language, because jupytext reads ```` ```R ```` and ```` ```bash ```` in a Python
page as cells with a magic.
"""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from nbformat import NotebookNode

from lesson_runner.page.episode import Episode
from lesson_runner.run.slow_imports import jupytext

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
# break lines. jupytext sees other characters in their place, which the page does not have: those
# that Unicode reserves for such internal use, or for private use.
TO_HIDE = "`\"'<\v\f\x1c\x1d\x1e\x85\u2028\u2029"
STAND_INS = (*range(0xFDD0, 0xFDF0), *range(0xE000, 0xF900))

HEADER = "---\njupyter:\n  jupytext:\n    main_language: {}\n---"

# Threads share jupytext's state, and its import, which takes a while.
_one_at_a_time = threading.Lock()


class ConversionError(Exception):
    """jupytext made other cells than the page has: the runner's fault, not the page's."""


@dataclass(frozen=True)
class Cell:
    """A code cell has the line of its block; `metadata` is as jupytext reads it behind a fence."""

    source: str
    line: int | None = None
    metadata: str = ""


def notebook_to_run(episode: Episode, language: str) -> NotebookNode:
    """The blocks of one language that run, each as a code cell with its line in the metadata."""
    blocks = episode.to_run(language)
    return notebook_of([Cell(b.source, b.line) for b in blocks], language, episode.path)


def notebook_of(cells: Sequence[Cell], language: str, path: str) -> NotebookNode:
    """A notebook of exactly these cells. Outputs are empty."""
    hide = _hidden("".join(cell.source for cell in cells))
    header = HEADER.format(FENCE_NAMES[language])
    made = [_as_jupytext(cell, language, hide) for cell in cells]
    with _one_at_a_time:
        text = "\n\n".join([header, *made]) + "\n"
        # Without the format's full name, a line that begins with `:::` makes it pandoc's Markdown.
        notebook: NotebookNode = jupytext().reads(text, fmt="md:markdown")
    unhide = {ord(hidden): chr(character) for character, hidden in hide.items()}
    for cell in notebook.cells:
        cell["source"] = cell["source"].translate(unhide)
    _require_same_cells(notebook, cells, path)
    notebook.metadata = NotebookNode(METADATA[language] | {"lesson": {"page": path}})
    return notebook


def _hidden(text: str) -> dict[int, str]:
    taken = set(text)
    free = (chr(number) for number in STAND_INS if chr(number) not in taken)
    return dict(zip(map(ord, TO_HIDE), itertools.islice(free, len(TO_HIDE)), strict=True))


def _as_jupytext(cell: Cell, language: str, hide: dict[int, str]) -> str:
    """Region marks keep text as one Markdown cell, even with fences and `:::` in it."""
    source = cell.source.translate(hide)
    if cell.line is None:
        return f"<!-- #region -->\n{source}\n<!-- #endregion -->"
    return f"```{FENCE_NAMES[language]} line={cell.line}{cell.metadata}\n{source}```"


def _require_same_cells(notebook: NotebookNode, cells: Sequence[Cell], path: str) -> None:
    """A page with `:::` once came back from jupytext as one Markdown cell and all "passed"."""
    for cell, made in zip(cells, notebook.cells, strict=False):
        got = (made["cell_type"], made["metadata"].get("line"), made["source"])
        if cell.line is not None:
            same = got == ("code", cell.line, cell.source.removesuffix("\n"))
            what = f"the block at line {cell.line}"
        else:
            same = got == ("markdown", None, cell.source)
            what = f"the text {cell.source[:40]!r}"
        if not same:
            raise ConversionError(f"{path}: jupytext made another cell of {what}")
    if len(cells) != len(notebook.cells):
        raise ConversionError(f"{path}: {len(cells)} cells became {len(notebook.cells)}")
