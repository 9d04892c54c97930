"""Starter code is not run, but it must be code once its blanks are filled."""

import pytest

from lesson_runner.page.episode import read_episode
from lesson_runner.page.starter_code import starter_code_problem


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", 'headers = {"Authorization": f"____ {api_key}"}\n'),
        ("python", "for ____ in ____:\n    print(____.____(1))\n"),
        ("python", "!pip install ____\n%timeit ____\nprint(____)\n"),
        ("python", "%%bash\nls | grep ____\n"),
        ("python", "____?\n"),
        ("python", 're.match("\\d", ____)\n'),
        ("python", "await ____\n"),
        ("r", "model <- \\(x) x[[____]] # it's (\n"),
        ("r", "____ %>% filter(`a name (` > 3)\n"),
        ("r", 'paste("it\'s", \'a "quote"\', "\\"(")\n'),
        ("r", 'r"(C:\\____")" ; R"---[a)]"]---" ; r\'{"}\'\n'),
        ("bash", 'for name in ____; do echo "${name}"; done # it\'s\n'),
        ("bash", "case ____ in\n  a) echo one ;;\nesac\n"),
        ("bash", "cat <<EOF > ____\nit's ( [ {\nEOF\n"),
        ("bash", "cat <<-'END'\n\t\"\n\tEND\nls\n"),
        ("bash", 'grep ____ <<< "it\'s"\n'),
        ("bash", "echo it\\'s $'it\\'s' ${#names[@]} a#b\n"),
        ("bash", "if [[ ____ -gt 3 ]]; then echo; fi\n"),
    ],
)
def test_code_with_blanks_is_accepted(language: str, source: str) -> None:
    assert starter_code_problem(source, language) is None


@pytest.mark.parametrize(
    ("language", "source", "line", "message"),
    [
        ("python", "x = 1\nprint(____\n", 2, "'(' was never closed (each `____` read as a name)"),
        ("python", "!ls\n\nif ____\n    x\n", 3, "expected ':' (each `____` read as a name)"),
        ("r", "x <- 1\nmean(____\n", 2, "this ( is never closed"),
        ("r", "x <- ____]\n", 1, "this ] closes nothing"),
        ("r", "f({)}\n", 1, "this ) closes nothing"),
        ("r", "x <- 1\n\ny <- 'it\n", 3, "this ' is never closed"),
        ("r", 'x <- "it\\"\n', 1, 'this " is never closed'),
        ("bash", "echo ____\nif [ -f x; then echo; fi\n", 2, "this [ is never closed"),
        ("bash", "echo ${____\n", 1, "this { is never closed"),
        ("bash", "grep x <<< names\necho [____\nnames\n", 2, "this [ is never closed"),
        ("bash", "echo }\n", 1, "this } closes nothing"),
        ("bash", "echo it's\n", 1, "this ' is never closed"),
        ("bash", "echo `ls\n", 1, "this ` is never closed"),
    ],
)
def test_code_that_is_not_balanced_is_refused_at_its_line(
    language: str, source: str, line: int, message: str
) -> None:
    assert starter_code_problem(source, language) == (line, message)


@pytest.mark.parametrize("language", ["python", "r", "bash"])
def test_fault_is_reported_at_the_line_of_the_page(language: str) -> None:
    page = f"Text.\n\n```{{.{language} .exercise}}\n\necho = [____\n```\n"
    (problem,) = read_episode("page.md", page).problems
    assert problem.line == 5
    assert problem.message.startswith("starter code: ")


@pytest.mark.parametrize("language", ["python", "r", "bash"])
def test_blank_of_three_underscores_is_refused_with_its_line(language: str) -> None:
    found = starter_code_problem("x\ny ___\n", language)
    assert found == (2, "a blank has four underscores: `____`")


@pytest.mark.parametrize("source", ["?\n", "x = 1\n?\n"])
def test_lone_question_mark_is_no_help_request(source: str) -> None:
    assert starter_code_problem(source, "python")
