"""The files of an edition: an episode each, and what they need beside them. Folder and ZIP file.

Nothing that a learner changed is overwritten. Beside the files lies a list of what was written
here, `WRITTEN`; a notebook holds its own fingerprint, because to open it changes it.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from lesson_runner.export.boxes import PAGES_AS_HTML
from lesson_runner.export.documents import FORMATS, Format, to_text
from lesson_runner.export.learner_pages import to_html, to_markdown
from lesson_runner.export.notebook import to_notebook, with_titled_folds
from lesson_runner.export.outputs import with_outputs
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.run.happened import Execution

COPIED = ("data", "files", "fig")
WRITTEN = ".lesson-files.json"
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP file knows


@dataclass(frozen=True)
class Edition:
    """`executions` are what happened in the blocks of each page; None for learners."""

    language: str
    format: Format
    executions: Mapping[str, Iterable[Execution]] | None = None

    @property
    def name(self) -> str:
        """Of its folder: `python`, `r-rmd`, `python-solutions`."""
        solutions = "" if self.executions is None else "-solutions"
        return f"{self.language}{self.format.folder}{solutions}"


EDITIONS = ("python", "r")
"""The languages that have editions."""


def choose(
    languages: tuple[str, ...] | None,
    formats: tuple[str, ...],
    taught: tuple[str, ...] = EDITIONS,
) -> list[Edition]:
    """Each language in each format that fits it; LessonError where one of them fits nothing.

    If the call names no languages, they are those that the lesson has code in (`taught`).
    """
    chosen = [FORMATS[name] for name in formats]
    named = languages or taught
    for one in chosen:
        if not set(one.languages) & set(named):
            raise LessonError(
                f"{one.name} is a {one.what}, and --language is {','.join(named)}: "
                f"for {one.name}, name {' or '.join(one.languages)}"
            )
    for language in languages or ():
        if not any(language in one.languages for one in chosen):
            fitting = [one.name for one in FORMATS.values() if language in one.languages]
            raise LessonError(
                f"there is no {' or '.join(formats)} for {language}: its formats are "
                f"{', '.join(fitting)}"
            )
    return [
        Edition(language, one) for language in named for one in chosen if language in one.languages
    ]


def files_of(lesson: Lesson, episodes: Iterable[Episode], edition: Edition) -> dict[str, bytes]:
    """Path in the edition → content. The same pages and data make the same bytes."""
    files: dict[str, bytes] = {}
    for name in COPIED:
        files |= _copied(lesson.root / "episodes" / name, name)
    files |= _beside(lesson, edition, numbered(lesson))
    if (lesson.root / "LICENSE.md").is_file():
        files["LICENSE.md"] = (lesson.root / "LICENSE.md").read_bytes()
    names = numbered(lesson)
    for episode in episodes:
        name = names.get(episode.name, episode.name)
        files[f"{name}.{edition.format.name}"] = _episode(episode, edition, names)
    return dict(sorted(files.items()))


def numbered(lesson: Lesson) -> dict[str, str]:
    """Name of an episode → that of its file, which begins with the episode's number: JupyterLab
    lists files by their names. A name that begins with a number has one already."""
    pages = [page for page in lesson.pages if page.parent.name == "episodes"]
    return {
        page.stem: page.stem if page.stem[0].isdigit() else f"{number:02}-{page.stem}"
        for number, page in enumerate(pages, start=1)
    }


def _episode(episode: Episode, edition: Edition, names: Mapping[str, str]) -> bytes:
    if edition.format.name != "ipynb":
        return to_text(episode, edition.language, edition.format.name, names).encode()
    if edition.executions is None:
        notebook = with_titled_folds(to_notebook(episode, edition.language, names=names))
    else:
        executions = edition.executions.get(episode.path, ())
        notebook = to_notebook(episode, edition.language, for_instructors=True, names=names)
        notebook = with_outputs(notebook, executions)
    notebook.metadata["lesson"]["fingerprint"] = fingerprint(notebook)
    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()


def _copied(folder: Path, name: str) -> dict[str, bytes]:
    """All files below a folder, but for those that editors and systems hide."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        path = file.relative_to(folder)
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts):
            found[f"{name}/{path.as_posix()}"] = file.read_bytes()
    return found


def _beside(lesson: Lesson, edition: Edition, names: Mapping[str, str]) -> dict[str, bytes]:
    """The pages for learners, to which the episodes link, and what lies in their folder."""
    folder = lesson.root / "learners"
    files = _copied(folder, "learners")
    of_html = edition.format.name in PAGES_AS_HTML
    for page in lesson.pages:
        if page.parent == folder:
            write, ending = (to_html, "html") if of_html else (to_markdown, "md")
            files.pop(f"learners/{page.name}", None)
            text = write(lesson.read(page), edition.language, edition.format.name, names)
            files[f"learners/{page.stem}.{ending}"] = text.encode()
    return files


# Folders


def write(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files; the ones that stay as they are, because somebody changed them."""
    written = _written(folder / WRITTEN)
    kept: list[Path] = []
    for name, content in files.items():
        file = folder / name
        if file.exists() and is_changed(file, content, written.get(name, "")):
            kept.append(file)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        written[name] = digest(content)
    (folder / WRITTEN).write_bytes(_as_json(written))
    return kept


def is_changed(file: Path, new: bytes, written: str) -> bool:
    """Whether the file is neither what was written here nor what is about to be written."""
    now = file.read_bytes()
    if now == new or digest(now) == written:
        return False
    return _is_changed_notebook(file) if file.suffix == ".ipynb" else True


def _is_changed_notebook(file: Path) -> bool:
    """JupyterLab changes a notebook when somebody looks at it: only the cells count."""
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


def digest(content: bytes) -> str:
    """A hash of a text that is the same after an editor has changed the line endings."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _written(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}  # then every file that differs counts as changed
    return found if isinstance(found, dict) else {}


def _as_json(written: Mapping[str, str]) -> bytes:
    return (json.dumps(written, indent=1, sort_keys=True) + "\n").encode()


# ZIP files


def zipped(top: str, files: Mapping[str, bytes]) -> bytes:
    """One folder with the files. No times, no owners: the same files make the same bytes."""
    files = dict(files) | {WRITTEN: _as_json({n: digest(content) for n, content in files.items()})}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{name}", NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, also where Windows writes it
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return made.getvalue()


def name_of(lesson: Lesson) -> str:
    """The name of the lesson's ZIP files: the last part of its address, `source`."""
    try:
        config = yaml.safe_load((lesson.root / "config.yaml").read_text(encoding="utf-8"))
        source = str(config["source"]).rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError):
        source = ""
    return re.sub(r"[^\w.-]", "-", source).strip(".-") or "lesson"
