"""Run every block of every page, and compare what it prints with what the page shows."""

import argparse
import contextlib
import difflib
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from lesson.options import add_page_arguments, lesson_of
from lesson.practice import PracticeProxy, environment_of
from lesson.show import (
    Outcome,
    console_of_the_call,
    counted,
    left_out,
    markdown_report,
    not_reached,
    paused,
    progress,
    refuse_to_overwrite,
    require,
    summarize,
    tell,
    tell_checked,
)
from lesson_runner import LANGUAGES
from lesson_runner.judge import report
from lesson_runner.judge.baseline import Baseline, read_baseline
from lesson_runner.judge.rewrite import Wanted, all_of_them, update_page
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.markdown import Fence
from lesson_runner.page.places import LessonError
from lesson_runner.run.happened import Limits
from lesson_runner.verify import Checked, Verification, language_of, not_executed, parts

EXAMPLE = "lesson check episodes/api-litellm.md --update"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_page_arguments(parser, Limits.seconds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one object per block")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the failures by their causes as Markdown, for a pull request",
    )
    parser.add_argument(
        "--parse-only", action="store_true", help="account for every fence, run nothing"
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="write what really happens into the pages; where lesson.yaml does not say that the "
        "lesson is strict, each change is shown first, and you are asked",
    )
    parser.add_argument(
        "--yes", action="store_true", help="with --update: write every change, and do not ask"
    )
    parser.add_argument(
        "--figures", action="store_true", help="with --update: draw figures again that are there"
    )
    parser.add_argument(
        "-x",
        "--exitfirst",
        action="store_true",
        help="stop at the first failure (by default, later blocks run and are reported as well)",
    )
    parser.add_argument(
        "--watch", action="store_true", help="afterwards, check each page again when it is saved"
    )
    parser.set_defaults(brief=False, quit=False)


def add_arguments_of_one_run(parser: argparse.ArgumentParser) -> None:
    """Of a command that calls `run_once`: which pages, and nothing of what `lesson check` adds."""
    add_page_arguments(parser, Limits.seconds)
    parser.set_defaults(update=False, exitfirst=False, parse_only=False, json=None, brief=True)


def run_once(
    options: argparse.Namespace,
    lesson: Lesson,
    episodes: dict[Path, Episode],
    outcome: Outcome,
    console: Console,
) -> None:
    """Run every block as if no failure were known, a line for each page and language."""
    with (
        environment_of(lesson.root, episodes.values()) as environment,
        Verification(
            lesson.root,
            environment,
            Limits(seconds=options.block_timeout),
            baseline=Baseline(),
            lesson=lesson,
        ) as verification,
    ):
        check(options, lesson, episodes, verification, outcome, console)


def run(options: argparse.Namespace) -> int:
    if options.parse_only and (options.update or options.watch):
        other = "--update" if options.update else "--watch"
        raise LessonError(f"--parse-only runs nothing, {other} needs what happened: give one")
    for name in ("json", "report"):
        if file := getattr(options, name):
            refuse_to_overwrite(file, f"--{name}")
    lesson = lesson_of(options)
    if options.update and not (asks_nobody(options, lesson) or sys.stdin.isatty()):
        raise LessonError("--update asks before it writes, and nobody can answer here: add --yes")
    console = console_of_the_call()
    baseline = read_baseline(lesson.root)
    outcome = Outcome()
    outcome.add_problems(lesson.problems, Baseline())
    for problem in lesson.problems:
        tell(console, str(problem), problem.path, problem.line, problem.message)
    seen = when_saved(lesson.pages)
    episodes = read(lesson, lesson.pages, options, outcome, console, baseline)
    if options.parse_only:
        outcome.others += left_out(episodes.values(), (*LANGUAGES, "json"), "--parse-only")
        finish(options, outcome, episodes, console)
        return 0 if outcome.is_well else 1
    limits = Limits(seconds=options.block_timeout, exit_first=options.exitfirst)
    with (
        environment_of(lesson.root, episodes.values()) as environment,
        Verification(lesson.root, environment, limits, baseline=baseline) as verification,
    ):
        check(options, lesson, episodes, verification, outcome, console)
        finish(options, outcome, episodes, console)
        if options.watch:
            with contextlib.suppress(KeyboardInterrupt):
                watch(options, lesson, seen, verification, console)
    return 0 if outcome.is_well else 1


def read(
    lesson: Lesson,
    pages: Iterable[Path],
    options: argparse.Namespace,
    outcome: Outcome,
    console: Console,
    baseline: Baseline,
) -> dict[Path, Episode]:
    """Read pages; their problems, and the blocks that do not run, go into the outcome."""
    episodes = {page: lesson.read(page) for page in pages}
    for episode in episodes.values():
        new = outcome.add_problems(episode.problems, baseline, episode.path)
        outcome.others += not_executed(episode)
        for problem in new:
            tell(console, str(problem), problem.path, problem.line, problem.message)
    if not options.parse_only:
        others = [language for language in LANGUAGES if language not in options.language]
        outcome.others += left_out(episodes.values(), others, "left out by --language")
    return episodes


def finish(
    options: argparse.Namespace, outcome: Outcome, episodes: dict[Path, Episode], console: Console
) -> None:
    if options.json:
        write_json(options.json, outcome)
    if options.report:
        options.report.write_text(markdown_report(outcome), encoding="utf-8")
    summarize(console, outcome, episodes.values())


def check(
    options: argparse.Namespace,
    lesson: Lesson,
    episodes: dict[Path, Episode],
    verification: Verification,
    outcome: Outcome,
    console: Console,
) -> None:
    """Start everything, then report in the order of the pages."""
    work = {page: parts(episode, options.language) for page, episode in episodes.items()}
    with progress(console) as bar:
        task = bar.add_task("", total=sum(map(len, work.values())))
        for page, of_page in work.items():
            for part in of_page:
                verification.start(episodes[page], part)
        stopped = ""
        for page, of_page in work.items():
            found: list[Checked] = []
            for part in of_page:
                if stopped:
                    found.append(not_reached(episodes[page], part, f"{stopped} failed"))
                    continue
                bar.update(task, description=f"{episodes[page].path} {part}")
                checked = verification.start(episodes[page], part).result()
                found.append(require(checked, options))
                if options.json and isinstance(verification.environment, PracticeProxy):
                    models = verification.environment.recorded(episodes[page].path, part)
                    outcome.recorded[episodes[page].path, part] = models
                bar.advance(task)
                if options.exitfirst and found[-1].failed:
                    stopped = found[-1].failed[0].place
            if options.update:
                with paused(bar):
                    found = updated(options, lesson, page, found, verification, console)
            for checked in found:
                tell_checked(console, checked, brief=options.brief)
            outcome.checked += found


def watch(
    options: argparse.Namespace,
    lesson: Lesson,
    seen: dict[Path, int],
    verification: Verification,
    console: Console,
) -> None:
    """Check a page again when it is saved, and only that page, until Ctrl-C."""
    console.print("Waiting for a page to be saved. Ctrl-C ends.")
    while True:
        time.sleep(0.1)
        now = when_saved(lesson.pages)
        saved = [page for page, when in now.items() if when != seen.get(page)]
        seen = now
        if not saved:
            continue
        outcome = Outcome()
        episodes = read(lesson, saved, options, outcome, console, verification.baseline)
        try:
            check(options, lesson, episodes, verification, outcome, console)
        except LessonError as error:  # saved again meanwhile: the next round has it
            console.print(f"lesson: {error}", markup=False)
            continue
        if options.update:
            seen |= when_saved(saved)  # files that --update wrote are no news
        if options.json:
            write_json(options.json, outcome)
        console.print("All well." if outcome.is_well else "Not well.", f"({time.strftime('%X')})")


def when_saved(pages: Iterable[Path]) -> dict[Path, int]:
    """Each page's time of change in ns. An editor may remove a page for a moment to replace it."""
    return {page: page.stat().st_mtime_ns for page in pages if page.exists()}


def asks_nobody(options: argparse.Namespace, lesson: Lesson) -> bool:
    """Whether --update writes at once: where somebody said that outputs are written by it."""
    return bool(lesson.settings.strict or options.yes)


def wanted_by(options: argparse.Namespace, episode: Episode, console: Console) -> Wanted:
    """Shows what would change in each fence, and asks."""
    all_of_the_page = False

    def wanted(fence: Fence, text: str) -> bool:
        nonlocal all_of_the_page
        if all_of_the_page or options.quit:
            return all_of_the_page
        shown = difflib.unified_diff(
            fence.text.splitlines(), text.splitlines(), "the page", "today", lineterm="", n=1
        )
        console.print(f"{episode.path}:{fence.line}", markup=False)
        console.print("\n".join(shown), markup=False)
        try:
            question = "Write it? (y)es, (n)o, (a)ll of this page, (q)uit: "
            answer = console.input(question).strip().lower()[:1]
        except EOFError:
            answer = "q"
        all_of_the_page, options.quit = answer == "a", answer == "q"
        return answer in ("y", "a")

    return wanted


def updated(
    options: argparse.Namespace,
    lesson: Lesson,
    page: Path,
    of_page: list[Checked],
    verification: Verification,
    console: Console,
) -> list[Checked]:
    """Write the page; the same executions, held against what it says now."""
    now: list[Checked] = []
    results = [result for checked in of_page for result in checked.results]
    if not results:
        return of_page
    figures = lesson.settings.strict or options.figures
    episode = of_page[0].episode
    wanted = all_of_them if asks_nobody(options, lesson) else wanted_by(options, episode, console)
    update = update_page(lesson, page, episode, results, wanted, figures=figures)
    if update.fences or update.figures:
        numbers = ((update.fences, "fence"), (update.figures, "figure"))
        what = [counted(number, thing) for number, thing in numbers if number]
        console.print(f"{of_page[0].episode.path}: {' and '.join(what)} written")
    episode = lesson.read(page)
    for checked in of_page:
        language = language_of(checked.language)
        own = tuple(r for r in update.results if r.block.language == language)
        marked = verification.baseline.mark(own, episode.path, language)
        now.append(replace(checked, episode=episode, results=marked.results, gone=marked.gone))
    return now


def write_json(file: Path, outcome: Outcome) -> None:
    records: list[dict[str, Any]] = [report.block_record(r) for r in outcome.without_meaning]
    records += [report.block_record(result) for result in outcome.others]
    today = datetime.now(timezone.utc).date().isoformat()
    nothing: dict[str, Any] = {"ran": None, "version": "", "recorded": []}
    records = [record | nothing for record in records]
    for one in outcome.checked:
        models = outcome.recorded.get((one.episode.path, one.language), ())
        happened = {"version": one.version, "recorded": [*models]}
        for result in one.results:
            record = report.block_record(result) | nothing
            ran = result.outcome in ("passed", "failed")
            records.append(record | {"ran": today} | happened if ran else record)
    records.sort(key=lambda record: (record["path"], record["line"]))
    file.write_text(json.dumps(records, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
