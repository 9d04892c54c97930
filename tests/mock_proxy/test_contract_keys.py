"""The recorded exchanges with virtual keys, replayed in their order, each key made anew."""

import json
from pathlib import Path

import contract
import key_steps
import pytest
import real_litellm
from key_steps import CASES, CHAT, STEPS, STORIES, substance, told

from mock_proxy.config import load
from mock_proxy.server.run import running

WITHOUT_A_KEY = [
    case
    for case in CASES
    if case.startswith(("auth_", "gen_", "readiness", "key_delete", "key_regenerate"))
    and case != "gen_dup_alias"
]

NOT_COMPARED = {
    "student_emb": "Its vectors are the mock's own; see the embeddings of the other recording.",
    "key_list": "Lists the keys that the recording happened to have made; their form is compared.",
    "budget_new": "Budgets shared by keys are not in the mock.",
}

VOLATILE_HEADERS_HERE = {
    "x-ratelimit-api_key-remaining-tokens": {
        "tpm40_1": "The recording lacks the call before; the story makes it with this one.",
    }
}


def compare(case, answer, *, but=()):
    got, want = (substance(r) for r in (answer, CASES[case]["response"]))
    for header in but:
        assert header in got["headers"]
        got["headers"][header] = want["headers"][header] = "…"
    assert got == want


@pytest.mark.parametrize("story", STORIES)
def test_key_is_treated_as_recorded(recorded_proxy, story):
    for number, (case, answer) in enumerate(told(recorded_proxy.url, story)):
        if case != "(chat)":
            but = [h for h, cases in VOLATILE_HEADERS_HERE.items() if case in cases and number == 1]
            compare(case, answer, but=but)


def test_list_of_keys_has_the_recorded_form(recorded_proxy):
    """Which keys it lists depends on what was made before; their fields do not."""
    for _ in range(3):
        recorded_proxy.new_key()
    case = CASES["key_list"]
    got = json.loads(contract.send(recorded_proxy.url, case["request"])["body_text"])
    want = json.loads(case["response"]["body_text"])
    assert list(got) == list(want)
    assert [list(key) for key in got["keys"]] == [list(key) for key in want["keys"]]


def test_expired_key_is_told(recorded_proxy):
    key = recorded_proxy.new_key(duration="0s")
    request = json.loads(json.dumps(CASES[CHAT]["request"]))
    request["headers"]["authorization"] = f"Bearer {key}"
    answer = contract.send(recorded_proxy.url, request)
    error = json.loads(answer["body_text"])["error"]
    assert (answer["status"], error["type"]) == (401, "expired_key")
    assert error["message"].startswith("Authentication Error - Expired Key. Key Expiry time 20")
    assert error["param"].startswith("sk-...")


@pytest.mark.parametrize("case", WITHOUT_A_KEY)
def test_recorded_request_gets_the_recorded_answer(recorded_proxy, case):
    compare(case, contract.send(recorded_proxy.url, CASES[case]["request"]))


def test_every_recorded_case_is_told_or_listed():
    told = {case for story in STORIES.values() for case in story if not case.startswith("(")}
    told |= {f"key_generate_{story}" for story in STORIES} | set(WITHOUT_A_KEY)
    assert told | set(NOT_COMPARED) == set(CASES)
    assert not told & set(NOT_COMPARED)


# --- one long story of many keys --------------------------------------------------------------


@pytest.fixture(scope="module", params=key_steps.VERSIONS)
def steps(request):
    """The mock's answers to all steps, and LiteLLM's, by the step's name."""
    config = load(contract.DATA / "config.yaml", {"LITELLM_MASTER_KEY": contract.MASTER_KEY})
    with running(config, litellm_version=request.param) as proxy:
        answers = key_steps.stepped(proxy.url)
    pairs = {}
    for step, got in answers.items():
        want = key_steps.recorded_step(step, request.param)
        pairs[step] = substance(key_steps.cut(got, to=want)), substance(want)
    return pairs


DIFFERENT_STEPS = {
    **key_steps.DIFFERENT_STEPS,
    "list_size_1_status_expired": "Counts keys of a database that was used before.",
}


@pytest.mark.parametrize("step", sorted(set(STEPS) - set(DIFFERENT_STEPS)))
def test_step_gets_the_recorded_answer(steps, step):
    got, want = steps[step]
    assert got == want


@pytest.mark.parametrize("step", DIFFERENT_STEPS)
def test_exceptions_are_exceptions_still(steps, step):
    got, want = steps[step]
    assert got != want


def test_few_steps_are_exceptions():
    assert len(DIFFERENT_STEPS) <= 0.05 * len(STEPS)


# --- what the comparison with a real LiteLLM stands on ----------------------------------------


@pytest.mark.parametrize(
    ("part", "change"),
    [("status", 400), ("body_text", '{"error": {}}'), ("headers", [["retry-after", "1"]])],
)
def test_a_difference_is_reported(part, change):
    answer = CASES["admin_key_info"]["response"]
    (reported,) = key_steps.differences({"step 1": (answer, {**answer, part: change})})
    assert reported.startswith("step 1: " + part.removesuffix("_text"))
    assert not key_steps.differences({"step 1": (answer, answer)})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("postgresql", lambda: None, "PostgreSQL is not installed"),
        ("PRISMA", Path("nowhere"), "Prisma is not installed"),
    ],
)
def test_what_a_real_litellm_lacks_is_told(monkeypatch, name, value, reason):
    monkeypatch.setenv("LITELLM_COMMAND", "litellm")
    monkeypatch.setattr(real_litellm, "postgresql", lambda: Path("bin"))
    monkeypatch.setattr(real_litellm.shutil, "which", lambda name: name)
    monkeypatch.setattr(real_litellm, name, value)
    assert reason in str(real_litellm.missing("LITELLM_COMMAND"))
    monkeypatch.setattr(real_litellm.shutil, "which", lambda name: None)
    assert real_litellm.missing("LITELLM_COMMAND") is not None


@pytest.mark.parametrize(("required", "outcome"), [("1", "Failed"), ("0", "Skipped")])
def test_without_a_litellm_keys_are_not_compared_or_must_be(monkeypatch, required, outcome):
    monkeypatch.delenv("LITELLM_COMMAND", raising=False)
    monkeypatch.setenv("LITELLM_REQUIRE_KEYS", required)
    with pytest.raises(BaseException, match="LITELLM_COMMAND names no LiteLLM") as ended:
        real_litellm.command_with_keys("LITELLM_COMMAND")
    assert ended.typename == outcome
