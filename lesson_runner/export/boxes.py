"""Boxes and links of a page as a notebook's reader expects them. Pure.

A challenge gets a heading, and a line where it ends. Boxes of nothing but text are quotes.
Solutions and hints are folded. Links to other episodes lead to their notebooks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from markdown_it import MarkdownIt

from lesson_runner.export.outline import FOLDED, Box, Item, Text
from lesson_runner.page.episode import Block

TITLES = {
    "keypoints": "Key points",
    "prereq": "Before you start",
    "callout": "Note",
    "instructor": "For instructors",
}
TITLE_ENOUGH = {"keypoints", "prereq", "callout", "questions", "objectives"}
"""Boxes whose own heading says enough without the name of the box."""

RULE = "***"

OfBox = Callable[[Box], Iterator[Text | Block]]

LINK_TO_PAGE = re.compile(
    r"(?P<opening>\]\()(?P<folder>(?:\.\./\w+/)?)(?P<name>[\w.-]+)\.R?md(?P<anchor>#[^)\s]*)?(?=\))"
)

PAGES_AS_HTML = ("Rmd", "qmd")
"""Formats that become HTML. The setup page and the glossary beside them are HTML as well."""


NO_NAMES: Mapping[str, str] = MappingProxyType({})

ALT_TEXT = re.compile(
    r"""!\[\]\((?P<source>[^()\s]+)\)\{alt=(?P<quote>["'])(?P<alt>.*?)(?P=quote)\}"""
)


Names = Mapping[str, str]
"""Name of an episode → that of its file among the notebooks, where it is another."""


def relinked(line: str, page: str, suffix: str, names: Names = NO_NAMES) -> str:
    """The links of the page at this path, from where it lies among the notebooks: episodes lie at
    the top, with this suffix, and the pages for learners in a folder beside them."""
    own_folder = page.rpartition("/")[0]
    of_pages = "html" if suffix in PAGES_AS_HTML else "md"

    def link(match: re.Match[str]) -> str:
        folder = match["folder"].removeprefix("../").rstrip("/") or own_folder
        ending = {"episodes": suffix, "learners": of_pages}.get(folder)
        if ending is None:
            return match[0]
        up = "../" if (own_folder, folder) == ("learners", "episodes") else ""
        down = "learners/" if (own_folder, folder) == ("episodes", "learners") else ""
        name = names.get(match["name"], match["name"]) if folder == "episodes" else match["name"]
        return f"{match['opening']}{up}{down}{name}.{ending}{match['anchor'] or ''}"

    return ALT_TEXT.sub(_in_brackets, LINK_TO_PAGE.sub(link, line))


def _in_brackets(image: re.Match[str]) -> str:
    """Notebooks keep the alt text of an image in its brackets. The Workbench prints that text below
    the image, so pages keep it in an attribute."""
    alt = re.sub(r"([\\\[\]])", r"\\\1", image["alt"])
    return f"![{alt}]({image['source']})"


def title_of(box: Box) -> str:
    """`Challenge: Mask a transcript`, `Objectives`; a callout's own heading stands alone."""
    name = TITLES.get(box.name, FOLDED.get(box.name, box.name.capitalize()))
    if not box.title:
        return name
    if box.title.lower().startswith(name.lower()):
        return box.title  # "Solution", "Solution to the second part"
    return box.title if box.name in TITLE_ENOUGH else f"{name}: {box.title}"


def flat(items: Iterable[Item], of_box: OfBox) -> Iterator[Text | Block]:
    """The texts and blocks in order, with boxes as `of_box` writes them."""
    for item in items:
        if isinstance(item, Box):
            yield from of_box(item)
        else:
            yield item


def markdown_box(fold: Callable[[Box, OfBox], Iterator[Text | Block]]) -> OfBox:
    """Boxes in plain Markdown, and those that are folded as `fold` writes them."""

    def of_box(box: Box) -> Iterator[Text | Block]:
        if box.name in FOLDED:
            yield from fold(box, of_box)
        elif box.is_text and box.name != "challenge":
            yield Text(quoted(box))
        else:
            yield from with_heading(f"### {title_of(box)}", flat(box.items, of_box))
            yield Text(RULE)

    return of_box


def quoted(box: Box) -> str:
    texts = (item.source for item in box.items if isinstance(item, Text))
    lines = "\n\n".join([f"**{title_of(box)}**", *texts]).split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def with_heading(heading: str, cells: Iterable[Text | Block]) -> Iterator[Text | Block]:
    """A heading stands in one cell with the text below it."""
    following = iter(cells)
    first = next(following, None)
    if isinstance(first, Text):
        yield Text(f"{heading}\n\n{first.source}")
    else:
        yield Text(heading)
        yield from () if first is None else (first,)
    yield from following


def folded_texts(box: Box, of_box: OfBox) -> Iterator[Text | Block]:
    """In a notebook, each text of a fold is one: a fold cannot reach beyond its cell."""
    title = title_of(box)
    for cell in flat(box.items, of_box):
        if cell == Text(RULE):
            continue
        if isinstance(cell, Text):
            yield Text(f"{details(title)}\n\n{cell.source}\n\n</details>")
            title = f"{title_of(box)} (continued)"
        else:
            yield cell


def headed(box: Box, of_box: OfBox) -> Iterator[Text | Block]:
    """Where nothing is folded."""
    yield from with_heading(f"#### {title_of(box)}", flat(box.items, of_box))
    yield Text(RULE)


def details(title: str) -> str:
    inline = MarkdownIt("commonmark").renderInline(title)  # no Markdown inside of HTML
    return f"<details>\n<summary>{inline}</summary>"


def tidied(cells: Iterable[Text | Block]) -> list[Text | Block]:
    """The rule that ends a box joins the text after it, and goes where a title follows."""
    kept: list[Text | Block] = []
    ended = False
    for cell in cells:
        if cell == Text(RULE):
            ended = True
            continue
        if ended and isinstance(cell, Block):
            kept.append(Text(RULE))
        elif ended and isinstance(cell, Text) and not cell.source.startswith(("#", "> **")):
            cell = Text(f"{RULE}\n\n{cell.source}")
        kept.append(cell)
        ended = False
    return kept
