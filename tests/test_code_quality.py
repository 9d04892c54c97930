"""The tools' own code: formatted, linted, typed; dependencies said the same in both places."""

import subprocess
import sys
from pathlib import Path

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings its back-port
    import tomli as tomllib  # type: ignore[no-redef,unused-ignore]

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
    ],
    ids=" ".join,
)
def test_code_passes(command: list[str]) -> None:
    pytest.importorskip(command[0], reason="install the tests' tools: pip install -e '.[test]'")
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_requirements_say_what_pyproject_says() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["lesson"]]
    assert (sorted(required[:-1]), required[-1]) == (sorted(listed), "-e .")
