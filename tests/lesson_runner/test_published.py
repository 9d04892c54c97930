"""What published lessons write without thinking of a runner is understood, and stays strict
where a lesson asks for that."""

import textwrap

import pytest
from made_lesson import MadeLesson

from lesson_runner.judge.verdict import judge, stops
from lesson_runner.page import published
from lesson_runner.page.comparison import Comparison, read_comparison
from lesson_runner.page.episode import Episode, read_episode
from lesson_runner.page.places import is_page
from lesson_runner.run.happened import Execution, Failure
from lesson_runner.verify import not_executed


def read(text: str, *, strict: bool = False) -> Episode:
    return read_episode("episodes/page.md", textwrap.dedent(text), strict=strict)


# Prompts


@pytest.mark.parametrize(
    ("language", "shown", "run"),
    [
        ("bash", "$ ls\n$ cd data\n", "ls\ncd data\n"),
        ("bash", "(venv) $ pip list\n", "pip list\n"),
        ("bash", "nelle@mac:~/data$ pwd\n/Users/nelle/data\n", "pwd\n\n"),
        (
            "bash",
            "$ for f in a b\n> do\n>     echo $f\n> done\n",
            "for f in a b\ndo\n    echo $f\ndone\n",
        ),
        ("bash", "$ ls \\\n    data\na.csv\n", "ls \\\n    data\n\n"),
        ("bash", "> dir\n> cd data\n", "dir\ncd data\n"),
        ("bash", "# a comment\n$ ls\n", "\nls\n"),
        ("bash", "> out.txt echo a\necho b\n", "> out.txt echo a\necho b\n"),
        ("bash", "echo $HOME\n", "echo $HOME\n"),
        (
            "python",
            ">>> def f():\n...     return 1\n...\n>>> f()\n1\n",
            "def f():\n    return 1\n\nf()\n\n",
        ),
        ("python", "In [1]: x = 1\n", "x = 1\n"),
        ("python", "x = 1\n", "x = 1\n"),
        ("r", "> x <- c(1,\n+   2)\n> x\n[1] 1 2\n", "x <- c(1,\n  2)\nx\n\n"),
    ],
)
def test_prompts_are_no_code_and_lines_keep_their_numbers(
    language: str, shown: str, run: str
) -> None:
    assert published.without_prompts(shown, language) == run
    assert run.count("\n") == shown.count("\n")


def test_a_strict_page_has_no_prompts() -> None:
    text = "```bash\n$ ls\n```\n"
    assert read(text).blocks[0].source == "ls\n"
    assert read(text, strict=True).blocks[0].source == "$ ls\n"


# Blanks and fragments


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("for ____ in items:\n", True),
        ("x = ___ + 1\n", True),
        ("assert f(x) == ???\n", True),
        ("print??\n", False),
        ("print(data.____)\n", True),
        ("self.__init__()\n", False),
        ("a_b = __name__\n", False),
        ("long_____name = 1\n", False),
    ],
)
def test_what_is_a_blank(source: str, expected: bool) -> None:
    assert published.has_blanks(source, "python") is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$ pip install <package name>\n", True),
        ("git clone <url>\n", True),
        ("cd ____\n", True),
        ("sort <names.txt >sorted.txt\n", False),
        ("cat <<END\na\nEND\n", False),
        ("cat <<END\n<html>\nEND\n", False),
        ("grep '<title>' a.html\n", False),
        ("sort <in>out\n", False),
        ("echo <a" + "_b" * 1000 + "\n", False),
        ("Traceback (most recent call last):\n  File 'a.py', line 5, in <module>\n", False),
    ],
)
def test_what_is_a_blank_in_a_command(source: str, expected: bool) -> None:
    assert published.has_blanks(source, "bash") is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$ python3\n", True),
        ("$ cd data\n$ ls\n", False),
        ("(venv) $ jupyter lab\n", True),
        ("man ls\n", True),
        ("python3 script.py\n", False),
        ("cd data\njupyter lab\n", False),
    ],
)
def test_a_program_for_a_person_is_not_run(source: str, expected: bool) -> None:
    (block,) = read(f"```bash\n{source}```\n").blocks
    assert (block.role == "not run") is expected
    assert (block.reason == "it opens a program that somebody works in") is expected
    (block,) = read(f"```bash\n{source}```\n", strict=True).blocks
    assert block.role == "run"


def test_blanks_make_starter_code_also_where_the_fence_does_not_say_so() -> None:
    page = "```python\nx = ____\n```\n"
    assert [(b.role, b.reason) for b in read(page).blocks] == [("exercise", "starter code")]
    assert [b.role for b in read(page, strict=True).blocks] == ["run"]


FRAGMENT = """
    ::: challenge
    ```python
    for letter in word
        print(letter)
    ```
    :::: solution
    ```python
    for letter in "ab":
        print(letter)
    ```
    ```output
    {shown}
    ```
    ::::
    :::
    ```python
    print(1)
    ```
    """


def test_a_fragment_counts_as_shown_where_its_solution_runs(published_lesson: MadeLesson) -> None:
    checked = check(published_lesson, FRAGMENT.format(shown="a\n    b"))
    assert [r.outcome for r in checked] == ["not run", "passed", "passed"]
    assert checked[0].reason == "it raises an error, and the solution of its challenge does not"
    assert not any(result.follows for result in checked)


def test_a_fragment_whose_solution_fails_is_a_failure(published_lesson: MadeLesson) -> None:
    checked = check(published_lesson, FRAGMENT.format(shown="a"))
    assert [r.outcome for r in checked] == ["failed", "failed", "passed"]


def test_a_strict_page_says_itself_that_code_is_starter_code(made_lesson: MadeLesson) -> None:
    (made_lesson.root / "lesson.yaml").write_text("strict: true\n")
    checked = check(made_lesson, FRAGMENT.format(shown="a\n    b"))
    assert checked[0].outcome == "failed"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a <= 2:\n", True),
        ("if a:  # one\nif b:\n", True),
        ("for variable in collection:\n    # do things with it\n", True),
        ("elif a:\n    print(a)\n", True),
        ("except ValueError:\n    pass\n", True),
        ("...\nmain(a, b)\n...\n", True),
        ("    ...\n    a = 1\n    ...\n", True),
        ("def main(args):\n    # do things\n\nmain(1)\n", True),
        ("Q1  Q2\n0  1\n...\n", False),  # an output
        ("def f():\n    ...\n\nf()\n", False),
        ("class MyError(Exception):\n    ...\n", False),
        ("...\n", False),
        ("for a in b:\nprint(a)\n", False),  # an author forgot the blanks
        ("else\n    print(a)\n", False),
        ("# a comment\n", False),
        ("print(a)\n", False),
    ],
)
def test_what_is_a_part_of_a_statement(source: str, expected: bool) -> None:
    assert published.is_fragment(source) == expected
    (block,) = read(f"```python\n{source}```\n").blocks
    assert (block.role == "exercise") == expected
    (block,) = read(f"```python\n{source}```\n", strict=True).blocks
    assert block.role == "run"


def test_a_page_that_its_author_hides_is_none(made_lesson: MadeLesson) -> None:
    root = made_lesson.root
    assert is_page(root / "episodes" / "a.Rmd", root)
    assert not is_page(root / "episodes" / ".ignore-a.Rmd", root)


# Chunks of R Markdown


def chunk_page(text: str, *, strict: bool = False) -> Episode:
    return read_episode("episodes/page.Rmd", text, strict=strict)


def test_an_empty_chunk_is_no_problem_and_another_empty_block_is_one() -> None:
    assert chunk_page("```{r, include=FALSE}\n```\n").problems == ()
    assert len(chunk_page("```{r, include=FALSE}\n```\n", strict=True).problems) == 1
    assert len(chunk_page("```r\n```\n").problems) == 1


@pytest.mark.parametrize("header", ['{r, engine="sh"}', "{r name, engine='bash'}", "{bash}"])
def test_a_chunk_may_be_of_the_shell(header: str) -> None:
    (block,) = chunk_page(f"```{header}\nls\n```\n").blocks
    assert block.language == "bash"


def test_the_options_of_a_chunk_may_have_backticks() -> None:
    episode = chunk_page('```{r, fig.alt="`x` and `y`"}\n1\n```\n\n```{r}\n2\n```\n')
    assert [block.source for block in episode.blocks] == ["1\n", "2\n"]
    assert episode.problems == ()


def test_a_chunk_of_another_engine_is_shown() -> None:
    assert [b.role for b in chunk_page("```{r, engine='embed'}\na.csv\n```\n").blocks] == ["data"]


@pytest.mark.parametrize(
    ("above", "below", "announced"),
    [
        ("R complains about it:", "And so on.", True),
        ("Look:", "This doesn't work.\n\n## Next", True),
        ("Look:", "And so on.", False),
        ("There are errors.\n\n```{r}\n1\n```\n\nBut:", "And so on.", False),
    ],
)
def test_the_text_around_a_chunk_announces_its_error(
    above: str, below: str, announced: bool
) -> None:
    text = f"{above}\n\n```{{r}}\nstop('x')\n```\n\n{below}\n\n```{{r}}\n2\n```\n"
    assert [b.announced for b in chunk_page(text).blocks if "stop" in b.source] == [announced]
    assert not any(b.announced for b in chunk_page(text, strict=True).blocks)
    assert not any(b.announced for b in read(text).blocks)  # a .md page can show the error


def test_an_error_that_the_text_of_a_chunk_announces_is_none_of_the_block() -> None:
    happened = Execution(
        chunk_page("This fails:\n\n```{r}\nstop('x')\n```\n").blocks[0],
        failure=Failure("Error", "Error: x"),
    )
    assert judge(happened).outcome == "passed"
    assert not stops(happened)


# Outputs


@pytest.mark.parametrize(
    "mark",
    [
        "⋮ ⋮ ⋮",
        "[...]",
        "[output truncated]",
        "[snip]",
        "<other sites removed>",
        "…",
        "(12 lines omitted)",
        "..  ...  ...",
        "... ... ...",
    ],
)
def test_marks_for_what_was_left_out(mark: str) -> None:
    assert published.with_dots(f"first\n  {mark}\nlast\n") == "first\n...\nlast\n"


@pytest.mark.parametrize("text", ["a [removed]", "x = [1, ...]", "list[...] of", ".."])
def test_what_is_no_such_mark_stays_but_for_brackets(text: str) -> None:
    assert published.with_dots(text) == text.replace("[...]", "...")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (
            "Traceback (most recent call last):\n  File \"x\", line 1\nKeyError: 'a'\n",
            "python",
            True,
        ),
        (
            "-----------\nIndexError   Traceback (most recent call last)\n\nIndexError: no\n",
            "python",
            True,
        ),
        ("NameError: name 'x' is not defined\n", "python", True),
        ("The error: 3\n", "python", False),
        ("Errors: none\n", "python", False),
        ('Error in log("a") : non-numeric argument\n', "r", True),
        ("[1] 2\n", "r", False),
        ("ls: cannot access 'x'\n", "bash", False),
    ],
)
def test_a_traceback_in_an_output_fence_is_an_error(
    text: str, language: str, expected: bool
) -> None:
    assert published.is_error(text, language) is expected


def test_several_outputs_are_one_after_the_other_or_the_first_alone(
    published_lesson: MadeLesson,
) -> None:
    page = "```python\nprint({code})\n```\n```output\na\n```\nAnd then:\n```output\nb\n```\n"
    assert [r.outcome for r in check(published_lesson, page.format(code="'a\\nb'"))] == ["passed"]
    assert [r.outcome for r in check(published_lesson, page.format(code="'a'"))] == ["passed"]
    assert [r.outcome for r in check(published_lesson, page.format(code="'b'"))] == ["failed"]


def test_an_output_of_the_text_is_shown_and_accounted_for(published_lesson: MadeLesson) -> None:
    page = "The file holds\n\n```output\n1\n```\n"
    episode = read(page)
    assert episode.problems == ()
    assert [(r.outcome, r.reason) for r in not_executed(episode)] == [
        ("shown", "shown for the text around it")
    ]
    assert len(read(page, strict=True).problems) == 1


def test_an_error_below_a_paragraph_belongs_to_the_text_where_the_block_raises_none(
    published_lesson: MadeLesson,
) -> None:
    page = "```python\n{code}\n```\n{between}```error\nZeroDivisionError: division by zero\n```\n"
    told = "If you divide, you see\n\n"
    for code, between, outcome in [
        ("1", told, "passed"),
        ("1", "", "failed"),
        ("1 / 0", told, "passed"),
        ("x", told, "failed"),
    ]:
        text = page.format(code=code, between=between)
        assert [r.outcome for r in check(published_lesson, text)] == [outcome]


def test_what_a_challenge_wants_is_no_output_of_a_block_that_prints_nothing(
    published_lesson: MadeLesson,
) -> None:
    page = "::: challenge\n```python\n{}\n```\n```output\n1\n```\n:::\n"
    assert [r.outcome for r in check(published_lesson, page.format("x = 1"))] == ["passed"]
    assert [r.outcome for r in check(published_lesson, page.format("print(2)"))] == ["failed"]


def test_the_class_of_a_value_as_a_plain_python_shows_it(published_lesson: MadeLesson) -> None:
    page = "```python\n{code}\n```\n```output\n<class 'str'>\n```\n"
    assert [r.outcome for r in check(published_lesson, page.format(code="type('a')"))] == ["passed"]
    assert [r.outcome for r in check(published_lesson, page.format(code="type(1)"))] == ["failed"]


def test_a_message_of_the_shell_is_shown_as_output(published_lesson: MadeLesson) -> None:
    page = "```bash\n$ cd nowhere\n```\n```output\nbash: cd: nowhere: {said}\n```\n"
    right = page.format(said="No such file or directory")
    assert [r.outcome for r in check(published_lesson, right, "bash")] == ["passed"]
    wrong = page.format(said="not there")
    assert [r.outcome for r in check(published_lesson, wrong, "bash")] == ["failed"]


def test_an_output_in_a_solution_may_be_of_code_in_its_text(published_lesson: MadeLesson) -> None:
    page = """
        ::: challenge
        ```python
        {code}
        ```
        :::: solution
        `print(mass)` shows
        ```output
        47.5
        ```
        ::::
        :::
        """
    assert [r.outcome for r in check(published_lesson, page.format(code="mass = 47.5"))] == [
        "passed"
    ]
    assert [r.outcome for r in check(published_lesson, page.format(code="print(46)"))] == ["failed"]


@pytest.mark.parametrize(
    "shown",
    ["<function f at 0x7fd128ff1bf8>", "2018-04-12 16:19:17.177441", "Thu Apr 12 16:19:17 2018"],
)
def test_moments_and_addresses_in_memory_are_others_each_time(
    published_lesson: MadeLesson, shown: str
) -> None:
    code = {
        "<": "def f(): pass\nprint(f)",
        "2": "from datetime import datetime\nprint(datetime.now())",
        "T": "import time\nprint(time.ctime())",
    }[shown[0]]
    page = f"```python\n{code}\n```\n```output\n{shown}\n```\n"
    assert [r.outcome for r in check(published_lesson, page)] == ["passed"]
    (published_lesson.root / "lesson.yaml").write_text("strict: true\n")
    assert [r.outcome for r in check(published_lesson, page)] == ["failed"]


# Comparison


@pytest.mark.parametrize(
    ("says", "shown", "prints", "outcome"),
    [
        ("any blanks", "a   b", "a b", "passed"),
        ("any blanks", "a   b", "a c", "failed"),
        ("6 digits", "4.61383319712", "4.613833197118566", "passed"),
        ("6 digits", "4.6138", "4.6139", "failed"),
        ("any order", "{b, a}", "{a, b}", "passed"),
        ("any order", "{b, a}", "{a, c}", "failed"),
        ("any blanks, 6 digits", "x  0.3333333", "x 0.33333333333", "passed"),
    ],
)
def test_a_block_says_how_exactly_it_is_compared(
    made_lesson: MadeLesson, says: str, shown: str, prints: str, outcome: str
) -> None:
    (made_lesson.root / "lesson.yaml").write_text("strict: true\n")
    block = f"```python\nprint({prints!r})\n```\n```output\n{shown}\n```\n"
    assert [r.outcome for r in check(made_lesson, block)] == ["failed"]
    with_directive = f"<!-- compare: {says} -->\n{block}"
    assert [r.outcome for r in check(made_lesson, with_directive)] == [outcome]


def test_what_a_comparison_may_say() -> None:
    assert read_comparison("any blanks, any order") == Comparison(blanks=False, order=False)
    with pytest.raises(ValueError, match="`compare: 0 digits` is none of `any blanks`"):
        read_comparison("0 digits")
    (problem,) = read("<!-- compare: nearly -->\n```python\n1\n```\n").problems
    assert "`compare: nearly` is none of" in problem.message


@pytest.fixture
def published_lesson(made_lesson: MadeLesson) -> MadeLesson:
    """A lesson without a lesson.yaml."""
    assert not (made_lesson.root / "lesson.yaml").exists()
    return made_lesson


def check(lesson: MadeLesson, text: str, language: str = "python") -> list:
    return list(lesson.check(text, language).results)
