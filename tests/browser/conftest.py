"""A browser, a page in it, and a practice proxy with its page for the instructor."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mock_proxy import RunningProxy, running

if TYPE_CHECKING:
    from chromium import Browser, Page

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module: while it is there, Playwright's event loop runs in this thread, where
    tests of other folders start loops of their own."""
    from chromium import running_browser

    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet. It stays on this computer, and its scripts
    raise no error. If the test fails, there is a screenshot."""
    from chromium import PATIENCE

    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    addresses: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if request.node.stash.get(FAILED, False):
        screenshot = tmp_path / "page.png"
        page.screenshot(path=screenshot, full_page=True)
        print(f"Screenshot: {screenshot}")
    context.close()
    assert errors == []
    assert [address for address in addresses if not stays_here(address)] == []


def stays_here(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("data", "blob", "file") or parts.hostname == "127.0.0.1"


@pytest.fixture
def proxy() -> Iterator[RunningProxy]:
    with running(classroom=True) as proxy:
        yield proxy
