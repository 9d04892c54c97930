"""Write the notebooks that learners follow: one per episode and language."""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lesson.options import languages, root_of
from lesson.show import counted
from lesson_runner.episode import Episode
from lesson_runner.notebook import to_notebook
from lesson_runner.workbench import LessonError, find_lesson

EXAMPLE = "lesson notebooks --out notebooks --language python"
COPIED = ("data", "files", "fig")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument("--out", type=Path, help="folder to write to (default: ROOT/notebooks)")
    parser.add_argument("--language", type=languages, default=("python", "r"))


def run(options: argparse.Namespace) -> int:
    root = root_of(options.root, Path.cwd())
    lesson = find_lesson(root)
    out = (options.out or root / "notebooks").resolve()
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    if faulty := [problem for episode in episodes for problem in episode.problems]:
        raise LessonError("\n".join(["the pages have problems:", *map(str, faulty)]))
    kept: list[Path] = []
    for language in options.language:
        folder = out / language
        written = [write(folder, episode, language, kept) for episode in episodes]
        copy_beside(root / "episodes", folder, COPIED)
        print(f"{counted(len(written), 'notebook')} for {language}: {folder}")
    # The notebooks link to ../learners/reference.md and the like, as the pages do.
    copy_beside(root, out, ("learners",))
    for notebook in kept:
        print(f"kept as it is, for it was changed: {notebook} (move it away to get a fresh one)")
    return 0


def write(folder: Path, episode: Episode, language: str, kept: list[Path]) -> Path:
    """Write one notebook, unless there is one that somebody has worked in."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{episode.name}.ipynb"
    notebook = to_notebook(episode, language)
    notebook.metadata["lesson"]["fingerprint"] = fingerprint(notebook)
    if file.exists() and is_changed(file):
        kept.append(file)
    else:
        nbformat.write(notebook, file)
    return file


def is_changed(file: Path) -> bool:
    """Whether the notebook differs from the one that was written here, or was never ours."""
    try:
        notebook = nbformat.read(file, as_version=4)
        written = notebook.metadata.get("lesson", {}).get("fingerprint")
        return bool(written != fingerprint(notebook))
    except (AttributeError, KeyError, TypeError, ValueError, nbformat.ValidationError):
        return True  # no notebook, or none that was written here


def fingerprint(notebook: NotebookNode) -> str:
    """A hash of what a person may change: the cells' kinds, sources and outputs."""
    content = [[c["cell_type"], c["source"], c.get("outputs", [])] for c in notebook.cells]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def copy_beside(source: Path, folder: Path, names: Iterable[str]) -> None:
    """What the notebooks refer to. What learners added stays."""
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
