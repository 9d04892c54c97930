"""A lesson in a temporary folder, for tests that run pages."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lesson_runner.judge.report import failure_text
from lesson_runner.page.lesson import Lesson
from lesson_runner.run.fork_server import ForkServer
from lesson_runner.run.happened import Limits
from lesson_runner.verify import Checked, Verification


@dataclass(frozen=True)
class MadeLesson:
    """`page` writes an episode, `check` runs one language of it in a fresh kernel."""

    root: Path
    server: ForkServer | None = None
    """Forks the kernels of all tests of a session: each test waits for its kernel alone."""

    def page(self, text: str, name: str = "page.md") -> Path:
        file = self.root / "episodes" / name
        file.write_bytes(textwrap.dedent(text).encode())
        return file

    def check(
        self,
        text: str,
        language: str = "python",
        seconds: int = 20,
        characters: int = 1_000_000,
        environment: Mapping[str, str] | None = None,
    ) -> Checked:
        page = self.page(text)
        episode = Lesson(self.root, ()).read(page)
        assert episode.problems == ()
        limits = Limits(seconds, characters)
        with Verification(
            self.root, lambda path, language: environment or {}, limits, server=self.server
        ) as running:
            return running.start(episode, language).result()

    def failures(self, text: str, language: str = "python", **options: int) -> list[str]:
        """The reports of all failures, as people read them."""
        checked = self.check(text, language, **options)  # type: ignore[arg-type]
        return [failure_text(result, checked.episode.text) for result in checked.failed]


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
