"""What guards the tests of this folder: each of these finds what it is there for."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import chromium
import pytest
from chromium import Page, violations

TESTS = """\
def test_wrong(page):
    page.set_content("<p>Not this text</p>")
    assert page.inner_text("p") == "This text"

def test_right(page):
    page.set_content("<p>This text</p>")
    assert page.inner_text("p") == "This text"

def test_broken_script(page):
    page.set_content("<script>missing()</script>")

def test_loads_from_elsewhere(page):
    page.set_content("<img src='http://127.0.0.2:9/logo.png'>")
"""


def test_what_breaks_a_rule_of_accessibility_is_told(page: Page) -> None:
    page.set_content("<main><h1>Figures</h1><p><img src='data:,'></p></main>")

    (told,) = violations(page, "p")

    assert told == 'image-alt: Images must have alternative text: <img src="data:,">'


def test_a_missing_browser_skips_and_fails_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chromium, "BROWSERS", ("no-such-browser",))

    monkeypatch.delenv(chromium.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no Chromium"):
        chromium.find_browser()

    monkeypatch.setenv(chromium.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="is set, but there is no Chromium"):
        chromium.find_browser()


@pytest.mark.parametrize(
    "missing", ["playwright.sync_api", "axe_playwright_python.sync_playwright"]
)
def test_a_missing_library_skips_and_fails_where_it_is_required(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    monkeypatch.delenv(chromium.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="pip install"):
        runpy.run_path(chromium.__file__)

    monkeypatch.setenv(chromium.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="pip install"):
        runpy.run_path(chromium.__file__)


def test_a_failure_leaves_a_screenshot_and_pages_stay_whole_and_at_home(
    pytester: pytest.Pytester,
) -> None:
    here = Path(__file__).parent
    for name in ("chromium.py", "conftest.py"):
        shutil.copy(here / name, pytester.path)
    pytester.makepyfile(TESTS)

    result = pytester.runpytest_subprocess("--basetemp=kept")

    result.assert_outcomes(failed=1, passed=3, errors=2)
    result.stdout.fnmatch_lines_random(
        ["Screenshot: *page.png", "*missing is not defined*", "*127.0.0.2:9/logo.png*"]
    )
    (screenshot,) = (pytester.path / "kept").rglob("page.png")
    assert screenshot.read_bytes().startswith(b"\x89PNG")
