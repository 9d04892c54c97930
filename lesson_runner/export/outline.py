"""Episode, language → what a reader's notebook says, as a tree of texts, blocks and boxes. Pure.

Left out: the tabs of other languages, comments to the runner, the outputs that the reader's own
cells will print and, unless asked for, notes for instructors.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lesson_runner import ALIASES
from lesson_runner.page.divs import TABS
from lesson_runner.page.episode import (
    DIRECTIVES,
    Block,
    Episode,
    directive_name,
)
from lesson_runner.page.markdown import (
    Comment,
    DivClose,
    DivOpen,
    Element,
    Heading,
    front_matter_end,
    split_lines,
)

NOTES = "instructor"
FOLDED = {"solution": "Solution", "hint": "Hint", "spoiler": "More"}
"""The boxes that open when a reader wants it."""

UNDERLINE = re.compile(r"\s*(=+|-+)\s*")


ANCHOR = re.compile(r"\s*\{[#.][^}]*\}\s*$")
"""Of a heading: a notebook would show it."""

REFERENCE = re.compile(r"\[(?P<text>[^\[\]]+)\]\[(?P<label>[^\[\]]*)\]")


def with_targets(line: str, links: Mapping[str, str]) -> str:
    """`[text][label]` with its target: a cell knows nothing of the definitions in another one."""

    def target(match: re.Match[str]) -> str:
        found = links.get((match["label"] or match["text"]).lower())
        return f"[{match['text']}]({found})" if found else match[0]

    return REFERENCE.sub(target, line)


@dataclass(frozen=True)
class Text:
    """Markdown without divs."""

    source: str


@dataclass(frozen=True)
class Box:
    """A div: `name` is `challenge` or the like, `title` its own heading or empty."""

    name: str
    title: str
    items: "tuple[Item, ...]"

    @property
    def is_text(self) -> bool:
        """Whether it holds nothing but text: no code, no box."""
        return all(isinstance(item, Text) for item in self.items)


Item = Text | Block | Box


def outline(
    episode: Episode,
    language: str,
    relinked: Callable[[str], str] = str,
    with_notes: bool = False,
) -> tuple[Item, ...]:
    """The episode for readers of this language. `relinked` may change each line of text."""
    blocks = {
        block.line: block
        for block in cells_of(episode, language)
        if with_notes or NOTES not in block.div
    }
    left_out = outputs(episode, language) | lines_left_out(episode, language, with_notes)
    return _Walk(episode, blocks, left_out, relinked).items()


def text_outline(
    episode: Episode, language: str, relinked: Callable[[str], str] = str
) -> tuple[Item, ...]:
    """A page to read beside the notebooks: its blocks stay text."""
    return _Walk(episode, {}, lines_left_out(episode, language, False), relinked).items()


def cells_of(episode: Episode, language: str) -> Iterator[Block]:
    """The blocks that become code cells. One that the page does not run stays text: "Run all
    cells" must not install software."""
    for block in episode.blocks:
        if block.language == language and block.role in ("run", "exercise"):
            yield block


def outputs(episode: Episode, language: str) -> set[int]:
    """The lines that show what the cells of this language print and draw."""
    lines: set[int] = set()
    for block in episode.to_run(language):
        for shown in block.shown:
            lines.update(range(shown.line, shown.fence.end + 1))
        lines.update(figure.line for figure in block.figures if figure.expected)
    return lines


def lines_left_out(episode: Episode, language: str, with_notes: bool) -> set[int]:
    """Comments to the runner, notes for instructors, tabs of other languages."""
    lines: set[int] = set()
    for element in episode.elements:
        if isinstance(element, Comment) and directive_name(element) in DIRECTIVES:
            lines.update(range(element.line, element.end + 1))
    if not with_notes:
        for div in episode.divs.all():
            if div.name == NOTES and div.end:
                lines.update(range(div.line, div.end + 1))
    for tabs in _tab_groups(episode):
        labels = [label for label, _, _ in tabs]
        if language in labels:
            for label, first, last in tabs:
                lines.update(range(first, last + 1) if label != language else [first])
    return lines


def _tab_groups(episode: Episode) -> Iterator[list[tuple[str, int, int]]]:
    """For each group of tabs: the language of each tab, its heading's line and its last line."""
    for div in episode.divs.all():
        if div.tabs and div.end:
            firsts = [tab.line for tab in div.tabs]
            lasts = [line - 1 for line in (*firsts[1:], div.end)]
            labels = (tab.text.strip().lower() for tab in div.tabs)
            languages = [ALIASES.get(label, label) for label in labels]
            yield list(zip(languages, firsts, lasts, strict=True))


@dataclass
class _Open:
    """A div that is not closed yet. Tabs and divs without a name are no boxes: `name` is empty."""

    name: str = ""
    title: str = ""
    items: list[Item] = field(default_factory=list)


class _Walk:
    """Goes through the lines of a page and keeps the text since the last block or box."""

    def __init__(
        self,
        episode: Episode,
        blocks: dict[int, Block],
        left_out: Collection[int],
        relinked: Callable[[str], str],
    ) -> None:
        self.episode = episode
        self.blocks = blocks
        self.left_out = set(left_out)
        self.relinked = relinked
        self.lines = split_lines(episode.text)
        self.text: list[str | None] = [None]
        self.root = _Open()
        self.open: list[_Open] = [self.root]
        self.titles = {div.line: div.title for div in episode.divs.all()}
        self.elements: dict[int, Element] = {
            element.line: element
            for element in episode.elements
            if isinstance(element, DivOpen | DivClose | Heading)
        }

    def items(self) -> tuple[Item, ...]:
        number = front_matter_end(self.episode.text) + 1
        while number <= len(self.lines):
            block = self.blocks.get(number)
            if block:
                self.end_text()
                self.box.items.append(block)
                assert block.fence is not None
                number = block.fence.end
            else:
                self.read(number)
            number += 1
        while len(self.open) > 1:
            self.close()
        self.end_text()
        return tuple(self.root.items)

    @property
    def box(self) -> _Open:
        """The innermost box, or the page."""
        return next(one for one in reversed(self.open) if one.name or one is self.root)

    def read(self, number: int) -> None:
        element = self.elements.get(number)
        if number in self.left_out:
            self.text.append(None)
            return
        match element:
            case DivOpen():
                self.open_div(element)
            case DivClose():
                self.text.append(None)
                if len(self.open) > 1:
                    self.close()
            case _:
                # A section begins a cell of its own, unless it stands in a list or in a box.
                line = self.lines[number - 1]
                begins = isinstance(element, Heading) and line.startswith(("# ", "## "))
                if begins and self.box is self.root:
                    self.end_text()
                if isinstance(element, Heading):
                    line = ANCHOR.sub("", line)
                self.text.append(self.relinked(with_targets(line, self.episode.links)))

    def open_div(self, div: DivOpen) -> None:
        if div.name in TABS or not div.name:
            self.open.append(_Open())
            self.text.append(None)
            return
        self.end_text()
        heading = self.titles[div.line]
        self.open.append(_Open(div.name, heading.text if heading else ""))
        if heading:
            self.left_out |= self.lines_of(heading)

    def lines_of(self, heading: Heading) -> set[int]:
        """The heading's line, and the next one where that underlines it."""
        lines = {heading.line}
        following = self.lines[heading.line : heading.line + 1]
        if not self.lines[heading.line - 1].lstrip().startswith("#") and any(
            map(UNDERLINE.fullmatch, following)
        ):
            lines.add(heading.line + 1)
        return lines

    def close(self) -> None:
        if not self.open[-1].name:
            self.open.pop()
            return
        self.end_text()
        box = self.open.pop()
        if box.items:
            self.box.items.append(Box(box.name, box.title, tuple(box.items)))

    def end_text(self) -> None:
        source = joined(self.text)
        if source.strip():
            self.box.items.append(Text(source))
        self.text = []


def joined(lines: Iterable[str | None]) -> str:
    """The lines without the Nones, and without the second of two empty lines around one."""
    kept: list[str] = []
    after_none = False
    for line in lines:
        if line is None:
            after_none = True
        elif line or not after_none or (kept and kept[-1]):
            kept.append(line)
            after_none = False
    return "\n".join(kept).strip("\n")
