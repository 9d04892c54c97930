"""The divs of a page as a tree, and where a line stands in it."""

import pytest

from lesson_runner.page.divs import divs_around, page_as_div
from lesson_runner.page.markdown import Heading, read_elements

PAGE = """\
::: challenge

## Count

:::: group-tab

### Python

one

### R

two

::::

three

:::

:::

::: hint

four
"""


def names(line: int) -> list[str]:
    return [div.name for div in divs_around(page_as_div(read_elements(PAGE)), line)]


@pytest.mark.parametrize(
    ("text", "around"),
    [
        ("::: challenge", []),
        ("## Count", ["challenge"]),
        ("two", ["challenge", "group-tab"]),
        ("three", ["challenge"]),
        ("::: hint", []),
        ("four", ["hint"]),
    ],
)
def test_a_line_stands_in_the_divs_around_it(text: str, around: list[str]) -> None:
    assert names(PAGE.split("\n").index(text) + 1) == around


def test_divs_know_their_title_their_tabs_and_their_end() -> None:
    page = page_as_div(read_elements(PAGE))
    found = [(div.name, div.line, div.end) for div in page.all()]
    assert found == [("", 0, None), ("challenge", 1, 19), ("group-tab", 5, 15), ("hint", 23, None)]
    challenge, hint = page.divs
    (group,) = challenge.divs
    assert (challenge.title, hint.title) == (Heading(3, 2, "Count"), None)
    assert group.tabs == [Heading(7, 3, "Python"), Heading(11, 3, "R")]
    assert [group.tab_at(line) for line in (6, 9, 13)] == [None, *group.tabs]
