"""Pages as items of pytest. Imported when there is a page, for it brings nbclient and jupytext."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lesson_runner.judge import report
from lesson_runner.judge.baseline import Marked, read_baseline
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import find_root
from lesson_runner.verify import Verification, not_executed, parts


class LessonFailure(Exception):
    """The problems of a page, as the text of the report."""


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
    lesson_next: pytest.Item | None
    # pytest's reports carry these two to the end of the session.
    lesson_annotations: list[tuple[str, int, str]]  # path, line, message
    lesson_counts: dict[str, int]

    @classmethod
    def make(
        cls, parent: PageFile, root: Path, episode: Episode, part: str, check: Callable[..., None]
    ) -> "PageItem":
        item: PageItem = cls.from_parent(parent, name=part, callobj=check)
        item.root, item.episode, item.part = root, episode, part
        item.lesson_next = None
        item.lesson_annotations = []
        item.lesson_counts = {"known": 0, "gone": 0}
        _count(item, ())
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, f"{self.episode.path} {self.part}"

    def repr_failure(self, excinfo: Any) -> Any:  # type: ignore[override]
        if isinstance(excinfo.value, LessonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def fail(self, texts: list[str], annotations: list[tuple[str, int, str]]) -> None:
        self.lesson_annotations = annotations
        raise LessonFailure("\n\n".join(texts))


def _check_page(request: pytest.FixtureRequest) -> None:
    """Every fence and directive of the page has a meaning."""
    item: PageItem = request.node
    _count(item, not_executed(item.episode))
    problems = map(report.problem_as_result, item.episode.problems)
    marked = read_baseline(item.root).mark(problems, item.episode.path, "")
    _note_baseline(item, marked)
    if new := [result for result in marked.results if not result.known]:
        item.fail(
            [f"{result.place}: {result.reason}" for result in new],
            [(result.block.path, result.block.line, result.reason) for result in new],
        )


def _check_part(
    request: pytest.FixtureRequest, lesson_verification: Callable[[Path], Verification]
) -> None:
    """The blocks of one language do what the page says."""
    item: PageItem = request.node
    future = lesson_verification(item.root).start(item.episode, item.part)
    for coming in _coming(item):
        lesson_verification(coming.root).start(coming.episode, coming.part)
    checked = future.result()
    _count(item, checked.results)
    _note_baseline(item, Marked(checked.results, checked.gone))
    if checked.missing:
        line = checked.results[0].block.line
        message = f"{item.episode.path}:{line}: not run: {checked.missing}"
        if item.part in item.config.getoption("--require-languages"):
            item.fail([message], [(item.episode.path, line, checked.missing)])
        pytest.skip(message)
    if checked.failed:
        item.fail(
            [report.failure_text(result, item.episode.text) for result in checked.failed],
            [(r.block.path, r.line_to_show, r.message) for r in checked.failed],
        )


def _count(item: PageItem, results: Iterable[Result]) -> None:
    run, compared, _, not_run = report.numbers(results)
    item.lesson_counts |= {"run": run, "compared": compared, "not run": not_run}


def _note_baseline(item: PageItem, marked: Marked) -> None:
    known = sum(result.known for result in marked.results)
    item.lesson_counts |= {"known": known, "gone": len(marked.gone)}


def _coming(item: PageItem) -> list[PageItem]:
    """The items that will run here after this one. A worker of pytest-xdist knows one of them."""
    if hasattr(item.config, "workerinput"):
        coming = [item.lesson_next]
    else:
        items = item.session.items
        coming = [*items[items.index(item) + 1 :]]
    return [one for one in coming if isinstance(one, PageItem) and one.part != "page"]
