"""On a real proxy, answers vary: what is then a failure, and what a difference worth a look."""

import textwrap

import pytest

from lesson_runner.judge.answers import is_error
from lesson_runner.judge.verdict import Result, judge, results_of_run
from lesson_runner.page.episode import read_episode
from lesson_runner.run.happened import Execution, Failure, Run

PRINTS = """\
    ```python
    print(answer)
    ```

    ```output
    health
    ```
    """

RAISES = """\
    ```python
    client.models.list()
    ```

    ```error
    AuthenticationError: Error code: 401 - wrong key
    ```
    """


def verdict(page: str, **happened: object) -> Result:
    block = read_episode("page.md", textwrap.dedent(page)).blocks[0]
    return judge(Execution(block, **happened), answers_vary=True)  # type: ignore[arg-type]


def test_other_output_is_a_difference() -> None:
    result = verdict(PRINTS, output="climate\n")
    assert result.outcome == "passed"
    assert result.difference.splitlines()[-2:] == ["-health", "+climate"]


def test_the_same_output_is_none() -> None:
    result = verdict(PRINTS, output="health\n")
    assert (result.outcome, result.difference) == ("passed", "")


def test_nothing_printed_is_a_difference() -> None:
    assert verdict(PRINTS, output="").difference.splitlines()[-1] == "-health"


def test_an_error_that_the_page_does_not_show_is_a_failure() -> None:
    result = verdict(PRINTS, failure=Failure("KeyError", "KeyError: 'choices'"))
    assert (result.outcome, result.reason) == ("failed", "KeyError: 'choices'")


def test_no_error_where_the_page_shows_one_is_a_failure() -> None:
    result = verdict(RAISES)
    assert result.outcome == "failed"
    assert result.reason == "the page shows an error, but the block raised none"


def test_another_text_of_the_same_error_is_a_difference() -> None:
    text = "AuthenticationError: Error code: 400 - No connected db."
    result = verdict(RAISES, failure=Failure("AuthenticationError", text))
    assert result.outcome == "passed"
    assert text in result.difference


def test_another_class_of_error_is_a_failure() -> None:
    result = verdict(RAISES, failure=Failure("KeyError", "KeyError: 'data'"))
    assert result.outcome == "failed"


def test_a_printed_error_is_a_failure_unless_the_page_shows_some_error() -> None:
    page = "```bash\nRscript ask.R\n```\n\n```output\n{}\n```\n"
    printed = "Error in ask() : busy\n"
    result = verdict(page.format("health"), output=printed, printed=printed)
    assert result.outcome == "failed"
    result = verdict(page.format("Error in ask() : slow"), output=printed, printed=printed)
    assert result.outcome == "passed"


def test_blocks_after_a_difference_count() -> None:
    page = textwrap.dedent(RAISES) + "\n```python\nprint(1)\n```\n"
    episode = read_episode("page.md", page)
    failure = Failure("AuthenticationError", "AuthenticationError: another text")
    first, second = episode.blocks
    run = Run((Execution(first, failure=failure), Execution(second)))

    def outcomes(**options: bool) -> list[str]:
        return [r.outcome for r in results_of_run(episode, "python", run, **options)]

    assert outcomes(answers_vary=True) == ["passed", "passed"]
    assert outcomes() == ["failed", "passed"]
    assert results_of_run(episode, "python", run)[1].follows == f"page.md:{first.shown[0].line}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [({"error": {}}, True), ({"detail": "No"}, True), ({"data": []}, False), ([], False)],
)
def test_an_answer_that_says_what_went_wrong_is_an_error(answer: object, expected: bool) -> None:
    assert is_error(answer) == expected
