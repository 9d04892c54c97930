"""Whatever is asked, nothing falls over: found by Hypothesis, inside one process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mock_proxy.classroom.board import Classroom
from mock_proxy.config import ProxyConfig, practice
from mock_proxy.keys.store import KeyStore
from mock_proxy.litellm.wire import NoMapping
from mock_proxy.server import run
from mock_proxy.server.app import ADMIN_ROUTES, FREE_ROUTES, ROUTES, create_app

USUAL: dict[str, list[Any]] = {
    "model": ["gpt-4o-mini", "gpt-4", "text-embedding-ada-002", "practice-busy", "any/\r\n"],
    "messages": [[{"role": "user", "content": "One of: a, b.\n\nText: a b JSON"}]],
    "prompt": ["Hello", ["a", "b"]],
    "input": ["Hello", ["a", "b"], [1, 2], [{"role": "user", "content": "Hello"}]],
    "max_tokens": [5],
    "stream": [True],
    "tools": [[{"type": "function", "function": {"name": "f", "parameters": {}}}]],
    "response_format": [{"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}],
    "tool_choice": [{"type": "tool", "name": "f"}, "required"],
    "key": ["sk-practice-key", "sk-0123456789abcdef"],
    "duration": ["1d", "99999999999d"],
}
_OTHERS = """n stop max_completion_tokens temperature seed stream_options dimensions
    encoding_format system instructions text keys models max_output_tokens max_budget metadata
    rpm_limit model_rpm_limit allowed_routes top_p user logit_bias timeout key_alias spend
    budget_duration tpm_limit max_parallel_requests key_aliases team_id aliases tags blocked
    reasoning"""
OTHERS = _OTHERS.split()
_INNER = """role content type text name function schema json_schema enum parameters input
    tool_use_id tool_result tool_use function_call function_call_output call_id arguments source
    image_url url properties items required pattern minItems minLength format anyOf $ref user
    strict"""
INNER = _INNER.split()

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(INNER)
)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INNER) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from(values) | JSON for name, values in USUAL.items()},
        **dict.fromkeys(OTHERS, JSON),
    },
)
PATHS = st.sampled_from(
    [(method, path) for method, path, _ in (*ROUTES, *FREE_ROUTES, *ADMIN_ROUTES)]
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["key", "page", "size", "start_date", "end_date", "api_key", "request_id", "model"]
    ),
    st.text(max_size=12) | st.sampled_from(["9999-12-31", "0001-01-01", "2026-11-24", "-1"]),
    max_size=3,
)


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Of an application that raises what it stumbles over."""
    config = practice()
    wild = config.models[0].__class__("any/*", {"model": "openai/gpt-4o-mini"})
    keys = KeyStore("sk-practice-key")
    config = ProxyConfig(models=(*config.models, wild))
    return TestClient(create_app(config, keys, Classroom(keys)))


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(route=PATHS, name=st.text(min_size=1, max_size=5), query=QUERIES, body=BODIES)
def test_strange_requests_are_answered(client, route, name, query, body):
    method, path = route
    for part in ("{model:path}", "{model_id}", "{key}"):
        path = path.replace(part, "gpt-4" if name > "m" else "x%0A")
    response = client.request(
        method,
        path,
        params=query,
        content=json.dumps(body).encode() if method == "POST" else None,
        headers={"authorization": "Bearer sk-practice-key"},
    )
    if response.status_code >= 500:  # only where LiteLLM itself says so
        known = (
            "litellm.",
            "Invalid duration format",
            "Unsupported duration unit",
            "does not match format",
            "Enterprise",
        )
        assert any(text in response.text for text in known)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(raw=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_strange_bodies_are_answered(raw):
    client = TestClient(create_app(practice(), KeyStore("sk-practice-key")))
    try:
        response = client.post("/chat/completions", content=raw)
    except NoMapping:  # LiteLLM's own 500, of which the terminal hears nothing
        return
    assert response.status_code in (400, 401)


def test_a_fault_of_ours_is_a_line_in_the_terminal(monkeypatch, caplog):
    """Not a traceback, which would push all else off the instructor's screen."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr("mock_proxy.answers.talk.answer", broken)
    with run.running() as proxy:
        import requests

        response = requests.post(
            proxy.url + "/chat/completions",
            json={"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]},
            headers={"authorization": f"Bearer {proxy.master_key}"},
            timeout=10,
        )
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "internal_server_error"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line
    assert "ZeroDivisionError at test_no_traceback.py:" in line
