"""The lesson's own environment: pages run against the practice proxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lesson.practice import practice_environment

if TYPE_CHECKING:
    from lesson_runner.verify import EnvironmentFor

pytest_plugins = ["pytester"]  # for the tests of the plugin


@pytest.fixture(scope="session")
def lesson_environment() -> Iterator[EnvironmentFor]:
    with practice_environment() as environment:
        yield environment
