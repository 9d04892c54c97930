"""The practice proxy as the environment of a lesson's code.

It is a process of its own: its imports and its answers take no time from what runs the pages.

Light to import: pytest imports this with the lesson's `conftest.py`, also where no page runs.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import itertools
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lesson_runner.page.episode import Episode
    from lesson_runner.verify import EnvironmentFor

PRACTICE_MODEL = "qwen2.5-coder-1.5b-instruct"
"""The model of the practice proxy whose answers are recorded."""

VARIABLES = ("LITELLM_BASE_URL", "LITELLM_API_KEY", "LITELLM_MODEL")

PROGRAM = Path(__file__).with_name("practice_process.py")


class PracticeProxy:
    """The process. It ends when this one does, even if this one is killed."""

    def __init__(self, preferred_port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(preferred_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the runner
        )
        self._address: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._acknowledged: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._url = ""
        self._answers = False
        self._one_at_a_time = threading.Lock()
        self._given: dict[tuple[str, str], dict[str, str]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Read what the process says; see there for the order of things."""
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError, OSError):  # closed in the end
            self._address.put(self.process.stdout.readline().rstrip("\n"))
            if self.process.stdout.readline():
                with self._one_at_a_time:
                    self._answers = True
                    self._say("go")
            for line in self.process.stdout:
                self._acknowledged.put(line)
        self._acknowledged.put("")

    def environment(self, path: str, language: str) -> dict[str, str]:
        """The proxy's address, a fresh key, a model. Requests wait until the proxy answers."""
        key = "sk-" + secrets.token_urlsafe(16)
        with self._one_at_a_time:
            self._url = self._url or self._address.get()
            if self.process.poll() is None:
                self._say(json.dumps([key, f"{path} {language}"]))
                if not self._answers or self._acknowledged.get():
                    given = {
                        "LITELLM_BASE_URL": self._url,
                        "LITELLM_API_KEY": key,
                        "LITELLM_MODEL": PRACTICE_MODEL,
                    }
                    self._given[path, language] = given
                    return given
        raise RuntimeError("the practice proxy has ended")

    __call__ = environment
    """Fulfils `EnvironmentFor`."""

    def recorded(self, path: str, language: str) -> tuple[str, ...]:
        """The models whose recorded answers this page got, by the names that people know.

        A model that has a recording answers nothing else here, and only answers are in the log.
        """
        import urllib.request  # light to import, as above

        if (given := self._given.get((path, language))) is None:
            return ()
        key = given["LITELLM_API_KEY"]
        request = urllib.request.Request(
            f"{given['LITELLM_BASE_URL']}/spend/logs?api_key={key}",
            headers={"Authorization": f"Bearer {key}"},
        )
        # Whatever web proxy the environment names: this one is on this computer.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as response:
            asked = {call["model_group"] for call in json.load(response)}
        return tuple(name for model, name in _recorded_models() if model in asked)

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.__exit__(None, None, None)  # closes the pipes, waits


def _recorded_models() -> Iterator[tuple[str, str]]:
    """Each model of the practice proxy that has a recording, with its maker's name for it."""
    from mock_proxy import practice

    for model in practice().models:
        if model.recording:
            with model.recording.open(encoding="utf-8") as lines:
                about = json.loads(next(lines))["recording"]
            yield model.name, about.get("name", model.name)


_early: list[PracticeProxy] = []


def is_installed() -> bool:
    """Whether there is a practice proxy: the runner can be installed without it."""
    return importlib.util.find_spec("starlette") is not None


def start_early() -> None:
    """Have a proxy ready for the next `practice_environment`."""
    if not _early and is_installed():
        _early.append(PracticeProxy())


@atexit.register
def _end_what_nobody_took() -> None:
    for proxy in _early:
        proxy.end()


@contextlib.contextmanager
def environment_of(root: Path, episodes: Iterable[Episode]) -> Iterator[EnvironmentFor]:
    """The practice proxy, for a lesson that speaks of one; for others nothing.

    Where it is not installed, the caller's own proxy, if the variables name one.
    """
    speaks_of_one = any(episode.responses for episode in episodes) or speaks_of_a_proxy(root)
    if speaks_of_one and is_installed():
        with practice_environment() as environment:
            yield environment
    else:
        own = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        yield lambda path, language: own if speaks_of_one else {}


def speaks_of_a_proxy(root: Path) -> bool:
    """Whether a page of the lesson, or a file that its pages import, reads a variable of ours."""
    pages = (page for pattern in ("*.md", "*/*.md", "*/*.Rmd") for page in root.glob(pattern))
    imported = (root / "episodes" / "files").rglob("*.*")
    files = itertools.chain(pages, imported)  # one after the other: the first may do
    return any(b"LITELLM_" in file.read_bytes() for file in files if file.is_file())


@contextlib.contextmanager
def practice_environment(preferred_port: int = 0) -> Iterator[PracticeProxy]:
    """One proxy on a free port; a fresh key, with counters of its own, for every notebook.

    The preferred port is taken if it is free: outputs then show an address that people know.

    Somebody who practises alone holds the practice proxy's master key and can make more keys;
    so may the notebooks' keys.

    A master key that the caller's environment holds is not read: it belongs to another proxy.
    """
    is_ready = _early and not preferred_port
    proxy = _early.pop() if is_ready else PracticeProxy(preferred_port)
    try:
        yield proxy
    finally:
        proxy.end()
