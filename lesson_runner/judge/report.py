"""Results → what people and machines read. Pure."""

import re
from collections.abc import Iterable
from textwrap import indent
from typing import Any

from lesson_runner.judge.causes import cause_of
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Block, Problem
from lesson_runner.page.markdown import split_lines

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MOST_LINES = 40
MOST_CHARACTERS = 400


def printable(text: str) -> str:
    """Text that no terminal takes for a command."""
    return UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def failure_text(result: Result, page: str) -> str:
    """`episodes/api-litellm.md:142: message`, the line of code, then what differs."""
    lines = [f"{result.place}: {short(result.reason)}"]
    number = result.line_to_show
    source = split_lines(page)
    inside = result.block.line < number <= result.block.line + result.block.source.count("\n")
    if not inside and number == result.block.line and result.block.language != "json":
        number += 1  # the fence itself says nothing: show the first line of code
        inside = True
    if inside and number <= len(source):
        lines.append(f"    {number} | {short(source[number - 1].rstrip())}")
    if result.detail:
        lines.append(indent(shortened(result.detail, MOST_LINES), "  "))
    where = f" in the tab {result.block.tab}" if result.block.tab else ""
    lines.append(f"  in the {result.block.language} block at line {result.block.line}{where}")
    return printable("\n".join(lines))


def shortened(text: str, most: int) -> str:
    """As many lines of a text as there is room for."""
    lines = text.splitlines()
    more = [f"… and {len(lines) - most} lines more"] if len(lines) > most else []
    return "\n".join([*map(short, lines[:most]), *more])


def short(line: str) -> str:
    """A line that a terminal, or a log, can show."""
    if len(line) <= MOST_CHARACTERS:
        return line
    return f"{line[:MOST_CHARACTERS]}… ({len(line):,} characters)"


def annotation(path: str, line: int, message: str) -> str:
    """A workflow command that GitHub shows at this line of this file.

    Escapes as GitHub's toolkit does: https://github.com/actions/toolkit, `core/src/command.ts`.
    """

    def escape(text: str, more: str = "") -> str:
        text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return text.replace(":", "%3A").replace(",", "%2C") if more else text

    return f"::error file={escape(path, ':,')},line={line}::{escape(printable(short(message)))}"


def block_record(result: Result) -> dict[str, Any]:
    """One object of `lesson check --json`; `checked` are the lines of compared fences."""
    block = result.block
    compared = result.outcome in ("passed", "failed")
    return {
        "path": block.path,
        "line": block.line,
        "language": block.language,
        "outcome": result.outcome,
        "reason": result.reason,
        "cause": cause_of(result).name if result.outcome == "failed" else None,
        "known": result.known,
        "failed_line": result.line_to_show if result.outcome == "failed" else None,
        "detail": result.detail,
        "checked": [shown.line for shown in block.shown] if compared else [],
        "seconds": round(result.seconds, 3),
    }


def problem_as_result(problem: Problem) -> Result:
    """A fence or directive that has no meaning, in the same form as a block."""
    fence = Block(problem.path, problem.line, "", "", "data")
    return Result(fence, "failed", problem.message)


def numbers(results: Iterable[Result]) -> tuple[int, int, int, int]:
    """Return counts of blocks: run, outputs checked, shown as data, not run."""
    results = tuple(results)
    ran = [result for result in results if result.outcome in ("passed", "failed")]
    checked = sum(len(result.block.shown) for result in ran)
    shown = sum(result.outcome == "shown" for result in results)
    not_run = sum(result.outcome == "not run" for result in results)
    return len(ran), checked, shown, not_run


def reasons_not_run(results: Iterable[Result]) -> list[tuple[str, list[str]]]:
    """Each reason with the places it is given at, in order."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.outcome == "not run":
            reasons.setdefault(result.reason, []).append(f"{result.block.path}:{result.block.line}")
    return list(reasons.items())


def short_places(places: Iterable[str]) -> str:
    """`a.md:1, a.md:5, b.md:2` → `a.md:1, 5; b.md:2`."""
    lines: dict[str, list[str]] = {}
    for place in places:
        path, _, line = place.rpartition(":")
        lines.setdefault(path, []).append(line)
    return "; ".join(f"{path}:{', '.join(numbers)}" for path, numbers in lines.items())
