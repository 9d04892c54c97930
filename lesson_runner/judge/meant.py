"""Whether a published page, read as it is meant, agrees with what its block prints. Pure.

Nothing here counts on a page that is `strict`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from lesson_runner.judge.compare import matches
from lesson_runner.page.episode import Block, Shown
from lesson_runner.page.plain_text import normal
from lesson_runner.page.published import as_jupyter_shows, without_moments

OUR_HOME = re.compile(r"[^\s'\":]*[\\/]lesson-\w+[\\/]\w+[\\/]home\b")
SOMEBODYS_HOME = re.compile(r"(?:/[cC])?(?:[A-Z]:)?[\\/](?:Users|home)[\\/]\w[\w.-]*")

LONG_NUMBER = re.compile(r"\b\d+\.\d{11,}\b")
DIGITS = 14
"""So many of a float's digits agree wherever it is computed; it may have 17."""

IN_SOME_ORDER = {
    "bash": re.compile(r"(?:^|[|;&(]|\bdo\b)\s*(?:ls|find|du|grep\s+(?:\S+\s+)*?-\w*[rR])\b", re.M),
    "python": re.compile(r"\b(?:glob|iglob|rglob|listdir|iterdir|scandir|walk|set)\("),
}
"""What lists files, or the items of a set: their order is the computer's, their columns too."""

SORTS = re.compile(r"\bsort(?:ed)?\b")

SAYS_WHO = re.compile(r"^-?(?:bash|sh|zsh): (?:line \d+: )?", re.MULTILINE)
QUOTES = re.compile("[`‘’]")
MODULE = re.compile(r"^(?:\w+\.)+(?=\w+(?:Error|Exception)\b)", re.MULTILINE)


def agrees(block: Block, output: str) -> bool:
    """Whether the page may mean this output of its block by those that it shows."""
    shown = block.shows("output")
    of_none = shown and (not shown.text.strip() or shown.apart or is_left_open(block))
    if of_none and not normal(output):
        return True  # it is of other code, which the text is about, or that learners write
    return any(_agree(text, output, block) for text in _meant(block))


def is_left_open(block: Block) -> bool:
    """Whether learners are to complete the block, in a challenge."""
    return not block.strict and block.challenge > 0 and "solution" not in block.div


def as_anywhere(error: str) -> str:
    """The report of an error without what depends on the shell, or on whether a notebook ran."""
    return MODULE.sub("", QUOTES.sub("'", SAYS_WHO.sub("", error)))


def _meant(block: Block) -> Iterator[str]:
    """What a published page may mean by its outputs: all of them in turn, or the first.

    Then a second one shows what comes of other input, or what another block prints.
    """
    texts = [shown.text for shown in block.shown if shown.kind == "output"]
    yield from ("".join(map(normal, texts)), "\n".join(map(normal, texts)))
    yield from (texts[0], as_jupyter_shows(texts[0]))


def is_output(shown: Shown, block: Block, output: str) -> bool:
    return _agree(shown.text, output, block)


def _agree(shown: str, actual: str, block: Block) -> bool:
    compare = block.compare
    if matches(shown, actual, compare):
        return True
    shown, actual = _on_any_computer(shown), _on_any_computer(actual)
    if matches(shown, actual, compare):
        return True
    if (table := _in_one_piece(actual)) and matches(shown, table, replace(compare, blanks=False)):
        return True
    lists = IN_SOME_ORDER.get(block.language)
    if lists is None or not lists.search(block.source) or SORTS.search(block.source):
        return False
    return matches(shown.replace("\\\n", "\n"), actual, replace(compare, order=False))


def _on_any_computer(text: str) -> str:
    """Without moments, the folder of the page or of its author, and a float's last digits."""
    text = SOMEBODYS_HOME.sub("~", OUR_HOME.sub("~", without_moments(text)))
    return LONG_NUMBER.sub(_shorter, text)


def _shorter(match: re.Match[str]) -> str:
    whole, _, fraction = match[0].partition(".")
    places = DIGITS - len(whole.lstrip("0"))
    return f"{float(match[0]):.{places}f}" if 0 < places < len(fraction) else match[0]


def _in_one_piece(text: str) -> str:
    """A table that pandas breaks at 80 columns, as it prints it where there is more room.

    Each line of a later piece begins with the name of its row once more. Empty if `text` is no
    such table.
    """
    first, *others = re.split(r"\n[ \t]*\n", text.rstrip())
    if not first.split("\n", 1)[0].endswith("\\"):
        return ""
    rows = [line.rstrip(" \\") for line in first.split("\n")]
    if not all(map(str.strip, rows)):
        return ""
    while others:
        piece = others[0].split("\n")
        if len(piece) != len(rows):
            break
        for number, line in enumerate(piece):
            name, cells = rows[number].split(maxsplit=1)[0], line.rstrip(" \\")
            again = re.match(rf"{re.escape(name)}(?: +|$)", cells.lstrip())
            rows[number] += " " + (cells.lstrip()[again.end() :] if again else cells)
        del others[0]
    return "\n\n".join(["\n".join(rows), *others])
