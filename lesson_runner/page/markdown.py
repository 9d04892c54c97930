"""Markdown text → what stands in it, in order: fences, comments, headings, images, div markers.

Fences are found by markdown-it-py, which knows CommonMark: fences nested in lists, quotes and
longer fences, with tildes or attributes. Pandoc's fenced divs (`::: challenge`) are paragraphs
to CommonMark and are read from their lines.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

LINE_BREAK = re.compile(r"\r\n|\r|\n")
HTML_COMMENT = re.compile(r"(<!--+>|<!--.*?(?:-->|\Z))", re.DOTALL)
DIV_MARKER = re.compile(r"^\s*:{3,}\s*(?P<name>[^\s:].*?)?\s*:*\s*$")


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
    """An HTML comment, from `line` to `end`. Without its end it hides the rest of the page."""

    line: int
    text: str
    end: int
    closed: bool = True


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
    indented: bool = False


Element = Fence | Comment | Heading | Image | DivOpen | DivClose | Text


def split_lines(text: str) -> list[str]:
    """Lines as CommonMark counts them: U+2028 or a form feed does not end one."""
    return LINE_BREAK.split(text)


def read_elements(text: str) -> list[Element]:
    """The elements of a page in the order of their lines."""
    lines = split_lines(text)
    elements: list[Element] = []
    tokens = _tokens(text)
    for position, token in enumerate(tokens):
        if token.map is None:
            continue
        line = token.map[0] + 1
        if token.type == "fence":
            elements.append(_fence(token, lines))
        elif token.type == "html_block":
            elements.extend(_html(line, token.content))
        elif token.type == "code_block":
            elements.append(Text(line, token.content, indented=True))
        elif token.type == "inline":
            # markdown-it strips the text, and with it lines of a form feed or the like.
            first = token.content.split("\n")[0]
            own_lines = enumerate(lines[token.map[0] : token.map[1]])
            line += next((number for number, own in own_lines if first in own), 0)
            opening = tokens[position - 1]
            if opening.type == "heading_open":
                elements.extend(_heading(line, token, opening))
            else:
                elements.extend(_paragraph(line, token))
    return elements


RAW_TEXT = re.compile(r"\s*<(pre|script|style|textarea)\b", re.IGNORECASE)
FENCE_MARKER = re.compile(
    r"[\s>]*(?:(?:[-*+:]|\(?(?:\w{1,3}|#|@\w*)[.)]|\[\^[^\]]+\]:)\s+)*(?P<marker>`{3,}|~{3,})(?P<rest>.*)"
)


def stray_fences(text: str, elements: list[Element]) -> list[tuple[int, str]]:
    """Lines that look like fence markers and are none: Pandoc, or a person, may read them so."""
    fence_at: dict[int, Fence] = {}
    hidden = set(range(1, front_matter_end(text) + 1))
    for element in elements:
        if isinstance(element, Fence):
            fence_at |= dict.fromkeys(range(element.line, element.end + 1), element)
        elif isinstance(element, Comment):
            hidden |= set(range(element.line, element.end + 1))
        elif isinstance(element, Text) and RAW_TEXT.match(element.content):
            lines = element.content.count("\n") + 1
            hidden |= set(range(element.line, element.line + lines))
    found: list[tuple[int, str]] = []
    opened = ""  # the marker of a stray fence, until its closing line
    for number, line in enumerate(split_lines(text), start=1):
        match = FENCE_MARKER.match(line)
        if match is None or number in hidden:
            continue
        marker, fence = match["marker"], fence_at.get(number)
        if fence is None:
            if opened and marker.startswith(opened) and not match["rest"].strip():
                opened = ""
            elif marker not in match["rest"]:  # else it is inline code
                opened = marker
                message = "this looks like a fence, but opens none: indent it as the text around it"
                found.append((number, f"{message}, with blank lines around the fence"))
        elif number not in (fence.line, fence.end if fence.closed else 0) and marker.startswith(
            fence.marker
        ):
            found.append(
                (
                    number,
                    f"this looks like a fence, but is text of the fence at line {fence.line}: "
                    f"close that one before, or use a longer marker for it",
                )
            )
    return found


def front_matter(text: str) -> str:
    """The YAML between the `---` lines that open the page, or an empty text."""
    token = _front_matter_token(text)
    return token.content if token else ""


def front_matter_end(text: str) -> int:
    """The number of the line that ends the front matter, 0 where there is none."""
    token = _front_matter_token(text)
    return token.map[1] if token and token.map else 0


def _front_matter_token(text: str) -> Token | None:
    return next((token for token in _tokens(text)[:1] if token.type == "front_matter"), None)


@lru_cache(maxsize=1)  # a page is asked for its front matter and its elements, one after another
def _tokens(text: str) -> list[Token]:
    # The plugin for front matter looks at the first character of the page: an empty one has none.
    return MarkdownIt("commonmark").use(front_matter_plugin).parse(text or "\n")


def _fence(token: Token, lines: list[str]) -> Fence:
    assert token.map is not None
    first, after = token.map
    opening = lines[first]
    return Fence(
        line=first + 1,
        end=after,
        info=token.info.strip(),
        text=token.content,
        indent=opening[: opening.index(token.markup)],
        marker=token.markup,
        # The text of a fence that is never closed fills all lines of the fence but the first.
        closed=_line_count(token.content) == after - first - 2,
    )


def _line_count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and text != "")


def _html(line: int, content: str) -> list[Element]:
    """Comments, div markers and the text around them."""
    if RAW_TEXT.match(content):
        return [Text(line, content)]
    elements: list[Element] = []
    for part in HTML_COMMENT.split(content):
        if part.startswith("<!--"):
            inner = part.removeprefix("<!--").removesuffix("-->").strip()
            closed = part.endswith("->")
            elements.append(Comment(line, inner, line + part.rstrip("\n").count("\n"), closed))
        elif part.strip():
            elements.extend(_lines(line, part.rstrip()))
        line += part.count("\n")
    return elements


def _heading(line: int, token: Token, opening: Token) -> list[Element]:
    level = int(opening.tag[1:])
    if opening.markup.startswith("#"):
        return [Heading(line, level, token.content)]
    # Div markers directly above a heading that is underlined belong to no heading.
    elements = _lines(line, token.content)
    texts = [element for element in elements if isinstance(element, Text)]
    markers: list[Element] = [element for element in elements if not isinstance(element, Text)]
    if not texts:
        return markers
    heading = Heading(texts[0].line, level, "\n".join(text.content for text in texts))
    return sorted([*markers, heading], key=lambda element: element.line)


def _paragraph(line: int, token: Token) -> list[Element]:
    elements = _lines(line, token.content)
    texts = (position for position, element in enumerate(elements) if isinstance(element, Text))
    first = next(texts, None)
    image = _first_image(token, first or 0)
    if image and first is not None:
        source = str(image.attrs.get("src", ""))
        elements[first] = Image(elements[first].line, source, image.content)
    found = 0
    for child in token.children or []:
        # A comment inside a paragraph goes before the text of its line: it is above no fence.
        if child.type == "html_inline" and child.content.startswith("<!--"):
            found = token.content.find(child.content, found)
            at = line + token.content.count("\n", 0, found)
            before = sum(element.line < at for element in elements)
            end = at + child.content.count("\n")
            elements.insert(before, Comment(at, child.content[4:-3].strip(), end))
            found += len(child.content)
    return elements


def _first_image(token: Token, markers: int) -> Token | None:
    """The image that opens the paragraph, or follows the div markers that open it."""
    children = token.children or []
    breaks = [n for n, child in enumerate(children) if child.type in ("softbreak", "hardbreak")]
    start = breaks[markers - 1] + 1 if 0 < markers <= len(breaks) else 0
    start += start < len(children) and children[start].type == "link_open"
    opening = children[start] if start < len(children) else None
    return opening if opening and opening.type == "image" else None


def _lines(line: int, content: str) -> list[Element]:
    """Each line that is not empty as a div marker or as text."""
    elements: list[Element] = []
    for number, text in enumerate(content.split("\n"), start=line):
        marker = DIV_MARKER.match(text)
        if marker is None:
            elements += [Text(number, text)] if text.strip() else []
        elif marker["name"]:
            elements.append(DivOpen(number, _div_name(marker["name"])))
        else:
            elements.append(DivClose(number))
    return elements


def _div_name(marker: str) -> str:
    """`challenge`, `{.challenge}` and `{.challenge #id}` all name the div `challenge`."""
    classes = re.findall(r"\.([\w-]+)", marker) if marker.startswith("{") else []
    if marker.startswith("{"):
        return classes[0] if classes else ""
    return marker.split()[0].rstrip(":")
