"""Commands that a page prints can be typed: `lesson` takes the options, `make` has the target."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from lesson.main import COMMANDS, parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "index.md")),
    *(
        page
        for folder in ("instructors", "learners")
        for page in sorted((ROOT / folder).glob("*.md"))
    ),
]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
SHELLS = {"bash", "powershell", "console"}


def printed(text: str) -> Iterator[str]:
    """Lines of code of a page: in a sentence, or in a fence of a terminal."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "fence" and token.info in SHELLS:
            yield from token.content.replace("\\\n", " ").splitlines()
        for child in token.children or []:
            if child.type == "code_inline":
                yield child.content


def calls(text: str) -> list[list[str]]:
    found = [
        shlex.split(line, comments=True)
        for line in printed(text)
        if re.match(r"\s*(lesson|make) ", line)
    ]
    return [call for call in found if len(call) > 1]


def problem(call: list[str]) -> str:
    """What stands in the way of typing this call."""
    program, first, *_ = call
    if program == "make":
        wrong = [a for a in call[1:] if "=" not in a and a not in TARGETS]
        return f"make has no {wrong}" if wrong else ""
    if first not in COMMANDS:
        return "" if first in ("--help", "--version") else f"lesson has no {first}"
    if len(call) == 2:  # only named
        return ""
    says = io.StringIO()
    try:
        with contextlib.redirect_stderr(says), contextlib.redirect_stdout(says):
            parser(call[1:]).parse_args(call[1:])
    except SystemExit as exit:
        return says.getvalue().splitlines()[-1] if exit.code else ""
    return ""


def problems(text: str) -> list[str]:
    return [f"{shlex.join(call)}: {said}" for call in calls(text) if (said := problem(call))]


def test_commands_that_do_not_exist_are_found() -> None:
    text = (
        "Type `lesson check` or `lesson chekc`, and `make teach X=1`; `make tea` is none.\n\n"
        "```bash\nlesson keys --learners 3   # for three\nlesson keys --learner's 3\n```\n"
    ).replace("learner's", "pupils")
    assert [found.partition(":")[0] for found in problems(text)] == [
        "lesson chekc",
        "make tea",
        "lesson keys --pupils 3",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_printed_command_can_be_typed(page: Path) -> None:
    assert problems(page.read_text(encoding="utf-8")) == []
