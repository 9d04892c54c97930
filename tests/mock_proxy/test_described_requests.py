"""Schemathesis sends what the OpenAPI description allows, and what it does not: no 5xx, no hang."""

import importlib
import json
import os
import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mock_proxy.server.run import running
from mock_proxy.server.swagger import description

REQUIRED = "LITELLM_COMMAND" in os.environ  # as in test_clients
CASES = int(os.environ.get("LESSON_SCHEMATHESIS_CASES", "25"))
"""Requests of each kind to each route; some hundred in all."""

LITELLMS_OWN = (
    "Invalid duration format",  # of a duration such as "1 day"
    "Regenerating Virtual Keys",
    "/spend/logs Error",  # of a date that is none
    "litellm.",
    "No keys found",
)
"""What LiteLLM 1.106.2 itself says with a 5xx."""

OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in description()["paths"].items()
    for method in methods
]


def stumbles_over(body: bytes | str | None) -> bool:
    """Whether a body is JSON but no mapping: LiteLLM 1.106.2 answers that with a plain 500."""
    try:
        return not isinstance(json.loads(body or "{}"), dict)
    except ValueError:
        return False


@pytest.fixture(scope="module")
def described():
    if REQUIRED:
        schemathesis = importlib.import_module("schemathesis")
    else:
        schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    with running() as proxy:
        schema = schemathesis.openapi.from_url(proxy.url + "/openapi.json")
        operations = {
            op.label: op for op in (result.ok() for result in schema.get_all_operations())
        }
        assert set(operations) == set(OPERATIONS)
        yield schemathesis, proxy, operations


@pytest.mark.parametrize("operation", OPERATIONS)
def test_generated_requests_are_answered(described, operation):
    schemathesis, proxy, operations = described
    described_operation = operations[operation]
    modes = [schemathesis.GenerationMode.POSITIVE]
    if described_operation.body or described_operation.query:  # there is something to get wrong
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    cases = st.one_of(described_operation.as_strategy(generation_mode=mode) for mode in modes)

    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def is_answered(case):
        began = time.perf_counter()
        response = case.call(headers={"x-litellm-api-key": proxy.master_key}, timeout=10)
        assert time.perf_counter() - began < 5
        if response.status_code >= 500:
            known = any(text in response.text for text in LITELLMS_OWN)
            assert known or stumbles_over(response.request.body), response.text

    is_answered()
