"""Whether a file is a page of a lesson. Light to import: pytest asks this of each Markdown file."""

from pathlib import Path

FOLDERS = ("episodes", "learners", "instructors", "profiles")
SUFFIXES = (".md", ".Rmd")
NO_PAGES = ("README.md", "CONTRIBUTING.md")
"""At the top level, where the Workbench makes a page of every other Markdown file."""


class LessonError(Exception):
    """The call cannot be carried out: no such lesson or page. The message says the way out."""


def is_lesson(folder: Path) -> bool:
    return (folder / "config.yaml").is_file() and (folder / "episodes").is_dir()


def find_root(start: Path) -> Path | None:
    """The lesson that a file or folder belongs to: the nearest folder with a `config.yaml`."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if is_lesson(folder)), None)


def is_page(file: Path, root: Path) -> bool:
    """Whether the Workbench makes a page of the lesson from this file."""
    if file.suffix not in SUFFIXES or file.name.startswith("."):
        return False
    if file.parent == root:
        return file.name not in NO_PAGES
    return file.parent.parent == root and file.parent.name in FOLDERS
