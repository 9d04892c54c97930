"""The types of options, for the plugin of pytest and for commands. Light to import."""

import argparse
from collections.abc import Callable

from lesson_runner import ALIASES, LANGUAGES


def languages(text: str) -> tuple[str, ...]:
    """`python,R` → ("python", "r")."""
    names = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in text.split(",")]
    if unknown := [name for name in names if name not in LANGUAGES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(LANGUAGES)}")
    return tuple(names)


def number_from(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an option that is a number in a range."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            limit = f"from {least} to {most}" if most < 10**9 else f"from {least}"
            raise argparse.ArgumentTypeError(f"{text!r} is no number {limit}")
        return int(text)

    return number
