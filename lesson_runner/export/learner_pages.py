"""Pages that lie beside notebooks, such as the setup page and the glossary. Pure."""

import html
import re

from markdown_it import MarkdownIt

from lesson_runner.export.boxes import (
    NO_NAMES,
    Names,
    flat,
    folded_texts,
    markdown_box,
    relinked,
    tidied,
    with_heading,
)
from lesson_runner.export.outline import Text, text_outline
from lesson_runner.page.divs import divs_around
from lesson_runner.page.episode import Episode, read_episode
from lesson_runner.page.markdown import Heading, split_lines

STYLE = (
    "body { max-width: 46em; margin: 2em auto; padding: 0 1em; font: 1rem/1.5 sans-serif } "
    "table { border-collapse: collapse } th, td { border: 1px solid #999; padding: 0.3em 0.6em } "
    "pre { background: #f4f4f4; padding: 0.6em; overflow-x: auto }"
)


def to_markdown(episode: Episode, language: str, suffix: str, names: Names = NO_NAMES) -> str:
    """The page without divs, for readers of one language. `suffix` is that of their notebooks."""
    page = _with_anchors(episode)
    items = text_outline(page, language, lambda line: relinked(line, page.path, suffix, names))
    body = tidied(flat(items, markdown_box(folded_texts)))
    cells = with_heading(f"# {page.title}", body)
    return "\n\n".join(cell.source for cell in cells if isinstance(cell, Text)) + "\n"


def to_html(episode: Episode, language: str, suffix: str, names: Names = NO_NAMES) -> str:
    """The same for a browser, which shows no Markdown."""
    body = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(to_markdown(episode, language, suffix, names))
    )
    title = html.escape(episode.title)
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f"<!doctype html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}</body>\n</html>\n"


def _with_anchors(episode: Episode) -> Episode:
    """The targets of the site's links: JupyterLab has others for the same headings."""
    lines = split_lines(episode.text)
    for heading in (one for one in reversed(episode.elements) if isinstance(one, Heading)):
        outside = not divs_around(episode.divs, heading.line)
        if outside and (anchor := anchor_of(heading.text)):
            lines[heading.line - 1 : heading.line - 1] = [f'<a id="{anchor}"></a>', ""]
    return read_episode(episode.path, "\n".join(lines))


def anchor_of(heading: str) -> str:
    """As pandoc makes it: `Cohen's kappa` → `cohens-kappa`."""
    words = re.sub(r"[^\w\s.-]", "", heading.lower()).split()
    return re.sub(r"^[^a-z]+", "", "-".join(words))
