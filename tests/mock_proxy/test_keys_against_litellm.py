"""The same requests with virtual keys to the mock and to a real LiteLLM with a database.

`make contract` names a LiteLLM in LITELLM_COMMAND and installs the adapter to its database. Where
PostgreSQL, Node or the adapter's packages are missing, these tests say so and are skipped, or fail
if LITELLM_REQUIRE_KEYS is 1.
"""

import json
from collections.abc import Iterator

import contract
import key_steps
import pytest
import real_litellm

from mock_proxy.config import load
from mock_proxy.server.run import running

pytestmark = pytest.mark.skipif(
    real_litellm.missing() is not None and not real_litellm.required(),
    reason=str(real_litellm.missing()),
)


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        yield


@pytest.fixture(scope="module")
def litellm(environment) -> Iterator[str]:
    assert real_litellm.missing() is None, real_litellm.missing()
    with real_litellm.litellm_with_keys(contract.DATA / "config.yaml", {}) as url:
        yield url


@pytest.fixture(scope="module")
def mock(environment) -> Iterator[str]:
    with running(load(contract.DATA / "config.yaml")) as proxy:
        yield proxy.url


def test_every_step_gets_litellms_answer(mock, litellm):
    got = key_steps.stepped(mock)
    want = key_steps.stepped(litellm, wait=True)
    compare(
        {step: (got[step], want[step]) for step in got if step not in key_steps.DIFFERENT_STEPS}
    )


def test_every_story_gets_litellms_answers(mock, litellm):
    pairs = {}
    for story in key_steps.STORIES:
        got, want = key_steps.told(mock, story), key_steps.told(litellm, story, wait=True)
        for number, ((case, one), (_, other)) in enumerate(zip(got, want, strict=True)):
            pairs[f"{story} {number}: {case}"] = (one, other)
    compare(pairs)


def compare(pairs):
    """Report all differences at once: LiteLLM takes long to start."""
    different = []
    for step, answers in pairs.items():
        mock, real = (contract.substance(answer) for answer in answers)
        for side in (mock, real):
            side["body"] = contract.rounded_cost(side["body"])
        if mock != real:
            different.append(f"{step}\n  mock: {json.dumps(mock)}\n  real: {json.dumps(real)}")
    assert not different, f"{len(different)} of {len(pairs)} differ:\n" + "\n".join(different)
