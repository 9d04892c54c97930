"""Requests that were asked of two versions of LiteLLM at once, and how near the mock is to each.

They were made up in November 2026 for what researchers do, and asked of LiteLLM 1.106.2 and
1.109.1 on the same day, without a database. Three groups: ``A``, canned models of ``config.yaml``;
``B``, the practice models of that day, where a practice proxy stood behind LiteLLM as its provider;
``C``, a provider with OpenAI's form of answers and errors, here in ``recorded_provider``.

Run as a program, this says in one line a version how many of them agree.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import contract
import pytest
import recorded_provider
from other_server import other_server

from mock_proxy.answers import talk
from mock_proxy.config import Model, ProxyConfig, load, practice
from mock_proxy.server.run import running
from mock_proxy.upstream.relay import Relay

CASES = contract.recorded("fresh")
ANSWERS = {"1.106.2": "response", "1.109.1": "response_1_109_1"}

OWN_RESPONSES = "LiteLLM asks the provider's own /responses; the mock makes a chat of it."
NO_NETWORK = "LiteLLM asked OpenAI, which could not be reached where this was recorded."

NOT_COMPARABLE = {
    **{case: CASES[case]["not_comparable"] for case in CASES if "not_comparable" in CASES[case]},
    "a_openai_v1_models": NO_NETWORK,
    "a_tc_call_endpoint": NO_NETWORK,
    "a_emb_input_dict": "Its vectors are those of a provider.",
    "a_raw_get_with_body": "Its body is shorter than announced, and no answer was recorded.",
    "c_resp_ok": OWN_RESPONSES,
    "c_resp_stream": OWN_RESPONSES,
}

PASSED_ON = "LiteLLM passes this path on to another company's API; the mock has no such path."
PARSER = "LiteLLM's server reads HTTP by h11, which is stricter than httptools."

DIFFERENT = {
    "a_health_test": "A path that nobody but LiteLLM's developers asks.",
    "a_routes": "It lists the paths of LiteLLM.",
    "a_redoc": "The page loads from the internet; the mock's pages do not.",
    "a_root_accept_json": "Its page has scripts for paths that the mock lacks.",
    "a_tc_long_word": "Tokens are counted by a rule, without tables: 9, where it is 10.",
    "a_msg_anthropic_path": PASSED_ON,
    "a_raw_no_host": PARSER,
    "a_raw_absolute_uri": PARSER,
}
"""What the mock answers otherwise, as either version, and why."""

DIFFERENT_AS = {
    "1.106.2": {
        **DIFFERENT,
        "a_stream_tool_model_usage": "The last chunk's fields come in another order.",
    },
    "1.109.1": DIFFERENT,
}

LABELLED = "I would choose the label **Solar power**. It mentions: solar, power."
REPEATED = (
    "This is the practice proxy, not a language model: it repeats what it was asked. "
    "You asked: \N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}"
)
LABELLING = "system stream stream_usage stream_n3 n3 seed stream_max_tokens msg_stream"
SAID = {
    **dict.fromkeys([f"b_{name}" for name in (*LABELLING.split(), "msg_max_tokens")], LABELLED),
    "b_resp_stream": "I would choose the label **energy**. It mentions: energy, solar, power.",
    "b_comp_list": REPEATED.replace("{}", "Solar power: climate or energy?"),
    "b_resp_previous": REPEATED.replace("{}", "And now?"),
}
"""What the rules said on the day of the recording: other rules are no other LiteLLM."""


def names(group: str) -> list[str]:
    """The cases of a group that can be compared."""
    return [case for case in CASES if CASES[case]["group"] == group and case not in NOT_COMPARABLE]


@contextlib.contextmanager
def mock(version: str, group: str) -> Iterator[str]:
    """The mock as this version of LiteLLM, with what stood behind that one; its address."""
    with contextlib.ExitStack() as stack:
        config, relay = CONFIGURATIONS[group](), None
        config = replace(config, master_key=contract.MASTER_KEY)
        if group == "C":
            provider = stack.enter_context(other_server())
            provider.answer = recorded_provider.answer
            relay = Relay(provider.url, {name: name for name in recorded_provider.MODELS})
        yield stack.enter_context(running(config, litellm_version=version, relay=relay)).url


def behind_a_provider() -> ProxyConfig:
    return ProxyConfig(
        tuple(
            Model(
                name,
                {
                    "model": f"openai/{name}",
                    "api_key": "fake",
                    "api_base": "http://127.0.0.1:4013/v1",
                    **({"timeout": 1} if name == "prov-slow" else {}),
                },
            )
            for name in recorded_provider.MODELS
        )
    )


CONFIGURATIONS = {
    "A": lambda: load(contract.DATA / "config.yaml", {}),
    "B": practice,
    "C": behind_a_provider,
}


def compared(version: str, case: str, url: str) -> tuple[Any, Any]:
    """What the mock answers, and what LiteLLM answered: status and body, and headers of group A."""
    group, wanted = CASES[case]["group"], CASES[case][ANSWERS[version]]
    with rules_that_say(SAID.get(case)):
        got = contract.send(url, CASES[case]["request"])
    got, wanted = part(got, group), part(wanted, group)
    is_chat = CASES[case]["request"]["path"].endswith("/chat/completions")
    if group == "B" and is_chat and version != "1.106.2":
        got["body"] = as_the_provider_was(got["body"])
    return got, wanted


def as_the_provider_was(body: str) -> str:
    """An answer as it is if the provider sends no ``refusal`` and no ``logprobs``.

    The provider of group B was the mock as it was then, which had the form of 1.106.2 only.
    """
    body = re.sub(r', "logprobs": null(?=})', "", body)
    body = re.sub(r', "annotations": \[\], "refusal": null', OLDER + r', "annotations": []', body)
    return re.sub(r'(, "content": null), "refusal": null', OLDER + r"\1", body)


OLDER = ', "provider_specific_fields": {"refusal": null}'

HEADERS = (
    *("content-type", "retry-after", "x-litellm-response-cost"),
    *("x-litellm-model-group", "x-litellm-attempted-fallbacks"),
)


def part(response: dict[str, Any], group: str) -> dict[str, Any]:
    found = contract.substance(response)
    if group != "A":
        return {"status": found["status"], "body": found["body"]}
    return {**found, "headers": {k: v for k, v in found["headers"].items() if k in HEADERS}}


@contextlib.contextmanager
def rules_that_say(text: str | None) -> Iterator[None]:
    """Have the rules answer with this text, if there is one."""
    with pytest.MonkeyPatch.context() as patch:
        if text is not None:
            patch.setattr(talk, "answer", lambda conversation: text)
        yield


def agreement(version: str) -> str:
    """How near the mock is to a version of LiteLLM, in a line."""
    agreed = asked = 0
    for group in CONFIGURATIONS:
        with mock(version, group) as url:
            pairs = [compared(version, case, url) for case in names(group)]
        agreed += sum(got == wanted for got, wanted in pairs)
        asked += len(pairs)
    return f"LiteLLM {version}: {agreed} of {asked} cases agree"


if __name__ == "__main__":
    logging.disable()
    for number in ANSWERS:
        print(agreement(number), flush=True)
