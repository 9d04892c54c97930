"""What differs between systems, as far as it can be tried on any of them."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_lesson import MadeLesson

from lesson_runner.run.fork_server import remove
from lesson_runner.run.kernels import find_bash

EXE = ".exe" if os.name == "nt" else ""


def program(folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}{EXE}"
    file.touch()
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def windows(tmp_path: Path) -> dict[str, Path]:
    """Folders of a Windows with WSL's two launchers and, not first in PATH, Git."""
    folders = {
        "system": tmp_path / "Windows" / "System32",
        "apps": tmp_path / "Microsoft" / "WindowsApps",
        "git": tmp_path / "Git" / "cmd",
    }
    program(folders["system"], "bash")
    program(folders["apps"], "bash")
    return folders


def path_of(*folders: Path) -> str:
    return os.pathsep.join(map(str, folders))


def test_on_windows_the_bash_of_git_runs(windows: dict[str, Path]) -> None:
    program(windows["git"], "git")
    bash = program(windows["git"].parent / "bin", "bash")
    found = find_bash(path_of(*windows.values()), windows=True)
    assert found is not None
    assert Path(found).samefile(bash)


def test_on_windows_another_bash_in_the_path_runs(windows: dict[str, Path], tmp_path: Path) -> None:
    bash = program(tmp_path / "msys64" / "usr" / "bin", "bash")
    found = find_bash(path_of(*windows.values(), Path(bash).parent), windows=True)
    assert found is not None
    assert Path(found).samefile(bash)


def test_on_windows_a_launcher_of_wsl_is_no_bash(windows: dict[str, Path]) -> None:
    assert find_bash(path_of(*windows.values()), windows=True) is None


def test_elsewhere_the_first_bash_of_the_path_runs(tmp_path: Path) -> None:
    first, second = (program(tmp_path / name, "bash") for name in ("one", "two"))
    assert find_bash(path_of(Path(first).parent, Path(second).parent), windows=False) == first


@pytest.mark.skipif(os.name == "nt", reason="the wrapper is a shell script")
def test_the_bash_that_was_found_is_the_one_that_runs(
    made_lesson: MadeLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("bash")
    wrapper = tmp_path / "a bash"
    wrapper.write_text(f'#!/bin/sh\nFOUND=yes exec {real} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setattr("lesson_runner.run.kernels.find_bash", lambda *_, **__: str(wrapper))
    page = '```bash\necho "$FOUND"\n```\n```output\nyes\n```\n'
    assert made_lesson.failures(page, "bash") == []


def test_a_page_leaves_nothing_in_the_temporary_folder(
    made_lesson: MadeLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(temporary))
    assert made_lesson.failures("```bash\ntrue\n```\n", "bash") == []
    assert made_lesson.failures("```python\n!true\n```\n") == []
    assert list(temporary.iterdir()) == []


def test_a_folder_with_a_file_that_is_still_open_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    attempts = []
    rmtree = shutil.rmtree

    def remove_at_the_third(path: Path, **options: Any) -> None:
        attempts.append(path)
        if len(attempts) == 3:
            rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", remove_at_the_third)
    remove(folder)
    assert not folder.exists()
    assert len(attempts) == 3


def test_output_of_a_command_in_another_encoding_is_no_error_of_ours(
    made_lesson: MadeLesson,
) -> None:
    page = "```python\nlines = !printf 'caf\\351'\nlines[0][:3]\n```\n```output\n'caf'\n```\n"
    assert made_lesson.failures(page) == []
