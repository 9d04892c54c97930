"""Models that reason, and one whose provider filters content, beside LiteLLM 1.106.2's exchanges.

``reasoning.json`` and ``filtered.json`` hold requests, what LiteLLM asked of a provider played by
us and was answered, and what LiteLLM made of it; ``response_1_109_1`` is what that version made of
the same. The provider's answers follow OpenAI's and Azure's documentation.
"""

import json

import contract
import pytest

from mock_proxy.config import load
from mock_proxy.server.run import RunningProxy, running

CASES = {
    **contract.recorded("reasoning"),
    **{f"filter_{name}": case for name, case in contract.recorded("filtered").items()},
}
REFUSED = [name for name, case in CASES.items() if case["response"]["status"] == 400]


@pytest.fixture(scope="module", params=["1.106.2", "1.109.1"])
def proxy(request):
    """The same models; without an ``api_base`` the mock stands for OpenAI itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        patch.delenv("PROVIDER_URL", raising=False)
        patch.setenv("AZURE_URL", "https://example.openai.azure.com")
        config = load(contract.DATA / "families.yaml")
    for model in config.models:
        if model.name == "filtered":
            model.info["filter"] = {
                "refuse": {"self_harm": ["suicid"]},
                "cut": {"violence": ["extremis"]},
            }
    with running(config, litellm_version=request.param) as started:
        yield started, "response" if request.param == "1.106.2" else "response_1_109_1"


def answered(proxy: tuple[RunningProxy, str], name):
    (started, recorded), case = proxy, CASES[name]
    return contract.send(started.url, case["request"]), case[recorded]


@pytest.mark.parametrize("name", CASES)
def test_answer_is_litellms(proxy, name):
    """A refusal word for word; of an answer, whose text is free, the shape."""
    got, want = answered(proxy, name)
    assert got["status"] == want["status"]
    sides = [contract.substance(answer, from_provider=True) for answer in (got, want)]
    if want["status"] == 400:
        for side in sides:  # which model id it was depends on the provider's address
            side["headers"].pop("x-litellm-model-id", None)
        assert sides[0] == sides[1]
    else:
        headers = [set(side["headers"]) for side in sides]
        assert headers[0] ^ headers[1] <= HEADERS_THAT_DIFFER.get(name, set())
        assert shape(got["body_text"]) == shape(want["body_text"])


HEADERS_THAT_DIFFER = {
    "effort_minimal": {"x-litellm-response-cost-reasoning"},  # the provider played reasoned
    "completions_stream_usage": {"x-litellm-overhead-duration-ms"},  # of canned models left out
}


@pytest.mark.parametrize("name", ["params", "params_o"])
def test_parameters_that_a_model_takes_are_listed(proxy, name):
    got, want = (json.loads(answer["body_text"]) for answer in answered(proxy, name))
    assert got == want


def shape(body: str) -> list[object]:
    """Of a body, or of each event of a stream, those in a row that are alike once."""
    events = [part.partition("data: ")[2] or part for part in body.split("\n\n") if part]
    shapes = [event if event == "[DONE]" else _shape(json.loads(event)) for event in events]
    return [one for at, one in enumerate(shapes) if at == 0 or one != shapes[at - 1]]


def _shape(content):
    if content.get("object") == "response":
        return _response(content)
    if "sequence_number" in content:
        return content["type"], _response(content.get("response") or {})
    for choice in content.get("choices", ()):
        if choice.get("logprobs") is None:  # the provider played names it, or does not
            choice.pop("logprobs", None)
    if content.get("system_fingerprint") is None:
        content.pop("system_fingerprint", None)
    return json.loads(contract.shape(json.dumps(content)))


def _response(content):
    """Of OpenAI's newer form what depends on the reasoning; the rest repeats settings."""
    usage = content.get("usage") or {}
    is_over = content.get("status") != "in_progress"
    return {
        "status": content.get("status"),
        # The provider played knows it when it begins.
        "why incomplete": is_over and content.get("incomplete_details"),
        "output": [item["type"] for item in content.get("output", [])],
        "reasoning": (usage.get("output_tokens_details") or {}).get("reasoning_tokens", 0) > 0,
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_tokens_both", "messages"])
def test_litellm_hands_a_limit_on_under_the_newer_name(name):
    """Which is why the mock takes both names for one."""
    (asked,) = CASES[name]["provider"]
    sent = asked["body"]
    assert "max_tokens" not in sent
    assert 500 in (sent.get("max_completion_tokens"), sent.get("max_output_tokens"))


def test_parameters_are_refused_before_the_provider_is_asked():
    alone = [name for name in REFUSED if not CASES[name]["provider"]]
    assert len(alone) > 20
    assert all(
        "UnsupportedParamsError"
        in json.loads(CASES[name]["response"]["body_text"])["error"]["message"]
        for name in alone
    )
