"""The recorded exchanges of a real LiteLLM 1.106.2, replayed against the mock.

Every case is compared; where less than all is compared, the case is listed with the reason.
"""

import json

import contract
import pytest

REQUESTS = {**contract.recorded("requests"), **contract.recorded("upstream_errors")}

ANSWERED_BY_RULES = {
    "up_chat_bad_role",
    "up_chat_max_tokens1",
    "up_chat_n2",
    "up_chat_normal",
    "up_chat_tools",
    "up_chat_unknown_param",
    "client_mock_response_upstream",
    "messages_upstream",
    "responses_upstream",
    "emb_base64",
    "emb_empty_input",
    "emb_str_text-embedding-ada-002",
    "emb_tokens",
    "v1_emb_list",
}
"""A provider answered these; in the mock its own rules do. Compared: status, the names of the
headers, the fields of the body and their kinds."""

NOT_COMPARED = {
    **dict.fromkeys(
        [case for case in REQUESTS if case.startswith(("err_up-", "err_stream_up-"))],
        "The provider failed; the mock's own rules answer, whatever the model's api_base.",
    ),
    "client_num_retries0": "As above: the provider failed.",
    "client_timeout": "As above: the provider was too slow.",
    "chat_model_prefixed": "LiteLLM picks one of the deployments of openai/gpt-4 at random.",
}

BEFORE = {"deploy_rpm2_1": ["deploy_rpm2_1"]}
"""What was asked before a case and is not in the recording."""


@pytest.mark.parametrize("case", sorted(set(REQUESTS) - ANSWERED_BY_RULES - set(NOT_COMPARED)))
def test_recorded_request_gets_the_recorded_answer(recorded_proxy, case):
    for earlier in BEFORE.get(case, []):
        contract.send(recorded_proxy.url, REQUESTS[earlier]["request"])
    answer = contract.send(recorded_proxy.url, REQUESTS[case]["request"])
    assert contract.substance(answer) == contract.substance(REQUESTS[case]["response"])


@pytest.mark.parametrize("case", sorted(ANSWERED_BY_RULES))
def test_answer_by_rules_has_a_providers_shape(recorded_proxy, case):
    answer = contract.send(recorded_proxy.url, REQUESTS[case]["request"])
    got = contract.substance(answer, from_provider=True)
    want = contract.substance(REQUESTS[case]["response"], from_provider=True)
    assert got["status"] == want["status"]
    assert set(got["headers"]) == set(want["headers"])
    if case.startswith(("emb_", "v1_emb_")):
        bodies = [json.loads(r["body_text"]) for r in (answer, REQUESTS[case]["response"])]
        for body in bodies:
            for entry in body["data"]:
                entry["embedding"] = "as many numbers as the model has"
        assert bodies[0] == bodies[1]
    else:
        assert contract.shape(answer["body_text"]) == contract.shape(
            REQUESTS[case]["response"]["body_text"]
        )


def test_every_exception_names_a_recorded_case():
    assert set(REQUESTS) >= ANSWERED_BY_RULES | set(NOT_COMPARED) | set(BEFORE)
    assert not ANSWERED_BY_RULES & set(NOT_COMPARED)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("status", 400),
        ("body_text", '{"error": {}}'),
        ("body_text", "data: {}\n\n"),
        ("headers", [["content-type", "text/html"]]),
    ],
)
def test_comparison_sees_a_difference(part, change):
    response = REQUESTS["chat_stream_usage"]["response"]
    assert contract.substance({**response, part: change}) != contract.substance(response)


def test_comparison_sees_another_text_in_a_stream():
    response = REQUESTS["chat_stream"]["response"]
    changed = response["body_text"].replace('"ock"', '"OCK"')
    assert contract.substance({**response, "body_text": changed}) != contract.substance(response)
