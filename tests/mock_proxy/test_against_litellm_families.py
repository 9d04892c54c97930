"""The recorded requests to models that reason or filter, sent to a real LiteLLM.

Its provider is played: it answers what was recorded. A LiteLLM of a third version, named in
LITELLM_COMMAND, shows what it does differently from the newest that was recorded.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import contract
import pytest
import requests
from other_server import OtherServer, other_server
from starlette.responses import Response
from test_contract_families import CASES

COMMAND = os.environ.get("LITELLM_COMMAND")
pytestmark = pytest.mark.skipif(COMMAND is None, reason="LITELLM_COMMAND names no LiteLLM")

OF_THE_ADDRESS = ("x-litellm-model-id", "x-litellm-model-api-base")
"""Headers that follow from the provider's address, which is another at each start."""


@pytest.fixture(scope="module")
def provider() -> Iterator[OtherServer]:
    with other_server() as other:
        yield other


@pytest.fixture(scope="module")
def litellm(provider, tmp_path_factory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert COMMAND is not None
    command = [COMMAND, "--config", str(contract.DATA / "families.yaml"), "--telemetry", "False"]
    environment = {
        **os.environ,
        "LITELLM_MASTER_KEY": contract.MASTER_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PROVIDER_URL": provider.url,
        "AZURE_URL": provider.url.removesuffix("/v1"),
    }
    log = (tmp_path_factory.mktemp("litellm") / "log").open("w")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        stdout=log,
        stderr=log,
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


@pytest.fixture(scope="module")
def recorded_as() -> str:
    """The end of the fields that hold what its version did."""
    told = subprocess.run([str(COMMAND), "--version"], capture_output=True, text=True, check=True)
    return "" if "1.106.2" in told.stdout else "_1_109_1"


@pytest.mark.parametrize("name", CASES)
def test_litellm_asks_and_answers_as_it_was_recorded(litellm, recorded_as, provider, name):
    case = CASES[name]
    replies = [exchange["answer"] for exchange in case["provider"]]

    def answer(body):
        reply = replies.pop(0)
        return Response(reply["body_text"], reply["status"], media_type=reply["content_type"])

    provider.answer = answer
    before = len(provider.asked)
    response = contract.send(litellm, case["request"])
    asked = case.get("provider" + recorded_as, case["provider"])
    assert provider.bodies()[before:] == [exchange["body"] for exchange in asked]
    wanted = case["response" + recorded_as]
    got, want = (contract.substance(a, from_provider=True) for a in (response, wanted))
    for side in (got, want):
        side["headers"] = {k: v for k, v in side["headers"].items() if k not in OF_THE_ADDRESS}
    assert got == want
