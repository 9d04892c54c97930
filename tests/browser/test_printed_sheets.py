"""The cards and sheets to print: each fits one page of A4, and is readable on the screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chromium import Page, violations

FILES = sorted((Path(__file__).parents[2] / "instructors" / "files").glob("*.html"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sheet_fits_one_page_of_a4(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    pdf = page.pdf(prefer_css_page_size=True)

    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    assert re.findall(rb"/MediaBox\s*\[\s*0 0 (\d+)[.\d]* (\d+)", pdf)[0] == (b"594", b"841")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sheet_breaks_no_rule_of_accessibility(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    assert violations(page) == []
