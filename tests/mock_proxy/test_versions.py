"""The mock answers fresh requests as each version of LiteLLM does; see ``fresh``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import fresh
import pytest

from mock_proxy.litellm import version as versions
from mock_proxy.server.run import running

COMPARED = [
    (version, group, case)
    for version in fresh.ANSWERS
    for group in fresh.CONFIGURATIONS
    for case in fresh.names(group)
]
DIFFERENT = [one for one in COMPARED if one[2] in fresh.DIFFERENT_AS[one[0]]]


@pytest.fixture(scope="module")
def mock() -> Iterator[Callable[[str, str], str]]:
    """The address of the mock as a version of LiteLLM, for a group of cases."""
    with ExitStack() as stack:
        started: dict[tuple[str, str], str] = {}

        def url(version: str, group: str) -> str:
            if (version, group) not in started:
                started[version, group] = stack.enter_context(fresh.mock(version, group))
            return started[version, group]

        yield url


@pytest.mark.parametrize(
    ("version", "group", "case"),
    [one for one in COMPARED if one[2] not in fresh.DIFFERENT_AS[one[0]]],
)
def test_fresh_request_gets_litellms_answer(mock, version, group, case):
    got, wanted = fresh.compared(version, case, mock(version, group))
    assert got == wanted


@pytest.mark.parametrize(("version", "group", "case"), DIFFERENT)
def test_difference_is_still_one(mock, version, group, case):
    """One that has gone is to leave the list."""
    got, wanted = fresh.compared(version, case, mock(version, group))
    assert got != wanted


@pytest.mark.parametrize("version", fresh.ANSWERS)
def test_nearly_all_cases_agree(version):
    different = set(fresh.DIFFERENT_AS[version])
    assert different | set(fresh.NOT_COMPARABLE) <= set(fresh.CASES)
    compared = [one for one in COMPARED if one[0] == version]
    assert len(different) <= 0.05 * len(compared)


def test_agreement_is_told_in_a_line(monkeypatch):
    monkeypatch.setattr(fresh, "names", lambda group: ["a_stream_n3", "a_redoc"] * (group == "A"))
    assert fresh.agreement("1.109.1") == "LiteLLM 1.109.1: 1 of 2 cases agree"


def test_versions_are_those_that_were_recorded():
    assert list(versions.VERSIONS) == list(fresh.ANSWERS)
    assert versions.of(None) is versions.NEWEST is versions.VERSIONS["1.109.1"]


def test_unknown_version_is_told():
    with (
        pytest.raises(
            versions.UnknownVersion, match=r"knows LiteLLM 1.106.2 and 1.109.1, not 1.80"
        ),
        running(litellm_version="1.80"),
    ):
        pass
