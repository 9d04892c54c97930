"""A text that a regular expression matches, for the patterns that schemas use."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from typing import Any

# Python's own parser of regular expressions, which has no public name.
_NEW = sys.version_info >= (3, 11)
parser: Any = importlib.import_module("re._parser" if _NEW else "sre_parse")
sre: Any = importlib.import_module("re._constants" if _NEW else "sre_constants")


LONGEST = 1_000
"""Characters of an example: repeats can nest, and would multiply."""


class _TooLong(Exception):
    pass


def example(pattern: str) -> str | None:
    """A short text that ``pattern`` finds itself in, or None where this finds none."""
    try:
        made = _sequence(parser.parse(pattern), {})
        return made if re.search(pattern, made) else None
    except (_TooLong, re.error, KeyError, RecursionError, OverflowError):
        return None


def _sequence(items: Any, groups: dict[int, str]) -> str:
    return _joined(_one(kind, value, groups) for kind, value in items)


def _joined(parts: Iterable[str]) -> str:
    made = ""
    for part in parts:
        made += part
        if len(made) > LONGEST:
            raise _TooLong
    return made


def _one(kind: Any, value: Any, groups: dict[int, str]) -> str:
    if kind is sre.LITERAL:
        return chr(value)
    if kind is sre.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if kind is sre.ANY:
        return "a"
    if kind is sre.IN:
        return _member(value)
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT) or str(kind) == "POSSESSIVE_REPEAT":
        least, _, inner = value
        return _joined(_sequence(inner, groups) for _ in range(least))
    if kind is sre.SUBPATTERN:
        groups[value[0]] = made = _sequence(value[3], groups)
        return made
    if kind is sre.BRANCH:
        return _sequence(value[1][0], groups)
    if kind is sre.GROUPREF:
        return groups[value]
    if kind is sre.AT:  # ^, $ and \b: the check in example() tells whether they hold
        return ""
    raise KeyError(kind)


def _member(items: Any) -> str:
    """A character of a set; for sets that exclude, the first common one that is not excluded."""
    excluded = bool(items) and items[0][0] is sre.NEGATE
    if not excluded:
        kind, value = items[0]
        if kind is sre.LITERAL:
            return chr(value)
        if kind is sre.RANGE:
            return chr(value[0])
    tests = [_matches(kind, value) for kind, value in items if kind is not sre.NEGATE]
    for character in "a0 A-_.b":
        if any(test(character) for test in tests) is not excluded:
            return character
    raise KeyError("no character found")


def _matches(kind: Any, value: Any) -> Any:
    if kind is sre.LITERAL:
        return lambda c: ord(c) == value
    if kind is sre.RANGE:
        return lambda c: value[0] <= ord(c) <= value[1]
    classes = {
        sre.CATEGORY_DIGIT: r"\d",
        sre.CATEGORY_NOT_DIGIT: r"\D",
        sre.CATEGORY_SPACE: r"\s",
        sre.CATEGORY_NOT_SPACE: r"\S",
        sre.CATEGORY_WORD: r"\w",
        sre.CATEGORY_NOT_WORD: r"\W",
    }
    return re.compile(classes[value]).match
