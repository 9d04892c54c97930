"""The cards of `lesson keys`: readable for everybody on the screen, eight to a sheet of paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chromium import Page, expect, violations

from lesson.keys import cards_page


def cards(number: int) -> str:
    return cards_page(
        [
            {
                "alias": f"class-2026-11-23-{learner:02}",
                "key": "sk-" + "Wm8" * 7 + "A",
                "address": "https://litellm.example-university.org/a/rather/long/address",
                "model": "qwen2.5-coder-1.5b-instruct",
                "budget": "0.50",
                "expires": "2026-11-26",
            }
            for learner in range(1, number + 1)
        ]
    )


def opened(page: Page, folder: Path, number: int) -> Page:
    file = folder / "keys.html"
    file.write_text(cards(number), encoding="utf-8")
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=2)).to_have_count(number)
    return page


def test_the_page_breaks_no_rule_of_accessibility(page: Page, tmp_path: Path) -> None:
    assert violations(opened(page, tmp_path, 3)) == []


@pytest.mark.parametrize(("number", "sheets"), [(8, 1), (9, 2), (30, 4)])
def test_eight_cards_are_printed_on_a_sheet(
    page: Page, tmp_path: Path, number: int, sheets: int
) -> None:
    pdf = opened(page, tmp_path, number).pdf(prefer_css_page_size=True)

    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == sheets
