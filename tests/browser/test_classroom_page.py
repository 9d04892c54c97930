"""The instructor's page: who is stuck shows at once, and no longer once it works."""

from __future__ import annotations

import pytest
import requests
from chromium import Locator, Page, expect, violations

from mock_proxy import RunningProxy

AT_ONCE = 2_000
"""Milliseconds from a learner's request to its row: this limit is what the page promises."""

ENLARGED = {"width": 500, "height": 800}
"""The page beside another window, or enlarged: its rows become blocks of lines."""


@pytest.fixture
def classroom(page: Page, proxy: RunningProxy) -> Page:
    """The page, open for the instructor."""
    page.goto(proxy.url + "/classroom")
    log_in(page, proxy.master_key)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


def log_in(page: Page, key: str) -> None:
    page.get_by_label("Master key of the proxy").fill(key)
    page.get_by_role("button", name="Show").click()


def ask(proxy: RunningProxy, key: str, model: str = "gpt-4o-mini") -> int:
    """A learner's request; its status code."""
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{proxy.url}/chat/completions", headers=headers, json=body).status_code


def instruct(proxy: RunningProxy, path: str, key: str) -> None:
    """What the instructor has done to a learner's key."""
    headers = {"Authorization": f"Bearer {proxy.master_key}"}
    requests.post(proxy.url + path, headers=headers, json={"key": key}).raise_for_status()


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def test_only_the_master_key_opens_it(page: Page, proxy: RunningProxy) -> None:
    page.goto(proxy.url + "/classroom")
    log_in(page, proxy.new_key(alias="class-01"))

    expect(page.get_by_role("alert")).to_have_text("This is not the master key of this proxy.")
    expect(page.get_by_role("table")).to_be_hidden()

    page.get_by_label("Master key of the proxy").fill(proxy.master_key)
    page.keyboard.press("Enter")
    expect(row_of(page, "class-01")).to_contain_text("No request yet")


def test_a_wrong_key_shows_at_once_and_no_longer_once_the_right_one_works(
    classroom: Page, proxy: RunningProxy
) -> None:
    key = proxy.new_key(alias="class-01")
    wrong = row_of(classroom, "Unknown key from 127.0.0.1")
    expect(wrong).to_have_count(0)

    assert ask(proxy, "sk-wrong") == 401
    expect(wrong).to_contain_text("401", timeout=AT_ONCE)

    assert ask(proxy, key) == 200
    expect(wrong).to_have_count(0, timeout=AT_ONCE)
    expect(row_of(classroom, "class-01")).to_contain_text("Working", timeout=AT_ONCE)


def test_a_learner_whose_key_is_blocked_needs_help_until_it_works_again(
    classroom: Page, proxy: RunningProxy
) -> None:
    key = proxy.new_key(alias="class-01")
    learner = row_of(classroom, "class-01")

    instruct(proxy, "/key/block", key)
    assert ask(proxy, key) == 401
    expect(learner).to_contain_text("Key blocked", timeout=AT_ONCE)
    expect(learner).to_contain_text("401")
    expect(classroom).to_have_title("(1) Who is stuck?")
    expect(classroom.get_by_text("Now in need of help: class-01.")).to_be_visible()

    instruct(proxy, "/key/unblock", key)
    assert ask(proxy, key) == 200
    expect(learner).to_contain_text("Working", timeout=AT_ONCE)
    expect(classroom).to_have_title("Who is stuck?")


def test_what_a_learner_has_spent_shows(classroom: Page, proxy: RunningProxy) -> None:
    key = proxy.new_key(alias="class-01", max_budget=0.5)
    assert ask(proxy, key) == 200
    headers = {"Authorization": f"Bearer {key}"}
    spent = requests.get(f"{proxy.url}/key/info", headers=headers).json()["info"]["spend"]

    shown = row_of(classroom, "class-01").get_by_role("cell").last
    expect(shown).to_have_text(f"{spent:.6f}".rstrip("0") + " of 0.5", timeout=AT_ONCE)


def test_the_login_breaks_no_rule_of_accessibility(page: Page, proxy: RunningProxy) -> None:
    page.goto(proxy.url + "/classroom")
    log_in(page, "sk-wrong")
    expect(page.get_by_role("alert")).not_to_be_empty()

    assert violations(page) == []


def states(page: Page) -> set[str]:
    """The kinds of rows that there are, which differ in colour."""
    rows = page.locator("#rows tr")
    return {row.get_attribute("class") or "" for row in rows.all()}


def test_a_class_in_all_states_breaks_no_rule_of_accessibility(
    classroom: Page, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.new_key(alias="unused")
    keys = {name: proxy.new_key(alias=name) for name in ("working", "failing", "stuck", "blocked")}
    ask(proxy, keys["working"])
    ask(proxy, keys["failing"], model="none")
    for _ in range(3):
        ask(proxy, keys["stuck"], model="none")
    instruct(proxy, "/key/block", keys["blocked"])
    ask(proxy, keys["blocked"])
    expect(row_of(classroom, "blocked")).to_contain_text("401")
    assert states(classroom) == {"useless", "stuck", "failing", "working", "unused"}
    assert violations(classroom) == []

    classroom.set_viewport_size(ENLARGED)
    assert violations(classroom) == []

    # Ten minutes later
    monkeypatch.setattr("mock_proxy.classroom.board.RECENT", -1)
    ask(proxy, keys["working"])
    expect(row_of(classroom, "working")).to_contain_text("Quiet")
    assert states(classroom) == {"stopped", "quiet", "unused"}
    assert violations(classroom) == []
