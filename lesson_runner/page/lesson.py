"""Where the pages of a Carpentries Workbench lesson lie."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import yaml

from lesson_runner.page.episode import (
    Block,
    Episode,
    Problem,
    link_definitions,
    read_episode,
)
from lesson_runner.page.images import may_be_drawn
from lesson_runner.page.places import FOLDERS, SUFFIXES, LessonError, is_page
from lesson_runner.page.settings import NAME, Settings, read_settings


@dataclass(frozen=True)
class Lesson:
    """The pages of a lesson in the order of its `config.yaml`, as absolute paths."""

    root: Path
    pages: tuple[Path, ...]
    problems: tuple[Problem, ...] = ()
    given: Settings | None = None
    """Settings instead of those in `lesson.yaml`."""

    @cached_property
    def settings(self) -> Settings:
        """What `lesson.yaml` says; its faults are among the problems of `find_lesson`."""
        return self.given or read_settings(self.root)[0]

    def relative(self, page: Path) -> str:
        """How reports name a page: relative to the root, with forward slashes."""
        try:
            return page.relative_to(self.root).as_posix()
        except ValueError:
            return page.as_posix()

    def read(self, page: Path) -> Episode:
        path = self.relative(page)
        try:
            # Line endings stay as they are: they count in nothing but an update of the page.
            text = page.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problem = Problem(path, line, "this is not UTF-8: save the page as UTF-8")
            return Episode(path, path, "", (), (), (problem,))
        except OSError as error:
            problem = Problem(path, 1, f"cannot be read: {error.strerror}")
            return Episode(path, path, "", (), (), (problem,))
        settings = self.settings
        compare = settings.of(path).compare
        episode = read_episode(path, text, strict=settings.strict, compare=compare)
        blocks = tuple(_with_images(block, page.parent) for block in episode.blocks)
        if settings.leaves_out(path):
            blocks = tuple(map(_left_out, blocks))
        return replace(episode, blocks=blocks, more_links=self.links)

    @cached_property
    def links(self) -> Mapping[str, str]:
        """What `links.md` adds to each page, as the Workbench does it."""
        try:
            return link_definitions((self.root / "links.md").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return {}


def _with_images(block: Block, folder: Path) -> Block:
    """The block, with what the images after it say of themselves."""
    figures = (replace(f, expected=may_be_drawn(folder / f.source)) for f in block.figures)
    return replace(block, figures=tuple(figures)) if block.figures else block


def _left_out(block: Block) -> Block:
    if block.role not in ("run", "response"):
        return block
    return replace(block, role="not run", reason=f"{NAME} leaves this page out")


def find_lesson(root: Path, pages: list[Path] | None = None) -> Lesson:
    """The lesson at `root`, or only the given pages of it. Raises `LessonError`."""
    root = root.resolve()
    settings, wrong = read_settings(root)
    faults = [Problem(NAME, line, message) for line, message in wrong]
    if pages:
        given = tuple(dict.fromkeys(_given_page(page, root) for page in pages))
        return Lesson(root, given, tuple(faults), settings)
    if not root.is_dir():
        raise LessonError(f"no such folder: {root}")
    if not (root / "episodes").is_dir():
        if (root / "_episodes").is_dir():
            raise LessonError(
                f"{root} has the layout of old lessons (Jekyll, `_episodes`): "
                "this reads lessons of the Carpentries Workbench, with a folder `episodes`"
            )
        raise LessonError(f"{root} is no lesson: it has no folder `episodes`; give --root DIR")
    listed, problems = _listed(root)
    folders = [*(root / name for name in FOLDERS), root]
    found = [page for folder in folders for page in _pages_in(folder, root)]
    ordered = [page for page in dict.fromkeys(listed) if page in found]
    ordered += [page for page in found if page not in ordered]
    # Every episode of the list comes first, as in the lesson's own menu.
    ordered.sort(key=lambda page: folders.index(page.parent))
    return Lesson(root, tuple(ordered), (*faults, *problems), settings)


def _given_page(page: Path, root: Path) -> Path:
    """A page as it was named in the call: from the current folder, or from the root."""
    file = page if page.exists() or page.is_absolute() else root / page
    if file.is_dir():
        raise LessonError(f"{page} is a folder: name its pages, or the lesson with --root")
    if not file.is_file():
        raise LessonError(f"no such page: {page}")
    if file.suffix not in SUFFIXES:
        raise LessonError(f"{page} is no page: give a .md or .Rmd file")
    return file.resolve()


def _pages_in(folder: Path, root: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if is_page(file, root) and file.is_file())


def _listed(root: Path) -> tuple[list[Path], list[Problem]]:
    """The pages that `config.yaml` lists, and what is wrong with the list."""
    config = root / "config.yaml"
    if not config.is_file():
        return [], []
    try:
        document = yaml.compose(config.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return [], [Problem("config.yaml", 1, "this is not UTF-8: save the file as UTF-8")]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        return [], [
            Problem("config.yaml", line, f"not valid YAML: {getattr(error, 'problem', error)}")
        ]
    pages: list[Path] = []
    problems: list[Problem] = []
    for key, value in document.value if isinstance(document, yaml.MappingNode) else []:
        if key.value not in FOLDERS:
            continue
        if not isinstance(value, yaml.SequenceNode):
            if value.value:
                message = f"`{key.value}` is no list: write each page on a line with `- `"
                problems.append(Problem("config.yaml", key.start_mark.line + 1, message))
            continue
        for node in value.value:
            page = root / key.value / str(node.value)
            line = node.start_mark.line + 1
            if not page.is_file():
                message = f"lists {key.value}/{node.value}, which does not exist"
                problems.append(Problem("config.yaml", line, message))
            elif page.parent != root / key.value or page.suffix not in SUFFIXES:
                message = f"lists {key.value}/{node.value}, which is no .md or .Rmd directly there"
                problems.append(Problem("config.yaml", line, message))
            else:
                pages.append(page)
    return pages, problems
