"""What CONTRIBUTING.md shows an author can be typed into a page."""

from pathlib import Path

import pytest

from lesson_runner.page.episode import read_episode
from lesson_runner.page.markdown import Fence, read_elements

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
EXAMPLES = [
    element
    for element in read_elements(GUIDE.read_text(encoding="utf-8"))
    if isinstance(element, Fence) and element.info == "markdown"
]


def test_the_guide_has_an_example_of_all_that_a_page_can_say() -> None:
    blocks = [block for one in EXAMPLES for block in read_episode("guide.md", one.text).blocks]
    assert {block.role for block in blocks} >= {"run", "exercise", "not run", "response"}
    assert {shown.kind for block in blocks for shown in block.shown} == {"output", "error", "json"}
    assert any(block.figures for block in blocks)
    assert any(block.practice_only for block in blocks)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_an_example_has_a_meaning(example: Fence) -> None:
    assert read_episode("guide.md", example.text).problems == ()
