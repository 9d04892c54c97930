"""`lesson.yaml`: what the code of a lesson needs. `lesson_runner/guide/adopt.md` describes it.

Everything in it is optional, and so is the file. What has no meaning is a `Problem` with its line.
"""

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from lesson_runner import ALIASES, LANGUAGES
from lesson_runner.page.comparison import EXACT, Comparison, read_comparison

NAME = "lesson.yaml"
HOME = "~"
"""As `start`: the code begins in the home folder, whose `Desktop` is the working folder."""


@dataclass(frozen=True)
class Needs:
    """What the code of a page needs; of the whole lesson, where the page says nothing.

    `folders` are copied into the working folder, `unpack` are ZIP or tar files that are unpacked
    there, and the code starts in `start`. `setup` has code, by language, that runs before the
    page's own and that learners do not see. Paths are relative to the lesson.
    """

    folders: tuple[str, ...] = ("episodes/data", "episodes/files")
    unpack: tuple[str, ...] = ()
    start: str = ""
    setup: Mapping[str, str] = field(default_factory=dict)
    continues: str = ""
    """The page whose blocks run before, in the same session."""
    hosts: tuple[str, ...] = ()
    compare: Comparison = EXACT


NOTHING_SAID = Needs()


@dataclass(frozen=True)
class Settings:
    """`kernels` names, by language, the program whose kernel runs (such as `.venv/bin/python`)."""

    strict: bool = False
    needs: Needs = NOTHING_SAID
    pages: Mapping[str, Needs] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    kernels: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    def of(self, page: str) -> Needs:
        return self.pages.get(page, self.needs)

    def leaves_out(self, page: str) -> bool:
        return any(fnmatch.fnmatchcase(page, pattern) for pattern in self.leave_out)


class Fault(Exception):
    """A fault of `lesson.yaml`, at a line of it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_settings(root: Path) -> tuple[Settings, list[tuple[int, str]]]:
    """The settings of the lesson, and the faults of its file as (line, message)."""
    file = root / NAME
    if not file.is_file():
        return Settings(), []
    try:
        return settings_of(file.read_text(encoding="utf-8"), root), []
    except UnicodeDecodeError:
        return Settings(), [(1, "this is not UTF-8: save the file as UTF-8")]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        return Settings(), [(mark.line + 1 if mark else 1, f"not valid YAML: {problem}")]
    except Fault as fault:
        return Settings(), [(fault.line, str(fault))]


def settings_of(text: str, root: Path) -> Settings:
    """Raises `Fault`, or an error of PyYAML."""
    document = yaml.compose(text, yaml.SafeLoader)
    if document is None:
        return Settings()
    reader = _Reader(root)
    own = _mapping(document, [*_NEEDS, *_LESSON])
    needs = reader.needs(own, Needs())
    pages = {}
    for name, (line, node) in _entries(own.get("pages")):
        reader.exists(line, name)
        pages[name] = reader.needs(_mapping(node, [*_NEEDS, "continues"]), needs)
    settings = Settings(needs=needs, pages=pages)
    for key in own.keys() & _LESSON.keys() - {"pages"}:
        settings = replace(settings, **{_field(key): _LESSON[key](reader, *own[key])})
    return settings


def _field(key: str) -> str:
    return key.replace("-", "_")


class _Reader:
    def __init__(self, root: Path) -> None:
        self.root = root

    def needs(self, given: Mapping[str, tuple[int, yaml.Node]], start: Needs) -> Needs:
        read = {key: (_NEEDS | {"continues": _Reader.page})[key] for key in given.keys() & _ALL}
        return replace(start, **{_field(k): of(self, *given[k]) for k, of in read.items()})

    def exists(self, line: int, path: str) -> str:
        wanted = path.removesuffix("/*")
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise Fault(line, f"`{path}` leads out of the lesson: write paths from its folder")
        if not (self.root / wanted).exists():
            raise Fault(line, f"`{path}` does not exist in the lesson's folder")
        return path

    def page(self, line: int, node: yaml.Node) -> str:
        return self.exists(line, self.text(line, node))

    def paths(self, line: int, node: yaml.Node) -> tuple[str, ...]:
        return tuple(self.exists(at, text) for at, text in _texts(line, node))

    def list(self, line: int, node: yaml.Node) -> tuple[str, ...]:
        return tuple(text for _, text in _texts(line, node))

    def text(self, line: int, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise Fault(line, "write one text here")
        return str(node.value)

    def yes(self, line: int, node: yaml.Node) -> bool:
        value = self.text(line, node).lower()
        if value not in ("true", "false"):
            raise Fault(line, f"write true or false, not {value}")
        return value == "true"

    def by_language(self, line: int, node: yaml.Node) -> dict[str, str]:
        made = {}
        for name, (at, value) in _entries((line, node)):
            language = ALIASES.get(name, name)
            if language not in LANGUAGES:
                raise Fault(at, f"`{name}` is none of {', '.join(LANGUAGES)}")
            made[language] = self.text(at, value)
        return made

    def comparison(self, line: int, node: yaml.Node) -> Comparison:
        try:
            return read_comparison(self.text(line, node))
        except ValueError as error:
            raise Fault(line, str(error)) from None


_Read = Callable[[_Reader, int, yaml.Node], Any]

_NEEDS: dict[str, _Read] = {
    "folders": _Reader.paths,
    "unpack": _Reader.paths,
    "start": _Reader.text,
    "setup": _Reader.by_language,
    "hosts": _Reader.list,
    "compare": _Reader.comparison,
}
_ALL = {*_NEEDS, "continues"}
_LESSON: dict[str, _Read] = {
    "strict": _Reader.yes,
    "pages": _Reader.list,  # read by itself
    "leave-out": _Reader.list,
    "kernels": _Reader.by_language,
    "packages": _Reader.list,
}


def _mapping(node: yaml.Node, known: Iterable[str]) -> dict[str, tuple[int, yaml.Node]]:
    """The keys of a mapping, each with its line and value. An unknown key is a fault."""
    made = dict(_entries((node.start_mark.line + 1, node)))
    known = list(known)
    for key, (line, _) in made.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
            raise Fault(line, f"unknown key `{key}`: {hint}")
    return made


def _entries(given: tuple[int, yaml.Node] | None) -> list[tuple[str, tuple[int, yaml.Node]]]:
    if given is None:
        return []
    line, node = given
    if not isinstance(node, yaml.MappingNode):
        raise Fault(line, "write `key: value` here, each on a line")
    names = [str(key.value) for key, _ in node.value]
    for position, (key, _) in enumerate(node.value):
        if key.value in names[:position]:
            raise Fault(key.start_mark.line + 1, f"the key `{key.value}` stands twice")
    return [(str(key.value), (key.start_mark.line + 1, value)) for key, value in node.value]


def _texts(line: int, node: yaml.Node) -> list[tuple[int, str]]:
    if isinstance(node, yaml.ScalarNode) and node.value:
        return [(line, str(node.value))]
    if not isinstance(node, yaml.SequenceNode):
        raise Fault(line, "write a list: each item on a line with `- `")
    if any(not isinstance(item, yaml.ScalarNode) for item in node.value):
        raise Fault(line, "each item of this list is one text")
    return [(item.start_mark.line + 1, str(item.value)) for item in node.value]
