"""The runner works where only its own dependencies are installed, not those of this lesson."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[no-redef,unused-ignore]

ROOT = Path(__file__).parent.parent

WITHOUT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from lesson import practice
practice.is_installed = lambda: False
from lesson.main import main
raise SystemExit(main(sys.argv[1:]))
"""


def names_of_the_extra() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["optional-dependencies"]["lesson"]
    names = {re.match(r"[\w.-]+", one)[0].replace("-", "_") for one in listed}  # type: ignore[index]
    return names - {"jsonschema"}  # nbformat needs it, too


def lesson(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    program = WITHOUT.format(missing=names_of_the_extra())
    call = [sys.executable, "-c", program, *arguments]
    return subprocess.run(call, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("title: Theirs\n")
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "a.md").write_text("```python\nprint(1)\n```\n```output\n1\n```\n")
    return tmp_path


@pytest.mark.parametrize("command", ["check", "adopt", "baseline", "notebooks"])
def test_what_a_maintainer_types_needs_the_runner_alone(folder: Path, command: str) -> None:
    done = lesson(command, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["teach", "proxy", "live", "keys"])
def test_a_command_that_needs_more_says_what_to_install(folder: Path, command: str) -> None:
    done = lesson(command, folder=folder)
    assert done.returncode == 2
    assert "is not installed. This command needs more than the runner" in done.stderr
    assert "llm-apis-litellm[lesson]" in done.stderr
    assert "Traceback" not in done.stderr
