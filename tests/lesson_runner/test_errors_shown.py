"""The `error` fence of a page against the error that was raised."""

import pytest

from lesson_runner.judge.verdict import judge
from lesson_runner.page.episode import read_episode
from lesson_runner.run.happened import Execution, Failure

KEY = Failure("KeyError", "KeyError: 'choices'")
EMPTY = Failure("AssertionError", "AssertionError")
LINES = Failure("HTTPError", "HTTPError: 500 a mock error\n\nLiteLLM: no fallback.\nGroup: a")
WARNED = Failure("ShellError", "warning: old\ncurl: (7) refused\ncurl: (7) again")
R = Failure("ERROR", "Error in `resp_abort()`:\n! HTTP 500 Internal Server Error.\n• mock")
WIDE = "! HTTP 422.\n{} the budget is used up\n\nLiteLLM: no fallback was attempted."
OLD = Failure("ERROR", WIDE.format("•"))
NEW = Failure("ERROR", WIDE.format("ℹ").replace(" used", "\n  used").replace(" was", "\n  was"))
SYNTAX = Failure("SyntaxError", "SyntaxError: '(' was never closed")


def outcome(language: str, shown: str, failure: Failure) -> str:
    page = f"```{language}\nrun()\n```\n\n```error\n{shown}\n```\n"
    return judge(Execution(read_episode("page.md", page).blocks[0], failure=failure)).outcome


JUPYTER = """\
---------------------------------------------------------------------------
KeyError                                  Traceback (most recent call last)
Cell In[3], line 2
      1 answer = {}
----> 2 read(answer)

File ~/lesson/read.py:4, in read(answer)
      3 def read(answer):
----> 4     return answer["choices"]

KeyError: 'choices'"""
OLDER = """\
KeyError Traceback (most recent call last)
<ipython-input-3-0123456789ab> in <module>()
----> 1 read({})

~/lesson/read.py in read(answer)
KeyError: 'choices'"""
PYTHON = """\
Traceback (most recent call last):
  File "read.py", line 1, in <module>
    read({})
    ~~~~^^^^
KeyError: 'choices'"""
CHAINED = f"""\
{PYTHON.replace("choices", "id")}

During handling of the above exception, another exception occurred:

{PYTHON}"""
INVALID = """\
  Cell In[1], line 1
    print(
         ^
SyntaxError: '(' was never closed"""


@pytest.mark.parametrize(
    ("language", "shown", "failure"),
    [
        ("python", "KeyError: 'choices'", KEY),
        ("python", "KeyError: ...", KEY),
        ("python", "Traceback (most recent call last):\n...\nKeyError: 'choices'", KEY),
        ("python", "...\nKeyError: 'choices'", KEY),
        ("python", JUPYTER, KEY),
        ("python", OLDER, KEY),
        ("python", PYTHON, KEY),
        ("python", CHAINED, KEY),
        ("python", INVALID, SYNTAX),
        ("python", "AssertionError", EMPTY),
        ("python", "AssertionError:", EMPTY),
        ("python", f"Traceback (most recent call last):\n  ...\n{LINES.text}", LINES),
        ("python", LINES.text, LINES),
        ("python", "Group: a", LINES),
        ("python", "HTTPError: 500 ...\nGroup: a", LINES),
        ("python", "LiteLLM: no fallback.\nGroup: a", LINES),
        ("bash", "curl: (7) again", WARNED),
        ("bash", "curl: (7) refused\ncurl: (7) again", WARNED),
        ("bash", "warning: ...\ncurl: (7) again", WARNED),
        ("r", R.text, R),
        ("r", "Error in `...()`:\n! HTTP 500 ...\n• mock", R),
        ("r", NEW.text, OLD),
        ("r", OLD.text, NEW),
        ("r", WIDE.format("i"), NEW),
    ],
)
def test_errors_that_agree(language: str, shown: str, failure: Failure) -> None:
    assert outcome(language, shown, failure) == "passed"


@pytest.mark.parametrize(
    ("language", "shown", "failure"),
    [
        ("python", "KeyError: 'id'", KEY),
        ("python", "KeyError: 'choices'\nKeyError: 'id'", KEY),
        ("python", "TypeError: wrong\nKeyError: 'choices'", KEY),
        ("python", JUPYTER.replace("KeyError  ", "TypeError "), KEY),
        ("python", JUPYTER.replace("\nKeyError:", "\nTypeError: wrong\nKeyError:"), KEY),
        ("python", PYTHON.replace("\nKeyError:", "\nTypeError:"), KEY),
        ("python", "Traceback (most recent call last):\n  ...", KEY),
        ("python", LINES.text.replace("HTTPError", "ValueError"), LINES),
        ("python", LINES.text.replace("500", "503"), LINES),
        ("python", LINES.text.replace("no fallback", "a fallback"), LINES),
        ("python", "a mock error\n\nLiteLLM: no fallback.\nGroup: a", LINES),
        ("bash", "curl: (6) refused\ncurl: (7) again", WARNED),
        ("bash", "  indented\ncurl: (7) again", WARNED),
        ("bash", "Traceback (most recent call last):\ncurl: (7) again", WARNED),
        ("bash", "curl: (7) refused", WARNED),
        ("r", R.text.replace("HTTP 500", "HTTP 503"), R),
        ("r", R.text.replace("resp_abort", "abort"), R),
        ("r", NEW.text.replace("ℹ ", ""), OLD),
        ("r", NEW.text.replace("\n\n", "\n"), NEW),
        ("r", NEW.text.replace("used", " used"), NEW),
        ("python", NEW.text, OLD),
    ],
)
def test_errors_that_differ(language: str, shown: str, failure: Failure) -> None:
    assert outcome(language, shown, failure) == "failed"


def test_the_lines_that_differ_are_told() -> None:
    page = f"```python\nrun()\n```\n\n```error\n{LINES.text.replace('500', '503')}\n```\n"
    result = judge(Execution(read_episode("page.md", page).blocks[0], failure=LINES))
    assert result.reason == "the block raised another error than the page shows"
    assert "-HTTPError: 503 a mock error\n+HTTPError: 500 a mock error" in result.detail


def test_a_chunk_that_is_to_raise_an_error_shows_none() -> None:
    block = read_episode("page.md", "```{r, error=TRUE}\nrun()\n```\n").blocks[0]
    assert judge(Execution(block, failure=R)).outcome == "passed"
    raised_none = judge(Execution(block))
    assert raised_none.outcome == "failed"
    assert raised_none.message.endswith("error=TRUE wants an error, but the block raised none")
