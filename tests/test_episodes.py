"""The episodes keep The Carpentries' checklist for reviewed lessons, as far as a machine can tell.

As in `test_repository.py`, each rule is a small function over a page's text; its first test shows
what it finds, its second applies it to every episode.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lesson_runner.page.markdown import DivClose, DivOpen, Heading, front_matter, read_elements

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
EPISODES = [ROOT / "episodes" / name for name in CONFIG["episodes"]]

every_episode = pytest.mark.parametrize("page", EPISODES, ids=lambda page: page.stem)
every_page = pytest.mark.parametrize(
    "page",
    [
        *EPISODES,
        *(ROOT / f / n for f in ("learners", "instructors", "profiles") for n in CONFIG[f]),
    ],
    ids=lambda page: page.stem,
)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@dataclass
class Div:
    """A fenced div: from `line`, its opening, to `end`, its closing."""

    name: str
    line: int
    end: int = 0
    parent: "Div | None" = None
    children: list["Div"] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)


def divs_of(text: str) -> list[Div]:
    """All divs of a page in the order of their opening lines."""
    found: list[Div] = []
    inside: Div | None = None
    for element in read_elements(text):
        if isinstance(element, DivOpen):
            div = Div(element.name, element.line, parent=inside)
            if inside:
                inside.children.append(div)
            found.append(div)
            inside = div
        elif isinstance(element, DivClose) and inside:
            inside.end = element.line
            inside = inside.parent
        elif isinstance(element, Heading) and inside:
            inside.headings.append(element)
    return found


def body_of(text: str, div: Div) -> list[str]:
    """The lines within a div that are not blank."""
    return [line for line in text.splitlines()[div.line : div.end - 1] if line.strip()]


# Front matter, and the divs that every episode has


def missing_times(metadata: dict[str, Any]) -> list[str]:
    return [
        f"no {name}"
        for name in ("title", "teaching", "exercises")
        if not metadata.get(name)
        or (name != "title" and not (isinstance(metadata[name], int) and metadata[name] > 0))
    ]


def test_missing_times_are_found() -> None:
    assert missing_times({"title": "A", "teaching": "20 min"}) == ["no teaching", "no exercises"]


@every_episode
def test_episode_has_a_title_and_times(page: Path) -> None:
    assert missing_times(yaml.safe_load(front_matter(read(page)))) == []


def frame_problems(text: str) -> list[str]:
    """Questions and objectives come first, keypoints last, and each is a list with items."""
    divs = [div for div in divs_of(text) if div.parent is None]
    names = [div.name for div in divs]
    problems = []
    if names[:2] != ["questions", "objectives"]:
        problems.append(f"the page begins with {names[:2]}")
    if names[-1:] != ["keypoints"]:
        problems.append(f"the page ends with {names[-1:]}")
    for div in divs:
        if div.name in ("questions", "objectives", "keypoints"):
            lines = body_of(text, div)
            if not lines or not all(re.match(r"- \S|  \S", line) for line in lines):
                problems.append(f"{div.line}: {div.name} is not a list")
    return problems


def test_a_page_without_its_frame_is_found() -> None:
    text = "::: objectives\n\nTo call an API.\n\n:::\n\n::: questions\n\n- Why?\n\n:::\n"

    assert frame_problems(text) == [
        "the page begins with ['objectives', 'questions']",
        "the page ends with ['questions']",
        "1: objectives is not a list",
    ]


@every_episode
def test_episode_begins_with_its_aims_and_ends_with_its_key_points(page: Path) -> None:
    assert frame_problems(read(page)) == []


NOBODY_SEES = {"understand", "know", "learn", "appreciate", "be", "realise", "realize", "become"}


def vague_objectives(text: str) -> list[str]:
    """Objectives that begin with something that nobody can watch a learner do."""
    lines = [
        line.removeprefix("- ")
        for div in divs_of(text)
        if div.name == "objectives"
        for line in body_of(text, div)
    ]
    return [line for line in lines if line.split()[0].lower().strip(",") in NOBODY_SEES]


def test_vague_objectives_are_found() -> None:
    text = "::: objectives\n\n- Send a request.\n- Understand APIs.\n- Be able to read.\n\n:::\n"

    assert vague_objectives(text) == ["Understand APIs.", "Be able to read."]


@every_episode
def test_objectives_begin_with_an_action(page: Path) -> None:
    assert vague_objectives(read(page)) == []


# Exercises

MINUTES = re.compile(r"\((\d+) minutes?\)$")


def minutes_of(text: str) -> list[int]:
    """The minutes in the titles of the challenges."""
    titles = [d.headings[0].text for d in divs_of(text) if d.name == "challenge" and d.headings]
    return [int(found[1]) for title in titles if (found := MINUTES.search(title))]


def challenge_problems(text: str) -> list[str]:
    """Challenges without a time, or without a solution; solutions outside a challenge."""
    problems = []
    for div in divs_of(text):
        if div.name == "challenge":
            if not div.headings or not MINUTES.search(div.headings[0].text):
                problems.append(f"{div.line}: the challenge says not how many minutes it takes")
            if "solution" not in [child.name for child in div.children]:
                problems.append(f"{div.line}: the challenge has no solution")
        if div.name in ("solution", "hint") and (not div.parent or div.parent.name != "challenge"):
            problems.append(f"{div.line}: the {div.name} belongs to no challenge")
    return problems


def test_challenges_without_minutes_or_solution_are_found() -> None:
    text = (
        "::: challenge\n\n## Try it (5 minutes)\n\n:::\n\n"
        "::: challenge\n\n## Try it\n\n::: solution\n\nSo.\n\n:::\n\n:::\n\n"
        "::: hint\n\nThink.\n\n:::\n"
    )

    assert challenge_problems(text) == [
        "1: the challenge has no solution",
        "7: the challenge says not how many minutes it takes",
        "19: the hint belongs to no challenge",
    ]
    assert minutes_of(text) == [5]


@every_page
def test_challenges_have_minutes_and_a_solution(page: Path) -> None:
    assert challenge_problems(read(page)) == []


@every_episode
def test_the_minutes_of_the_exercises_add_up(page: Path) -> None:
    text = read(page)

    assert sum(minutes_of(text)) == yaml.safe_load(front_matter(text))["exercises"]


# What the Workbench does to headings and tabs


def repeated_headings(text: str) -> list[str]:
    """Headings that have the same text as another one below the same heading.

    The titles of tabs repeat in every tab, and are not among them.
    """
    tabs = {h.line for d in divs_of(text) if d.name == "group-tab" for h in d.headings}
    above: list[Heading] = []
    seen: Counter[tuple[str, ...]] = Counter()
    for heading in read_elements(text):
        if not isinstance(heading, Heading) or heading.line in tabs:
            continue
        above = [h for h in above if h.level < heading.level] + [heading]
        seen[tuple(h.text for h in above)] += 1
    return [" / ".join(path) for path, count in seen.items() if count > 1]


def test_repeated_headings_are_found() -> None:
    tabs = "::: group-tab\n\n### R\n\n:::\n\n"
    text = "## A\n\n### B\n\n## C\n\n### B\n\n### B\n\n" + tabs + tabs

    assert repeated_headings(text) == ["C / B"]


@every_page
def test_headings_are_unique_among_their_siblings(page: Path) -> None:
    assert repeated_headings(read(page)) == []


def tab_problems(text: str) -> list[str]:
    """What the Workbench loses or doubles inside tabs (sandpaper 0.20.2, varnish 1.1.1)."""
    problems = []
    for div in (div for div in divs_of(text) if div.name == "group-tab"):
        if not div.headings:
            problems.append(f"{div.line}: tabs without headings of level 3")
        problems += [f"{child.line}: a {child.name} in a tab" for child in div.children]
        inner = "\n".join(text.splitlines()[div.line : div.end - 1])
        problems += [f"{div.line + line}: {what} in a tab" for line, what in swallowed(inner)]
    return problems


def swallowed(text: str) -> Iterator[tuple[int, str]]:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        line = (token.map[0] if token.map else 0) + 1
        if token.type == "table_open":
            yield line, "a table"
        elif token.type == "blockquote_open":
            yield line, "a quotation"
        elif is_raw_html(token) or any(is_raw_html(child) for child in token.children or []):
            yield line, "raw HTML"
        elif (
            token.type == "list_item_open"
            and after is not None
            and after.type == "paragraph_open"
            and not after.hidden
        ):
            yield line, "a list with blank lines"


def is_raw_html(token: Token) -> bool:
    return token.type.startswith("html") and not token.content.lstrip().startswith("<!--")


def test_what_tabs_swallow_is_found() -> None:
    text = (
        "::: group-tab\n\n### Python\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n> No.\n\n"
        "- one\n\n- two\n\nA <b>word</b>\n\n<!-- not run: x -->\n\n"
        "::: callout\n\nA\n\n:::\n\n- fine\n- too\n\n:::\n"
    )

    assert tab_problems(text) == [
        "19: a callout in a tab",
        "5: a table in a tab",
        "9: a quotation in a tab",
        "11: a list with blank lines in a tab",
        "13: a list with blank lines in a tab",
        "15: raw HTML in a tab",
    ]


@every_page
def test_tabs_hold_nothing_that_the_workbench_swallows(page: Path) -> None:
    assert tab_problems(read(page)) == []


def unequal_tabs(text: str) -> list[str]:
    """Tabs that show code in one language of the lesson and leave the other out."""
    return [
        f"{div.line}: tabs for {[heading.text for heading in div.headings]}"
        for div in divs_of(text)
        if div.name == "group-tab"
        and len({heading.text for heading in div.headings} & {"Python", "R"}) == 1
    ]


def test_a_tab_for_one_language_alone_is_found() -> None:
    text = (
        "::: group-tab\n\n### Python\n\n### Julia\n\n:::\n\n::: group-tab\n\n### Windows\n\n:::\n"
    )

    assert unequal_tabs(text) == ["1: tabs for ['Python', 'Julia']"]


@every_page
def test_python_and_r_stand_side_by_side(page: Path) -> None:
    assert unequal_tabs(read(page)) == []


# The plan; the times in the pages for instructors are those of `test_handouts.py`


def assessment_rows() -> list[tuple[int, str, str]]:
    """(number of the episode, objective, exercise) of each row of the table in `design.md`."""
    text = read(ROOT / "instructors" / "design.md")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| (?:whether|which) ", text, re.MULTILINE)
    return [(int(number), objective, exercise) for number, objective, exercise in rows]


def items(text: str, name: str) -> list[str]:
    return [
        line.removeprefix("- ").rstrip(".")
        for div in divs_of(text)
        if div.name == name
        for line in body_of(text, div)
    ]


def exercises_of(text: str) -> list[str]:
    titles = [d.headings[0].text for d in divs_of(text) if d.name == "challenge" and d.headings]
    return [MINUTES.sub("", title).strip() for title in titles]


@pytest.mark.parametrize("number", range(1, len(EPISODES) + 1))
def test_the_design_has_an_exercise_for_each_objective(number: int) -> None:
    text = read(EPISODES[number - 1])
    rows = [(o, e) for n, o, e in assessment_rows() if n == number]

    assert {objective for objective, _ in rows} == set(items(text, "objectives"))
    assert {exercise for _, exercise in rows} == set(exercises_of(text))
