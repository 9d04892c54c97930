"""Record today's failures: from now on, checks are red for new ones only.

They go into lesson-baseline.json, which belongs into the lesson's repository. A block is known
again wherever it moves to in its page; if its text changes, or it fails in another way, it is new.
Later on, the command takes off what is gone, and takes nothing new on unless it is told to.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lesson import check
from lesson.options import lesson_of
from lesson.show import Outcome, console_of_the_call, counted, tell_causes
from lesson_runner.judge.baseline import (
    NAME,
    Baseline,
    Known,
    fingerprint,
    is_not_reached,
    known_as,
    read_baseline,
    write_baseline,
)
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.verify import language_of, parts

EXAMPLE = "lesson baseline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    check.add_arguments_of_one_run(parser)
    parser.add_argument(
        "--add",
        action="store_true",
        help="take new failures on, too (by default, only the first list has all of them)",
    )


def run(options: argparse.Namespace) -> int:
    lesson = lesson_of(options)
    before = read_baseline(lesson.root).known
    console = console_of_the_call()
    outcome = Outcome()
    episodes = check.read(lesson, lesson.pages, options, outcome, console, Baseline())
    check.run_once(options, lesson, episodes, outcome, console)
    now = Counter(known_as(result) for result in outcome.failed)
    new = now - Counter(before)
    takes_on = options.add or not (lesson.root / NAME).is_file()
    if not takes_on:
        now -= new
    now += Counter(one for one in before if not was_checked(one, lesson, episodes, outcome))
    write_baseline(lesson.root, now.elements())
    tell_causes(console, outcome.failed, few=0)
    gone = (Counter(before) - now).total()
    console.print(
        f"{NAME} has {counted(now.total(), 'known failure')}: "
        f"{new.total() if takes_on else 0} new, {gone} gone. Commit it with the lesson.",
        markup=False,
    )
    if new and not takes_on:
        many = counted(new.total(), "new failure")
        console.print(f"{many} not taken on: see lesson check; lesson baseline --add takes them on")
        return 1
    return 0


def was_checked(
    known: Known, lesson: Lesson, episodes: Mapping[Path, Episode], outcome: Outcome
) -> bool:
    """Whether this run would have seen the failure. One of a page, or of blocks, that are not there
    any more is gone as well."""
    page = lesson.root / known.page
    if not page.is_file():
        return True
    if page not in episodes:
        return False
    if known.language not in map(language_of, parts(episodes[page])):
        return True  # or it is of a directive, which was read
    return any(
        (one.episode.path, language_of(one.language)) == (known.page, known.language)
        and not one.missing
        and known.block not in {fingerprint(r) for r in one.results if is_not_reached(r)}
        for one in outcome.checked
    )
