"""Options that several subcommands share."""

import argparse
from collections.abc import Callable
from pathlib import Path

from lesson_runner import LANGUAGES
from lesson_runner.episode import ALIASES
from lesson_runner.workbench import LessonError, find_root


def languages(text: str) -> tuple[str, ...]:
    """`python,R` → ("python", "r")."""
    names = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in text.split(",")]
    if unknown := [name for name in names if name not in LANGUAGES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(LANGUAGES)}")
    return tuple(names)


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


def number_from(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an option that is a number in a range."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            limit = f"from {least} to {most}" if most < 10**9 else f"from {least}"
            raise argparse.ArgumentTypeError(f"{text!r} is no number {limit}")
        return int(text)

    return number
