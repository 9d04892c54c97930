"""Episodes → results, several notebooks at a time inside one process.

To report in order, start all of them (or the next few), then wait for each in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lesson_runner import LANGUAGES
from lesson_runner.judge.answers import check_response
from lesson_runner.judge.baseline import Baseline, Known, read_baseline
from lesson_runner.judge.verdict import Result, none_reached, results_of_run
from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.run.fork_server import ForkServer, take
from lesson_runner.run.happened import Before, Limits

if TYPE_CHECKING:
    from lesson_runner.run.kernels import Kernel

RESPONSES = "responses"
"""Stands where a language stands, for the `json` answers of a page."""

LONGEST_STOP = 30.0
"""Seconds in which kernels have to end; those that do not are ended with the fork server."""

EnvironmentFor = Callable[[str, str], Mapping[str, str]]
"""Path of a page and language → the variables of its kernel, such as `LITELLM_BASE_URL`."""


@dataclass(frozen=True)
class Checked:
    """All results of one page and language (or `responses`)."""

    episode: Episode
    language: str
    results: tuple[Result, ...]
    seconds: float = 0.0
    missing: str = ""
    gone: tuple[Known, ...] = ()
    """Failures that the baseline has and that did not happen."""
    version: str = ""
    """Of the language that ran, as its kernel says it."""

    @property
    def failed(self) -> tuple[Result, ...]:
        """The failures that the lesson's baseline does not have."""
        return tuple(r for r in self.results if r.outcome == "failed" and not r.known)

    @property
    def known(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.known)


def parts(episode: Episode, languages: tuple[str, ...] = LANGUAGES) -> tuple[str, ...]:
    """The parts of a page that run: its languages, then `responses`."""
    wanted = tuple(language for language in episode.languages if language in languages)
    return (*wanted, RESPONSES) if episode.responses else wanted


def language_of(part: str) -> str:
    """The language of the blocks of a part: answers of a proxy are `json`."""
    return "json" if part == RESPONSES else part


def not_executed(episode: Episode) -> tuple[Result, ...]:
    """Results of the blocks that never run: shown as data, starter code, marked with a reason."""
    results = []
    for block in episode.blocks:
        if block.role in ("data", "exercise"):
            results.append(Result(block, "shown", block.reason))
        elif block.role == "not run":
            results.append(Result(block, "not run", block.reason))
    return tuple(results)


class Verification:
    """Runs pages in the background. Use as a context manager: leaving it ends every kernel."""

    def __init__(
        self,
        root: Path,
        environment: EnvironmentFor,
        limits: Limits | None = None,
        jobs: int | None = None,
        *,
        answers_vary: bool = False,
        server: ForkServer | None = None,
        baseline: Baseline | None = None,
        lesson: Lesson | None = None,
    ) -> None:
        """`server` forks the kernels of several verifications, and its owner closes it.

        `baseline` has the failures that count as known, by default those of the lesson at `root`,
        which `lesson` may give with other settings.
        """
        self.root = root
        self.environment = environment
        self.limits = limits or Limits()
        self.answers_vary = answers_vary
        self._lent = server
        self.lesson = lesson or Lesson(root, ())
        self.settings = self.lesson.settings
        self.baseline = read_baseline(root) if baseline is None else baseline
        self.kernels: dict[str, Kernel] = {}
        self._jobs = jobs or (os.cpu_count() or 1) + 1  # kernels also wait, for start and end
        self._started: dict[tuple[str, str], tuple[Episode, Future[Checked]]] = {}

    def __enter__(self) -> Verification:
        # Jupyter is imported here, because a call that only reads pages needs none of it.
        from lesson_runner.run.kernels import messaging

        # pyzmq cannot use the loop that Windows has by default.
        self._loop = asyncio.SelectorEventLoop()
        self._turn = asyncio.Semaphore(self._jobs)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="lesson")
        self._thread.start()
        self._context = messaging()
        self._server = self._lent or take()
        return self

    def __exit__(self, *_: object) -> None:
        stopped = asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        with contextlib.suppress(TimeoutError):
            stopped.result(LONGEST_STOP)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._context.destroy(linger=0)
        if not self._lent:
            self._server.close()

    def kernel(self, language: str) -> Kernel:
        from lesson_runner.run.kernels import find_kernel

        if language not in self.kernels:
            wanted = self.settings.kernels.get(language, "")
            self.kernels[language] = find_kernel(language, wanted, self.root)
        return self.kernels[language]

    def start(self, episode: Episode, part: str) -> Future[Checked]:
        """Start one page and language, unless that was done before and the page is the same."""
        key = (episode.path, part)
        before = self._started.get(key)
        if before and before[0] is episode:
            return before[1]
        future = asyncio.run_coroutine_threadsafe(self._check(episode, part), self._loop)
        self._started[key] = (episode, future)
        return future

    async def _check(self, episode: Episode, part: str) -> Checked:
        """The results of a page. An exception here is this page's failure, and no other's."""
        async with self._turn:
            try:
                if part == RESPONSES:
                    checked = await self._check_responses(episode)
                else:
                    checked = await self._check_language(episode, part)
            except Exception as error:
                checked = _broken(episode, part, error)
        if checked.missing:
            return checked
        marked = self.baseline.mark(checked.results, episode.path, language_of(part))
        return replace(checked, results=marked.results, gone=marked.gone)

    async def _check_language(self, episode: Episode, part: str) -> Checked:
        from lesson_runner.run.blocks import execute

        kernel = self.kernel(part)
        if kernel.missing:
            results = tuple(Result(b, "not run", kernel.missing) for b in episode.to_run(part))
            return Checked(episode, part, results, missing=kernel.missing)
        environment = await asyncio.to_thread(self.environment, episode.path, part)
        fork_socket = await self._fork_socket()
        run = await execute(
            episode,
            kernel,
            self.root,
            environment,
            self.limits,
            self._server.folder,
            self._context,
            fork_socket,
            self.settings.of(episode.path),
            await asyncio.to_thread(self._before, episode.path, part),
        )
        found = results_of_run(episode, part, run, answers_vary=self.answers_vary)
        results = tuple(map(self._with_figure, found))
        return Checked(episode, part, results, run.seconds, version=run.version)

    def _before(self, path: str, language: str) -> Before:
        """What runs before the page: the pages that it continues, then its `setup`."""
        sources: list[str] = []
        seen = [path]
        while (earlier := self.settings.of(seen[-1]).continues) and earlier not in seen:
            seen.append(earlier)
            blocks = self.lesson.read(self.root / earlier).to_run(language)
            setup = self.settings.of(earlier).setup.get(language)
            sources[:0] = [*filter(None, [setup]), *(block.source for block in blocks)]
        return Before(tuple(sources), self.settings.of(path).setup.get(language, ""))

    def _with_figure(self, result: Result) -> Result:
        """A block may draw, and the page show nothing: where the file was never written."""
        folder = (self.root / result.block.path).parent
        missing = [f for f in result.block.figures if not (folder / f.source).is_file()]
        if result.outcome != "passed" or not missing:
            return result
        reason = f"the page shows {missing[0].source}, which does not exist: --update writes it"
        return replace(result, outcome="failed", reason=reason, line=missing[0].line)

    async def _fork_socket(self) -> str:
        """Where to have a kernel forked; empty where nothing forks."""
        while self._server.runs and not self._server.is_ready:
            await asyncio.sleep(0.005)
        return self._server.path if self._server.runs else ""

    async def _check_responses(self, episode: Episode) -> Checked:
        environment = await asyncio.to_thread(self.environment, episode.path, RESPONSES)

        def check(block: Block) -> Result:
            seconds, vary = self.limits.seconds, self.answers_vary
            return check_response(block, environment, seconds, answers_vary=vary)

        results = [await asyncio.to_thread(check, block) for block in episode.responses]
        return Checked(episode, RESPONSES, tuple(results), sum(r.seconds for r in results))

    async def _cancel_all(self) -> None:
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _broken(episode: Episode, part: str, error: Exception) -> Checked:
    """An exception of the runner itself, reported at the first block it concerns."""
    blocks = episode.responses if part == RESPONSES else episode.to_run(part)
    reason = f"the runner failed on this page: {type(error).__name__}: {error}"
    detail = "".join(traceback.format_exception(error))
    return Checked(episode, part, none_reached(blocks, reason, detail))
