"""Whether a published page, read as it is meant, agrees with what its block prints. Pure.

Nothing here counts on a page that is `strict`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lesson_runner.judge.compare import matches
from lesson_runner.page.episode import Block
from lesson_runner.page.plain_text import normal
from lesson_runner.page.published import as_jupyter_shows, without_moments

OUR_HOME = re.compile(r"(?<![^\s'\":])[^\s'\":]*[\\/]lesson-\w+[\\/]\w+[\\/]home\b")
SOMEBODYS_HOME = re.compile(r"(?:/[cC])?(?:[A-Z]:)?[\\/](?:Users|home)[\\/]\w[\w-]*(?![\w.-])")

LONG_NUMBER = re.compile(r"\b\d+\.\d{11,}\b")
DIGITS = 14
"""So many of a float's digits agree wherever it is computed; it may have 17."""

IN_SOME_ORDER = {
    "bash": re.compile(r"(?:^|[|;&(]|\bdo\b)\s*(?:ls|find|du|grep\s+(?:\S+\s+)*?-\w*[rR])\b", re.M),
    "python": re.compile(r"\b(?:glob|iglob|rglob|listdir|iterdir|scandir|walk)\(|(?<![.\w])set\("),
}
"""What lists files, or the items of a set: their order is the computer's, their columns too."""

SORTS = re.compile(r"\bsort|\bls[ \t]+(?:-\w+[ \t]+)*-\w*[tSrU]")

SAYS_WHO = re.compile(r"^-?(?:bash|sh|zsh): (?:line \d+: )?", re.MULTILINE)
QUOTES = re.compile("[`‘’]")
MODULE = re.compile(r"^(?:\w+\.)+(?=\w+(?:Error|Exception)\b)", re.MULTILINE)


def agrees(block: Block, output: str) -> bool:
    """Whether the page may mean this output of its block by those that it shows."""
    shown = block.shows("output")
    of_none = shown and (not shown.text.strip() or shown.apart or is_left_open(block))
    if of_none and not normal(output):
        return True  # it belongs to other code, which the text is about, or that learners write
    return is_output(_meant(block), block, output)


def all_shown(block: Block) -> str:
    """The outputs that stand directly below the block, in turn."""
    first, *others = [shown for shown in block.shown if shown.kind == "output"]
    return "".join([first.text, *(shown.text for shown in others if not shown.apart)])


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
    first, *others = [shown for shown in block.shown if shown.kind == "output"]
    texts = [normal(shown.text) for shown in (first, *others)]
    yield from ("".join(texts), "\n".join(texts))
    if all(shown.apart for shown in others):
        yield from (first.text, as_jupyter_shows(first.text))


def is_output(texts: Iterable[str], block: Block, output: str) -> bool:
    """Whether one of these texts shows this output, wherever the block ran."""
    texts, compare = list(texts), block.compare
    if any(matches(text, output, compare) for text in texts):
        return True
    texts, output = list(map(_on_any_computer, texts)), _on_any_computer(output)
    if any(matches(text, output, compare) for text in texts):
        return True
    if table := _unwrapped_table(output):
        return any(matches(text, table, replace(compare, blanks=False)) for text in texts)
    lists = IN_SOME_ORDER.get(block.language)
    if lists is None or not lists.search(block.source) or SORTS.search(block.source):
        return False
    in_any_order = replace(compare, order=False)
    return any(matches(text.replace("\\\n", "\n"), output, in_any_order) for text in texts)


def _on_any_computer(text: str) -> str:
    """Without moments, the folder of the page or of its author, and a float's last digits."""
    text = SOMEBODYS_HOME.sub("~", OUR_HOME.sub("~", without_moments(text)))
    return LONG_NUMBER.sub(_shorter, text)


def _shorter(match: re.Match[str]) -> str:
    whole, _, fraction = match[0].partition(".")
    places = DIGITS - len(whole.lstrip("0"))
    return f"{float(match[0]):.{places}f}" if 0 < places < len(fraction) else match[0]


def _unwrapped_table(text: str) -> str:
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
