"""A page's text as a notebook's reader expects it. Pure.

Left out: the tabs of other languages, notes for instructors, comments to the runner, and the
outputs that the reader's own cells will print. Divs become titles between lines, solutions and
hints are folded, and links to other episodes lead to their notebooks.
"""

import re
from collections.abc import Iterable, Iterator

from lesson_runner.episode import (
    ALIASES,
    DIRECTIVES,
    TAB_LEVEL,
    TABS,
    Block,
    Episode,
    directive_name,
)
from lesson_runner.fences import Comment, DivClose, DivOpen, Element, Heading

TITLES = {
    "keypoints": "Key points",
    "prereq": "Before you start",
    "questions": "Questions",
    "objectives": "Objectives",
}
FOLDED = {"solution": "Solution", "hint": "Hint", "spoiler": "More"}
RULE = "---"

LINK_TO_EPISODE = re.compile(r"(\]\()([\w.-]+)\.R?md(#[^)\s]*)?(?=\))")


def of_language(episode: Episode, language: str) -> Iterator[Block]:
    for block in episode.blocks:
        if block.language == language and block.role == "run":
            yield block


def hidden_lines(episode: Episode, language: str) -> set[int]:
    """Lines that a notebook of this language leaves out."""
    hidden: set[int] = set()
    for block in of_language(episode, language):
        for shown in block.shown:
            hidden.update(range(shown.line, shown.fence.end + 1))
        if block.figure:
            hidden.add(block.figure.line)
    for element in episode.elements:
        if isinstance(element, Comment) and directive_name(element) in DIRECTIVES:
            hidden.update(range(element.line, element.end + 1))
    for _, first, last in _inside(episode, {"instructor"}):
        hidden.update(range(first, last + 1))
    for tabs in _tab_groups(episode):
        labels = [label for label, _, _ in tabs]
        if language in labels:
            for label, first, last in tabs:
                hidden.update(range(first, last + 1) if label != language else [first])
    return hidden


def _tab_groups(episode: Episode) -> list[list[tuple[str, int, int]]]:
    """For each group of tabs: the language of each tab, its heading's line and its last line."""
    groups: list[list[tuple[str, int, int]]] = []
    open_divs: list[tuple[str, list[tuple[str, int]], int]] = []
    for element in episode.elements:
        if isinstance(element, DivOpen):
            open_divs.append((element.name, [], element.line))
        elif (
            isinstance(element, Heading)
            and element.level == TAB_LEVEL
            and open_divs
            and open_divs[-1][0] in TABS
        ):
            label = element.text.strip().lower()
            open_divs[-1][1].append((ALIASES.get(label, label), element.line))
        elif isinstance(element, DivClose) and open_divs:
            name, tabs, _ = open_divs.pop()
            if name in TABS and tabs:
                lasts = [line - 1 for _, line in tabs[1:]] + [element.line - 1]
                pairs = zip(tabs, lasts, strict=True)
                groups.append([(label, line, last) for (label, line), last in pairs])
    return groups


def _inside(episode: Episode, names: set[str]) -> Iterator[tuple[str, int, int]]:
    """Each outermost div with one of the names: its name, its first line and its last line."""
    depth, name, first = 0, "", 0
    opened: list[bool] = []
    for element in episode.elements:
        if isinstance(element, DivOpen):
            counts = element.name in names and depth == 0
            opened.append(counts)
            if counts:
                depth, name, first = len(opened), element.name, element.line
        elif isinstance(element, DivClose) and opened:
            opened.pop()
            if depth > len(opened):
                yield name, first, element.line
                depth = 0


def folds(episode: Episode) -> dict[int, str]:
    """Line → the title of the fold that it is in, such as `Solution: A program that runs`."""
    found: dict[int, str] = {}
    for name, first, last in _inside(episode, set(FOLDED)):
        heading = _heading_of(episode, first)
        title = f"{FOLDED[name]}: {heading.text}" if heading else FOLDED[name]
        # The closing line is out of the fold: two solutions in a row are two folds.
        found |= dict.fromkeys(range(first, last), title)
    return found


def folded(source: str, fold: str) -> str:
    if not fold:
        return source
    return f"<details>\n<summary>{fold}</summary>\n\n{source}\n\n</details>"


def rewritten_lines(episode: Episode) -> dict[int, str | None]:
    """Line → what stands there in a notebook, or None, for the lines of divs and their headings."""
    lines: dict[int, str | None] = {}
    open_divs: list[str] = []
    for element in episode.elements:
        if isinstance(element, DivOpen):
            lines |= _opening(episode, element)
            open_divs.append(element.name)
        elif isinstance(element, DivClose):
            name = open_divs.pop() if open_divs else ""
            is_box = not open_divs and name not in TABS
            # The empty line above keeps the rule from making a heading of the text before it.
            lines[element.line] = f"\n{RULE}" if is_box else None
    return lines


def _opening(episode: Episode, div: DivOpen) -> dict[int, str | None]:
    """A title in place of `::: challenge` and of the heading below it."""
    heading = _heading_of(episode, div.line)
    if div.name in TABS:
        return {div.line: None}
    if div.name in FOLDED:
        return dict.fromkeys([div.line, heading.line] if heading else [div.line])
    title = TITLES.get(div.name, div.name.capitalize())
    if heading is None:
        return {div.line: f"**{title}**"}
    return {div.line: None, heading.line: f"### {title}: {heading.text}"}


def _heading_of(episode: Episode, line: int) -> Heading | None:
    """The heading with which the div that opens at this line begins."""
    following: Element | None = next((e for e in episode.elements if e.line > line), None)
    return following if isinstance(following, Heading) else None


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


def rewritten(line: str) -> str:
    return LINK_TO_EPISODE.sub(r"\1\2.ipynb\3", line)
