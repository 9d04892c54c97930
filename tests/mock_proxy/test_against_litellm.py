"""The same requests to the mock and to a real LiteLLM, started here with the same file.

`make contract` installs a LiteLLM in a virtual environment of its own, names its command in
LITELLM_COMMAND, and runs these tests; without it they are skipped. LiteLLM runs without a database
here, and so knows no virtual keys; those are compared with the recording.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import contract
import pytest
import requests

from mock_proxy.config import load
from mock_proxy.server.run import running

COMMAND = os.environ.get("LITELLM_COMMAND")
pytestmark = pytest.mark.skipif(COMMAND is None, reason="LITELLM_COMMAND names no LiteLLM")

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
}
CASES = [
    case
    for case in REQUESTS
    if not any(part in case for parts in NOT_COMPARED.values() for part in parts)
]
MORE = {
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
}
"""Requests to ``/chat/completions`` that the recording does not hold."""


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        yield patch


@pytest.fixture(scope="module")
def mock(environment) -> Iterator[str]:
    with running(load(contract.DATA / "config.yaml")) as proxy:
        yield proxy.url


@pytest.fixture(scope="module")
def litellm(environment, tmp_path_factory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert COMMAND is not None
    command = [COMMAND, "--config", str(contract.DATA / "config.yaml"), "--telemetry", "False"]
    log = (tmp_path_factory.mktemp("litellm") / "log").open("w")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            assert process.poll() is None, "LiteLLM stopped while it started"
            try:
                if requests.get(url + "/health/liveliness", timeout=2).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()
        log.close()


def same(request, mock, litellm):
    got, want = (contract.substance(contract.send(url, request)) for url in (mock, litellm))
    assert got == want


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
