"""Episode, language → the notebook that learners take home, with the page's text. Pure."""

import json
from collections.abc import Iterable

from nbformat import NotebookNode

from lesson_runner.export.boxes import (
    NO_NAMES,
    Names,
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
from lesson_runner.run.notebook import Cell, notebook_of


def to_notebook(
    episode: Episode, language: str, for_instructors: bool = False, names: Names = NO_NAMES
) -> NotebookNode:
    """The page as a notebook: a code cell per block of the language, in order, text between.

    Each code cell carries the line of its block in `metadata.line`; starter code is tagged
    `exercise`, solutions are tagged `solution` and folded. Outputs are empty, cell ids stable.
    Instructors see what is folded, and the notes for them.
    """
    items = _items(episode, language, for_instructors, names)
    cells = [_cell(item, for_instructors) for item in items]
    notebook = notebook_of(cells, language, episode.path)
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


def _items(
    episode: Episode, language: str, for_instructors: bool, names: Names
) -> list[Text | Block]:
    items = outline(
        episode,
        language,
        relinked=lambda line: relinked(line, episode.path, "ipynb", names),
        with_notes=for_instructors,
    )
    body = flat(items, markdown_box(headed if for_instructors else folded_texts))
    return list(with_heading(f"# {episode.title}", tidied(body)))


def _cell(item: Text | Block, for_instructors: bool) -> Cell:
    if isinstance(item, Text):
        return Cell(item.source)
    return Cell(item.source, item.line, _metadata(item, for_instructors))


def _metadata(block: Block, for_instructors: bool) -> str:
    """The metadata of the cell, as jupytext reads it after the language of a fence."""
    # Jupyter goes on after a cell with the tag `raises-exception`: "Run all cells" reaches the end.
    # IRkernel stops there all the same (its issue 467).
    tags = ["exercise"] if block.role == "exercise" else []
    tags += ["raises-exception"] if block.role == "exercise" or block.must_raise else []
    folds = _folds(block.div)
    tags += folds
    found = f" tags={json.dumps(tags)}" if tags else ""
    hidden = folds and not for_instructors
    return found + (' jupyter={"source_hidden": true}' if hidden else "")


def _folds(divs: Iterable[str]) -> list[str]:
    """The outermost div that is folded."""
    return [name for name in divs if name in FOLDED][:1]
