"""Markdown text → what stands in it, in order: fences, comments, headings, images, div markers.

Fences are found by markdown-it-py, which knows CommonMark: fences nested in lists, quotes and
longer fences, with tildes or attributes. Pandoc's fenced divs (`::: challenge`) are paragraphs
to CommonMark and are read from their lines.
"""

import re
from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

LINE_BREAK = re.compile(r"\r\n|\r|\n")
HTML_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
DIV_MARKER = re.compile(r"^\s*:{3,}\s*(?P<name>\S.*?)?\s*:*\s*$")


@dataclass(frozen=True)
class Fence:
    """A fenced code block.

    Lines count from 1 in the page. `line` is the opening fence, `end` the closing one (or the
    last line of its container where it is never closed). `text` has the indentation of the
    container removed and ends with a line break unless it is empty. `indent` is what stands
    before the fence on its opening line: blanks, a list marker, `> `.
    """

    line: int
    end: int
    info: str
    text: str
    indent: str
    marker: str
    closed: bool


@dataclass(frozen=True)
class Comment:
    line: int
    text: str


@dataclass(frozen=True)
class Heading:
    line: int
    level: int
    text: str


@dataclass(frozen=True)
class Image:
    """An image that is a paragraph of its own."""

    line: int
    source: str
    alt: str


@dataclass(frozen=True)
class DivOpen:
    line: int
    name: str


@dataclass(frozen=True)
class DivClose:
    line: int


@dataclass(frozen=True)
class Text:
    """A line of a paragraph, a block of raw HTML, or code that is indented instead of fenced."""

    line: int
    content: str
    kind: Literal["paragraph", "html", "indented"] = "paragraph"


Element = Fence | Comment | Heading | Image | DivOpen | DivClose | Text


def split_lines(text: str) -> list[str]:
    """Lines as CommonMark counts them: U+2028 or a form feed does not end one."""
    return LINE_BREAK.split(text)


def read_elements(text: str) -> list[Element]:
    """The elements of a page in the order of their lines."""
    lines = split_lines(text)
    elements: list[Element] = []
    tokens = MarkdownIt("commonmark").use(front_matter_plugin).parse(text)
    for position, token in enumerate(tokens):
        if token.map is None:
            continue
        line = token.map[0] + 1
        if token.type == "fence":
            elements.append(_fence(token, lines))
        elif token.type == "html_block":
            elements.append(_html(line, token.content))
        elif token.type == "code_block":
            # At the top level indented code is text to every reader. In a list it may be a fence
            # that was meant to run and is indented too far.
            kind: Literal["indented", "paragraph"] = "indented" if token.level else "paragraph"
            elements.append(Text(line, token.content, kind))
        elif token.type == "inline":
            opening = tokens[position - 1]
            if opening.type == "heading_open":
                elements.append(Heading(line, int(opening.tag[1:]), token.content))
            else:
                elements.extend(_paragraph(token))
    return elements


def front_matter(text: str) -> str:
    """The YAML between the `---` lines that open the page, or an empty text."""
    for token in MarkdownIt("commonmark").use(front_matter_plugin).parse(text):
        return token.content if token.type == "front_matter" else ""
    return ""


def _fence(token: Token, lines: list[str]) -> Fence:
    assert token.map is not None
    first, after = token.map
    opening = lines[first]
    closing = lines[after - 1] if after - 1 > first and after <= len(lines) else ""
    mark = re.escape(token.markup[0])
    closed = re.match(rf"^[\s>]*{mark}{{{len(token.markup)},}}\s*$", closing) is not None
    return Fence(
        line=first + 1,
        end=after,
        info=token.info.strip(),
        text=token.content,
        indent=opening[: opening.index(token.markup)],
        marker=token.markup,
        closed=closed,
    )


def _html(line: int, content: str) -> Element:
    stripped = content.strip()
    if stripped.startswith("<!--") and stripped.endswith("-->") and stripped.count("-->") == 1:
        return Comment(line, stripped[4:-3].strip())
    literal = re.match(r"\s*<(pre|script|style|textarea)\b", content, re.IGNORECASE)
    without_comments = HTML_COMMENT.sub(lambda match: "\n" * match[0].count("\n"), content)
    return Text(line, without_comments, "paragraph" if literal else "html")


def _paragraph(token: Token) -> list[Element]:
    assert token.map is not None
    children = token.children or []
    if children and children[0].type == "image":
        source = str(children[0].attrs.get("src", ""))
        return [Image(token.map[0] + 1, source, children[0].content)]
    elements: list[Element] = []
    for offset, content in enumerate(token.content.split("\n")):
        line = token.map[0] + 1 + offset
        marker = DIV_MARKER.match(content)
        if marker is None:
            elements.append(Text(line, content))
        elif marker["name"]:
            elements.append(DivOpen(line, _div_name(marker["name"])))
        else:
            elements.append(DivClose(line))
    return elements


def _div_name(marker: str) -> str:
    """`challenge`, `{.challenge}` and `{.challenge #id}` all name the div `challenge`."""
    classes = re.findall(r"\.([\w-]+)", marker) if marker.startswith("{") else []
    if marker.startswith("{"):
        return classes[0] if classes else ""
    return marker.split()[0].rstrip(":")
