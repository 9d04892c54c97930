"""The lesson's own environment: pages run against the practice proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lesson.practice import practice_environment, start_early

if TYPE_CHECKING:
    from lesson_runner.verify import EnvironmentFor

pytest_plugins = ["pytester"]  # for the tests of the plugin


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    if file_path.suffix == ".md" and not parent.config.option.collectonly:
        start_early()


@pytest.fixture(scope="session")
def lesson_environment() -> Iterator[EnvironmentFor]:
    with practice_environment() as environment:
        yield environment
