"""Pages in the manner of published lessons: every block is found, with its lines and its place.

`tests/data/pages/blocks.json` says by hand what stands in each page: the lines of the opening and
the closing fence, counted from 1, and what the page says of the block.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lesson_runner.export.notebook import to_notebook
from lesson_runner.judge.rewrite import with_fences
from lesson_runner.page.episode import LANGUAGES, Block, Episode
from lesson_runner.page.lesson import Lesson

FOLDER = Path(__file__).parents[1] / "data" / "pages"
PAGES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".md", ".Rmd"))
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "blocks.json").read_text())


def read(name: str) -> Episode:
    return Lesson(FOLDER, ()).read(FOLDER / name)


def as_expected(block: Block) -> dict[str, Any]:
    """A block in the words of `blocks.json`, without what the page does not say of it."""
    assert block.fence is not None
    said = {
        "div": "/".join(block.div),
        "tab": block.tab,
        "reason": block.reason,
        "practice_only": block.practice_only,
        "shown": {shown.kind: shown.line for shown in block.shown},
        "figure": block.figures[0].line if block.figures else None,
    }
    lines = [block.line, block.fence.end]
    found = {"lines": lines, "language": block.language, "role": block.role}
    return found | {name: value for name, value in said.items() if value}


def test_every_sample_page_has_its_expectation() -> None:
    assert list(EXPECTED) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_found_at_its_line_with_what_the_page_says_of_it(name: str) -> None:
    episode = read(name)
    assert episode.problems == ()
    fenced = [as_expected(block) for block in episode.blocks if block.fence]
    assert fenced == EXPECTED[name]


@pytest.mark.parametrize("name", PAGES)
def test_source_is_what_stands_between_the_fences(name: str) -> None:
    lines = re.split("\r\n|\n", (FOLDER / name).read_bytes().decode())
    for block in read(name).blocks:
        if block.fence is None:
            continue
        between = lines[block.line : block.fence.end - 1]
        margin = len(block.fence.indent)
        without_margin = [line[margin:] for line in between]
        assert block.source.split("\n")[:-1] == without_margin


@pytest.mark.parametrize("name", PAGES)
def test_no_line_that_looks_like_a_fence_is_forgotten(name: str) -> None:
    """Each is an opening or a closing fence, or stands where it is text."""
    text = {
        "drawing-plots.Rmd": [54, 56],
        "git-branches.md": [41],
        "markdown-in-markdown.md": [10, 12, 18, 19, 21, 22, 27, 32, 43, 45, 50, 52],
        "no-code.md": [18],
        "setup.md": [61, 63],
    }
    lines = re.split("\r\n|\n", (FOLDER / name).read_bytes().decode())
    looks = re.compile(r"[\s>*+-]*(?:\d+\. +)?(?:<!-- )?(```|~~~)")
    candidates = [number for number, line in enumerate(lines, start=1) if looks.match(line)]
    fences = [block.fence for block in read(name).blocks]
    fences += [shown.fence for block in read(name).blocks for shown in block.shown]
    accounted = [line for fence in fences if fence for line in (fence.line, fence.end)]
    assert sorted([*accounted, *text.get(name, [])]) == candidates


def test_titles_come_from_the_front_matter_or_the_file() -> None:
    assert {name: read(name).title for name in PAGES} == {
        "drawing-plots.Rmd": "Drawing plots",
        "git-branches.md": "git-branches.md",
        "many-scripts.md": "Tekst in álle talen – Κείμενο – 文本 🌍",
        "markdown-in-markdown.md": "Writing lessons",
        "no-code.md": "Who this lesson is for",
        "python-functions.md": "Functions in three languages",
        "setup.md": "Setup",
        "shell-loops.md": "Repeating work with loops",
        "sql-filtering.md": "Choosing rows",
    }


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_notebook_has_a_cell_for_each_block_of_its_language(name: str, language: str) -> None:
    episode = read(name)
    cells = [cell for cell in to_notebook(episode, language).cells if cell.cell_type == "code"]
    assert [(cell.metadata.line, cell.source) for cell in cells] == [
        (block.line, block.source.removesuffix("\n"))
        for block in episode.blocks
        if block.language == language and block.role in ("run", "exercise")
    ]


@pytest.mark.parametrize("name", PAGES)
def test_writing_what_is_shown_already_changes_no_byte(name: str) -> None:
    episode = read(name)
    shown = [shown for block in episode.blocks for shown in block.shown]
    assert with_fences(episode.text, [(s.fence, s.text) for s in shown]) == episode.text


def test_sample_pages_hold_what_they_are_for() -> None:
    """An editor or git might mend these without being asked."""
    windows = (FOLDER / "python-functions.md").read_bytes()
    assert windows.count(b"\r\n") == windows.count(b"\n") == 107
    assert (FOLDER / "setup.md").read_bytes().startswith(b"\xef\xbb\xbf---\n")
    scripts = (FOLDER / "many-scripts.md").read_bytes().decode()
    assert set("\u2028\x0c\x0b\x85\t\u0301\u200b") <= set(scripts)
