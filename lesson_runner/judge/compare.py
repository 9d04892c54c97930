"""Shown text and actual text → agreement or the difference between them. Pure functions."""

import difflib
import math
import re
from typing import Any

from lesson_runner.page import exact_json
from lesson_runner.page.comparison import EXACT, Comparison
from lesson_runner.page.plain_text import lines_of, normal

TOKEN = re.compile(r"\.\.\.|\w+|\W")
ANYTHING = "..."

MOST_PAIRS = 1_000_000
"""Pairs of lines or words that are compared for a merge: beyond that it takes too long."""


NUMBER = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")
WORD = re.compile(r"[^\s,;()\[\]{}]+")


def matches(shown: str, actual: str, compare: Comparison = EXACT) -> bool:
    """Whether they agree but for trailing blanks; `...` in `shown` stands for any text."""
    shown, actual = normal(shown), normal(actual)
    if compare.digits is not None:
        actual = _as_written(shown, actual, compare.digits)
    if not compare.order:
        return sorted(WORD.findall(shown)) == sorted(WORD.findall(actual))
    if not compare.blanks:
        shown, actual = " ".join(shown.split()), " ".join(actual.split())
    return _fits(shown, actual)


def _as_written(shown: str, actual: str, digits: int) -> str:
    """`actual`, in which each number that `shown` has in so many digits is written as there."""
    numbers = NUMBER.findall(shown)

    def write(match: re.Match[str]) -> str:
        value, tolerance = float(match[0]), 0.5 * 10 ** (1 - digits)
        near = [n for n in numbers if math.isclose(float(n), value, rel_tol=tolerance)]
        return match[0] if match[0] in near else next(iter(near), match[0])

    return NUMBER.sub(write, actual)


def ways_to_agree(shown: str, actual: str) -> Comparison | None:
    """The least that must not count for both to agree, or None if there is nothing like that."""
    ways = [Comparison(blanks=False), Comparison(digits=6), Comparison(order=False)]
    ways += [Comparison(blanks=False, digits=6)]
    return next((way for way in ways if matches(shown, actual, way)), None)


def _fits(pattern: str, text: str) -> bool:
    """As doctest does it, character by character: doctest itself takes `\\xe9` for `é`."""
    first, *pieces = pattern.split(ANYTHING)
    if not pieces:
        return pattern == text
    last = pieces.pop()
    position, end = len(first), len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or position > end:
        return False
    for piece in pieces:
        position = text.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return True


def difference(
    shown: str, actual: str, name: str = "the page shows", compare: Comparison = EXACT
) -> str:
    """A unified difference, empty where they agree."""
    if matches(shown, actual, compare):
        return ""
    want, got = lines_of(shown), lines_of(actual)
    # Lines that agree through `...` are context, not differences.
    agreed = {line: _agreeing(line, got) for line in want if ANYTHING in line}
    settled = [agreed.get(line) or line for line in want]
    want = want if settled == got else settled
    diff = difflib.unified_diff(want, got, name, "the block prints", lineterm="", n=2)
    return "\n".join(diff)


def _agreeing(pattern: str, lines: list[str]) -> str | None:
    return next((line for line in lines if pattern != ANYTHING and _fits(pattern, line)), None)


def merge_text(shown: str, actual: str) -> str:
    """`actual`, but with each `...` of `shown` kept where what it stands for still fits.

    Where `actual` has as many itself, as pandas prints them, they are its own.
    """
    if matches(shown, actual):
        return shown
    if 0 < shown.count(ANYTHING) <= actual.count(ANYTHING):
        return normal(actual)
    text = "".join(f"{line}\n" for line in _merge(lines_of(shown), lines_of(actual)))
    return text if matches(text, actual) else normal(actual)


def _merge(want: list[str], got: list[str]) -> list[str]:
    """Lines, or the words of a line, between those that stayed the same."""
    if not any(ANYTHING in item for item in want) or len(want) * len(got) > MOST_PAIRS:
        return got
    merged: list[str] = []
    start_want = start_got = 0
    for at_want, at_got in [*_anchors(want, got), (len(want), len(got))]:
        merged += _merge_between(want[start_want:at_want], got[start_got:at_got])
        merged += want[at_want : at_want + 1]
        start_want, start_got = at_want + 1, at_got + 1
    return merged


def _anchors(want: list[str], got: list[str]) -> list[tuple[int, int]]:
    """Pairs that agree: the longest common subsequence, `...` inside lines included."""
    best = [[0] * (len(got) + 1) for _ in range(len(want) + 1)]
    for i in range(len(want) - 1, -1, -1):
        for j in range(len(got) - 1, -1, -1):
            agree = want[i] != ANYTHING and _fits(want[i], got[j])
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + 1 if agree else 0)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(want) and j < len(got):
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _merge_between(want: list[str], got: list[str]) -> list[str]:
    """What lies between two anchors: changed items are replaced around the one `...`."""
    if want.count(ANYTHING) == 0 and len(want) == len(got):
        return [_merge_line(*pair) for pair in zip(want, got, strict=True)]
    if want.count(ANYTHING) != 1:
        return got
    before = want.index(ANYTHING)
    after = len(want) - before - 1
    if before + after > len(got):
        return got
    middle = len(got) - after
    return [
        *_merge_between(want[:before], got[:before]),
        ANYTHING,
        *_merge_between(want[before + 1 :], got[middle:]),
    ]


def _merge_line(want: str, got: str) -> str:
    """The same word by word: `took ... s, 3 rows` becomes `took ... s, 4 rows`."""
    if ANYTHING not in want:
        return got
    return "".join(_merge(TOKEN.findall(want), TOKEN.findall(got)))


# JSON


def json_difference(shown: Any, actual: Any, place: str = "") -> str:
    """Where two JSON values first differ, empty where they agree.

    `"..."` in `shown` stands for any value, as last item of a list for any number of further
    items, as a key for any further keys.
    """
    here = place or "the answer"
    if shown == ANYTHING:
        return ""
    if isinstance(shown, dict) and isinstance(actual, dict):
        return _object_difference(shown, actual, place)
    if isinstance(shown, list) and isinstance(actual, list):
        open_end = bool(shown) and shown[-1] == ANYTHING
        items = shown[:-1] if open_end else shown
        if len(actual) < len(items) or (len(actual) > len(items) and not open_end):
            return f"{here} has {len(actual)} items, the page shows {len(items)}"
        found = (
            json_difference(want, got, f"{place}[{index}]")
            for index, (want, got) in enumerate(zip(items, actual, strict=False))
        )
        return next(filter(None, found), "")
    # Python takes True and 1.0 for 1. A reader does not.
    if type(shown) is type(actual) and shown == actual:
        return ""
    return f"{here} is {_short(actual)}, the page shows {_short(shown)}"


def _object_difference(shown: dict[str, Any], actual: dict[str, Any], place: str) -> str:
    here = place or "the answer"
    for key, want in shown.items():
        if key == ANYTHING:
            continue
        if key not in actual:
            return f'{here} has no "{key}", which the page shows'
        if found := json_difference(want, actual[key], f"{place}.{key}" if place else key):
            return found
    more = [key for key in actual if key not in shown]
    if more and ANYTHING not in shown:
        return f'{here} has "{more[0]}", which the page does not show'
    return ""


def _short(value: Any) -> str:
    text = exact_json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def merge_json(shown: Any, actual: Any) -> Any:
    """`actual`, but with `"..."` kept wherever `shown` has it, and `shown`'s order of keys."""
    if shown == ANYTHING:
        return shown
    if isinstance(shown, dict) and isinstance(actual, dict):
        kept = {
            key: merge_json(want, actual[key]) if key in actual else want
            for key, want in shown.items()
            if key in actual or key == ANYTHING
        }
        more = {} if ANYTHING in shown else actual
        return kept | {key: value for key, value in more.items() if key not in kept}
    if isinstance(shown, list) and isinstance(actual, list):
        if not shown or shown[-1] != ANYTHING:
            pairs = [merge_json(w, g) for w, g in zip(shown, actual, strict=False)]
            return pairs + actual[len(pairs) :]
        head = [merge_json(w, g) for w, g in zip(shown[:-1], actual, strict=False)]
        return [*head, ANYTHING]
    return actual
