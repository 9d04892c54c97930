"""Episode, language → notebook, through jupytext. Pure.

One notebook per language, because jupytext reads ```` ```R ```` and ```` ```bash ```` in a Python
page as cells with a magic. Everything that is no cell of the language is put between jupytext's
`<!-- #region -->` marks, which keep text as one Markdown cell whatever fences and `:::` it holds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import jupytext
from nbformat import NotebookNode

from lesson_runner.episode import Block, Episode
from lesson_runner.fences import front_matter_end, split_lines
from lesson_runner.notebook_text import (
    folded,
    folds,
    hidden_lines,
    joined,
    rewritten,
    rewritten_lines,
)

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


def to_notebook(episode: Episode, language: str) -> NotebookNode:
    """The page as a notebook: a code cell per block of the language, in order, text between.

    Each code cell carries the line of its block in `metadata.line`; starter code is tagged
    `exercise`, solutions are tagged `solution` and folded. Outputs are empty, cell ids stable.
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
    """Text and blocks in order. Text inside a solution is a cell of its own, folded."""
    blocks = {block.line: block for block in cells_of(episode, language)}
    hidden = hidden_lines(episode, language)
    lines = rewritten_lines(episode)
    fold_of = folds(episode)
    cells: list[_Text | Block] = []
    text: list[str | None] = [f"# {episode.title}", "", None]
    fold = ""
    number = front_matter_end(episode.text) + 1
    source = split_lines(episode.text)
    while number <= len(source):
        if block := blocks.get(number):
            cells += [*_text(text, fold), block]
            text = []
            assert block.fence is not None
            number = block.fence.end
        elif number in hidden:
            text.append(None)
        else:
            if fold_of.get(number, "") != fold:
                cells += _text(text, fold)
                text, fold = [], fold_of.get(number, "")
            text.append(lines[number] if number in lines else rewritten(source[number - 1]))
        number += 1
    return [*cells, *_text(text, fold)]


def _text(lines: list[str | None], fold: str) -> list[_Text]:
    source = joined(lines)
    return [_Text(folded(source, fold))] if source.strip() else []


def cells_of(episode: Episode, language: str) -> Iterator[Block]:
    """The blocks that become code cells. What does not run on the page stays text: "Run all
    cells" must not install software."""
    for block in episode.blocks:
        if block.language == language and block.role in ("run", "exercise"):
            yield block


def _as_jupytext(cell: _Text | Block, language: str) -> str:
    source = cell.source.translate(HIDE)
    if isinstance(cell, _Text):
        return f"<!-- #region -->\n{source}\n<!-- #endregion -->"
    return f"```{FENCE_NAMES[language]} line={cell.line}{_metadata(cell)}\n{source}```"


def _metadata(block: Block) -> str:
    """jupytext reads what stands behind the language of a fence as metadata of the cell."""
    # Jupyter goes on after a cell with the tag `raises-exception`: "Run all cells" reaches the end.
    tags = ["exercise"] if block.role == "exercise" else []
    tags += ["raises-exception"] if block.role == "exercise" or block.shows("error") else []
    tags += ["solution"] if "solution" in block.div else []
    found = f" tags={json.dumps(tags)}" if tags else ""
    return found + (' jupyter={"source_hidden": true}' if "solution" in block.div else "")


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
