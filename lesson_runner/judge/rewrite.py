"""Write what really happened into the `output`, `error` and `json` fences of a page."""

import codecs
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lesson_runner.judge.compare import json_difference, matches, merge_json, merge_text
from lesson_runner.judge.meant import OUR_HOME, agrees
from lesson_runner.judge.verdict import (
    Result,
    above_the_error,
    completed,
    following,
    judge,
    same_error,
)
from lesson_runner.page import exact_json
from lesson_runner.page.episode import Episode, Figure, Shown
from lesson_runner.page.images import signed
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.markdown import Fence
from lesson_runner.page.places import LessonError
from lesson_runner.page.plain_text import binary_character, lines_of, normal, plain
from lesson_runner.run.happened import Execution

LINES_WITH_ENDS = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Update:
    """How much was written into a page, and the verdicts on the page as it is now."""

    fences: int
    figures: int
    results: tuple[Result, ...]


Wanted = Callable[[Fence, str], bool]
"""Whether this text may go into this fence."""


def all_of_them(fence: Fence, text: str) -> bool:
    return True


def update_page(
    lesson: Lesson,
    page: Path,
    episode: Episode,
    results: Iterable[Result],
    wanted: Wanted = all_of_them,
    *,
    figures: bool = True,
) -> Update:
    """Rewrite the page's fences that are `wanted`, and its figures, from the executions in
    `results`. Without `figures`, only those are written that do not exist yet.

    Raises `LessonError`, and writes nothing, where the page changed since it was read.
    """
    results = tuple(results)
    # After a failure, nothing tells reliably what the page should show.
    happened = [
        r.execution
        for r in results
        if r.execution and r.outcome != "not run" and not r.follows and not r.explained
    ]
    # A fence with a problem may hold more than what the page shows, such as the block after it.
    faulty = [problem.line for problem in episode.problems]
    edits = [
        (fence, text)
        for fence, text in new_texts(happened)
        if not any(fence.line <= line <= fence.end for line in faulty) and wanted(fence, text)
    ]
    if edits:
        _write(page, episode, with_fences(episode.text, edits))
    written = sum(
        _write_figure(page.parent / figure.source, image)
        for execution in happened
        for figure, image in _drawn(execution)
        if figures or not (page.parent / figure.source).is_file()
    )
    rewritten = lesson.read(page) if edits else episode
    return Update(len(edits), written, _judged_again(rewritten, results))


def new_texts(executions: Iterable[Execution]) -> list[tuple[Fence, str]]:
    """The fences whose text must change, and their new text."""
    edits: list[tuple[Fence, str]] = []
    for execution in executions:
        if execution.ended or binary_character(plain(execution.printed)):
            continue
        if execution.failure and not execution.block.must_raise:
            continue
        for shown in execution.block.shown:
            if len([other for other in execution.block.shown if other.kind == shown.kind]) > 1:
                continue  # which of them shows what, only the text around them knows
            if shown.kind == "output" and not normal(execution.output):
                continue  # the page's own text, which would be lost
            if shown.kind == "output" and OUR_HOME.search(execution.output):
                continue  # the folder of this run, which is gone
            text = _new_text(shown, execution)
            if text != shown.text:
                edits.append((shown.fence, text))
    return edits


def _new_text(shown: Shown, execution: Execution) -> str:
    if shown.kind == "json":
        answer = exact_json.loads(execution.output)
        was = exact_json.loads(shown.text) if shown.text.strip() else None
        if shown.text.strip() and not json_difference(was, answer):
            return shown.text
        merged = merge_json(was, answer) if shown.text.strip() else answer
        return exact_json.dumps(merged, indent=2) + "\n"
    if shown.kind == "output":
        block = execution.block
        if matches(shown.text, execution.output, block.compare):
            return shown.text
        if not block.strict and agrees(block, execution.output):
            return shown.text  # as it is meant
        return merge_text(shown.text, execution.output)
    if execution.failure is None:
        return shown.text  # the block raised nothing: its author decides what that means
    raised = normal(execution.failure.text)
    if not raised or same_error(execution):
        return shown.text
    return above_the_error(shown.text, execution.failure.name) + raised


def with_fences(text: str, edits: list[tuple[Fence, str]]) -> str:
    """The page with new text in these fences; indentation and line endings stay as they are."""
    lines = LINES_WITH_ENDS.findall(text)
    for fence, new in sorted(edits, key=lambda edit: -edit[0].line):
        opening, closing = lines[fence.line - 1], lines[fence.end - 1]
        end = opening[len(opening.rstrip("\r\n")) :]
        # Inside a list the lines below the marker stand as far in as the text beside it.
        indent = re.sub(r"[^\s>]", " ", fence.indent)
        indent += " " if indent.endswith(">") else ""  # a quote takes one blank as its own
        marker = _long_enough(fence.marker, new)
        body = [f"{indent}{line}".rstrip() + end for line in lines_of(new)]
        lines[fence.line - 1 : fence.end] = [
            opening.replace(fence.marker, marker, 1),
            *body,
            closing.replace(fence.marker, marker, 1),
        ]
    return "".join(lines)


def _long_enough(marker: str, text: str) -> str:
    runs = re.findall(rf"^\s*({re.escape(marker[0])}{{3,}})", text, re.MULTILINE)
    longest = max((len(run) for run in runs), default=0)
    return marker if longest < len(marker) else marker[0] * (longest + 1)


def _write(page: Path, episode: Episode, text: str) -> None:
    now = page.read_bytes() if page.is_file() else b""
    mark = codecs.BOM_UTF8 if now.startswith(codecs.BOM_UTF8) else b""
    if now != mark + episode.text.encode("utf-8"):
        raise LessonError(
            f"{episode.path} changed while its code ran: nothing was written, run again"
        )
    draft = page.with_name(f".{page.name}.new")
    draft.write_bytes(mark + text.encode("utf-8"))
    shutil.copymode(page, draft)
    draft.replace(page)


def _drawn(execution: Execution) -> list[tuple[Figure, bytes]]:
    """Each image of the page with its plot; empty where it is unclear which belongs to which."""
    figures, images = execution.block.figures, execution.images
    if len(images) < len(figures):
        figures = tuple(figure for figure in figures if figure.expected)
    if len(images) < len(figures):
        return []
    last = images[len(images) - len(figures) :]
    return list(zip(figures, map(signed, last), strict=True))


def _write_figure(file: Path, image: bytes) -> bool:
    if file.is_file() and file.read_bytes() == image:
        return False
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(image)
    return True


def _judged_again(episode: Episode, results: tuple[Result, ...]) -> tuple[Result, ...]:
    """The same executions held against the page as it is now. The order of blocks is the same."""
    by_language: dict[str, list[Result]] = {}
    for result in results:
        by_language.setdefault(result.block.language, []).append(result)
    judged: list[Result] = []
    for language, old in by_language.items():
        if language == "json":
            judged += _answers_again(episode, old)
            continue
        blocks = episode.to_run(language)
        again = [
            judge(replace(result.execution, block=block))
            if result.execution
            else replace(result, block=block)
            for block, result in zip(blocks, old, strict=True)
        ]
        for now, result in zip(completed(again, episode), old, strict=True):
            judged.append(replace(following(now, result.follows), explained=result.explained))
    return tuple(judged)


def _answers_again(episode: Episode, old: list[Result]) -> list[Result]:
    pairs = zip(episode.responses, old, strict=True)
    return [
        replace(result, block=block)
        if result.execution is None
        else Result(block, "passed", seconds=result.seconds, execution=result.execution)
        for block, result in pairs
    ]
