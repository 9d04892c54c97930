"""The output of `lesson check`: a line per page and language, failures, the table at the end."""

import argparse
import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import indent

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lesson_runner import LANGUAGES
from lesson_runner.judge import report
from lesson_runner.judge.baseline import NAME as BASELINE
from lesson_runner.judge.baseline import Baseline, Known
from lesson_runner.judge.causes import Group, by_cause
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Episode, Problem
from lesson_runner.page.places import SUFFIXES, LessonError, find_root, is_page
from lesson_runner.verify import RESPONSES, Checked


@dataclass
class Outcome:
    """Everything that a run found, as it grows."""

    checked: list[Checked] = field(default_factory=list)
    others: list[Result] = field(default_factory=list)
    without_meaning: list[Result] = field(default_factory=list)
    """Fences, directives and settings that are problems."""
    gone: list[Known] = field(default_factory=list)
    """Known problems that are none any more; those of blocks are in `checked`."""
    recorded: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """By page and part: the models whose recorded answers it got."""

    def add_problems(
        self, problems: Iterable[Problem], baseline: Baseline, path: str = ""
    ) -> list[Problem]:
        """Returns the problems that are not known."""
        problems = list(problems)
        marked = baseline.mark(map(report.problem_as_result, problems), path, "")
        self.without_meaning += marked.results
        self.gone += marked.gone
        return [p for p, r in zip(problems, marked.results, strict=True) if not r.known]

    @property
    def failed(self) -> list[Result]:
        """What is wrong and not known."""
        problems = [result for result in self.without_meaning if not result.known]
        return [*problems, *(result for one in self.checked for result in one.failed)]

    @property
    def known(self) -> list[Result]:
        problems = [result for result in self.without_meaning if result.known]
        return [*problems, *(result for one in self.checked for result in one.known)]

    @property
    def results(self) -> list[Result]:
        return [*self.others, *(result for one in self.checked for result in one.results)]

    @property
    def is_well(self) -> bool:
        return not self.failed


def console_of_the_call() -> Console:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120  # a log has no edge to fold a page's name at
    return console


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


@contextlib.contextmanager
def paused(bar: Progress) -> Iterator[None]:
    """Without the bar, which would be drawn over a question."""
    if not bar.disable:
        bar.stop()
    yield
    if not bar.disable:
        bar.start()


def tell_checked(console: Console, checked: Checked, *, brief: bool = False) -> None:
    """A line for the page and language, and below it its failures, unless it is to be brief."""
    ran = sum(result.outcome in ("passed", "failed") for result in checked.results)
    state = f"{len(checked.failed)} failed" if checked.failed else "ok"
    if checked.known:
        state += f", {counted(len(checked.known), 'known failure')}"
    if checked.missing and not checked.failed:
        state = f"not run: {checked.missing}"
    name = f"{checked.episode.path} {checked.language}"
    console.print(
        f"{name}: {counted(ran, 'block')}, {checked.seconds:.1f} s, {state}", markup=False
    )
    for result in () if brief else checked.failed:
        text = report.failure_text(result, checked.episode.text)
        tell(console, text, result.block.path, result.line_to_show, result.message)


def tell(console: Console, text: str, path: str, line: int, message: str) -> None:
    """A failure for people, and where GitHub runs this, an annotation on the line."""
    console.print(text, markup=False, style="red" if console.is_terminal else None)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(report.annotation(path, line, message), flush=True)


def summarize(console: Console, outcome: Outcome, episodes: Iterable[Episode]) -> None:
    # Eighty columns are enough for the longest name of a page.
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=0)
    rows = [row for episode in episodes for row in rows_of(episode, outcome)]
    total = [sum(column) for column in zip(*(row.numbers for row in rows), strict=True)]
    table.add_column("page", "together", no_wrap=True)
    table.add_column("language", no_wrap=True)
    headings = ("blocks\nrun", "outputs\nchecked", "shown\nas data", "not\nrun")
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
    tell_causes(console, outcome.failed)
    tell_known(console, outcome)
    console.print(closing(outcome, outcome.is_well))


def closing(outcome: Outcome, is_well: bool) -> str:
    if is_well:
        return "All well." if outcome.results else "Nothing ran."
    problems = sum(not result.known for result in outcome.without_meaning)
    failed = counted(len(outcome.failed) - problems, "block")
    in_pages = f"{counted(problems, 'problem')} in pages, " if problems else ""
    return f"{in_pages}{failed} failed."


FEW = 3


def tell_causes(console: Console, failed: Iterable[Result], few: int = FEW) -> None:
    """Why blocks failed, where there are more than a few: too many to read each message."""
    groups = by_cause(failed)
    if sum(len(group.results) for group in groups) <= few:
        return
    for group in groups:
        console.print(f"{group}\n    {places(group)}\n    → {group.remedy}", markup=False)


def places(group: Group) -> str:
    return report.short_places(f"{r.block.path}:{r.line_to_show}" for r in group.results)


def tell_known(console: Console, outcome: Outcome) -> None:
    """What the baseline knows of, and what it need not know of any more."""
    if known := outcome.known:
        console.print(f"{counted(len(known), 'known failure')} ({BASELINE})")
    gone = gone_of(outcome)
    for one in gone:
        console.print(f"gone: {one.page}: {one.cause}: {one.begins}", markup=False)
    if gone:
        console.print(f"{counted(len(gone), 'known failure')} gone: lesson baseline takes note")


def gone_of(outcome: Outcome) -> list[Known]:
    return [*outcome.gone, *(one for checked in outcome.checked for one in checked.gone)]


REPORTED = 12
"""Lines of what differs, for each failure of a report."""


def markdown_report(outcome: Outcome) -> str:
    """The failures by their causes, for a pull request."""
    failed = outcome.failed
    lines = [f"### {closing(outcome, outcome.is_well)}", ""]
    for group in by_cause(failed):
        lines += [f"<details><summary>{group}</summary>", "", f"{group.remedy}.", ""]
        for result in group.results:
            lines.append(f"- `{result.place}`: {code(result.reason)}")
            if result.detail:
                detail = report.printable(report.shortened(result.detail, REPORTED))
                lines.append(indent(f"````diff\n{detail}\n````", "  "))
        lines += ["", "</details>", ""]
    if known := outcome.known:
        lines += [f"{counted(len(known), 'known failure')} in `{BASELINE}`.", ""]
    if gone := gone_of(outcome):
        lines += [f"{counted(len(gone), 'known failure')} gone: `lesson baseline` takes note.", ""]
        lines += [f"- `{one.page}`: {one.cause}: {code(one.begins)}" for one in gone]
    return "\n".join(lines)


def code(text: str) -> str:
    """The text as code, so that nothing in it is Markdown."""
    text = report.short(text).replace("\n", " ")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks} {text} {ticks}" if "`" in text else f"`{text}`"


def counted(number: int, thing: str) -> str:
    """`1 block`, `2 blocks`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


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
    if not results and episode.path.startswith("episodes/"):
        yield Row(episode.path, "no code", (0, 0, 0, 0))


def name_of(result: Result) -> str:
    if result.block.role == "response":
        return RESPONSES
    return result.block.language if result.block.language in LANGUAGES else "data"


def left_out(
    episodes: Iterable[Episode], languages: Iterable[str], reason: str
) -> Iterator[Result]:
    """The blocks that the call itself says not to run."""
    for episode in episodes:
        for block in episode.blocks:
            if block.role in ("run", "response") and block.language in languages:
                yield Result(block, "not run", reason)


def not_reached(episode: Episode, part: str, why: str) -> Checked:
    """The results of a page that the run stopped before."""
    blocks = episode.responses if part == RESPONSES else episode.to_run(part)
    reason = f"not reached: {why}"
    results = tuple(Result(block, "not run", reason) for block in blocks)
    return Checked(episode, part, results, missing=reason)


def require(checked: Checked, options: argparse.Namespace) -> Checked:
    """A kernel that is missing is a failure where its language is required."""
    if not checked.missing or checked.language not in options.require_languages:
        return checked
    first, *rest = checked.results
    return replace(checked, results=(replace(first, outcome="failed"), *rest))


def refuse_to_overwrite(file: Path, option: str = "--json") -> None:
    """`lesson check --json PAGE` would replace the page by its report."""
    root = find_root(file.parent)
    is_own = root is not None and is_page(file.resolve(), root)
    if is_own or (file.suffix in SUFFIXES and option == "--json") or file.is_dir():
        raise LessonError(f"{option} writes its report into {file}: name another file for it")
    if not file.absolute().parent.is_dir():
        raise LessonError(f"{option}: no folder {file.absolute().parent}")
