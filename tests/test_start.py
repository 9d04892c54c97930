"""What a call imports is most of what it waits for: each call brings what it needs and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from lesson.main import COMMANDS

RUNS = {"jupyter_client", "jupytext", "nbclient", "nbformat", "zmq"}
"""What only a call that runs something needs."""

HEAVY = RUNS | {"fastapi", "httpx", "mock_proxy", "requests"}


def imported(*arguments: str, folder: Path | None = None) -> set[str]:
    """The top-level packages that `python -m ARGUMENTS` imports."""
    call = [sys.executable, "-X", "importtime", "-m", *arguments]
    done = subprocess.run(call, capture_output=True, text=True, cwd=folder, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_help_imports_no_command() -> None:
    assert not imported("lesson", "--help") & (HEAVY | {"asyncio", "markdown_it", "rich", "yaml"})


def test_reading_pages_imports_nothing_that_runs_them(made: Path) -> None:
    found = imported("lesson", "check", "--parse-only", "--root", str(made))
    assert "markdown_it" in found
    assert not found & HEAVY


def test_a_run_imports_what_runs(made: Path) -> None:
    """Shows that the tests above would see it."""
    assert imported("lesson", "check", "--root", str(made)) >= RUNS


def test_every_command_says_what_its_module_says() -> None:
    for name, line in COMMANDS.items():
        text = (Path(__file__).parents[1] / "lesson" / f"{name}.py").read_text(encoding="utf-8")
        assert text.startswith(f'"""{line}'), name


def test_pytest_waits_for_nothing_where_no_page_is(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A package\n\n```python\nimport os\n```\n")
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    found = imported("pytest", "-p", "no:cacheprovider", str(tmp_path), folder=tmp_path)
    assert "pytest" in found
    assert not found & (RUNS | {"markdown_it", "rich", "yaml"})


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "episodes").mkdir()
    (tmp_path / "config.yaml").write_text("title: T\n")
    page = "---\ntitle: E\n---\n\n```python\n1 + 1\n```\n\n```output\n2\n```\n"
    (tmp_path / "episodes" / "e.md").write_text(page)
    return tmp_path
