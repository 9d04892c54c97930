"""A page of a lesson (Markdown text) → `Episode`: its blocks, and what the page says of each.

`CONTRIBUTING.md` describes what a page can say. Anything that this module does not know becomes a
`Problem` with its line, never a block that is silently left out.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import yaml
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

from lesson_runner import ALIASES, LANGUAGES
from lesson_runner.page import exact_json, published
from lesson_runner.page import markdown as fences
from lesson_runner.page.comparison import EXACT, Comparison, read_comparison
from lesson_runner.page.divs import Div, divs_around, page_as_div
from lesson_runner.page.markdown import Comment, Element, Fence, Image, Text
from lesson_runner.page.starter_code import starter_code_problem

Role = Literal["run", "exercise", "not run", "data", "response"]

DATA_LANGUAGES = {
    "asis",
    "csv",
    "geojson",
    "git",
    "gitignore",
    "jsonl",
    "log",
    "mermaid",
    "message",
    "nextflow",
    "nohighlight",
    "plain",
    "plaintext",
    "snakemake",
    "source",
    "spss",
    "svg",
    "tsv",
    "txt",
    "verbatim",
    "warning",
}
"""Fence languages that show data and that Pygments has no lexer for."""

OTHER_NAMES = {
    **dict.fromkeys(
        ("ipython", "ipython2", "ipython3", "ipythonconsole", "py2", "python2"), "python"
    ),
    **dict.fromkeys(("pycon", "python-console", "numpy", "xonsh"), "python"),
    **dict.fromkeys(("rconsole", "rout", "splus"), "r"),
    **dict.fromkeys(("fish", "csh", "tcsh"), "bash"),
}
"""Dialects and transcripts of the languages that run: shown as data, they would rot unseen."""

EVAL_OFF = re.compile(r"\beval\s*[=:]\s*(F|FALSE|false)\b")
"""The option that switches a knitr chunk off."""

CHUNK = re.compile(r"(?<=```)\{\w.*`.*(?=\}[ \t]*$)", re.MULTILINE)
"""The options of a knitr chunk that have backticks."""

ENGINE = re.compile(r"\bengine\s*[=:]\s*[\"']?(\w+)")
"""The option of a knitr chunk whose code is of another language."""

ERROR_ON = re.compile(r"\berror\s*[=:]\s*(T|TRUE|true)\b")
"""The option of a knitr chunk that raises an error: the site shows it, the page need not."""

DIRECTIVES = ("not run", "response", "practice proxy only", "compare")


@dataclass(frozen=True)
class Problem:
    """Something in a page that has no meaning; `message` says the way out."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Shown:
    """An `output`, `error` or `json` fence: what the page shows for a block."""

    kind: Literal["output", "error", "json"]
    fence: Fence
    means: str | None = None
    """What it says where the page says it in its own way: `...` for `[output truncated]`."""
    apart: bool = False
    """Whether text stands between it and what is above: then it may be about that text."""

    @property
    def line(self) -> int:
        return self.fence.line

    @property
    def text(self) -> str:
        return self.fence.text if self.means is None else self.means


@dataclass(frozen=True)
class Request:
    """The HTTP request whose answer a `json` fence shows."""

    method: str
    path: str
    body: str | None = None
    with_key: bool = True


@dataclass(frozen=True)
class Figure:
    """An image directly after a block: `source` is relative to the page.

    It is `expected` that the block draws it unless `Lesson.read` finds that no plot is there.
    """

    line: int
    source: str
    expected: bool = True


@dataclass(frozen=True)
class Block:
    """A fence that is code or data, or code that is indented instead: that is data without a fence.

    `line` is the line of the opening fence, from 1; the first line of `source` is the next.
    `div` names the divs around it from the outside in, `tab` the heading of its tab. `challenge`
    is the line at which the challenge around it begins, or 0.
    """

    path: str
    line: int
    language: str
    source: str
    role: Role
    div: tuple[str, ...] = ()
    tab: str | None = None
    reason: str = ""
    practice_only: str = ""
    error_on: bool = False
    announced: bool = False
    """Whether the text around a knitr chunk speaks of the error that the site will show."""
    shown: tuple[Shown, ...] = ()
    figures: tuple[Figure, ...] = ()
    request: Request | None = None
    fence: Fence | None = None
    compare: Comparison = EXACT
    challenge: int = 0
    strict: bool = True
    """Whether the page is taken to the letter; otherwise as a published lesson means it."""

    def shows(self, kind: str) -> Shown | None:
        return next((shown for shown in self.shown if shown.kind == kind), None)

    @property
    def must_raise(self) -> bool:
        return self.error_on or self.shows("error") is not None


LINK_DEFINITION = re.compile(r"^ {0,3}\[([^\]^][^\]]*)\]:[ \t]+<?([^\s>]+)>?", re.MULTILINE)


def link_definitions(text: str) -> dict[str, str]:
    """`[label]: target` → the target by its label, in lower case."""
    return {label.lower(): target for label, target in LINK_DEFINITION.findall(text)}


@dataclass(frozen=True)
class Episode:
    """A page as read. `path` is relative to the lesson's root, with forward slashes."""

    path: str
    title: str
    text: str
    elements: tuple[Element, ...]
    blocks: tuple[Block, ...]
    problems: tuple[Problem, ...]
    more_links: Mapping[str, str] = field(default_factory=dict)
    """Targets of `[text][label]` that the lesson keeps in its `links.md`."""

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Label of a reference link, in lower case → its target."""
        return {**self.more_links, **link_definitions(self.text)}

    @cached_property
    def divs(self) -> Div:
        return page_as_div(self.elements)

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a block to run."""
        present = {block.language for block in self.blocks if block.role == "run"}
        return tuple(language for language in LANGUAGES if language in present)

    def to_run(self, language: str) -> tuple[Block, ...]:
        return tuple(b for b in self.blocks if b.role == "run" and b.language == language)

    @property
    def responses(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.role == "response")


def read_episode(
    path: str, text: str, *, strict: bool = True, compare: Comparison = EXACT
) -> Episode:
    """Read one page. Never raises for what the page says: see `Episode.problems`.

    If it is not `strict`, the page is read as `lesson_runner.page.published` describes.
    """
    text = text.removeprefix("\ufeff")
    # knitr allows backticks in the options of a chunk, as CommonMark does not.
    with_chunks = path.endswith(".Rmd")
    as_markdown = CHUNK.sub(lambda m: m[0].replace("`", "'"), text) if with_chunks else text
    elements = fences.read_elements(as_markdown)
    reader = _Reader(path, page_as_div(elements), strict, compare)
    for element in elements:
        reader.read(element)
    reader.finish()
    for line, message in fences.stray_fences(as_markdown, elements):
        reader.problem(line, message)
    title = _title(path, text, reader)
    if strict and not elements and not reader.problems:
        reader.problem(1, "this page has no content: write some, or delete the file")
    problems = tuple(sorted(reader.problems, key=lambda problem: problem.line))
    blocks = tuple(_unless_faulty(block, problems) for block in reader.blocks)
    if not strict and with_chunks:
        lines = _announced(elements)
        blocks = tuple(replace(block, announced=block.line in lines) for block in blocks)
    return Episode(path, title, text, tuple(elements), blocks, problems)


def _unless_faulty(block: Block, problems: tuple[Problem, ...]) -> Block:
    """A problem costs its own fence: the rest of the page runs."""
    end = block.fence.end if block.fence else block.line
    if block.role in ("run", "response") and any(block.line <= p.line <= end for p in problems):
        return replace(block, role="not run", reason="this fence has a problem")
    return block


def _announced(elements: Iterable[Element]) -> set[int]:
    """The lines of fences with text that speaks of an error between them and the next fences."""
    lines = {0}
    above, speaks = 0, False
    for element in elements:
        if isinstance(element, Text):
            speaks = speaks or bool(published.SPEAKS_OF_AN_ERROR.search(element.content))
        elif isinstance(element, Fence):
            lines |= {above, element.line} if speaks else set()
            above, speaks = element.line, False
    return lines | ({above} if speaks else set())


def _title(path: str, text: str, reader: "_Reader") -> str:
    if re.match(r"---[ \t]*[\r\n]", text) and not fences.front_matter_end(text):
        reader.problem(1, "the front matter is never closed: end it with a line of ---")
    try:
        matter = yaml.safe_load(fences.front_matter(text))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-02-30
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        reader.problem(
            line, f"the front matter is not valid YAML: {getattr(error, 'problem', error)}"
        )
        matter = None
    title = matter.get("title") if isinstance(matter, dict) else None
    return str(title) if title else path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class _Info:
    """The info string of a fence: ```` ```python title="x" ````, ```` ```{.r .exercise} ````."""

    language: str
    exercise: bool
    options: str  # those of a knitr chunk, if it is one
    strange: str  # a word that looks like a misspelt `.exercise`


def read_info(info: str) -> _Info:
    braces = re.fullmatch(r"\{(.*)\}", info)
    inner = braces[1] if braces else info.replace("{", " ").replace("}", " ")
    unquoted = re.sub(r"""=\s*("[^"]*"|'[^']*')""", "=quoted", inner)
    words = [word for word in re.split(r"[\s,]+", unquoted.lower()) if word]
    if braces and words and words[0][0] == "#":
        words = [word for word in words if word[0] == "."]  # {#id .python}
    first, rest = (words[0], words[1:]) if words else ("", [])
    name = first.removeprefix(".")
    if braces and first == name:
        rest = [word for word in rest if word[0] == "."]  # the others label a knitr chunk
    strange = [word for word in rest if word != ".exercise" and _like_exercise(word)]
    if braces and (engine := ENGINE.search(inner)):
        name = ALIASES.get(engine[1], engine[1])
        name = name if name in LANGUAGES else "text"
    return _Info(
        language=ALIASES.get(name, name),
        exercise=".exercise" in rest,
        options=inner,
        strange=strange[0] if strange else "",
    )


def _like_exercise(word: str) -> bool:
    return bool(difflib.get_close_matches(word.lstrip("."), ["exercise"], 1, 0.8))


def _chunk_option(option: re.Pattern[str], info: _Info, fence: Fence) -> str:
    """The option as the header of a knitr chunk, or a `#|` line below it, has it; else empty."""
    lines = re.match(r"(\s*#\|.*\n)*", fence.text if fence.info.startswith("{") else "")
    assert lines is not None  # it may be empty
    found = option.search(info.options) or option.search(lines[0])
    return found[0] if found else ""


def directive_name(comment: Comment) -> str:
    """The part before the colon, spelled as in `DIRECTIVES`. Most comments are no directive."""
    return re.sub(r"[\s_-]+", " ", comment.text.partition(":")[0].strip().lower())


def is_data_language(language: str) -> bool:
    """Whether a fence of this language shows data: any language that a highlighter knows."""
    if language == "" or language in DATA_LANGUAGES or language.startswith("="):
        return True
    return _lexer_of(language) is not None and other_name_of(language) is None


def other_name_of(language: str) -> str | None:
    """The language that runs, of which this is a name that we do not use: `py3`, `zsh`, `s`."""
    if language in OTHER_NAMES:
        return OTHER_NAMES[language]
    lexer = _lexer_of(language)
    return next((one for one in LANGUAGES if lexer and lexer is _lexer_of(one)), None)


def _lexer_of(language: str) -> type[Lexer] | None:
    try:
        lexer = find_lexer_class_by_name(language)
    except ClassNotFound:
        return None
    # A plug-in must not decide what a page means: another machine may not have it.
    return lexer if lexer.__module__.startswith("pygments.") else None


class _Reader:
    """Walks through the elements of one page and keeps where it stands."""

    def __init__(self, path: str, page: Div, strict: bool, compare: Comparison) -> None:
        self.path = path
        self.page = page
        self.strict = strict
        self.compare = compare
        self.blocks: list[Block] = []
        self.problems: list[Problem] = []
        self.line = 0  # of the element that is read
        self.directives: list[tuple[int, str, str]] = []  # line, name, text
        self.places: list[tuple[int, ...]] = []  # of each block: lines that open its containers
        self.adjacent = False  # only shown fences and images stand between the last block and here
        self.fence_above = 0  # the line of the last fence
        self.unknown_above = False  # the last fence was of an unknown language

    def problem(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.path, line, message))

    def read(self, element: Element) -> None:
        self.line = element.line
        if self.directives and not isinstance(element, Fence | Comment):
            self.unused_directives()
        match element:
            case Fence():
                self.read_fence(element)
                return
            case Comment():
                self.read_comment(element)
                return
            case Image():
                self.read_image(element)
                return  # another one may follow
            case Text():
                if element.indented and element.content.strip():
                    block = Block(self.path, element.line, "text", element.content, "data")
                    self.add(None, block)
        self.adjacent = False

    def finish(self) -> None:
        self.unused_directives()

    # Comments

    def read_comment(self, comment: Comment) -> None:
        if not comment.closed:
            self.problem(comment.line, "this comment is never closed: end it with -->")
        _, colon, rest = comment.text.partition(":")
        name = directive_name(comment)
        says = re.sub(r"\s*\n\s*", " ", rest.strip())
        if name in DIRECTIVES:
            if not colon or not says:
                self.problem(
                    comment.line,
                    f"`<!-- {name} -->` needs what it is about: `<!-- {name}: … -->`",
                )
            if any(name == earlier for _, earlier, _ in self.directives):
                self.problem(comment.line, f"`<!-- {name}: … -->` stands above this fence twice")
            self.directives.append((comment.line, name, says))
        elif near := difflib.get_close_matches(name, DIRECTIVES, 1, 0.75 if colon else 0.85):
            self.problem(comment.line, f"unknown directive `{name}`: did you mean `{near[0]}`?")
        elif re.match(r"(GET|POST|PUT|PATCH|DELETE) /", rest.strip()) or re.match(
            r"\s*(response|answer)\s+(GET|POST|PUT|PATCH|DELETE) /", comment.text
        ):
            first = comment.text.split()[0].rstrip(":")
            self.problem(
                comment.line, f"`{first}` is no directive here: write `<!-- response: REQUEST -->`"
            )

    def unused_directives(self) -> None:
        for line, name, _ in self.directives:
            self.problem(
                line, f"`<!-- {name}: … -->` fits no fence: put it on the line above the fence"
            )
        self.directives = []

    def take_directives(self) -> dict[str, str]:
        taken = {name: says for _, name, says in self.directives}
        self.directives = []
        return taken

    # Fences

    def read_fence(self, fence: Fence) -> None:
        info = read_info(fence.info)
        lines = {name: line for line, name, _ in self.directives}
        directives = self.take_directives()
        if not fence.closed:
            message = f"this fence is never closed: end it with {fence.marker}"
            if self.fence_above and not fence.info:  # it may have been meant to close one
                message += f", unless the fence at line {self.fence_above} ends too early"
            self.problem(fence.line, message)
        self.fence_above = fence.line
        if info.language in ("output", "error"):
            self.misplaced(lines, ())
            self.read_shown(fence, "output" if info.language == "output" else "error")
        elif info.language in LANGUAGES:
            self.misplaced(lines, ("not run", "practice proxy only", "compare"))
            self.read_code(fence, info, directives)
        elif info.language == "json" and "response" in directives:
            self.misplaced(lines, ("response", "practice proxy only"))
            self.read_response(fence, directives, lines["response"])
        elif is_data_language(info.language):
            self.misplaced(lines, ())
            self.add(
                fence, Block(self.path, fence.line, info.language or "text", fence.text, "data")
            )
        else:
            self.unknown_language(fence, info.language)

    def misplaced(self, lines: dict[str, int], fitting: tuple[str, ...]) -> None:
        for name, line in lines.items():
            if name not in fitting:
                wanted = "a `json` fence" if name == "response" else "a block that runs"
                self.problem(line, f"`<!-- {name}: … -->` belongs above {wanted}")

    def read_code(self, fence: Fence, info: _Info, directives: dict[str, str]) -> None:
        block = Block(self.path, fence.line, info.language, fence.text, "run")
        block = replace(
            block,
            practice_only=directives.get("practice proxy only", ""),
            error_on=bool(_chunk_option(ERROR_ON, info, fence)),
        )
        if info.strange:
            form = f"{{.{info.language} .exercise}}"
            self.problem(fence.line, f"unknown class `{info.strange}`: starter code is `{form}`")
        says = directives.get("compare")
        block = replace(block, compare=self.read_compare(says) if says else self.compare)
        commands = fence.text
        if not self.strict:
            commands = published.without_prompts(fence.text, info.language)
            block = replace(block, source=commands)
        if "not run" in directives:
            block = replace(block, role="not run", reason=directives["not run"])
        elif off := _chunk_option(EVAL_OFF, info, fence):
            block = replace(block, role="not run", reason=f"chunk option {off}")
        elif info.exercise:
            block = replace(block, role="exercise", reason="starter code")
            if fault := starter_code_problem(fence.text, info.language):
                offset, message = fault
                self.problem(fence.line + offset, f"starter code: {message}")
        elif not self.strict and published.has_blanks(commands, info.language):
            block = replace(block, role="exercise", reason="starter code")
        elif not self.strict and info.language == "bash" and published.is_for_a_person(commands):
            reason = "it opens a program that somebody works in"
            block = replace(block, role="not run", reason=reason)
        elif not self.strict and info.language == "python" and published.is_fragment(commands):
            block = replace(block, role="exercise", reason="a fragment")
        elif not fence.text.strip() and (self.strict or not fence.info.startswith("{")):
            self.problem(fence.line, "this block is empty: there is nothing to run")
        self.add(fence, block)

    def read_compare(self, says: str) -> Comparison:
        try:
            return read_comparison(says, self.compare)
        except ValueError as error:
            self.problem(self.line, str(error))
            return self.compare

    def read_response(self, fence: Fence, directives: dict[str, str], line: int) -> None:
        request = read_request(directives["response"])
        if isinstance(request, str):
            self.problem(line, request)
            return
        try:
            shown = exact_json.loads(fence.text or "null", object_pairs_hook=_refuse_duplicate_keys)
            if shown == "...":
                self.problem(fence.line, 'an answer of `"..."` alone compares nothing')
        except json.JSONDecodeError as error:
            self.problem(fence.line + error.lineno, f"this is not JSON: {error.msg}")
        except _DuplicateKey as error:
            self.problem(fence.line, f'the key "{error}" stands twice in one object')
        block = Block(
            self.path,
            fence.line,
            "json",
            fence.text,
            "response",
            request=request,
            practice_only=directives.get("practice proxy only", ""),
            shown=(Shown("json", fence),),
        )
        self.add(fence, block)
        self.adjacent = False

    def read_shown(self, fence: Fence, kind: Literal["output", "error"]) -> None:
        """Attach an `output` or `error` fence to the block before it."""
        if self.unknown_above:  # its block has been refused already
            return
        block = self.last_code_block()
        if not self.strict and (block is None or block.shows("error")):
            reason = "shown for the text around it"
            self.add(fence, Block(self.path, fence.line, kind, fence.text, "data", reason=reason))
            return
        if block is None:
            self.problem(
                fence.line,
                f"this `{kind}` fence follows no block that runs: put it after the block, "
                "in the same div or tab, or show it as `text`",
            )
            return
        means: str | None = None
        if not self.strict:
            means = published.with_dots(fence.text)
            if published.is_error(fence.text, block.language):
                kind = "error"
        elif fence.text.strip() == "...":
            self.problem(fence.line, f"`...` alone compares nothing: show part of the {kind}")
        if block.shows(kind) and self.strict:
            self.problem(
                fence.line, f"the block at line {block.line} has an `{kind}` fence already"
            )
            return
        position = len(self.blocks) - 1
        while self.blocks[position] is not block:
            position -= 1
        means = means if means != fence.text else None
        shown = Shown(kind, fence, means, not self.adjacent)
        self.blocks[position] = replace(block, shown=(*block.shown, shown))
        self.adjacent = True

    def last_code_block(self) -> Block | None:
        """The code block that a shown fence, standing here, is about.

        It is the last one before, data aside, and stands in the same div and tab or around them:
        a solution may show the output of its challenge, a tab never that of another tab.
        """
        for block, place in zip(reversed(self.blocks), reversed(self.places), strict=True):
            if block.role in ("run", "not run"):
                return block if self.place()[: len(place)] == place else None
            if block.role == "exercise":
                return None
        return None

    def read_image(self, image: Image) -> None:
        block = self.last_code_block()
        source = image.source.removeprefix("./")
        is_plot = source.startswith("fig/") and source.lower().endswith(".png")
        if self.adjacent and is_plot and block and block.role == "run" and block.language != "bash":
            position = self.blocks.index(block)
            figure = Figure(image.line, source)
            self.blocks[position] = replace(block, figures=(*block.figures, figure))

    def unknown_language(self, fence: Fence, language: str) -> None:
        known = [*LANGUAGES, *ALIASES, "output", "error", "json", *DATA_LANGUAGES]
        same = other_name_of(language)
        near = [same] if same else difflib.get_close_matches(language, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else "use `text` to show it as it is"
        if language in OTHER_NAMES:
            hint = f"use `{same}` to run it, or `text` to show it as it is"
        self.problem(fence.line, f"unknown fence language `{language}`: {hint}")
        self.unknown_above = True

    def place(self) -> tuple[int, ...]:
        """The lines that open the divs and tabs around here, from the outside in."""
        places = ((div, div.tab_at(self.line)) for div in divs_around(self.page, self.line))
        return tuple(one.line for place in places for one in place if one)

    def add(self, fence: Fence | None, block: Block) -> None:
        divs = divs_around(self.page, block.line)
        tabs = [tab.text for div in divs if (tab := div.tab_at(block.line))]
        block = replace(
            block,
            div=tuple(div.name for div in divs),
            tab=tabs[-1] if tabs else None,
            challenge=next((div.line for div in divs if div.name == "challenge"), 0),
            fence=fence,
            strict=self.strict,
        )
        self.blocks.append(block)
        self.unknown_above = False
        self.places.append(self.place())
        self.adjacent = block.role != "data"


class _DuplicateKey(Exception):
    pass


def _refuse_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read: dict[str, object] = {}
    for key, value in pairs:
        if key in read:
            raise _DuplicateKey(key)
        read[key] = value
    return read


def read_request(says: str) -> Request | str:
    """`GET /models`, `GET /models without key`, `POST /x {"json": 1}` → Request, or the fault."""
    match = re.fullmatch(
        r"(?P<method>[A-Z]+) (?P<path>/\S*)(?P<no_key> without (?:a )?key)?(?: (?P<body>[\[{].*))?",
        says,
    )
    if match is None:
        return (
            f"`response: {says}` is not a request: write `GET /path`, `GET /path without key` "
            'or `POST /path {"a JSON": "body"}`'
        )
    if match["body"]:
        try:
            exact_json.loads(match["body"])
        except json.JSONDecodeError as error:
            return f"the body of `response: {says}` is not JSON: {error.msg}"
    return Request(match["method"], match["path"], match["body"], match["no_key"] is None)
