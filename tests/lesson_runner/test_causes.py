"""Each failure has a cause, with the way out."""

import re

import pytest
from made_lesson import MadeLesson

from lesson_runner.judge.causes import CAUSES, Group, by_cause, cause_of
from lesson_runner.judge.report import problem_as_result
from lesson_runner.judge.verdict import judge
from lesson_runner.page.episode import Problem, read_episode
from lesson_runner.run.happened import Execution, Failure


def block(code: str, shown: str = "", kind: str = "output", language: str = "python") -> str:
    fence = f"```{kind}\n{shown}\n```\n" if shown else ""
    return f"```{language}\n{code}\n```\n{fence}"


FAILURES = {
    "no code": block("x = 6 * 7 print(x)"),
    "error": block("1 / 0"),
    "no error": block("1", "ValueError: no", "error"),
    "another error": block("1 / 0", "ValueError: no", "error"),
    "output": block("print('a')", "b"),
    "newer libraries": block(
        "print('<class pandas.DataFrame>')", "<class pandas.core.frame.DataFrame>"
    ),
    "plot": block("x = 1") + "\n![](fig/new.png){alt='A plot'}\n",
    "name": block("print(missing)"),
    "file": block("open('nowhere.csv')"),
    "package": block("import nopackagehasthisname"),
    "package ": block("!python -m nopackagehasthisname"),
    "input": block("input()"),
    "stopped": block("while True: pass"),
    "blanks": block("print('a  b')", "a b"),
    "digits": block("print(0.123456789012)", "0.12345678901"),
    "order": block("print('a b')", "b a"),
    "output ": block("print('a , b')", "a, b"),
    "file ": block("import sqlite3\nsqlite3.connect('a.db').execute('select * from a')"),
    "network": block("import urllib.request as r\nr.urlopen('http://example.org')"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_cause_of_a_failure(made_lesson: MadeLesson, name: str) -> None:
    text = FAILURES[name]
    results = made_lesson.check(text, seconds=1 if name == "stopped" else 20).results
    assert [cause_of(result).name for result in results if result.outcome == "failed"] == [
        name.strip()
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("nosuchprogram", "program"),
        ("cat nowhere.txt", "file"),
        ("bash nowhere.sh", "file"),
        ("echo 'Jupyter command `jupyter-lab` not found.'; false", "program"),
        ("false", "error"),
        ("ls | grep x", "error"),
    ],
)
def test_the_cause_of_a_failure_of_the_shell(made_lesson: MadeLesson, code: str, name: str) -> None:
    (failed,) = made_lesson.check(block(code, language="bash"), "bash").failed
    assert cause_of(failed).name == name


def test_numpy_writes_fewer_blanks_than_it_did(made_lesson: MadeLesson) -> None:
    (failed,) = made_lesson.check(block("print('[[3. 3.]]')", "[[ 3.  3.]]")).failed
    assert cause_of(failed).name == "newer libraries"


def test_a_module_that_a_package_does_not_have_is_the_pages_fault(made_lesson: MadeLesson) -> None:
    (failed,) = made_lesson.check(block("import json.puplot")).failed
    assert cause_of(failed).name == "error"


def test_what_follows_from_an_earlier_failure(made_lesson: MadeLesson) -> None:
    text = block("x = 1 / 0") + block("print(x)") + block("print('a')", "b")
    failed = made_lesson.check(text).failed
    assert [cause_of(one).name for one in failed] == ["error", "consequence", "output"]


def test_of_the_shell_all_output_may_follow_from_a_command_that_failed(
    made_lesson: MadeLesson,
) -> None:
    text = block("echo a", "b", language="bash") + block("mv a c", language="bash")
    text += block("echo a", "b", language="bash")
    text += block("rm d", "rm: cannot remove 'd': Is a directory", "error", "bash")
    failed = made_lesson.check(text, "bash").failed
    assert [cause_of(one).name for one in failed] == [
        "output",
        "file",
        "consequence",
        "consequence",
    ]


def test_another_error_may_follow_from_one_that_kept_a_name_from_being_defined(
    made_lesson: MadeLesson,
) -> None:
    text = block("x = 1 / 0") + block("int(x)", "ValueError: no", "error")
    text += block("int('a')", "TypeError: no", "error")
    failed = made_lesson.check(text).failed
    assert [cause_of(one).name for one in failed] == ["error", "consequence", "another error"]


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        ("y = 1 / 0\n", "len(y)", "consequence"),
        ("import math, nosuchname\n", "nosuchname.f()", "consequence"),
        ("from math import pi, nosuchname as n\n", "n(1)", "consequence"),
        ("def f(x)\n    return x\n", "f(1)", "consequence"),
        ("data['b'] = data['c']\n", "data['b']", "consequence"),
        ("open('a.txt', 'w').write(1)", "[][len('a.txt')]", "consequence"),
        ("from math import (sin,\n    nosuchname)", "nosuchname(1)", "consequence"),
        ("a, b = 1 / 0", "b", "consequence"),
        ("%matplotlib inline\nimport nosuchname as n", "n.f()", "consequence"),
        ("data.b.c = 1 / 0", "data.b", "consequence"),
        ("x = 1 / 0\n", "len(5)", "error"),
        ("furn\neniroulf\n", "len(5)", "error"),
    ],
)
def test_what_an_earlier_failure_explains(
    made_lesson: MadeLesson, first: str, second: str, cause: str
) -> None:
    text = block("data = {'a': 1}") + block(first.rstrip()) + block(second)
    *_, last = made_lesson.check(text).failed
    assert last.block.source.strip() == second
    assert cause_of(last).name == cause


def test_a_failure_explains_those_of_the_same_challenge(made_lesson: MadeLesson) -> None:
    challenge = "::: challenge\n" + block("{}['col']") + block("{}['row']") + ":::\n"
    failed = made_lesson.check(challenge + block("{}['other']")).failed
    assert [cause_of(one).name for one in failed] == ["error", "consequence", "error"]


def test_pseudo_code_of_the_shell_explains_nothing(made_lesson: MadeLesson) -> None:
    text = block("for thing in list\ndo\n    nosuchoperation $thing\ndone", language="bash")
    text += block("echo a", "b", language="bash")
    failed = made_lesson.check(text, "bash").failed
    assert [cause_of(one).name for one in failed] == ["program", "output"]


def test_numbers_that_are_the_same_written_otherwise_are_not_mixed_up(
    made_lesson: MadeLesson,
) -> None:
    code = "print('2.00000 2.0000')\nprint(0.123456789012)"
    (failed,) = made_lesson.check(block(code, "2.00000 2.0000\n0.12345678901")).failed
    assert cause_of(failed).name == "digits"


def test_one_block_is_not_many() -> None:
    for cause in CAUSES:
        one = str(Group(cause, (problem_as_result(Problem("a.md", 1, "x")),)))
        assert not re.search(r"\bthat (?:no longer )?(?:are|were|raise|print|do|ask|reach)\b", one)


@pytest.mark.parametrize("said", ["object 'cats' not found", 'could not find function "cats"'])
def test_a_name_that_nothing_defines_in_r(said: str) -> None:
    (happened,) = read_episode("a.md", "```r\ncats\n```\n").blocks
    result = judge(Execution(happened, failure=Failure("ERROR", f"Error in eval(expr): {said}")))
    assert cause_of(result).name == "name"


def test_a_fence_without_a_meaning() -> None:
    (problem,) = read_episode("a.md", "```pyton\n1\n```\n").problems
    assert cause_of(problem_as_result(problem)).name == "no meaning"


def test_groups_have_the_most_useful_cause_first(made_lesson: MadeLesson) -> None:
    text = block("print('a  b')", "a b") + block("1 / 0") + block("print('a')", "b") * 2
    groups = by_cause(made_lesson.check(text).failed)
    assert list(map(str, groups)) == [
        "1 block that raises an error which the page does not show",
        "2 blocks that print something else than the page shows",
        "1 block whose output differs in its blanks only",
    ]


def test_packages_that_are_missing_are_named_as_pip_names_them(made_lesson: MadeLesson) -> None:
    text = block("import nopackagehasthisname.more") + block("import cv2.x as cv2") * 2
    (group,) = by_cause(made_lesson.check(text).failed)
    assert group.remedy.startswith("install nopackagehasthisname, opencv-python-headless; ")


def test_every_cause_says_the_way_out() -> None:
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
    assert all(cause.title and cause.remedy for cause in CAUSES)
    tested = {*FAILURES, "program", "consequence", "no meaning"}
    assert {name.strip() for name in tested} == {cause.name for cause in CAUSES}
