"""Pages under pytest: which are collected, how they are chosen, what a failure looks like."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lesson_runner.run import kernels

GOOD = """\
---
title: Good
---

```python
print("a")
```

```output
a
```

```bash
echo b
```

```output
b
```
"""

BAD = """\
Text.

::: group-tab

### Python

```python
titles = ["Heat"]
titles[1]
```

:::
"""

ODD = """\
```pyton
1
```
"""


@pytest.fixture
def lesson(pytester: pytest.Pytester) -> pytest.Pytester:
    """A lesson with one good page, without a `conftest.py` of its own."""
    pytester.makefile(".yaml", config="title: Made\nepisodes:\n- good.md\n")
    pytester.mkdir("episodes")
    write(pytester, "good.md", GOOD)
    return pytester


def write(pytester: pytest.Pytester, name: str, text: str) -> None:
    (pytester.path / "episodes" / name).write_text(text, encoding="utf-8")


def test_a_page_is_an_item_and_each_of_its_languages(lesson: pytest.Pytester) -> None:
    result = lesson.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "episodes/good.md::page",
            "episodes/good.md::python",
            "episodes/good.md::bash",
        ]
    )


def test_markdown_that_is_no_page_of_a_lesson_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makefile(".md", readme=GOOD)
    pytester.mkdir("episodes")
    write(pytester, "good.md", GOOD)
    assert pytester.runpytest().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_any_page_can_be_asked_for(pytester: pytest.Pytester) -> None:
    file = pytester.makefile(".md", notes=GOOD)
    pytester.runpytest(file).assert_outcomes(passed=3)
    pytester.runpytest(f"{file}::bash").assert_outcomes(passed=1)


def test_choosing_with_k_runs_only_what_was_chosen(lesson: pytest.Pytester) -> None:
    write(lesson, "bad.md", BAD)
    lesson.runpytest("-k", "good and python").assert_outcomes(passed=1, deselected=4)


def test_a_failure_names_line_code_and_message(lesson: pytest.Pytester) -> None:
    write(lesson, "bad.md", BAD)
    result = lesson.runpytest("episodes/bad.md")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "episodes/bad.md:9: IndexError: list index out of range",
            "    9 | titles[[]1]",
            "  in the python block at line 7 in the tab Python",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_a_fence_without_meaning_fails_the_page_and_its_blocks_run(
    lesson: pytest.Pytester,
) -> None:
    write(lesson, "odd.md", GOOD + ODD)
    result = lesson.runpytest("episodes/odd.md")
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(
        ["episodes/odd.md:20: unknown fence language `pyton`: did you mean `python`?"]
    )


def test_counts_are_printed(lesson: pytest.Pytester) -> None:
    result = lesson.runpytest()
    result.stdout.fnmatch_lines(["lesson code: 2 blocks run, 2 outputs compared, 0 not run"])


def test_x_stops_at_the_first_failure(lesson: pytest.Pytester) -> None:
    write(lesson, "bad.md", BAD)
    write(lesson, "worse.md", BAD)
    result = lesson.runpytest("-x", "episodes/bad.md", "episodes/worse.md")
    result.assert_outcomes(passed=1, failed=1)


def test_workers_of_xdist_share_the_work(lesson: pytest.Pytester) -> None:
    write(lesson, "bad.md", BAD)
    result = lesson.runpytest("-n", "2")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        ["episodes/bad.md:9: IndexError: list index out of range", "lesson code: 3 blocks run*"]
    )


def test_junit_report_holds_the_place(lesson: pytest.Pytester) -> None:
    write(lesson, "bad.md", BAD)
    lesson.runpytest("--junitxml=report.xml")
    cases = ElementTree.parse(lesson.path / "report.xml").getroot().iter("testcase")
    (failed,) = [case for case in cases if case.find("failure") is not None]
    assert (failed.get("classname"), failed.get("name")) == ("episodes.bad.md", "python")
    assert "episodes/bad.md:9: IndexError" in str(failed.findtext("failure"))


def test_on_github_a_failure_is_an_annotation_on_its_line(
    lesson: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    write(lesson, "bad.md", BAD)
    write(lesson, "odd.md", ODD)
    for options in ([], ["-n", "2"]):
        result = lesson.runpytest(*options)
        result.stdout.fnmatch_lines_random(
            [
                "::error file=episodes/bad.md,line=9::IndexError: list index out of range",
                "::error file=episodes/odd.md,line=1::unknown fence language `pyton`*",
            ]
        )


def test_without_github_there_are_no_annotations(
    lesson: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    write(lesson, "odd.md", ODD)
    lesson.runpytest().stdout.no_fnmatch_line("::error*")


def missing(language: str, *_: object) -> kernels.Kernel:
    return kernels.Kernel(language, missing=f"no {language} kernel on this machine: install it")


def test_a_missing_kernel_is_skipped_aloud_and_fails_where_required(
    lesson: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lesson_runner.run.kernels.find_kernel", missing)
    result = lesson.runpytest("-rs", "-k", "bash")
    result.assert_outcomes(skipped=1, deselected=2)
    result.stdout.fnmatch_lines(["*episodes/good.md:13: not run: no bash kernel on this machine*"])
    result.stdout.fnmatch_lines(["lesson code: 0 blocks run, 0 outputs compared, 1 not run"])
    result = lesson.runpytest("--require-languages", "python, sh", "-k", "bash")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["*episodes/good.md:13: not run: no bash kernel*"])


def test_a_language_that_does_not_exist_cannot_be_required(lesson: pytest.Pytester) -> None:
    result = lesson.runpytest("--require-languages", "python,perl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'perl' is none of python, r, bash*"])


def test_the_time_limit_is_an_option(lesson: pytest.Pytester) -> None:
    write(lesson, "slow.md", "```python\nimport time\ntime.sleep(60)\n```\n")
    result = lesson.runpytest("--block-timeout", "1", "episodes/slow.md")
    result.stdout.fnmatch_lines(["episodes/slow.md:1: still running after 1 s: interrupted"])


def test_a_conftest_gives_the_environment_page_by_page(lesson: pytest.Pytester) -> None:
    lesson.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def lesson_environment():
            yield lambda path, language: {"LITELLM_API_KEY": f"key of {path} {language}"}
        """
    )
    write(
        lesson,
        "keys.md",
        '```bash\necho "$LITELLM_API_KEY"\n```\n```output\nkey of episodes/keys.md bash\n```\n',
    )
    lesson.runpytest("episodes/keys.md").assert_outcomes(passed=2)


def test_the_environment_must_be_a_function(lesson: pytest.Pytester) -> None:
    lesson.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def lesson_environment():
            return {"LITELLM_API_KEY": "key"}
        """
    )
    result = lesson.runpytest("-k", "bash")
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["*must give a function (path, language) → variables*"])


@pytest.mark.parametrize("limit", ["0", "-3", "soon"])
def test_a_time_limit_is_a_number_of_seconds(lesson: pytest.Pytester, limit: str) -> None:
    result = lesson.runpytest(f"--block-timeout={limit}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{limit!r} is no number from 1*"])


def test_a_page_at_the_top_level_of_a_lesson_is_collected(lesson: pytest.Pytester) -> None:
    lesson.makefile(".md", index=BAD, README=BAD)
    result = lesson.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["index.md::python"])
    result.stdout.no_fnmatch_line("README.md*")


def test_the_repository_is_unchanged_by_a_run(lesson: pytest.Pytester) -> None:
    write(lesson, "writes.md", "```bash\necho x > new.txt; mkdir -p episodes\n```\n")
    before = files(lesson.path)
    result = lesson.runpytest("-p", "no:cacheprovider", "episodes/writes.md")
    result.assert_outcomes(passed=2)
    assert files(lesson.path) == before


def files(folder: Path) -> dict[str, bytes]:
    found = [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    ]
    return {str(path): path.read_bytes() for path in found}


def test_pages_run_ahead_while_earlier_ones_are_reported(lesson: pytest.Pytester) -> None:
    """Each page waits for a file that the other makes: one after the other would never end."""
    for name, other in (("one", "two"), ("two", "one")):
        write(
            lesson,
            f"{name}.md",
            f"```bash\ntouch {lesson.path}/{name}.made\n"
            f"until [ -e {lesson.path}/{other}.made ]; do sleep 0.05; done\n```\n",
        )
    result = lesson.runpytest("--block-timeout", "20", "episodes/one.md", "episodes/two.md")
    result.assert_outcomes(passed=4)
