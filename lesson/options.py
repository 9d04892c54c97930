"""Options that several subcommands share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lesson_runner import LANGUAGES
from lesson_runner.options import languages, number_from
from lesson_runner.page.places import LessonError, find_root

if TYPE_CHECKING:
    from lesson_runner.page.lesson import Lesson

LIVE_SECONDS = 300
"""Time limit of a block on a real proxy, whose models take their time."""


def add_page_arguments(parser: argparse.ArgumentParser, seconds: int) -> None:
    """Which pages and languages a command runs, with a limit of so many seconds for a block."""
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
    parser.add_argument(
        "--block-timeout",
        type=number_from(1),
        default=seconds,
        metavar="SECONDS",
        help="time limit of each block (default: %(default)s)",
    )


def lesson_of(options: argparse.Namespace) -> "Lesson":
    """The lesson with the pages that a call names, or with all of its pages."""
    from lesson_runner.page.lesson import find_lesson

    start = next((page for page in options.pages if page.exists()), Path.cwd())
    return find_lesson(root_of(options.root, start), options.pages)


def root_of(given: Path | None, start: Path) -> Path:
    """The lesson at `given`, or the one that `start` belongs to."""
    if given is not None:
        return given.resolve()
    root = find_root(start)
    if root is None:
        raise LessonError(
            f"{start} belongs to no lesson (a folder with config.yaml and episodes/): "
            "go into one, or give --root DIR"
        )
    return root


def dollars(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of US dollars, such as 0.50")
    return amount


def pair(form: str) -> Callable[[str], tuple[str, str]]:
    """Reads `gpt-4o-mini=gemma3` as ("gpt-4o-mini", "gemma3"); `form` is what an error asks for."""

    def read(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
        return name, value

    return read


def stand_in(text: str) -> tuple[str, str]:
    """`gpt-4=theirs` → ("gpt-4", "theirs")."""
    ours, _, theirs = (part.strip() for part in text.partition("="))
    if not ours or not theirs:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=THEIRS, such as gpt-4=our-gpt")
    return ours, theirs


def add_live_arguments(parser: argparse._ActionsContainer) -> None:
    """The options of a run against a real proxy."""
    parser.add_argument(
        "--model",
        type=stand_in,
        action="append",
        metavar="NAME=THEIRS",
        help="their model stands in for this model of the lesson; may be given several times",
    )
    parser.add_argument(
        "--max-cost", type=dollars, metavar="USD", help="stop when so much is spent (no limit)"
    )
    parser.add_argument(
        "--learners",
        type=number_from(1, 100_000),
        metavar="N",
        help="estimate the cost of a class of this size (%(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=number_from(1, 64),
        metavar="N",
        help="how many pages run at a time (%(default)s)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before it starts")
    parser.set_defaults(model=[], max_cost=None, learners=30, jobs=1, yes=False)
