"""What a learner has to read and type on a page, in one language's tab.

The measures are symptoms, not the aim: a page is read aloud before it is called done. Of reviewed
lessons they say (words a sentence, short sentences, median lines of a block): deep-learning-intro
15.5, 20 %, 2; gapminder 13.3, 31 %, 2; Natural-language-processing 16.2, 23 %, 4.
"""

import re
import statistics
from collections.abc import Iterator, Set
from dataclasses import dataclass

from lesson_runner.page.divs import divs_around
from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.markdown import Fence, Heading, Text

TABS = {"python": "Python", "r": "R"}

WIDTH, WIDTH_IN_A_CHALLENGE = 70, 58
"""Characters that a code box of the site has room for, at 1280 pixels."""

SHORT = 8
LONG = 10


@dataclass(frozen=True)
class Measures:
    """Of one page, or of all: words of each sentence, lines of each block that learners run or
    complete (solutions apart), and where code is wider than its box."""

    sentences: tuple[int, ...]
    blocks: tuple[int, ...]
    too_wide: tuple[str, ...] = ()

    def __add__(self, other: "Measures") -> "Measures":
        return Measures(
            self.sentences + other.sentences,
            self.blocks + other.blocks,
            self.too_wide + other.too_wide,
        )

    @property
    def words_per_sentence(self) -> float:
        return statistics.mean(self.sentences)

    @property
    def short_sentences(self) -> float:
        return share(words <= SHORT for words in self.sentences)

    @property
    def median_lines(self) -> float:
        return statistics.median(self.blocks)

    @property
    def long_blocks(self) -> float:
        return share(lines >= LONG for lines in self.blocks)


def share(facts: Iterator[bool]) -> float:
    found = list(facts)
    return sum(found) / len(found)


def measure(page: Episode, language: str) -> Measures:
    code = [b for b in page.blocks if b.language == language and b.role in CODE]
    lines = [
        sum(bool(line.strip()) for line in block.source.splitlines())
        for block in code
        if "solution" not in block.div
    ]
    return Measures(
        tuple(words_of(sentence) for sentence in sentences(prose(page, language))),
        tuple(lines),
        tuple(f"{page.path}:{line}: {text}" for line, text in too_wide(code)),
    )


CODE = ("run", "exercise", "not run")


def too_wide(blocks: list[Block]) -> Iterator[tuple[int, str]]:
    for block in blocks:
        room = WIDTH_IN_A_CHALLENGE if {"challenge", "solution"} & set(block.div) else WIDTH
        for line, text in enumerate(block.source.splitlines(), block.line + 1):
            if len(text) > room:
                yield line, text


def prose(page: Episode, language: str, apart: Set[str] = frozenset({"instructor"})) -> str:
    """What a learner reads in one tab: no code, tables, headings, nor the divs named in `apart`.

    A fence and a heading end a sentence.
    """
    other = {name for key, name in TABS.items() if key != language}
    lines: list[str] = []
    tab = ""
    for element in page.elements:
        around = divs_around(page.divs, element.line)
        names = {div.name for div in around}
        if not names & {"group-tab", "tab"}:
            tab = ""
        if isinstance(element, Heading):
            if around and around[-1].name in ("group-tab", "tab"):
                tab = element.text
            lines.append("")
        elif isinstance(element, Fence):
            lines.append("")
        elif isinstance(element, Text):
            is_read = not names & apart and tab not in other
            if is_read and not element.content.lstrip().startswith(("|", "![")):
                lines += ["", element.content]
    return "\n".join(lines)


def sentences(text: str) -> list[str]:
    """Sentences of at least two words. A colon ends one, and so does an item of a list."""
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(?<=[.!?:])\s+|\n\s*\n|\n\s*[-*]\s|\n\s*\d+\.\s", text)
    return [part for part in parts if words_of(part) > 1]


def words_of(text: str) -> int:
    return len(re.findall(r"[\w'’]+", text))


def words_before_code(page: Episode, language: str) -> int:
    """Words that a learner reads before the first block of code."""
    first = page.to_run(language)[0].line
    before = tuple(element for element in page.elements if element.line < first)
    text = Episode(page.path, page.title, page.text, before, (), ())
    return words_of(re.sub(r"\]\([^)]*\)", "]", prose(text, language)))


SPOKEN, TYPED, DISCUSSED = 150, 100, 2.5
"""Words that a teacher says and characters that a class types in a minute; minutes to discuss an
exercise. They give deep-learning-intro, which was taught many times, 617 of its 620 minutes."""

ASIDE = {
    *("challenge", "solution", "instructor", "hint", "questions", "objectives", "keypoints"),
    "spoiler",
}
"""Not taught: exercises have minutes of their own, and a folded `spoiler` is for home."""


def minutes(page: Episode) -> tuple[float, float]:
    """What the Python tab takes: teaching, and exercises with their discussion."""
    words = words_of(prose(page, "python", apart=ASIDE))
    typed = sum(len(block.source) for block in page.to_run("python") if not ASIDE & set(block.div))
    stated = [int(m) for m in re.findall(r"^## .*\((\d+) minutes\)", page.text, re.MULTILINE)]
    return words / SPOKEN + typed / TYPED, sum(stated) + DISCUSSED * len(stated)
