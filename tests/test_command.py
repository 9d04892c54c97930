"""The command `lesson` as people type it: exit statuses, reports, updates, notebooks."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import nbformat
import pytest

from lesson.main import main
from lesson_runner.run import kernels

PAGE = """\
---
title: Topics
---

::: group-tab

### Python

```python
print(6 * 7)
```

```output
42
```

### R

```r
6 * 7
```

:::

```{.python .exercise}
print(____)
```

<!-- not run: it installs packages -->
```bash
pip install requests
```

```text
shown
```
"""


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lesson of one page, which is also the current folder."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "episodes" / "data").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("title: Made\nepisodes:\n- topics.md\n")
    (tmp_path / "episodes" / "topics.md").write_text(PAGE)
    (tmp_path / "episodes" / "data" / "titles.csv").write_text("id,title\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def records(file: Path) -> dict[int, tuple[str, str, str]]:
    """line → language, outcome, reason"""
    return {
        r["line"]: (r["language"], r["outcome"], r["reason"]) for r in json.loads(file.read_text())
    }


def test_check_reports_every_block(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--language", "python", "--json", "report.json"]) == 0
    assert records(lesson / "report.json") == {
        9: ("python", "passed", ""),
        19: ("r", "not run", "left out by --language"),
        25: ("python", "shown", "starter code"),
        30: ("bash", "not run", "it installs packages"),
        34: ("text", "shown", ""),
    }
    out = capsys.readouterr().out
    assert "episodes/topics.md python: 1 block," in out
    assert "not run: it installs packages\n    episodes/topics.md:30" in out
    assert "All well." in out
    assert "\x1b" not in out


def test_json_records_have_all_that_a_machine_needs(lesson: Path) -> None:
    (lesson / "episodes" / "topics.md").write_text("```python\n1\n2\n```\n```output\n3\n```\n")
    assert main(["check", "--json", "report.json"]) == 1
    (record,) = json.loads((lesson / "report.json").read_text())
    assert record.pop("seconds") < 20
    assert record.pop("detail").startswith("--- the page shows")
    assert record == {
        "path": "episodes/topics.md",
        "line": 1,
        "language": "python",
        "outcome": "failed",
        "reason": "the block prints something else than the page shows",
        "cause": "output",
        "known": False,
        "failed_line": 5,
        "checked": [5],
        "ran": datetime.now(timezone.utc).date().isoformat(),
        "version": platform.python_version(),
        "recorded": [],
    }


def test_parse_only_accounts_for_every_fence_and_runs_nothing(
    lesson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lesson.check.Verification", None)
    assert main(["check", "--parse-only", "--json", "report.json"]) == 0
    outcomes = {line: found[1] for line, found in records(lesson / "report.json").items()}
    assert outcomes == {9: "not run", 19: "not run", 25: "shown", 30: "not run", 34: "shown"}


def test_a_problem_in_a_page_is_exit_status_1(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lesson / "episodes" / "topics.md").write_text("```pyton\n1\n```\n")
    assert main(["check", "--parse-only", "--json", "report.json"]) == 1
    assert "episodes/topics.md:1: unknown fence language `pyton`" in capsys.readouterr().out
    assert records(lesson / "report.json")[1][1] == "failed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "episodes/none.md"], "no such page: episodes/none.md"),
        (["check", "--root", "nowhere"], "no such folder"),
        (["check", "episodes"], "is a folder"),
        (["notebooks", "--out", "config.yaml"], "config.yaml"),
        (["check", "--parse-only", "--update"], "give one"),
        (["proxy", "--config", "none.yaml"], "none.yaml"),
    ],
)
def test_a_wrong_call_is_exit_status_2_with_the_reason(
    lesson: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_report_never_replaces_a_page(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lesson check --json PAGE` reads as if --json took no file."""
    assert main(["check", "--json", "episodes/topics.md"]) == 2
    assert "--json writes its report into episodes/topics.md" in capsys.readouterr().err
    assert (lesson / "episodes" / "topics.md").read_text() == PAGE
    assert main(["check", "--json", "nowhere/report.json"]) == 2
    assert "no folder" in capsys.readouterr().err


def test_a_termination_signal_ends_the_kernels(lesson: Path) -> None:
    (lesson / "episodes" / "topics.md").write_text("```bash\nsleep 600\n```\n")
    with subprocess.Popen(
        [sys.executable, "-m", "lesson.main", "check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        for _ in range(200):
            if children.exists() and children.read_text():
                break
            time.sleep(0.05)
        time.sleep(1)
        running.terminate()
        _, errors = running.communicate(timeout=20)
    assert running.returncode == 130
    assert errors.strip() == "lesson: stopped"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--language", "perl"],
        ["check", "--block-timeout", "0"],
        ["proxy", "--port", "99999"],
        ["teach-me"],
        [],
    ],
)
def test_arguments_that_do_not_exist_are_exit_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_outside_a_lesson_the_way_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 2
    assert "give --root DIR" in capsys.readouterr().err


def test_a_missing_kernel_is_listed_and_fails_where_required(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = kernels.Kernel("r", missing="no R kernel on this machine: install R")
    monkeypatch.setattr("lesson_runner.run.kernels.find_kernel", lambda *_: gone)
    assert main(["check", "--language", "r"]) == 0
    assert "not run: no R kernel on this machine: install R" in capsys.readouterr().out
    assert main(["check", "--language", "r", "--require-languages", "r"]) == 1
    assert "episodes/topics.md:19: no R kernel on this machine" in capsys.readouterr().out


def test_on_github_a_failure_is_an_annotation(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (lesson / "episodes" / "topics.md").write_text("```bash\ntrue\nfalse\n```\n")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "\n::error file=episodes/topics.md,line=3::exit status 1\n" in out


def test_update_writes_what_happened_and_then_all_is_well(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = lesson / "episodes" / "topics.md"
    page.write_bytes(
        b"```python\r\nprint('a\\nb\\nc')\r\n```\r\n\r\n```output\r\nold\r\n...\r\nc\r\n```\r\n"
        b"```python\r\nint('x')\r\n```\r\n```error\r\n```\r\n"
        b"<!-- response: GET /models without key -->\r\n```json\r\n"
        b'{"error": {"message": "...", "type": "old", "...": "..."}}\r\n```\r\n'
    )
    assert main(["check", "--update", "--yes"]) == 0
    assert page.read_bytes() == (
        b"```python\r\nprint('a\\nb\\nc')\r\n```\r\n\r\n```output\r\na\r\n...\r\nc\r\n```\r\n"
        b"```python\r\nint('x')\r\n```\r\n```error\r\n"
        b"ValueError: invalid literal for int() with base 10: 'x'\r\n```\r\n"
        b"<!-- response: GET /models without key -->\r\n```json\r\n"
        b'{\r\n  "error": {\r\n    "message": "...",\r\n    "type": "auth_error",\r\n'
        b'    "...": "..."\r\n  }\r\n}\r\n```\r\n'
    )
    assert "episodes/topics.md: 3 fences written" in capsys.readouterr().out
    assert main(["check"]) == 0


def test_update_does_not_hide_a_block_that_fails(lesson: Path) -> None:
    page = lesson / "episodes" / "topics.md"
    text = "```python\nint('x')\n```\n```output\nold\n```\n```python\n1\n```\n```output\n2\n```\n"
    page.write_text(text)
    assert main(["check", "--update", "--yes"]) == 1
    assert page.read_text() == text


def test_x_ends_at_the_first_failure(lesson: Path, tmp_path: Path) -> None:
    (lesson / "episodes" / "topics.md").write_text("```python\n1 / 0\n```\n```python\n1\n```\n")
    (lesson / "episodes" / "zoo.md").write_text("```python\n1\n```\n")
    report = tmp_path / "report.json"
    for option, expected in (("-x", ["failed", "not run", "not run"]), ("", None)):
        assert main(["check", *filter(None, [option]), "--json", str(report)]) == 1
        found = [record["outcome"] for record in json.loads(report.read_text())]
        assert found == (expected or ["failed", "passed", "passed"])


def test_watch_checks_a_page_again_when_it_is_saved(lesson: Path) -> None:
    page = lesson / "episodes" / "topics.md"
    (lesson / "episodes" / "other.md").write_text("```python\n1\n```\n")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "lesson.main", "check", "--language", "python", "--watch"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as watching:
        assert watching.stdout is not None
        before = list(
            iter(watching.stdout.readline, "Waiting for a page to be saved. Ctrl-C ends.\n")
        )
        page.write_text(PAGE.replace("6 * 7", "6 * 8"))
        after = [watching.stdout.readline() for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        rest = watching.stdout.read()
    assert [line for line in before if line.startswith("episodes/")][:2] == [
        line for line in before if line.endswith("ok\n")
    ]
    assert after[0].startswith("episodes/topics.md python: 1 block,")
    assert after[1].startswith("episodes/topics.md:13: the block prints something else")
    assert "other.md" not in rest
    assert watching.returncode == 0


def test_notebooks_are_written_with_the_files_that_they_use(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notebooks", "--out", "given"]) == 0
    assert sorted(p.relative_to(lesson).as_posix() for p in (lesson / "given").rglob("*.*")) == [
        "given/python/.lesson-files.json",
        "given/python/01-topics.ipynb",
        "given/python/data/titles.csv",
        "given/r/.lesson-files.json",
        "given/r/01-topics.ipynb",
        "given/r/data/titles.csv",
    ]
    notebook = nbformat.read(lesson / "given" / "r" / "01-topics.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [c["source"] for c in notebook.cells if c["cell_type"] == "code"] == ["6 * 7"]
    assert str(lesson / "given" / "python") in capsys.readouterr().out


def test_a_notebook_that_somebody_worked_in_is_kept(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lesson / "notebooks" / "python" / "01-topics.ipynb"
    main(["notebooks", "--language", "python"])
    fresh = file.read_bytes()
    main(["notebooks", "--language", "python"])
    assert file.read_bytes() == fresh
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[1]["source"] += "\nprint('mine')"
    nbformat.write(notebook, file)
    mine = file.read_bytes()
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("6 * 7", "6 * 8"))
    assert main(["notebooks", "--language", "python"]) == 0
    assert file.read_bytes() == mine
    assert f"kept as it is, for it was changed: {file}" in capsys.readouterr().out
    file.unlink()
    main(["notebooks", "--language", "python"])
    assert "6 * 8" in file.read_text()


def test_help_of_every_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "notebooks", "proxy"):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        assert f"example: lesson {command}" in capsys.readouterr().out


def test_proxy_says_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "lesson.main", "proxy", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_a_fence_without_meaning_costs_that_fence_and_not_the_page(
    lesson: Path, tmp_path: Path
) -> None:
    (lesson / "episodes" / "topics.md").write_text(
        "```pyton\n1\n```\n\n```python\n1 + 1\n```\n```output\n3\n```\n```output\n2\n```\n\n"
        "```{.python .exercises}\n2\n```\n\n```python\n4\n```\n"
    )
    report = tmp_path / "report.json"
    assert main(["check", "--json", str(report)]) == 1
    found = [(record["line"], record["outcome"]) for record in json.loads(report.read_text())]
    assert [one for one in found if one not in ((1, "failed"), (11, "failed"))] == [
        (5, "failed"),
        (15, "failed"),
        (15, "not run"),
        (19, "passed"),
    ]
