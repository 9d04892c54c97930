"""Run every block of every page, and compare what it prints with what the page shows."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lesson.options import languages, root_of
from lesson.practice import practice_environment
from lesson_runner import report
from lesson_runner.episode import LANGUAGES, Episode, Problem
from lesson_runner.execute import Limits
from lesson_runner.update import update_page
from lesson_runner.verdict import Result
from lesson_runner.verify import RESPONSES, Checked, Verification, not_executed, parts
from lesson_runner.workbench import Lesson, LessonError, find_lesson

EXAMPLE = "lesson check episodes/api-litellm.md --update"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pages", nargs="*", type=Path, metavar="PAGE", help="default: every page of the lesson"
    )
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument(
        "--language", type=languages, default=LANGUAGES, help="only these, such as python,r"
    )
    parser.add_argument(
        "--require-languages",
        type=languages,
        default=(),
        metavar="LANGUAGES",
        help="a kernel that is missing for one of these is a failure",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one object per block")
    parser.add_argument(
        "--parse-only", action="store_true", help="account for every fence, run nothing"
    )
    parser.add_argument(
        "--update", action="store_true", help="write what really happens into the pages"
    )
    parser.add_argument(
        "--block-timeout",
        type=int,
        default=Limits.seconds,
        metavar="SECONDS",
        help="time limit of each block (default: %(default)s)",
    )


@dataclass
class Outcome:
    """Everything that a run found, as it grows."""

    checked: list[Checked] = field(default_factory=list)
    others: list[Result] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[tuple[Checked, str]] = field(default_factory=list)

    @property
    def results(self) -> list[Result]:
        return [*self.others, *(result for one in self.checked for result in one.results)]

    @property
    def is_well(self) -> bool:
        return not self.problems and not any(one.failed for one in self.checked)


def run(options: argparse.Namespace) -> int:
    if options.parse_only and options.update:
        raise LessonError("--parse-only runs nothing that --update could write: give one of them")
    start = options.pages[0] if options.pages else Path.cwd()
    root = root_of(options.root, start)
    lesson = find_lesson(root, options.pages)
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120  # a log has no edge to fold a page's name at
    outcome = Outcome(problems=list(lesson.problems))
    episodes = {page: lesson.read(page) for page in lesson.pages}
    for episode in episodes.values():
        outcome.problems += episode.problems
        outcome.others += not_executed(episode)
    for problem in outcome.problems:
        tell(console, str(problem), problem.path, problem.line, problem.message)
    everything = tuple(episodes.values())
    if options.parse_only:
        outcome.others += left_out(everything, (*LANGUAGES, "json"), "--parse-only")
    else:
        others = [language for language in LANGUAGES if language not in options.language]
        outcome.others += left_out(everything, others, "left out by --language")
        check(options, lesson, episodes, outcome, console)
    if options.json:
        write_json(options.json, outcome)
    summarize(console, outcome, everything)
    return 0 if outcome.is_well else 1


def left_out(
    episodes: Iterable[Episode], languages: Iterable[str], reason: str
) -> Iterator[Result]:
    """The blocks that the call itself says not to run."""
    for episode in episodes:
        for block in () if episode.problems else episode.blocks:
            if block.role in ("run", "response") and block.language in languages:
                yield Result(block, "not run", reason)


def check(
    options: argparse.Namespace,
    lesson: Lesson,
    episodes: dict[Path, Episode],
    outcome: Outcome,
    console: Console,
) -> None:
    """Start everything, then report in the order of the pages."""
    work = [(page, e, part) for page, e in episodes.items() for part in parts(e, options.language)]
    limits = Limits(seconds=options.block_timeout)
    with (
        practice_environment() as environment,
        Verification(lesson.root, environment, limits) as verification,
        progress(console) as bar,
    ):
        task = bar.add_task("", total=len(work))
        for _, episode, part in work:
            verification.start(episode, part)
        of_page: list[Checked] = []
        for number, (page, episode, part) in enumerate(work):
            bar.update(task, description=f"{episode.path} {part}")
            checked = require(verification.start(episode, part).result(), options)
            of_page.append(checked)
            if number + 1 == len(work) or work[number + 1][0] != page:
                if options.update:
                    of_page = updated(lesson, page, of_page, console)
                for one in of_page:
                    tell_checked(console, one)
                outcome.checked += of_page
                of_page = []
            bar.advance(task)


def require(checked: Checked, options: argparse.Namespace) -> Checked:
    """A kernel that is missing is a failure where its language is required."""
    if not checked.missing or checked.language not in options.require_languages:
        return checked
    first, *rest = checked.results
    return replace(checked, results=(replace(first, outcome="failed"), *rest))


def updated(lesson: Lesson, page: Path, of_page: list[Checked], console: Console) -> list[Checked]:
    """Write the page; the same executions, held against what it says now."""
    now: list[Checked] = []
    results = [result for checked in of_page for result in checked.results]
    if not results:
        return of_page
    update = update_page(lesson, page, of_page[0].episode, results)
    if update.fences or update.figures:
        what = f"{update.fences} fences" + (f", {update.figures} figures" if update.figures else "")
        console.print(f"{of_page[0].episode.path}: {what} written")
    for checked in of_page:
        language = "json" if checked.language == RESPONSES else checked.language
        own = tuple(r for r in update.results if r.block.language == language)
        now.append(replace(checked, episode=lesson.read(page), results=own))
    return now


# What people see


def progress(console: Console) -> Progress:
    """A bar on a terminal; elsewhere nothing but the lines that are printed anyway."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def tell_checked(console: Console, checked: Checked) -> None:
    ran = sum(result.outcome in ("passed", "failed") for result in checked.results)
    state = f"{len(checked.failed)} failed" if checked.failed else "ok"
    if checked.missing and not checked.failed:
        state = f"not run: {checked.missing}"
    name = f"{checked.episode.path} {checked.language}"
    console.print(f"{name}: {ran} blocks, {checked.seconds:.1f} s, {state}", markup=False)
    for result in checked.failed:
        text = report.failure_text(result, checked.episode.text)
        line = result.line or result.block.line
        tell(console, text, result.block.path, line, f"{result.reason}\n{result.detail}".strip())


def tell(console: Console, text: str, path: str, line: int, message: str) -> None:
    """A failure for people, and where GitHub runs this, an annotation on the line."""
    console.print(text, markup=False, style="red" if console.is_terminal else None)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(report.annotation(path, line, message), flush=True)


def summarize(console: Console, outcome: Outcome, episodes: Iterable[Episode]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    rows = [row for episode in episodes for row in rows_of(episode, outcome)]
    total = [sum(column) for column in zip(*(row.numbers for row in rows), strict=True)]
    table.add_column("page", "together", no_wrap=True)
    table.add_column("language", no_wrap=True)
    headings = ("blocks run", "outputs checked", "shown as data", "not run")
    for heading, number in zip(headings, total or (0, 0, 0, 0), strict=True):
        table.add_column(heading, str(number), justify="right")
    seconds = sum(row.seconds or 0.0 for row in rows)
    table.add_column("seconds", f"{seconds:.1f}", justify="right")
    for row in rows:
        took = "" if row.seconds is None else f"{row.seconds:.1f}"
        table.add_row(row.page, row.language, *map(str, row.numbers), took)
    console.print(table)
    for reason, places in report.reasons_not_run(outcome.results):
        console.print(f"not run: {reason}\n    {report.short_places(places)}", markup=False)
    failed = sum(len(one.failed) for one in outcome.checked)
    if outcome.is_well:
        console.print("All well.")
    else:
        console.print(f"{len(outcome.problems)} problems in pages, {failed} blocks failed.")


@dataclass(frozen=True)
class Row:
    """One line of the table; `numbers`: blocks run, outputs checked, shown as data, not run."""

    page: str
    language: str
    numbers: tuple[int, int, int, int]
    seconds: float | None = None


def rows_of(episode: Episode, outcome: Outcome) -> Iterator[Row]:
    """A row per language of the page; fences of all other languages are one row, `data`."""
    results: dict[str, list[Result]] = {}
    for result in outcome.results:
        if result.block.path == episode.path:
            results.setdefault(name_of(result), []).append(result)
    seconds = {c.language: c.seconds for c in outcome.checked if c.episode.path == episode.path}
    for name in (*LANGUAGES, RESPONSES, "data"):
        if name in results:
            yield Row(episode.path, name, report.numbers(results[name]), seconds.get(name))
    if not results:
        yield Row(episode.path, "no code", (0, 0, 0, 0))


def name_of(result: Result) -> str:
    if result.block.role == "response":
        return RESPONSES
    return result.block.language if result.block.language in LANGUAGES else "data"


def write_json(file: Path, outcome: Outcome) -> None:
    records: list[dict[str, Any]] = [report.problem_record(p) for p in outcome.problems]
    records += [report.block_record(result) for result in outcome.results]
    records.sort(key=lambda record: (record["path"], record["line"]))
    try:
        file.write_text(json.dumps(records, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        print(f"lesson: cannot write {file}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from error
