"""Fixtures of the tests that run pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_lesson import MadeLesson

from lesson_runner.run.fork_server import ForkServer
from lesson_runner.run.kernels import find_kernel


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def made_lesson(tmp_path: Path, fork_server: ForkServer) -> MadeLesson:
    root = tmp_path / "lesson"
    (root / "episodes" / "data").mkdir(parents=True)
    (root / "config.yaml").write_text("carpentry: incubator\ntitle: Made\n", encoding="utf-8")
    (root / "episodes" / "data" / "titles.csv").write_text("id,title\n1,Heat\n", encoding="utf-8")
    return MadeLesson(root, fork_server)


@pytest.fixture
def r_kernel(pytestconfig: pytest.Config) -> None:
    """Skips without R, unless R is required: then the test runs and fails."""
    missing = find_kernel("r").missing
    if missing and "r" not in pytestconfig.getoption("--require-languages"):
        pytest.skip(missing)
