"""The repository is what the Carpentries Workbench needs; its pages keep the lesson's own rules.

The Workbench reports most faults only when it builds the site, and some never: a page that is not
in `config.yaml` is left out, a Markdown file in the wrong folder becomes a page, and a line of
colons below a text line is printed as colons. Here each rule is a small function over text; the
first test of each shows what it finds, the second applies it to the repository.

Needed and known names: sandpaper 0.20.2, pegboard 0.7.9.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from lesson_runner.page.markdown import (
    DivClose,
    DivOpen,
    Fence,
    Heading,
    front_matter,
    read_elements,
)
from mock_proxy.litellm.version import VERSIONS

ROOT = Path(__file__).resolve().parents[1]
CONTENT = ("episodes", "learners", "instructors", "profiles")
MARKDOWN = {".md", ".Rmd"}

REQUIRED_FILES = (
    "config.yaml",
    "index.md",
    "links.md",
    "README.md",
    "LICENSE.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "learners/setup.md",
    "learners/reference.md",
    "instructors/instructor-notes.md",
    "instructors/design.md",
    "profiles/learner-profiles.md",
    "site/README.md",
)

TOP_LEVEL_PAGES = {"index.md", "links.md", "LICENSE.md", "CODE_OF_CONDUCT.md"}
NOT_PAGES = {"README.md", "CONTRIBUTING.md"}  # the Workbench passes these over, wherever they lie


def relative_markdown(root: Path) -> list[PurePosixPath]:
    """The Markdown files where the Workbench looks for pages: at most one visible folder deep."""
    found = [*root.glob("*"), *root.glob("[!.]*/*")]
    paths = (PurePosixPath(path.relative_to(root).as_posix()) for path in found)
    return sorted(p for p in paths if p.suffix in MARKDOWN and p.parts[0] != "site")


MARKDOWN_FILES = relative_markdown(ROOT)
PAGES = [path for path in MARKDOWN_FILES if path.name not in NOT_PAGES]


def read(path: PurePosixPath | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


every_page = pytest.mark.parametrize("page", PAGES, ids=str)
every_markdown_file = pytest.mark.parametrize("page", MARKDOWN_FILES, ids=str)


# Files


def missing_or_empty(root: Path, names: Iterable[str]) -> list[str]:
    """The files that do not exist, or say nothing below their front matter."""

    def body(file: Path) -> str:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return text.replace(front_matter(text), "", 1).strip("- \n")

    return [name for name in names if not body(root / name)]


def test_a_file_with_front_matter_only_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "setup.md").write_text("---\ntitle: Setup\n---\n\n")
    (tmp_path / "index.md").write_text("---\nsite: x\n---\n\nWelcome.\n")

    assert missing_or_empty(tmp_path, ["setup.md", "index.md", "links.md"]) == [
        "setup.md",
        "links.md",
    ]


def test_every_file_that_the_workbench_needs_is_there() -> None:
    assert missing_or_empty(ROOT, REQUIRED_FILES) == []


def stray_pages(paths: Iterable[PurePosixPath]) -> list[str]:
    """Markdown files that would become pages of the site although nobody meant them to."""
    return [
        str(path)
        for path in paths
        if path.name not in NOT_PAGES
        and (
            path.parts[0] not in CONTENT
            if len(path.parts) > 1
            else path.name not in TOP_LEVEL_PAGES
        )
    ]


def test_markdown_outside_the_content_folders_is_a_stray_page() -> None:
    paths = [
        "index.md",
        "NOTES.md",
        "README.md",
        "episodes/a.md",
        "tests/sample.md",
        "lesson/README.md",
    ]

    assert stray_pages(map(PurePosixPath, paths)) == ["NOTES.md", "tests/sample.md"]


def test_markdown_is_looked_for_where_the_workbench_looks(tmp_path: Path) -> None:
    for name in ["a.md", "b/c.md", "b/d/e.md", ".venv/f.md", "site/g.md", "b/h.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert list(map(str, relative_markdown(tmp_path))) == ["a.md", "b/c.md"]


def test_no_markdown_file_becomes_a_page_by_accident() -> None:
    assert stray_pages(MARKDOWN_FILES) == []


def repeated_names(paths: Iterable[PurePosixPath]) -> list[str]:
    """File names that occur more than once: the site is flat, so one would replace the other."""
    counts = Counter(path.name.lower() for path in paths)
    return sorted(name for name, count in counts.items() if count > 1)


def test_one_name_in_two_folders_is_found() -> None:
    paths = map(PurePosixPath, ["episodes/setup.md", "learners/Setup.md", "learners/reference.md"])

    assert repeated_names(paths) == ["setup.md"]


def test_no_two_pages_share_a_name() -> None:
    assert repeated_names(PAGES) == []


@pytest.mark.parametrize("kind", ["data", "files", "fig"])
def test_files_that_the_site_copies_are_visible_and_have_names_of_their_own(kind: str) -> None:
    files = [
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for folder in CONTENT
        for path in (ROOT / folder / kind).rglob("*")
        if path.is_file()
    ]

    assert repeated_names(files) == []
    assert [str(file) for file in files if any(part[0] in "._" for part in file.parts)] == []


# Configuration


def unlisted_and_missing(config: dict[str, Any], paths: Iterable[PurePosixPath]) -> list[str]:
    """Pages that are in a folder or in its list, but not in both."""
    existing = {
        str(path) for path in paths if path.parts[0] in CONTENT and path.name not in NOT_PAGES
    }
    listed = {f"{folder}/{name}" for folder in CONTENT for name in config.get(folder) or []}
    return sorted(existing ^ listed)


def test_a_page_that_is_not_listed_and_a_listed_page_that_is_missing_are_found() -> None:
    config = {"episodes": ["a.md", "b.md"], "learners": None}
    paths = map(PurePosixPath, ["episodes/a.md", "learners/setup.md", "index.md"])

    assert unlisted_and_missing(config, paths) == ["episodes/b.md", "learners/setup.md"]


def config_problems(config: dict[str, Any]) -> list[str]:
    """Values that the Workbench cannot use; it reports few of them itself."""
    wanted: dict[str, Callable[[str], bool]] = {
        "carpentry": lambda value: value == "incubator",
        "title": lambda value: bool(value.strip()),
        "created": lambda value: date.fromisoformat(value) is not None,
        "keywords": lambda value: "," in value,
        "life_cycle": lambda value: value in {"pre-alpha", "alpha", "beta", "stable", "retired"},
        "license": lambda value: value == "CC-BY 4.0",
        "source": lambda value: value.startswith("https://github.com/") and not value.endswith("/"),
        "branch": lambda value: value == "main",
        # An address for mail: the site writes mailto: before it.
        "contact": lambda value: re.fullmatch(r"[^@\s:/]+@[^@\s:/]+", value) is not None,
    }

    def is_usable(key: str) -> bool:
        try:
            return wanted[key](config[key])
        except (KeyError, TypeError, ValueError, AttributeError):
            return False

    return [key for key in wanted if not is_usable(key)]


def test_missing_and_unusable_settings_are_found() -> None:
    config = {
        "carpentry": "incubator",
        "title": "A lesson",
        "created": "2026-13-01",
        "life_cycle": "draft",
        "license": "CC-BY 4.0",
        "source": "https://github.com/someone/lesson/",
        "branch": "main",
        "contact": "https://github.com/someone/lesson/issues",
    }

    assert config_problems(config) == ["created", "keywords", "life_cycle", "source", "contact"]


def test_the_configuration_is_complete() -> None:
    config = yaml.safe_load(read("config.yaml"))

    assert config_problems(config) == []
    assert unlisted_and_missing(config, PAGES) == []


WORKBENCH_IGNORES = (
    "site/*",
    "!site/README.md",
    "episodes/*html",
    ".Rhistory",
    ".RData",
    ".Ruserdata",
    "*_cache/",
    "/cache/",
    "*.utf8.md",
    "*.knit.md",
    ".Renviron",
    "docs/",
    "po/*~",
    "*-Ex.R",
    "/*.tar.gz",
    "/*.Rcheck/",
    ".Rproj.user/",
    "vignettes/*.html",
    "vignettes/*.pdf",
    ".httr-oauth",
    ".Rapp.history",
)
PYTHON_IGNORES = (
    ".venv/",
    "__pycache__/",
    "*.egg-info/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    "build/",
    "/notebooks/",
)


def missing_ignores(gitignore: str, wanted: Iterable[str]) -> list[str]:
    lines = {line.strip() for line in gitignore.splitlines()}
    return [entry for entry in wanted if entry not in lines]


def test_a_missing_entry_of_gitignore_is_found() -> None:
    assert missing_ignores("site/*\n  docs/\n#.RData\n", ["site/*", "docs/", ".RData"]) == [
        ".RData"
    ]


def test_gitignore_covers_what_the_workbench_r_and_python_build() -> None:
    assert missing_ignores(read(".gitignore"), [*WORKBENCH_IGNORES, *PYTHON_IGNORES]) == []


CITATION_KEYS = {
    "abstract",
    "authors",
    "cff-version",
    "commit",
    "contact",
    "date-released",
    "doi",
    "identifiers",
    "keywords",
    "license",
    "license-url",
    "message",
    "preferred-citation",
    "references",
    "repository",
    "repository-artifact",
    "repository-code",
    "title",
    "type",
    "url",
    "version",
}
"""All keys of the Citation File Format 1.2.0. Its schema allows no others."""


def citation_problems(citation: dict[str, Any]) -> list[str]:
    """What the Citation File Format 1.2.0 requires of a file as small as this one."""
    problems = [f"unknown key {key}" for key in citation if key not in CITATION_KEYS]
    problems += [
        f"missing {key}"
        for key in ("cff-version", "message", "title", "authors")
        if not citation.get(key)
    ]
    if citation.get("cff-version") != "1.2.0":
        problems.append("cff-version is not the text 1.2.0")
    for author in citation.get("authors") or []:
        if not {"name", "family-names", "alias"} & set(author):
            problems.append(f"an author without a name: {author}")
        elif "family-names" not in author:  # the page "Cite" of the site would leave it empty
            problems.append(f"an author that the site does not show: {author}")
    return problems


def test_faults_of_a_citation_file_are_found() -> None:
    authors = [{"orcid": "x"}, {"name": "We"}]
    citation = {"cff-version": 1.2, "title": "A", "autors": [], "authors": authors}

    assert citation_problems(citation) == [
        "unknown key autors",
        "missing message",
        "cff-version is not the text 1.2.0",
        "an author without a name: {'orcid': 'x'}",
        "an author that the site does not show: {'name': 'We'}",
    ]


def test_the_citation_file_is_valid_and_has_the_version_of_the_code() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation_problems(citation) == []
    assert f'\nversion = "{citation["version"]}"\n' in read("pyproject.toml")


# Front matter, divs, headings


def test_every_page_has_a_title_on_top() -> None:
    def title(page: PurePosixPath) -> Any:
        return (yaml.safe_load(front_matter(read(page))) or {}).get("title")

    # The home page takes the lesson's title, and links.md is no page of its own.
    named = [page for page in PAGES if page.name not in ("index.md", "links.md")]
    assert [str(page) for page in named if not title(page)] == []
    assert "site: sandpaper::sandpaper_site" in front_matter(read("index.md"))


KNOWN_DIVS = {
    "callout",
    "objectives",
    "questions",
    "challenge",
    "prereq",
    "checklist",
    "solution",
    "hint",
    "discussion",
    "testimonial",
    "keypoints",
    "instructor",
    "spoiler",
    "tab",
    "group-tab",
    "caution",
}


def div_problems(text: str) -> list[str]:
    """Fenced divs that are unknown, do not pair up, or would stay text."""
    lines = text.splitlines()
    problems: list[str] = []
    opened: list[DivOpen] = []
    for element in read_elements(text):
        if not isinstance(element, DivOpen | DivClose):
            continue
        above = lines[element.line - 2].strip() if element.line > 1 else ""
        if above and not above.startswith(":::"):
            problems.append(f"{element.line}: no blank line above")
        if isinstance(element, DivClose):
            if not opened:
                problems.append(f"{element.line}: closes nothing")
            del opened[-1:]
        else:
            opened.append(element)
            if element.name not in KNOWN_DIVS:
                problems.append(f"{element.line}: unknown div {element.name}")
    return problems + [f"{div.line}: {div.name} is never closed" for div in opened]


def test_nested_divs_of_any_length_are_fine() -> None:
    assert div_problems("::: challenge\n\nWhy?\n\n::::: solution\n\nSo.\n\n:::\n\n::::::\n") == []


def test_divs_in_code_are_text() -> None:
    assert div_problems("```text\n::: nonsense\n```\n") == []


def test_faults_of_divs_are_found() -> None:
    text = "::: chalenge\n\nA text\n:::\n\n:::\n\n::: hint\n"

    assert div_problems(text) == [
        "1: unknown div chalenge",
        "4: no blank line above",
        "6: closes nothing",
        "8: hint is never closed",
    ]


@every_page
def test_divs_are_known_and_balanced(page: PurePosixPath) -> None:
    assert div_problems(read(page)) == []


def heading_problems(text: str) -> list[str]:
    """Headings that do not start at level 2 or skip a level."""
    problems = []
    level = 1
    for heading in (element for element in read_elements(text) if isinstance(element, Heading)):
        if heading.level < 2 or heading.level > level + 1:
            problems.append(f"{heading.line}: level {heading.level} after level {level}")
        level = max(heading.level, 2)
    return problems


def test_a_first_level_heading_and_a_skipped_level_are_found() -> None:
    assert heading_problems("## A\n\n### B\n\n## C\n") == []
    assert heading_problems("# A\n\n#### B\n") == [
        "1: level 1 after level 1",
        "3: level 4 after level 2",
    ]


@every_page
def test_headings_start_at_level_2_and_skip_none(page: PurePosixPath) -> None:
    assert heading_problems(read(page)) == []


def test_the_reference_has_a_glossary() -> None:
    headings = [
        e.text for e in read_elements(read("learners/reference.md")) if isinstance(e, Heading)
    ]

    assert "Glossary" in headings


# Images, links, words


def inline_tokens(text: str, links: str = "") -> Iterator[Token]:
    """What stands in paragraphs, headings and table cells, with the link targets of links.md."""
    parser = MarkdownIt("commonmark").enable("table").use(front_matter_plugin)
    for token in parser.parse(f"{text}\n\n{links}"):
        if token.type == "inline":
            yield from token.children or []
        elif token.type == "html_block":
            yield token


def images_without_alt(text: str) -> list[str]:
    """Sources of the images that say nothing to a person who cannot see them.

    The Workbench takes the text from `![](x.png){alt='…'}`. What stands in the brackets it prints
    below the image, and calls the image decorative. An address with http:// in the text is a link
    to it that is not encrypted.
    """
    tokens = list(inline_tokens(text))
    found = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        attributes = after.content if after and after.type == "text" else ""
        has_alt = re.match(r"""\{alt=(["']).+?\1\}""", attributes) and not token.content
        if token.type == "image" and (not has_alt or "http://" in attributes):
            found.append(str(token.attrs["src"]))
        if (
            token.type.startswith("html")
            and "<img" in token.content
            and "alt=" not in token.content
        ):
            found.append(token.content.strip())
    return found


def unused_figures(folder: Path, pages: str) -> list[str]:
    """Files that the site would carry, and that no page shows."""
    return [file.name for file in sorted(folder.iterdir()) if f"fig/{file.name}" not in pages]


def test_a_figure_that_no_page_shows_is_found(tmp_path: Path) -> None:
    for name in ("shown.svg", "forgotten.png"):
        (tmp_path / name).touch()
    assert unused_figures(tmp_path, "![](fig/shown.svg){alt='A'}") == ["forgotten.png"]


def test_every_figure_is_shown() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in ROOT.glob("*/*.md"))
    assert unused_figures(ROOT / "episodes" / "fig", pages) == []


PHONE = 342
"""Pixels that a figure has on a phone that is 390 pixels wide."""


def small_text(svg: str) -> list[float]:
    """The sizes of text, in pixels on a phone, that are too small to be read there."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ', svg)
    assert box is not None
    sizes = {float(size) for size in re.findall(r'font-size[=:]\s*"?([\d.]+)', svg)}
    return [on_phone for size in sorted(sizes) if (on_phone := size * PHONE / float(box[1])) < 11]


def test_text_that_cannot_be_read_on_a_phone_is_found() -> None:
    svg = '<svg viewBox="0 0 760 100" font-size="25"><text font-size="14"/></svg>'
    assert list(map(round, small_text(svg))) == [6]
    assert small_text(svg.replace("760", "400").replace('"14"', '"13"')) == []


@pytest.mark.parametrize("figure", sorted(ROOT.glob("episodes/fig/*.svg")), ids=lambda f: f.stem)
def test_text_in_figures_can_be_read_on_a_phone(figure: Path) -> None:
    svg = figure.read_text(encoding="utf-8")
    assert "font-size=" in svg
    assert small_text(svg) == []


def test_images_without_alt_text_are_found() -> None:
    text = (
        "![](a.png)\n\n![A bar chart](b.png)\n\n![](c.png){alt='A map'}\n\n<img src='d.png'>\n\n"
        "![](e.png){width='5em'}\n\n![A map](f.png){alt='A map'}\n\n"
        "![](g.png){alt='A request to http://127.0.0.1'}\n"
    )

    found = ["a.png", "b.png", "<img src='d.png'>", "e.png", "f.png", "g.png"]
    assert images_without_alt(text) == found


@every_markdown_file
def test_images_have_alt_text(page: PurePosixPath) -> None:
    assert images_without_alt(read(page)) == []


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as pandoc makes them (and GitHub, for such headings)."""
    found: set[str] = set()
    for heading in (element for element in read_elements(text) if isinstance(element, Heading)):
        if explicit := re.search(r"\{[^}]*#([\w-]+)[^}]*\}\s*$", heading.text):
            found.add(explicit[1])
            continue
        words = re.sub(r"\]\([^)]*\)", "", heading.text).lower()
        slug = re.sub(r"\s+", "-", re.sub(r"[^\w\s.-]", "", words).strip())
        found.add(re.sub(r"^[^a-z]+", "", slug) or "section")
    return found


def test_anchors_are_those_of_pandoc() -> None:
    text = (
        "## API key\n\n### What's `/models`?\n\n## 2. [R](https://x.org) only\n\n## Long {#short}\n"
    )

    assert anchors(text) == {"api-key", "whats-models", "r-only", "short"}


UNINFORMATIVE = {
    "link",
    "this link",
    "a link",
    "here",
    "this",
    "this page",
    "click here",
    "more",
    "read more",
}


def link_problems(page: PurePosixPath, text: str, root: Path, links: str = "") -> list[str]:
    """Links that lead nowhere, are not encrypted, or do not say where they lead."""
    problems = []
    href, name = "", ""
    for token in inline_tokens(text, links):
        if token.type == "link_open":
            href, name = str(token.attrs["href"]), ""
            if problem := target_problem(page, href, text, root):
                problems.append(problem)
        elif token.type == "link_close":
            if len(name.strip()) < 2 or name.strip().lower() in UNINFORMATIVE:
                problems.append(f"{href}: the text says not where it leads: {name!r}")
        elif token.type == "image":
            if problem := target_problem(page, str(token.attrs["src"]), text, root):
                problems.append(problem)
        else:
            name += token.content
            of_image = token.content.startswith("{alt=")
            if token.type == "text" and "http://" in token.content and not of_image:
                problems.append(
                    f"this address becomes a link that is not encrypted: {token.content}"
                )
            if token.type == "text" and "][" in token.content:
                problems.append(f"the target of this link is not defined: {token.content}")
    return problems


def target_problem(page: PurePosixPath, href: str, text: str, root: Path) -> str | None:
    parts = urlsplit(href)
    if parts.scheme:
        return None if parts.scheme in ("https", "mailto") else f"{href}: not https"
    target = (root / page.parent / unquote(parts.path)).resolve() if parts.path else root / page
    if parts.path and not target.exists():
        return f"{href}: no such file"
    if parts.fragment:
        there = text if target == root / page else target.read_text(encoding="utf-8")
        if parts.fragment not in anchors(there):
            return f"{href}: no such heading"
    return None


def test_faults_of_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "learners").mkdir()
    (tmp_path / "learners" / "reference.md").write_text("## Glossary\n\n### API key\n")
    text = (
        "[keys](../learners/reference.md#api-key), [tokens](../learners/reference.md#token),\n"
        "[setup](../learners/setup.md), [below](#below), [the web](http://example.org),\n"
        "[here](https://example.org), [LiteLLM][litellm], [R][r-project], ![A map](fig/map.png)\n\n"
        "The proxy is at http://127.0.0.1:4000\n\n"
        "In code it is at `http://127.0.0.1:4000`.\n\n"
        "## Above\n"
    )
    links = "[litellm]: https://docs.litellm.ai/\n"

    assert link_problems(PurePosixPath("episodes/a.md"), text, tmp_path, links) == [
        "../learners/reference.md#token: no such heading",
        "../learners/setup.md: no such file",
        "#below: no such heading",
        "http://example.org: not https",
        "https://example.org: the text says not where it leads: 'here'",
        "the target of this link is not defined: , [R][r-project], ",
        "fig/map.png: no such file",
        "this address becomes a link that is not encrypted: The proxy is at http://127.0.0.1:4000",
    ]


@every_markdown_file
def test_links_lead_somewhere_and_say_where(page: PurePosixPath) -> None:
    assert link_problems(page, read(page), ROOT, read("links.md")) == []


def packages_of_r(text: str) -> list[str]:
    """Code such as `{title}`: the site takes it for a package of R, and asks CRAN for it."""
    return [
        token.content
        for token in inline_tokens(text)
        if token.type == "code_inline" and re.fullmatch(r"\{[A-Za-z][\w.]*\}", token.content)
    ]


def test_code_that_the_site_takes_for_a_package_is_found() -> None:
    assert packages_of_r('The mark `{title}`, or `"{title}"`, in `f"{title}"`.\n') == ["{title}"]


@every_page
def test_no_code_is_taken_for_a_package(page: PurePosixPath) -> None:
    assert packages_of_r(read(page)) == []


LIST_IN_A_LINE = re.compile(r" *(?:[-*] +(?:[a-z]|[ivx]+)[.)] +|\d+\. +\d+[.)] +|\([a-z\d]\) +)")


def strange_lists(text: str) -> list[str]:
    """Lines that pandoc reads as a list within a list, or as one where none is meant."""
    fences = [element for element in read_elements(text) if isinstance(element, Fence)]
    code = {line for fence in fences for line in range(fence.line, fence.end + 1)}
    lines = (line for n, line in enumerate(text.splitlines(), 1) if n not in code)
    return [found[0].strip() for line in lines if (found := LIST_IN_A_LINE.match(line))]


def test_lists_that_pandoc_reads_in_its_own_way_are_found() -> None:
    text = "- a. text\n- A text\n\n5. 0. Saying no\n\n(a) text\n\n1. One\n\n- `a.` text\n\n"
    text += "```text\n(a) text\n```\n"
    assert strange_lists(text) == ["- a.", "5. 0.", "(a)"]


@every_page
def test_lists_are_what_they_look_like(page: PurePosixPath) -> None:
    assert strange_lists(read(page)) == []


def test_no_page_has_check_boxes() -> None:
    """On the site they are fields without a label."""
    boxes = re.compile(r"^ *[-*] \[[ x]\] ", re.MULTILINE)
    assert boxes.search("- [ ] done")
    assert boxes.search("* [x] done")
    assert [str(page) for page in PAGES if boxes.search(read(page))] == []


def tables_without_proportions(text: str) -> list[int]:
    """Lines of tables whose columns all get the same width, though a row has no room in it.

    Pandoc shares the width by the dashes below the heading, if a row is longer than 72 characters.
    """
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        if not re.fullmatch(r"\|[ :|-]+\|", line) or "-" not in line:
            continue
        rows = [lines[number - 1]]
        for row in lines[number + 1 :]:
            if not row.startswith("|"):
                break
            rows.append(row)
        dashes = {cell.count("-") for cell in line.strip("|").split("|")}
        if max(map(len, rows)) > 72 and dashes == {3}:
            found.append(number + 1)
    return found


def test_a_table_without_proportions_is_found() -> None:
    table = f"| a | b |\n| --- | --- |\n| 1 | {'x' * 80} |\n"
    assert tables_without_proportions(table) == [2]
    assert tables_without_proportions(table.replace("| ---", "| -", 1)) == []
    assert tables_without_proportions(table.replace("x", "")) == []


@every_page
def test_tables_have_proportions(page: PurePosixPath) -> None:
    assert tables_without_proportions(read(page)) == []


def columns_without_a_name(text: str) -> list[str]:
    """Heads of tables with an empty cell, which a screen reader reads as nothing."""
    lines = text.splitlines()
    heads = [a for a, b in pairwise(lines) if re.fullmatch(r"\|[ :|-]+\|", b)]
    return [head for head in heads if re.search(r"\|\s*\|", head) and head.startswith("|")]


def test_a_column_without_a_name_is_found() -> None:
    assert columns_without_a_name("| | b |\n| - | - |\n| 1 | |\n") == ["| | b |"]


@every_page
def test_columns_of_tables_have_names(page: PurePosixPath) -> None:
    assert columns_without_a_name(read(page)) == []


def test_setup_begins_with_a_heading() -> None:
    """The site shows it below the home page."""
    text = read("learners/setup.md")
    first = text.replace(front_matter(text), "", 1).strip("- \n").splitlines()[0]
    assert first.startswith("## ")


OPERATING_SYSTEMS = ["Windows", "macOS", "Linux"]


def test_every_set_of_tabs_for_systems_has_the_same_names() -> None:
    """The site remembers the choice by the name of the tab."""
    for page in PAGES:
        tabs = re.findall(r"^### (Windows|macOS.*|Linux.*|Unix.*)$", read(page), re.MULTILINE)
        assert tabs == OPERATING_SYSTEMS * (len(tabs) // 3), page


UNKIND_WORDS = re.compile(r"\b(just|simply|easy|obvious|obviously)\b", re.IGNORECASE)


def unkind_words(text: str) -> list[str]:
    """Words that tell a reader who is stuck that others are not. Code may contain them."""
    prose = " ".join(token.content for token in inline_tokens(text) if token.type == "text")
    return UNKIND_WORDS.findall(prose)


def test_unkind_words_are_found_in_prose_only() -> None:
    text = (
        "Just send it: this is *easy*.\n\n`just` is code.\n\n```bash\njust go\n```\n\nAdjust it.\n"
    )

    assert unkind_words(text) == ["Just", "easy"]


@every_page
def test_pages_avoid_unkind_words(page: PurePosixPath) -> None:
    assert unkind_words(read(page)) == []


UNFINISHED = re.compile(r"\b(FIXME|TODO|TBD|XXX)\b")


def test_unfinished_marks_are_found() -> None:
    assert UNFINISHED.findall("A FIXME, a TODO, but todo and Todos are words") == ["FIXME", "TODO"]


@pytest.mark.parametrize("file", [*map(str, MARKDOWN_FILES), "config.yaml", "CITATION.cff"])
def test_nothing_is_marked_as_unfinished(file: str) -> None:
    assert UNFINISHED.findall(read(file)) == []


# --- what continuous integration installs --------------------------------------------------------

HASHED = re.compile(r"[\w.-]+==[^\s;\\]+( ; [^\\]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+")


def unhashed(requirements: str) -> list[str]:
    """What a requirements file would install without a hash, or from an address of its own."""
    lines = [line for line in requirements.splitlines() if not line.startswith("#")]
    return [r for r in re.split(r"\n(?! )", "\n".join(lines)) if not HASHED.fullmatch(r)]


def test_requirement_without_a_hash_is_found():
    good = f"a-b==1.0 ; python_version < '3.11' \\\n    --hash=sha256:{'0' * 64}"
    assert unhashed(f"# why\n{good}\nb>=2\nc==1\n--index-url x\n{good}") == [
        "b>=2",
        "c==1",
        "--index-url x",
    ]


@pytest.mark.parametrize("version", list(VERSIONS))
def test_litellm_is_installed_by_hash(version):
    requirements = (ROOT / ".ci" / f"litellm-{version}.txt").read_text(encoding="utf-8")
    assert unhashed(requirements) == []
    assert f"\nlitellm=={version} " in requirements
