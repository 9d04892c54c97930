"""The recorded requests to models that reason or filter, sent to a real LiteLLM.

Its provider is played: it answers what was recorded. `make contract` names the commands, as for
test_against_litellm.py. A LiteLLM of a third version shows what it does differently from the
newest that was recorded.
"""

from collections.abc import Iterator

import contract
import pytest
import real_litellm
from other_server import OtherServer, other_server
from starlette.responses import Response
from test_contract_families import CASES

OF_THE_ADDRESS = ("x-litellm-model-id", "x-litellm-model-api-base")
"""Headers that follow from the provider's address, which is another at each start."""


@pytest.fixture(scope="module")
def provider() -> Iterator[OtherServer]:
    with other_server() as other:
        yield other


@pytest.fixture(scope="module", params=real_litellm.EACH)
def litellm(request, provider) -> Iterator[str]:
    command = real_litellm.command(request.param)
    environment = {
        "LITELLM_MASTER_KEY": contract.MASTER_KEY,
        "PROVIDER_URL": provider.url,
        "AZURE_URL": provider.url.removesuffix("/v1"),
    }
    with real_litellm.litellm(command, contract.DATA / "families.yaml", environment) as url:
        yield url


@pytest.fixture(scope="module")
def recorded_as(litellm) -> str:
    """The end of the fields that hold what its version did."""
    return "" if real_litellm.version_of(litellm) == "1.106.2" else "_1_109_1"


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
