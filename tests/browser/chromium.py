"""A headless Chromium, and what axe finds in a page; or why the tests of this folder are skipped.

Playwright drives the browser that is installed on this computer, whatever its name; it would
download one of its own, which is not wanted here. `LESSON_REQUIRE_BROWSER=1`, as in continuous
integration, makes a failure of everything that would be skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest

REQUIRED = "LESSON_REQUIRE_BROWSER"

BROWSERS = (
    "google-chrome",  # before Ubuntu's chromium, a snap, which does not see all folders
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)

PATIENCE = 60_000
"""Milliseconds to wait for what has no time limit of its own: a busy machine is slow, not wrong."""


def not_here(reason: str) -> NoReturn:
    """Skip what needs a browser, or fail where it is required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
except ModuleNotFoundError as error:
    not_here(f"{error.name} cannot be imported: pip install -e '.[browser]'")

__all__ = [
    "PATIENCE",
    "Browser",
    "Locator",
    "Page",
    "expect",
    "not_here",
    "running_browser",
    "violations",
]

expect.set_options(timeout=PATIENCE)


def find_browser() -> str:
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    not_here("there is no Chromium, Chrome or Edge: on Debian, apt-get install chromium")


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    # Chromium's sandbox refuses to work for root, the only user of many containers.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    program = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=not is_root)
        with contextlib.closing(browser):
            yield browser


def violations(page: Page, within: str | None = None) -> list[str]:
    """What breaks axe's rules, one line for each element; `within` is a CSS selector."""
    found = Axe().run(page, within).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {node['html']}" for rule in found for node in rule["nodes"]
    ]
