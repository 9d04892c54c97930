"""Swagger UI of the practice proxy, with the steps of the episode on LiteLLM's API."""

from __future__ import annotations

import json

import pytest
from chromium import Locator, Page, expect, violations

from mock_proxy import RunningProxy

OURS = ".renderedMarkdown"
"""The texts of the proxy's description. The rest of the page is not ours: its frame comes from
FastAPI (no `lang`, no landmark), its markup and colours from Swagger UI."""


@pytest.fixture
def swagger(page: Page, proxy: RunningProxy) -> Page:
    page.goto(proxy.url)
    return page


def authorize(page: Page, key: str) -> None:
    page.get_by_role("button", name="Authorize", exact=True).click()
    window = page.locator(".dialog-ux")
    expect(window).to_contain_text("APIKeyHeader")
    window.get_by_label("Value:").fill(key)
    window.get_by_text("Authorize", exact=True).click()
    expect(window.get_by_role("heading", name="Authorized")).to_be_visible()
    window.get_by_role("button", name="Close").click()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Authorize", exact=True).click()
    window = page.locator(".dialog-ux")
    window.get_by_text("Logout", exact=True).click()
    window.get_by_role("button", name="Close").click()


def operation(page: Page, method: str, path: str) -> Locator:
    """The box of an operation, opened, ready to be executed."""
    heading = page.get_by_role("link", name=path, exact=True)
    box = page.locator(f".opblock-{method.lower()}").filter(has=heading)
    box.locator(".opblock-summary-control").click()
    box.get_by_role("button", name="Try it out").click()
    return box


def execute(box: Locator) -> tuple[str, str]:
    """Status code and response body, as they stand below Server response; not an earlier one's."""
    clear = box.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    box.get_by_role("button", name="Execute").click()
    expect(box.get_by_role("heading", name="Server response")).to_be_visible()
    answer = box.locator(".live-responses-table .response")
    status = answer.locator(".response-col_status").inner_text()
    return status.split()[0], answer.locator("code").first.inner_text()


def test_a_key_lists_the_models(swagger: Page, proxy: RunningProxy) -> None:
    authorize(swagger, proxy.new_key())
    status, body = execute(operation(swagger, "GET", "/models"))

    assert status == "200"
    assert "gpt-4o-mini" in [model["id"] for model in json.loads(body)["data"]]


def test_a_prompt_that_is_typed_is_answered(swagger: Page, proxy: RunningProxy) -> None:
    authorize(swagger, proxy.new_key())
    box = operation(swagger, "POST", "/chat/completions")
    prompt = "Choose one topic: health or energy. Answer with one word. Title: Solar panels"
    messages = [{"role": "user", "content": prompt}]
    box.locator("textarea").fill(json.dumps({"model": "gpt-4o-mini", "messages": messages}))
    status, body = execute(box)

    assert status == "200"
    assert json.loads(body)["choices"][0]["message"]["content"] == "energy"


def test_three_keys_and_none(swagger: Page, proxy: RunningProxy) -> None:
    """The exercise of this name."""
    key = proxy.new_key()
    authorize(swagger, "sk-wrong")
    models = operation(swagger, "GET", "/models")
    unknown = execute(models)
    log_out(swagger)
    alive = execute(operation(swagger, "GET", "/health/liveliness"))
    authorize(swagger, f'"{key}"')
    quoted = execute(models)
    log_out(swagger)
    authorize(swagger, key)
    accepted = execute(models)

    assert unknown[0] == quoted[0] == "401"
    assert "Invalid API key provided" in unknown[1]
    assert "expected to start with 'sk-'" in quoted[1]
    assert alive == ("200", '"I\'m alive!"')
    assert accepted[0] == "200"


def test_our_texts_break_no_rule_of_accessibility(swagger: Page) -> None:
    summaries = swagger.locator(".opblock-summary-control")
    expect(summaries.first).to_be_visible()
    summaries.evaluate_all("all => all.forEach(one => one.click())")
    expect(swagger.locator(".opblock.is-open")).to_have_count(summaries.count())

    assert swagger.title() == "LiteLLM API - Swagger UI"
    assert violations(swagger, OURS) == []

    swagger.get_by_role("button", name="Authorize", exact=True).click()
    assert violations(swagger, f".dialog-ux {OURS}") == []
