"""The practice proxy as the environment of a lesson's code.

It is a process of its own: its imports and its answers take no time from what runs the pages.

Light to import: pytest imports this with the lesson's `conftest.py`, also where no page runs.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lesson_runner.verify import EnvironmentFor

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
        self.url = ""
        self._one_at_a_time = threading.Lock()

    def environment(self, path: str, language: str) -> dict[str, str]:
        """The proxy's address, and a fresh key. Requests wait until the proxy answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        key = "sk-" + secrets.token_urlsafe(16)
        with self._one_at_a_time:
            self.url = self.url or self.process.stdout.readline().rstrip("\n")
            if not self.url or self.process.poll() is not None:
                raise RuntimeError("the practice proxy has ended")
            self.process.stdin.write(json.dumps([key, f"{path} {language}"]) + "\n")
            self.process.stdin.flush()
        return {"LITELLM_BASE_URL": self.url, "LITELLM_API_KEY": key}

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.__exit__(None, None, None)  # closes the pipes, waits


_early: list[PracticeProxy] = []


def start_early() -> None:
    """Have a proxy ready for the next `practice_environment`."""
    if not _early:
        _early.append(PracticeProxy())


@atexit.register
def _end_what_nobody_took() -> None:
    for proxy in _early:
        proxy.end()


@contextlib.contextmanager
def practice_environment(preferred_port: int = 0) -> Iterator[EnvironmentFor]:
    """One proxy on a free port; a fresh key, with counters of its own, for every notebook.

    The preferred port is taken if it is free: outputs then show an address that people know.

    Somebody who practises alone holds the practice proxy's master key and can make more keys;
    so may the notebooks' keys.

    A master key that the caller's environment holds is not read: it belongs to another proxy.
    """
    is_ready = _early and not preferred_port
    proxy = _early.pop() if is_ready else PracticeProxy(preferred_port)
    try:
        yield proxy.environment
    finally:
        proxy.end()
