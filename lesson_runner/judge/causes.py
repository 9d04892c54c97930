"""Failures → why they fail, and the way out: what a maintainer reads first. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lesson_runner.judge.compare import WORD, ways_to_agree
from lesson_runner.judge.verdict import Result
from lesson_runner.page.plain_text import plain
from lesson_runner.run.happened import Execution


@dataclass(frozen=True)
class Cause:
    """`title` goes on from "14 blocks …"; `remedy` is what to write where."""

    name: str
    title: str
    remedy: str


CAUSES = (
    Cause(
        "no code",
        "that are no whole program",
        "correct the code; show a fragment, an output or pseudo-code in a `text` or `output` "
        "fence, and starter code as ```{.python .exercise}",
    ),
    Cause(
        "error",
        "that raise an error which the page does not show",
        "correct the code, or show the error in an `error` fence below the block",
    ),
    Cause(
        "no error",
        "that no longer raise the error which the page shows",
        "show what they print now, or an example that still fails",
    ),
    Cause(
        "another error",
        "with another error than the page shows",
        "lesson check --update PAGE writes today's error",
    ),
    Cause(
        "output",
        "that print something else than the page shows",
        "compare, then lesson check --update PAGE; `...` stands for what differs each time",
    ),
    Cause(
        "newer libraries",
        "whose output newer versions of pandas and NumPy print in another way",
        "lesson check --update PAGE writes today's output",
    ),
    Cause(
        "plot",
        "that do not draw the figure which follows them",
        "put the figure where it is drawn, or describe it in the text",
    ),
    Cause(
        "name",
        "with a name that nothing on the page defines",
        "define it on the page; or, in lesson.yaml, `continues:` names the page before, and "
        "`setup:` has code that learners do not see",
    ),
    Cause(
        "file",
        "with a file that is not in the working folder",
        "in lesson.yaml, `folders:`, `unpack:` and `start:` say what learners have there; of one "
        "block that wants another folder, `<!-- not run: reason -->`",
    ),
    Cause(
        "package",
        "with a package that is not installed here",
        "install it; `packages:` in lesson.yaml lists what the lesson needs",
    ),
    Cause(
        "program",
        "with a program that is not installed here",
        "install it, or mark the block `<!-- not run: reason -->`",
    ),
    Cause(
        "network",
        "that reach another machine",
        "`hosts:` in lesson.yaml names those that may be reached",
    ),
    Cause(
        "input",
        "that ask for input, which nobody gives",
        "mark the block `<!-- not run: reason -->`",
    ),
    Cause(
        "stopped",
        "that were stopped, or whose kernel did not start or died",
        "mark the block `<!-- not run: reason -->`, or give it more time with --block-timeout",
    ),
    Cause(
        "blanks",
        "whose output differs in its blanks only",
        "`compare: any blanks` in lesson.yaml, or above the block in `<!-- compare: … -->`",
    ),
    Cause(
        "digits",
        "whose output differs in the last digits only",
        "`compare: 6 digits` in lesson.yaml, or above the block in `<!-- compare: … -->`",
    ),
    Cause(
        "order",
        "whose output comes in another order",
        "sort it in the code, or write `<!-- compare: any order -->` above the block",
    ),
    Cause("no meaning", "or directives without a meaning", "each message says the way out"),
    Cause(
        "consequence",
        "that may fail only because an earlier block of the page does",
        "look at the earlier one first",
    ),
)
"""The most useful to know first."""

BY_NAME = {cause.name: cause for cause in CAUSES}

NEWER = re.compile(
    r"pandas\.core\.frame\.DataFrame|dtype='object'|dtype: object|\bobject$|np\.(?:float|int)\d+\("
    r"|\bint64$|\bstr$|Index\(\[u'|RangeIndex|^\s*\[+ *\d+\. ",
    re.MULTILINE,
)

MISSING_PACKAGE = re.compile(r"there is no package called|ModuleNotFoundError|No module named")
OTHER_NAMES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What pip calls the packages of modules that may not be installed here."""

MISSING_NAME = re.compile(r"(?:No module named|there is no package called) ['‘\"]?(\w+)")
MISSING_FILE = re.compile(
    r"No such file or directory|FileNotFoundError|cannot open (?:file|the connection)"
    r"|not a directory|No files? matched|does not exist|unable to open database|no such table"
)
NOT_DEFINED = re.compile(r"object '[\w.]+' not found|could not find function")
SUBMODULE = re.compile(r"No module named '\w+\.")
"""The package is there, and has nothing of this name."""
REFUSED = re.compile(r"lesson code reaches only this machine, not ([\w.-]*\w)")
NOT_FOUND = re.compile(r"exit status 127|command not found|Jupyter command .* not found")


def cause_of(result: Result) -> Cause:
    """Why a block failed."""
    return BY_NAME[_name_of(result)]


def _name_of(result: Result) -> str:
    execution = result.execution
    if result.block.role == "data":
        return "no meaning"
    if execution is None or execution.ended:
        return "stopped"
    if hosts_of(result):
        return "network"
    shown = result.block.shows("output")
    about_output = shown is not None and result.line == shown.line
    if execution.failure and not about_output:
        return _name_of_error(result, execution)
    if result.block.must_raise and not about_output:
        return "no error"
    if "plot" in result.reason or "fig/" in result.reason:
        return "plot"
    if shown is None or not about_output:
        return "error"
    if result.is_consequence:
        return "consequence"
    return _name_of_difference(shown.text, execution.output, result.detail)


def hosts_of(result: Result) -> list[str]:
    """The hosts that a block asked for, and that lesson code does not reach."""
    execution = result.execution
    if execution is None:
        return []
    said = execution.failure.text if execution.failure else ""
    return [*dict.fromkeys([*execution.refused_hosts, *REFUSED.findall(said)])]


def _name_of_error(result: Result, execution: Execution) -> str:
    failure = execution.failure
    assert failure is not None
    said = f"{failure.name} {failure.text} {result.reason}"
    if execution.block.language == "bash" or failure.name == "CalledProcessError":
        said += plain(execution.printed)
    if wanted := result.block.shows("error"):
        missing = execution.block.language == "bash" or (
            failure.name in ("NameError", "ModuleNotFoundError") and failure.name not in wanted.text
        )
        return "consequence" if result.is_consequence and missing else "another error"
    if failure.name == "StdinNotImplementedError":
        return "input"
    if MISSING_PACKAGE.search(said):
        return "error" if SUBMODULE.search(said) else "package"
    if failure.name in ("SyntaxError", "IndentationError", "TabError"):
        return "no code"
    if MISSING_FILE.search(said):
        return "file"
    if NOT_FOUND.search(said):
        return "program"
    if result.is_consequence:
        return "consequence"
    return "name" if failure.name == "NameError" or NOT_DEFINED.search(said) else "error"


def _name_of_difference(shown: str, actual: str, difference: str) -> str:
    way = ways_to_agree(shown, actual)
    if way is not None and way.order:
        return "digits" if way.blanks else "blanks"
    changed = "\n".join(line[1:] for line in difference.splitlines() if line[:1] in "+-")
    if NEWER.search(changed):
        return "newer libraries"
    same_words = WORD.findall(shown) == WORD.findall(actual)
    return "order" if way is not None and not same_words else "output"


VERB = re.compile(r"^(that (?:no longer )?|or )(\w+)")
ONE = {
    **{"are": "is", "ask": "asks", "do": "does", "print": "prints", "raise": "raises"},
    **{"reach": "reaches", "were": "was", "directives": "directive"},
}


@dataclass(frozen=True)
class Group:
    """All failures of one cause, in the order of the pages."""

    cause: Cause
    results: tuple[Result, ...]

    @property
    def remedy(self) -> str:
        """What to write where; of packages with what pip calls them."""
        if self.cause.name != "package":
            return self.cause.remedy
        told = "\n".join(result.message for result in self.results)
        names = {OTHER_NAMES.get(name, name) for name in MISSING_NAME.findall(told)}
        return self.cause.remedy.replace(
            "install it", f"install {', '.join(sorted(names)) or 'it'}"
        )

    def __str__(self) -> str:
        """`14 blocks that raise an error which the page does not show`"""
        number = len(self.results)
        thing = "fence" if self.cause.name == "no meaning" else "block"
        if number > 1:
            return f"{number} {thing}s {self.cause.title}"
        return f"1 {thing} {VERB.sub(lambda m: m[1] + ONE.get(m[2], m[2]), self.cause.title)}"


def by_cause(failed: Iterable[Result]) -> list[Group]:
    """The failures in groups, the most useful cause first."""
    found: dict[str, list[Result]] = {}
    for result in failed:
        found.setdefault(_name_of(result), []).append(result)
    return [Group(cause, tuple(found[cause.name])) for cause in CAUSES if cause.name in found]
