"""What a published page shows and today's computer prints: when both mean the same, and when not.

Each rule has a case beside it that differs in more than the rule allows.
"""

import textwrap

import pytest
from made_lesson import MadeLesson

from lesson_runner.judge.verdict import judge
from lesson_runner.page.episode import read_episode
from lesson_runner.run.happened import Execution, Failure

OURS = "/tmp/lesson-a1b2/tmpx_9/home"


def outcome(
    shown: str,
    printed: str,
    code: str = "x",
    language: str = "python",
    *,
    error: str = "",
    strict: bool = False,
) -> str:
    """Of a block that prints this, or raises the error, below which the page shows `shown`."""
    kind = "error" if error else "output"
    text = f"```{language}\n{code}\n```\n```{kind}\n{textwrap.dedent(shown)}\n```\n"
    (block,) = read_episode("episodes/page.md", text, strict=strict).blocks
    name = error.partition(":")[0] if language == "python" else "ExitStatus"
    failure = Failure(name, error) if error else None
    printed = textwrap.dedent(printed)
    return judge(Execution(block, printed, printed, failure)).outcome


SAME = {
    "a home folder": ("/Users/nelle/Desktop/data", f"{OURS}/Desktop/data"),
    "a home folder of Windows": (r"C:\Users\nelle\notes.txt", f"{OURS}\\notes.txt"),
    "a home folder of Git for Windows": ("/c/Users/nelle", OURS),
    "the last digits": ("3.1722704895263734", "3.1722704895263742"),
    "nothing": ("", ""),
}
OTHER = {
    "another folder": ("/Users/nelle/Desktop/data", f"{OURS}/Desktop"),
    "a folder of the system": ("/usr/share", f"{OURS}/Desktop"),
    "more than the last digits": ("3.17227048952637", "3.17227048962637"),
    "a float that is not the number": ("0.3", "0.30000000000000004"),
    "something": ("", "1"),
    "a file in the folder of homes": ("/home/b.txt", "/home/a.txt"),
    "something else than a moment": ("2024-01-01 00:00:00", "banana"),
    "something else than an address": ("0xffffff", "..."),
}


@pytest.mark.parametrize("name", SAME)
def test_what_differs_on_each_computer_is_the_same(name: str) -> None:
    assert outcome(*SAME[name]) == "passed"
    assert outcome(*SAME[name], strict=True) == "failed"


@pytest.mark.parametrize("name", OTHER)
def test_what_differs_more_is_not_the_same(name: str) -> None:
    assert outcome(*OTHER[name]) == "failed"


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("ls -F", "bash"),
        ("cd data; ls", "bash"),
        ("find . -name 'a*'", "bash"),
        ("grep -r b .", "bash"),
        ("for f in glob.glob('*.csv'):\n    print(f)", "python"),
        ("print(set('ba'))", "python"),
    ],
)
def test_files_and_the_items_of_a_set_come_in_some_order(code: str, language: str) -> None:
    assert outcome("a.txt  b.txt", "b.txt\na.txt", code, language) == "passed"
    assert outcome("a.txt  b.txt", "b.txt\nc.txt", code, language) == "failed"


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("cat list", "bash"),
        ("ls | sort -r", "bash"),
        ("ls -F -t", "bash"),
        ("ax.set(1)", "python"),
        ("print(pd.concat(map(pd.read_csv, glob.glob('*'))).sort_values('a'))", "python"),
        ("print(*sorted(glob.glob('*')))", "python"),
    ],
)
def test_what_is_in_order_stays_in_order(code: str, language: str) -> None:
    assert outcome("a.txt\nb.txt", "b.txt\na.txt", code, language) == "failed"


WIDE = """\
       record_id  month  species_id  weight
plot
13            14      7          DM     8.0
...          ...    ...         ...     ...
35527      35528     12          US     NaN

[4873 rows x 4 columns]
"""
BROKEN = """\
       record_id  month  \\
plot
13            14      7
...          ...    ...
35527      35528     12

      species_id  weight
plot
13            DM     {}
...          ...     ...
35527         US     NaN

[4873 rows x 4 columns]
"""


def test_a_table_may_be_shown_in_one_piece() -> None:
    assert outcome(WIDE, BROKEN.format("8.0")) == "passed"
    assert outcome(WIDE, BROKEN.format("9.0")) == "failed"
    assert outcome(WIDE, BROKEN.format("8.0"), strict=True) == "failed"
    assert outcome("a", "\\\nb\n\nc\nd") == "failed"  # no table at all


def test_a_line_of_dots_stands_for_lines() -> None:
    assert outcome("0  1977\n      ...\n9  2002", "0  1977\n1  1978\n9  2002") == "passed"
    assert outcome("a\n..  ...\nz", "a\nb\nz") == "passed"
    assert outcome(".\n..\ndata", ".\n.git\ndata", "ls -a", "bash") == "failed"


ERRORS = {
    "the module of an error": ("pandas.errors.ParserError: no", "ParserError: no", "python"),
    "a line of a traceback": ("----> 1 f()\n2 g()\n\nKeyError: 'a'", "KeyError: 'a'", "python"),
    "quotes": ("rm: cannot remove ‘a’", "rm: cannot remove 'a'", "bash"),
    "the name of the shell": ("-bash: cd: a: no", "bash: line 1: cd: a: no", "bash"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_told_in_another_way(name: str) -> None:
    shown, raised, language = ERRORS[name]
    assert outcome(shown, "", language=language, error=raised) == "passed"
    assert outcome(shown, "", language=language, error=f"{raised}, and more") == "failed"


PROGRAMS = """
    ::: challenge
    ```python
    print("a")
    ```
    ```python
    print("b")
    ```
    :::: solution
    Program A prints
    ```output
    {first}
    ```
    Program B prints
    ```output
    b
    ```
    ::::
    :::
    """


def test_a_solution_shows_what_each_program_of_the_challenge_prints(
    made_lesson: MadeLesson,
) -> None:
    def outcomes(first: str) -> list[str]:
        checked = made_lesson.check(PROGRAMS.format(first=first))
        return [result.outcome for result in checked.results]

    assert outcomes("a") == ["passed", "passed"]
    assert outcomes("c") == ["passed", "failed"]
    (made_lesson.root / "lesson.yaml").write_text("strict: true\n")
    # There, a block has one output.
    (problem, *_) = read_episode("a.md", textwrap.dedent(PROGRAMS.format(first="a"))).problems
    assert "has an `output` fence already" in problem.message


def test_an_error_that_the_text_below_names_is_meant(made_lesson: MadeLesson) -> None:
    page = "```python\n{{}}['a']\n```\n{below}\n```python\n1\n```\n"
    for below, wanted in [
        ("At the bottom\nit says `KeyError: 'a'`.", "passed"),
        ("Then you get an error.", "passed"),
        ("Our code produced an error message.", "passed"),
        ("It no longer raises an error.", "failed"),
        ("This gives the standard error of the mean.", "failed"),
        ("It is as we want.\n\nThen you get an error.", "failed"),
        ("Errors are of use.", "failed"),
        ("", "failed"),
    ]:
        checked = made_lesson.check(page.format(below=f"\n{below}\n"))
        assert [result.outcome for result in checked.results] == [wanted, "passed"]


EDITED = """
    ```bash
    $ nano middle.sh
    ```
    ```bash
    $ ls
    $ cp middle.sh data/first.sh
    ```
    ```output
    data  middle.sh
    ```
    ```bash
    $ bash middle.sh
    ```
    ```output
    typed
    ```
    ```bash
    $ echo other
    ```
    ```output
    typed
    ```
    """


def test_what_is_no_code_raises_no_error_that_is_meant(made_lesson: MadeLesson) -> None:
    page = "```python\nx = 1 print(x)\n```\n\n{}\n"
    told = made_lesson.check(page.format("You get an error.")).results
    assert [result.outcome for result in told] == ["failed"]
    named = made_lesson.check(page.format("It says `SyntaxError`.")).results
    assert [result.outcome for result in named] == ["passed"]


@pytest.mark.parametrize("code", ["import nosuchmodule", "open('nowhere.csv')"])
def test_a_file_that_is_missing_is_never_meant_unless_it_is_named(
    made_lesson: MadeLesson, code: str
) -> None:
    page = f"```python\n{code}\n```\n\nYou get an error.\n"
    assert [result.outcome for result in made_lesson.check(page).results] == ["failed"]


def test_an_error_that_is_meant_is_no_culprit(made_lesson: MadeLesson) -> None:
    page = "```python\ndata = {}['a']\n```\n\nYou get an error.\n\n```python\n1 / 0 * data\n```\n"
    meant, failed = made_lesson.check(page).results
    assert (meant.outcome, failed.outcome) == ("passed", "failed")
    assert (failed.follows, failed.explained) == ("", False)


@pytest.mark.parametrize("shown", ["...", "...\n"])
def test_dots_alone_are_no_message_of_the_shell(shown: str) -> None:
    page = f"```bash\nnosuchprogram\n```\n```output\n{shown}\n```\n"
    (block,) = read_episode("episodes/page.md", page, strict=False).blocks
    said = "bash: line 1: nosuchprogram: command not found"
    assert judge(Execution(block, "", said, Failure("ExitStatus", said))).outcome == "failed"


@pytest.mark.parametrize("text", ["a" * 100_000, "/" * 50_000, "\n" * 50_000 + "x"])
def test_long_outputs_take_no_time(text: str) -> None:
    assert outcome("banana", text) == "failed"


def test_only_an_output_below_a_paragraph_may_be_of_other_input(made_lesson: MadeLesson) -> None:
    page = "```python\nprint(1)\n```\n```output\n1\n```\n{}```output\n2\n```\n"
    for between, wanted in [("With 2 it prints\n\n", "passed"), ("", "failed")]:
        (result,) = made_lesson.check(page.format(between)).results
        assert result.outcome == wanted


def test_an_editor_saves_an_empty_file_and_nobody_types(made_lesson: MadeLesson) -> None:
    results = made_lesson.check(EDITED, "bash").results
    assert [r.outcome for r in results] == ["passed", "passed", "not run", "failed"]
    assert results[2].reason == "it needs what a learner types into middle.sh"
    (alone,) = made_lesson.check("```bash\n$ nano\n$ ls nowhere\n```\n", "bash").failed
    assert "nowhere" in alone.message
