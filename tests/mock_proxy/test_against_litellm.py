"""The same requests to the mock and to a real LiteLLM, started here with the same file.

`make contract` installs LiteLLM in virtual environments of their own, names the commands in
LITELLM_COMMAND and LITELLM_NEWEST_COMMAND, and runs these tests; those of a command that is not
named are skipped. The mock answers as the version that it finds, or as the newest that it knows.
LiteLLM runs without a database here, and so knows no virtual keys.
"""

from collections.abc import Iterator
from typing import Any

import contract
import pytest
import real_litellm
import requests

REQUESTS = {**contract.recorded("requests"), **contract.recorded("upstream_errors")}
NOT_COMPARED = {
    "needs a provider": (
        "up_",
        "err_up-",
        "err_stream_up-",
        "client_",
        "emb_",
        "messages_upstream",
        "responses_upstream",
    ),
    "needs a database": ("wrong_key", "models_wrong", "chat_wrong", "messages_wrong"),
    "tells of a database": ("health_readiness",),
    "shows a key that is looked up first in the database": (
        "basic_auth",
        "key_quoted",
        "malformed_key",
    ),
    "picks a deployment at random": ("chat_model_prefixed",),
    "counts requests of a minute": ("deploy_rpm2",),
    "has other headers since 1.109.1": ("chat_stream_midstream_error_mock",),
}
CASES = [
    case
    for case in REQUESTS
    if not any(part in case for parts in NOT_COMPARED.values() for part in parts)
]
HELLO = [{"role": "user", "content": "Hello"}]
MORE: dict[str, dict[str, Any]] = {
    "chat n -1": {"model": "gpt-4", "messages": [], "n": -1},
    "chat n 1.5": {"model": "gpt-4", "messages": [], "n": 1.5},
    "chat messages 5": {"model": "gpt-4", "messages": 5},
    "chat messages null entry": {"model": "gpt-4", "messages": [None]},
    "chat messages empty text": {"model": "gpt-4", "messages": ""},
    "chat model 5": {"model": 5, "messages": []},
    "chat json object for gpt-4": {
        "model": "gpt-4",
        "messages": [],
        "response_format": {"type": "json_object"},
    },
    "chat response_format 5": {"model": "gpt-4", "messages": [], "response_format": 5},
    "chat two streams": {"model": "gpt-4", "messages": [], "stream": True, "n": 2},
    "chat tools stream": {"model": "mock-tools", "messages": [], "stream": True},
    "chat mid-stream error, whole": {"model": "mock-streamerr", "messages": []},
    "chat empty": {},
    "effort": {"model": "gpt-4o-mini", "messages": HELLO, "reasoning_effort": "low"},
    "effort of an unknown model": {
        "model": "Llama-3.3-70B-Instruct",
        "messages": HELLO,
        "reasoning_effort": "low",
    },
    "verbosity and thinking": {
        "model": "Llama-3.3-70B-Instruct",
        "messages": HELLO,
        "verbosity": "low",
        "thinking": {"type": "enabled"},
    },
    "effort dropped": {
        "model": "gpt-4.1",
        "messages": HELLO,
        "reasoning_effort": "low",
        "additional_drop_params": ["reasoning_effort"],
    },
    "no price": {"model": "Llama-3.3-70B-Instruct", "messages": HELLO},
    "fallback": {"model": "mock-500", "messages": HELLO, "fallbacks": ["mock-429", "gpt-4"]},
    "fallbacks fail": {
        "model": "mock-500",
        "messages": HELLO,
        "fallbacks": ["mock-429", "mock-context"],
    },
    "fallback is no model": {"model": "mock-500", "messages": HELLO, "fallbacks": ["nope"]},
    "fallback with a body": {
        "model": "mock-500",
        "messages": HELLO,
        "fallbacks": [{"model": "gpt-4.1", "n": 2}],
    },
    "fallback in a stream": {
        "model": "mock-500",
        "messages": HELLO,
        "fallbacks": [{"mock-500": ["gpt-4"]}],
        "stream": True,
    },
    "base_url": {"model": "gpt-4", "messages": HELLO, "base_url": None},
    "mock_timeout": {"model": "nope", "messages": HELLO, "mock_timeout": False, "mock_delay": 1},
    "three in a stream": {
        "model": "gpt-4o-mini",
        "messages": HELLO,
        "stream": True,
        "n": 3,
        "stream_options": {"include_usage": True},
    },
}
"""Requests to ``/chat/completions`` that the recording does not hold."""


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        yield patch


@pytest.fixture(scope="module", params=real_litellm.EACH)
def litellm(request, environment) -> Iterator[str]:
    command = real_litellm.command(request.param)
    with real_litellm.litellm(command, contract.DATA / "config.yaml", {}) as url:
        yield url


@pytest.fixture(scope="module")
def mock(litellm) -> Iterator[str]:
    """The mock as the version of LiteLLM that is here."""
    with real_litellm.mock_of(litellm) as url:
        yield url


def same(request, mock, litellm):
    got, want = (contract.substance(contract.send(url, request)) for url in (mock, litellm))
    assert without_version(got) == without_version(want)


def without_version(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a version that is newer than the mock's."""
    headers = answer["headers"]
    if "x-litellm-version" in headers:
        headers = {**headers, "x-litellm-version": "…"}
    return {**answer, "headers": headers}


@pytest.mark.parametrize("case", CASES)
def test_recorded_request_gets_litellms_answer(case, mock, litellm):
    same(REQUESTS[case]["request"], mock, litellm)


@pytest.mark.parametrize("case", MORE)
def test_other_request_gets_litellms_answer(case, mock, litellm):
    headers = {"authorization": f"Bearer {contract.MASTER_KEY}"}
    request = {"method": "POST", "path": "/chat/completions", "headers": headers}
    same({**request, "body": MORE[case]}, mock, litellm)


@pytest.mark.parametrize(
    "path", ["/model/info", "/model_group/info", "/models/gpt-4", "/v1/models/openai/gpt-4"]
)
def test_models_are_told_alike(path, mock, litellm):
    headers = {"authorization": f"Bearer {contract.MASTER_KEY}"}
    answers = [requests.get(url + path, headers=headers, timeout=30) for url in (mock, litellm)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].json() == answers[1].json()
