"""What a maintainer of another lesson types: adopt, baseline, check."""

import contextlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from lesson.main import main
from lesson_runner.judge.baseline import Known, read_baseline, write_baseline
from lesson_runner.judge.proposal import Proposal
from lesson_runner.page.places import LessonError
from lesson_runner.page.settings import read_settings

FIRST = """\
---
title: First
---

```python
import csv
rows = list(csv.reader(open("small.csv")))
print(len(rows))
```

```output
2
```

```python
print(1  /  0)
```

```python
print("old")
```

```output
new
```
"""

SECOND = """\
---
title: Second
---

```python
print(rows[0])
```

```output
['a', 'b']
```

```python
import nopackagehasthisname
```
"""

SETUP = "```bash\npip install something\n```\n"


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "their-lesson"
    for name, text in {
        "config.yaml": "title: Theirs\nepisodes:\n- 01-first.md\n- 02-second.md\n",
        "episodes/01-first.md": FIRST,
        "episodes/02-second.md": SECOND,
        "episodes/data/small.csv": "a,b\n1,2\n",
        "learners/setup.md": SETUP,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.chdir(root)
    return root


def pages(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*.md")}


def test_adopt_then_baseline_is_green_and_changes_no_page(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pages(lesson)
    assert main(["check"]) == 1
    assert main(["adopt", "--write"]) == 0
    assert yaml.safe_load((lesson / "lesson.yaml").read_text()) == {
        "folders": ["episodes/data/*"],
        "leave-out": ["learners/setup.md"],
        "packages": ["nopackagehasthisname"],
        "pages": {"episodes/02-second.md": {"continues": "episodes/01-first.md"}},
    }
    assert main(["baseline"]) == 0
    assert "has 3 known failures: 3 new, 0 gone" in capsys.readouterr().out
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "3 known failures (lesson-baseline.json)" in said
    assert said.endswith("All well.\n")
    assert pages(lesson) == before


def test_what_adopt_shows_is_a_patch_and_it_writes_nothing(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adopt"]) == 0
    said = capsys.readouterr().out
    assert not (lesson / "lesson.yaml").exists()
    patch = said[said.index("--- /dev/null") : said.index("lines of lesson.yaml")]
    patch = patch[: patch.rindex("\n") + 1]
    done = subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=lesson, check=False)
    assert done.returncode == 0
    assert read_settings(lesson)[1] == []
    workflow = yaml.safe_load((lesson / ".github" / "workflows" / "code.yml").read_text())
    steps = workflow["jobs"]["code"]["steps"]
    assert steps[-2]["run"].endswith(" nopackagehasthisname")
    assert steps[-1]["run"] == 'lesson check --report "$GITHUB_STEP_SUMMARY"'


def test_adopt_leaves_a_lesson_alone_that_has_its_file(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lesson / "lesson.yaml").write_text("strict: true\n")
    assert main(["adopt", "--write"]) == 2
    assert "lesson.yaml is there already" in capsys.readouterr().err


IMPORTS = """\
Save the file as `helpers.py`.

```python
import os
import nopackagehasthisname as n, pytest.mark  # and more, some
from yaml import dump
import helpers
```

```r
library(ggplot2)
x <- dplyr::n
tools::toTitleCase("a")
```
"""


PACKAGES = ("nopackagehasthisname", "pytest", "pyyaml")


def test_the_workflow_installs_what_the_code_loads(lesson: Path) -> None:
    """Also what is installed here, because it is not on the computer of the workflow."""
    (lesson / "episodes" / "02-second.md").write_text(IMPORTS)
    assert main(["adopt", "--write"]) == 0
    packages = yaml.safe_load((lesson / "lesson.yaml").read_text())["packages"]
    assert [name.lower() for name in packages] == [*PACKAGES, "dplyr", "ggplot2"]
    workflow = (lesson / ".github" / "workflows" / "code.yml").read_text()
    steps = yaml.safe_load(workflow)["jobs"]["code"]["steps"]
    assert steps[2]["run"].lower().endswith(f"' {' '.join(PACKAGES)}")
    assert 'install.packages(c("IRkernel", "dplyr", "ggplot2"))' in steps[4]["run"]
    assert steps[1]["with"]["python-version"] == "{}.{}".format(*sys.version_info)


def test_what_learners_download_is_unpacked_and_the_code_starts_in_it(lesson: Path) -> None:
    for name, members in {
        "episodes/data/data.zip": ["data/small.csv", "data/other.csv"],
        "learners/code.zip": ["code/run.py"],
    }.items():
        with zipfile.ZipFile(lesson / name, "w") as archive:
            for member in members:
                archive.writestr(member, "a,b\n1,2\n")
    page = lesson / "episodes" / "02-second.md"
    page.write_text("```python\nopen('small.csv')\n```\n\n```bash\n$ cat ../code/run.py\n```\n")
    assert "unpack" not in adopted_settings(lesson)
    page.write_text(page.read_text() + "\n```bash\n$ cat run.py\n```\n")
    settings = adopted_settings(lesson)
    assert settings["unpack"] == ["episodes/data/data.zip", "learners/code.zip"]
    assert settings["start"] == "data"
    assert "folders" not in settings


def test_each_page_starts_where_most_of_its_blocks_agree(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(lesson / "episodes" / "data" / "theirs.zip", "w") as archive:
        for name in ("one/a.txt", "one/b.txt", "two/a.txt"):
            archive.writestr(f"theirs/{name}", f"{name}\n")
    command = "```bash\n$ {}\n```\n```output\n{}\n```\n"
    (lesson / "episodes" / "01-first.md").write_text(
        command.format("cat a.txt", "one/a.txt") + command.format("cat b.txt", "one/b.txt")
    )
    (lesson / "episodes" / "02-second.md").write_text(
        command.format("cat a.txt", "two/a.txt") + command.format("ls ..", "one two")
    )
    (lesson / "episodes" / "data" / "small.csv").unlink()
    settings = adopted_settings(lesson)
    assert settings["folders"] == []
    assert settings["start"] == "theirs/one"
    assert settings["pages"] == {"episodes/02-second.md": {"start": "theirs/two"}}
    said = (lesson / "lesson.yaml").read_text()
    assert "start: theirs/two  # 2 blocks agree from here, 1 from the lesson's start" in said
    capsys.readouterr()
    assert main(["check", "--language", "bash"]) == 0
    assert "01-first.md bash: 2 blocks" in (said := capsys.readouterr().out)
    assert "02-second.md bash: 2 blocks" in said


def adopted_settings(lesson: Path) -> dict[str, Any]:
    (lesson / "lesson.yaml").unlink(missing_ok=True)
    assert main(["adopt", "--write"]) == 0
    settings: dict[str, Any] = yaml.safe_load((lesson / "lesson.yaml").read_text())
    return settings


@pytest.fixture
def adopted(lesson: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["adopt", "--write"]) == 0
    assert main(["baseline"]) == 0
    capsys.readouterr()
    return lesson


def edit(page: Path, old: str, new: str) -> None:
    assert old in page.read_text()
    page.write_text(page.read_text().replace(old, new))


def test_a_known_block_may_move(adopted: Path) -> None:
    edit(adopted / "episodes" / "01-first.md", "print(1  /  0)", "# same\nprint(1  /  0)")
    assert main(["check"]) == 1  # its text is another
    edit(adopted / "episodes" / "01-first.md", "# same\n", "")
    edit(
        adopted / "episodes" / "01-first.md",
        "```python\nimport csv",
        "More.\n\n```python\nimport csv",
    )
    assert main(["check"]) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('print("old")', 'print("older")'),  # the block's text
        ("['a', 'b']", "['a', 'c']"),  # a block that was well
        ("new\n```\n", "ValueError: x\n```\n"),  # another cause: it raises no error
        ("new\n```\n", "newer\n```\n"),  # what the page shows
    ],
)
def test_a_new_failure_is_red(adopted: Path, old: str, new: str) -> None:
    (page,) = (p for p in (adopted / "episodes").glob("*.md") if old in p.read_text())
    edit(page, old, new)
    assert main(["check"]) == 1


def test_another_error_of_a_known_block_is_new_and_the_old_one_is_not_gone(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = adopted / "episodes" / "02-second.md"
    page.write_text("```python\nint(rows[1][1])\nrows[9]\n```\n")
    assert main(["baseline", "--add"]) == 0
    assert main(["check"]) == 0
    (adopted / "episodes" / "data" / "small.csv").write_text("a,b\n1,x\n")
    capsys.readouterr()
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "ValueError" in said
    assert "gone" not in said


def test_later_on_baseline_takes_nothing_new_on(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(adopted / "episodes" / "01-first.md", "new\n", "old\n")
    edit(adopted / "episodes" / "02-second.md", "['a', 'b']", "['a', 'c']")
    assert main(["baseline"]) == 1
    said = capsys.readouterr().out
    assert "has 2 known failures: 0 new, 1 gone" in said
    assert "1 new failure not taken on: see lesson check" in said
    assert main(["check"]) == 1
    assert main(["baseline", "--add"]) == 0
    assert main(["check"]) == 0


def test_update_writes_nothing_where_nobody_can_answer(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pages(adopted)
    assert main(["check", "--update"]) == 2
    assert "nobody can answer here: add --yes" in capsys.readouterr().err
    assert pages(adopted) == before


FOLLOWS = """\
```bash
$ cd ~/Desktop/nowhere
```

```bash
$ echo here
```

```output
there
```

```bash
$ ls data; pwd
```

```output
a.txt  b.txt
/Users/nelle/data
```
"""


def test_update_leaves_alone_what_is_as_it_is_meant_and_what_follows_from_a_known_failure(
    lesson: Path,
) -> None:
    page = lesson / "episodes" / "02-second.md"
    page.write_text(FOLLOWS)
    assert main(["baseline"]) == 0
    assert main(["check", "--update", "--yes", str(page)]) == 0
    assert page.read_text() == FOLLOWS
    meant = "```bash\n$ cd; pwd\n$ ls -d Desktop /\n```\n```output\n/Users/nelle\n/  Desktop\n```\n"
    page.write_text(meant)
    assert main(["check", "--update", "--yes", str(page)]) == 0
    assert page.read_text() == meant
    page.write_text("```bash\n$ pwd\n```\n```output\n/somewhere/else\n```\n")
    assert main(["check", "--update", "--yes", str(page)]) == 1
    assert "/somewhere/else" in page.read_text()


def test_update_leaves_alone_what_needs_a_learners_typing(lesson: Path) -> None:
    page = lesson / "episodes" / "02-second.md"
    text = "```bash\n$ nano a.txt\n```\n\n```bash\n$ wc -w a.txt\n```\n\n```output\n3 a.txt\n```\n"
    page.write_text(text)
    assert main(["check", "--update", "--yes", str(page)]) == 0
    assert page.read_text() == text


def test_blocks_that_were_not_reached_are_not_gone(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = adopted / "episodes" / "01-first.md"
    text = page.read_text()
    page.write_text(f"```python\nimport os\nos._exit(3)\n```\n\n{text}")
    assert main(["check"]) == 1
    assert "gone" not in capsys.readouterr().out
    assert main(["baseline"]) == 1
    assert "has 3 known failures: 0 new, 0 gone" in capsys.readouterr().out
    page.write_text(text)
    assert main(["check"]) == 0


def test_failures_of_blocks_that_are_deleted_are_gone(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (adopted / "episodes" / "01-first.md").write_text("No code any more.\n")
    (adopted / "lesson.yaml").write_text("leave-out: [learners/*, episodes/02-second.md]\n")
    assert main(["baseline"]) == 0
    assert "has 0 known failures: 0 new, 3 gone" in capsys.readouterr().out


def test_a_page_starts_in_a_folder_with_any_name() -> None:
    proposal = Proposal(start="data #1", starts={"a b.md": ("x: y", 2, 1)})
    assert yaml.safe_load(proposal.text()) == {
        "start": "data #1",
        "pages": {"a b.md": {"start": "x: y"}},
    }


def test_the_same_failure_twice_is_one_known_and_one_new(adopted: Path) -> None:
    page = adopted / "episodes" / "01-first.md"
    page.write_text(page.read_text() + "\n```python\nprint(1  /  0)\n```\n")
    assert main(["check", "--json", "report.json"]) == 1
    failed = [
        r for r in json.loads((adopted / "report.json").read_text()) if r["outcome"] == "failed"
    ]
    assert sorted(r["known"] for r in failed if r["reason"].startswith("ZeroDiv")) == [False, True]


def test_failures_that_are_the_same_are_counted_one_by_one(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = adopted / "episodes" / "01-first.md"
    page.write_text(page.read_text() + "\n```python\nprint(1  /  0)\n```\n")
    assert main(["baseline", "--add"]) == 0
    assert "has 4 known failures: 1 new, 0 gone" in capsys.readouterr().out


def test_a_new_failure_is_not_laid_at_the_door_of_a_known_one(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = adopted / "episodes" / "01-first.md"
    page.write_text(page.read_text() + "\n```python\nint('a')\n```\n")
    assert main(["check", "--report", "../report.md"]) == 1
    assert "1 block that raises an error" in (adopted.parent / "report.md").read_text()


def test_adopt_and_baseline_tell_causes_and_leave_messages_to_check(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("adopt", "baseline"):
        assert main([command]) == 0
        said = capsys.readouterr().out
        assert "1 block that prints something else than the page shows" in said
        assert "+++ the block prints" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_the_bar_is_not_drawn_over_a_question(adopted: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        call = [sys.executable, "-m", "lesson", "check", "--update", "episodes/01-first.md"]
        os.execvp(sys.executable, call)
    said = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while chunk := os.read(terminal, 65536):
            said += chunk
            if said.endswith(b"(q)uit: "):
                time.sleep(0.5)  # a bar is drawn ten times a second
                os.write(terminal, b"y\n")
    os.waitpid(pid, 0)
    assert b"(q)uit: y\r\n" in said
    assert "old\n" in (adopted / "episodes" / "01-first.md").read_text()


def test_a_failure_that_is_gone_is_said_and_the_list_shrinks(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(adopted / "episodes" / "01-first.md", "new\n", "old\n")
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert 'gone: episodes/01-first.md: output: print("old")' in said
    assert "1 known failure gone: lesson baseline takes note" in said
    assert main(["baseline"]) == 0
    assert "has 2 known failures: 0 new, 1 gone" in capsys.readouterr().out


def test_a_baseline_of_one_page_keeps_that_of_the_others(
    adopted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(adopted / "episodes" / "01-first.md", "new\n", "old\n")
    (adopted / "episodes" / "02-second.md").write_text("No code any more.\n")
    assert main(["baseline", "episodes/01-first.md"]) == 0
    assert "has 2 known failures: 0 new, 1 gone" in capsys.readouterr().out
    (adopted / "episodes" / "02-second.md").unlink()
    (adopted / "config.yaml").write_text("title: Theirs\nepisodes:\n- 01-first.md\n")
    (adopted / "lesson.yaml").write_text('folders: ["episodes/data/*"]\nleave-out: [learners/*]\n')
    assert main(["baseline"]) == 0
    assert "has 1 known failure: 0 new, 1 gone" in capsys.readouterr().out


def test_problems_of_a_page_can_be_known(lesson: Path) -> None:
    (lesson / "episodes" / "01-first.md").write_text("```pyton\n1\n```\n")
    (lesson / "episodes" / "02-second.md").write_text("Text.\n")
    (lesson / "learners" / "setup.md").write_text("Text.\n")
    assert main(["check"]) == 1
    assert main(["baseline"]) == 0
    assert main(["check"]) == 0
    (lesson / "episodes" / "01-first.md").write_text("```pyton\n1\n```\n\n```rr\n1\n```\n")
    assert main(["check"]) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"failures": [{"page": "a.md"}]}'])
def test_a_baseline_that_nobody_can_read_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "lesson-baseline.json").write_text(text)
    with pytest.raises(LessonError, match=r"lesson-baseline.json:\d+: not as .* writes it"):
        read_baseline(tmp_path)


def test_a_baseline_is_written_in_order_one_failure_a_line(tmp_path: Path) -> None:
    known = [
        Known(page, "python", "output", "0" * 16, "1" * 16, "", "x = 1")
        for page in ("b.md", "a.md", "a.md")
    ]
    write_baseline(tmp_path, known)
    lines = (tmp_path / "lesson-baseline.json").read_text().splitlines()
    assert [line.count('"page"') for line in lines] == [0, 1, 1, 1, 0]
    assert sorted(read_baseline(tmp_path).known) == sorted(known)


def test_the_report_for_a_pull_request(lesson: Path) -> None:
    assert main(["check", "--report", "../report.md"]) == 1
    report = (lesson.parent / "report.md").read_text()
    assert report.startswith("### 6 blocks failed.\n")
    assert "  ````diff\n  --- the page shows\n" in report
    assert "<summary>2 blocks that raise an error which the page does not show</summary>" in report
    assert "- `episodes/01-first.md:16`: `ZeroDivisionError: division by zero`" in report


def test_the_report_replaces_no_page(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--report", "episodes/01-first.md"]) == 2
    assert "name another file for it" in capsys.readouterr().err
    assert (lesson / "episodes" / "01-first.md").read_text() == FIRST


def test_messages_speak_of_no_proxy_where_there_is_none(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = lesson / "episodes" / "01-first.md"
    page.write_text("```python\nimport urllib.request as r\nr.urlopen('http://example.org')\n```\n")
    main(["check", "episodes/01-first.md"])
    assert "LITELLM" not in capsys.readouterr().out


def test_a_page_whose_imports_ask_a_proxy_has_one(lesson: Path) -> None:
    (lesson / "episodes" / "files").mkdir()
    (lesson / "episodes" / "files" / "llm.py").write_text(
        "import os\nurl = os.environ['LITELLM_BASE_URL']\n"
    )
    page = lesson / "episodes" / "01-first.md"
    page.write_text("```python\nfrom files.llm import url\n```\n")
    assert main(["check", "episodes/01-first.md"]) == 0


def test_nothing_run_is_not_all_well(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lesson / "episodes" / "01-first.md").write_text("Text.\n")
    assert main(["check", "episodes/01-first.md"]) == 0
    assert capsys.readouterr().out.endswith("Nothing ran.\n")


def test_an_old_lesson_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "_episodes").mkdir()
    assert main(["check", "--root", str(tmp_path)]) == 2
    assert "has the layout of old lessons (Jekyll, `_episodes`)" in capsys.readouterr().err
