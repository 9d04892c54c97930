"""pytest's view of a lesson: options, fixtures, which files are pages, the closing summary.

`pytest episodes/api-litellm.md` runs a page. Without a path pytest collects pages that lie in the
content folders of a Workbench lesson; it leaves Markdown elsewhere alone.

A `conftest.py` may override the fixture `lesson_environment`.

pytest imports this module wherever the package is installed, so everything heavier than a look at
a file's place is imported once there is a page.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lesson_runner import BLOCK_SECONDS
from lesson_runner.options import languages, number_from
from lesson_runner.page.places import find_root, is_page

if TYPE_CHECKING:
    from lesson_runner.items import PageFile
    from lesson_runner.verify import EnvironmentFor, Verification

OWN_VARIABLES = ("LITELLM_BASE_URL", "LITELLM_API_KEY", "LITELLM_MODEL")


# Options and fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lesson", "code in the pages of a lesson")
    group.addoption(
        "--require-languages",
        type=languages,
        default=(),
        metavar="LANGUAGES",
        help="comma-separated languages whose kernel must be here, such as python,r,bash",
    )
    group.addoption(
        "--block-timeout",
        type=number_from(1),
        default=BLOCK_SECONDS,
        metavar="SECONDS",
        help="time limit of each block of a page (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def lesson_environment() -> EnvironmentFor:
    """The environment of a page's kernels: a function of the page's path and the language.

    By default the caller's own `LITELLM_BASE_URL`, `LITELLM_API_KEY` and `LITELLM_MODEL`, as far
    as they are set.
    """
    environment = {name: os.environ[name] for name in OWN_VARIABLES if name in os.environ}
    return lambda path, language: environment


@pytest.fixture(scope="session")
def lesson_verification(
    lesson_environment: EnvironmentFor, pytestconfig: pytest.Config
) -> Iterator[Callable[[Path], Verification]]:
    """The running verification of a lesson, by the lesson's root."""
    from lesson_runner.run.happened import Limits
    from lesson_runner.verify import Verification

    if not callable(lesson_environment):
        raise TypeError(
            "the fixture lesson_environment must give a function (path, language) → variables, "
            f"not {lesson_environment!r}"
        )
    limits = Limits(seconds=pytestconfig.getoption("--block-timeout"))
    running: dict[Path, Verification] = {}
    with contextlib.ExitStack() as stack:

        def of_root(root: Path) -> Verification:
            if root not in running:
                verification = Verification(root, lesson_environment, limits)
                running[root] = stack.enter_context(verification)
            return running[root]

        yield of_root


# Collection


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> PageFile | None:
    if file_path.suffix not in (".md", ".Rmd"):
        return None
    root = find_root(file_path)
    in_lesson = root is not None and is_page(file_path, root)
    if not in_lesson and file_path not in map(_path_of, parent.config.args):
        return None
    if not parent.config.option.collectonly:
        from lesson_runner.run.fork_server import start_early

        start_early()
    from lesson_runner.items import PageFile

    return PageFile.from_parent(parent, path=file_path)


def _path_of(argument: str) -> Path:
    return Path(argument.split("::")[0]).absolute()


# Starting ahead of the report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if hasattr(item, "lesson_next"):
        item.lesson_next = nextitem


# The closing summary. Reports of pytest-xdist's workers arrive with these attributes.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    made = yield
    if (
        call.when == "call"
        and hasattr(item, "lesson_counts")
        and hasattr(item, "lesson_annotations")
    ):
        made.lesson_counts = item.lesson_counts
        made.lesson_annotations = item.lesson_annotations
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    made = [one for reports in terminalreporter.stats.values() for one in reports]
    counts = [one.lesson_counts for one in made if hasattr(one, "lesson_counts")]
    if not counts:
        return
    from lesson_runner.judge.report import annotation

    total = {name: sum(count[name] for count in counts) for name in counts[0]}
    terminalreporter.write_line(
        f"lesson code: {total['run']} blocks run, {total['compared']} outputs compared, "
        f"{total['not run']} not run"
    )
    if total["known"] or total["gone"]:
        gone = f", {total['gone']} of them gone: `lesson baseline` takes note" * (total["gone"] > 0)
        known = total["known"] + total["gone"]
        terminalreporter.write_line(f"lesson-baseline.json: {known} known failures{gone}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for one in made:
            for path, line, message in getattr(one, "lesson_annotations", []):
                terminalreporter.write_line(annotation(path, line, message))
