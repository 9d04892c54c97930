"""pytest's view of a lesson: one item per page and language, one for the page itself.

`pytest episodes/api-litellm.md` runs a page. Without a path pytest collects pages that lie in the
content folders of a Workbench lesson; Markdown elsewhere is none of this plugin's business.

A `conftest.py` may override the fixture `lesson_environment`.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lesson_runner import report
from lesson_runner.episode import LANGUAGES, Episode
from lesson_runner.execute import Limits
from lesson_runner.verify import Checked, EnvironmentFor, Verification, not_executed, parts
from lesson_runner.workbench import FOLDERS, SUFFIXES, Lesson, find_root

OWN_VARIABLES = ("LITELLM_BASE_URL", "LITELLM_API_KEY")

NEXT_ITEM = pytest.StashKey["pytest.Item | None"]()


class LessonFailure(Exception):
    """What is wrong in a page, as the text of the report."""


# Options and fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lesson", "code in the pages of a lesson")
    group.addoption(
        "--require-languages",
        default="",
        metavar="LANGUAGES",
        help="comma-separated languages whose kernel must be here, such as python,r,bash",
    )
    group.addoption(
        "--block-timeout",
        type=int,
        default=Limits.seconds,
        metavar="SECONDS",
        help="time limit of each block of a page (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if unknown := [name for name in _required(config) if name not in LANGUAGES]:
        known = ", ".join(LANGUAGES)
        raise pytest.UsageError(f"--require-languages: no {', '.join(unknown)} here, only {known}")


def _required(config: pytest.Config) -> list[str]:
    return [name for name in config.getoption("--require-languages").split(",") if name]


@pytest.fixture(scope="session")
def lesson_environment() -> EnvironmentFor:
    """The environment of a page's kernels: a function of the page's path and the language.

    By default the caller's own `LITELLM_BASE_URL` and `LITELLM_API_KEY`, if they are set.
    """
    environment = {name: os.environ[name] for name in OWN_VARIABLES if name in os.environ}
    return lambda path, language: environment


@pytest.fixture(scope="session")
def lesson_verification(
    lesson_environment: EnvironmentFor, pytestconfig: pytest.Config
) -> Iterator[Callable[[Path], Verification]]:
    """The running verification of a lesson, by the lesson's root."""
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


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "PageFile | None":
    if file_path.suffix not in SUFFIXES:
        return None
    in_lesson = file_path.parent.name in FOLDERS and find_root(file_path) == file_path.parent.parent
    if not in_lesson and file_path not in map(_path_of, parent.config.args):
        return None
    return PageFile.from_parent(parent, path=file_path)


def _path_of(argument: str) -> Path:
    return Path(argument.split("::")[0]).absolute()


class PageFile(pytest.File):
    def collect(self) -> Iterable[pytest.Item]:
        root = find_root(self.path) or self.config.rootpath
        episode = Lesson(root, ()).read(self.path)
        yield PageItem.make(self, root, episode, "page", _check_page)
        for part in parts(episode):
            yield PageItem.make(self, root, episode, part, _check_part)


class PageItem(pytest.Function):
    """One check of a page: `part` is `page`, a language or `responses`."""

    root: Path
    episode: Episode
    part: str
    annotations: list[tuple[str, int, str]]  # path, line, message
    counts: dict[str, int]

    @classmethod
    def make(
        cls, parent: PageFile, root: Path, episode: Episode, part: str, check: Callable[..., None]
    ) -> "PageItem":
        item: PageItem = cls.from_parent(parent, name=part, callobj=check)
        item.root, item.episode, item.part = root, episode, part
        item.annotations = []
        item.counts = {"run": 0, "compared": 0, "not run": 0}
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, f"{self.episode.path} {self.part}"

    def repr_failure(self, excinfo: Any) -> Any:  # type: ignore[override]
        if isinstance(excinfo.value, LessonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def fail(self, texts: list[str], annotations: list[tuple[str, int, str]]) -> None:
        self.annotations = annotations
        raise LessonFailure("\n\n".join(texts))


def _check_page(request: pytest.FixtureRequest) -> None:
    """Every fence and directive of the page has a meaning."""
    item: PageItem = request.node
    item.counts["not run"] = sum(r.outcome == "not run" for r in not_executed(item.episode))
    if problems := item.episode.problems:
        item.fail([str(p) for p in problems], [(p.path, p.line, p.message) for p in problems])


def _check_part(
    request: pytest.FixtureRequest, lesson_verification: Callable[[Path], Verification]
) -> None:
    """The blocks of one language do what the page says."""
    item: PageItem = request.node
    future = lesson_verification(item.root).start(item.episode, item.part)
    for coming in _coming(item):
        lesson_verification(coming.root).start(coming.episode, coming.part)
    checked = future.result()
    _count(item, checked)
    if checked.missing:
        line = checked.results[0].block.line
        message = f"{item.episode.path}:{line}: not run: {checked.missing}"
        if item.part in _required(item.config):
            item.fail([message], [(item.episode.path, line, checked.missing)])
        pytest.skip(message)
    if checked.failed:
        item.fail(
            [report.failure_text(result, item.episode.text) for result in checked.failed],
            [
                (r.block.path, r.line or r.block.line, f"{r.reason}\n{r.detail}".strip())
                for r in checked.failed
            ],
        )


def _count(item: PageItem, checked: Checked) -> None:
    for result in checked.results:
        if result.outcome in ("passed", "failed"):
            item.counts["run"] += 1
            item.counts["compared"] += len(result.block.shown)
        else:
            item.counts["not run"] += 1


# Starting ahead of the report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    item.config.stash[NEXT_ITEM] = nextitem


def _coming(item: PageItem) -> list[PageItem]:
    """The items that will run here after this one. A worker of pytest-xdist knows one of them."""
    if hasattr(item.config, "workerinput"):
        coming = [item.config.stash.get(NEXT_ITEM, None)]
    else:
        items = item.session.items
        coming = [*items[items.index(item) + 1 :]]
    return [one for one in coming if isinstance(one, PageItem) and one.part != "page"]


# What is said at the end. Reports travel from the workers of pytest-xdist with these attributes.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    made = yield
    if isinstance(item, PageItem) and call.when == "call":
        made.lesson_counts = item.counts
        made.lesson_annotations = item.annotations
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    made = [one for reports in terminalreporter.stats.values() for one in reports]
    counts = [one.lesson_counts for one in made if hasattr(one, "lesson_counts")]
    if not counts:
        return
    total = {name: sum(count[name] for count in counts) for name in counts[0]}
    terminalreporter.write_line(
        f"lesson code: {total['run']} blocks run, {total['compared']} outputs compared, "
        f"{total['not run']} not run"
    )
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for one in made:
            for path, line, message in getattr(one, "lesson_annotations", []):
                terminalreporter.write_line(report.annotation(path, line, message))
