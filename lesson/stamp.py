"""Write a copy of the lesson where each page says what happened when its blocks ran.

The copy is what the site is built from, so the repository's own pages stay as they are. The last
line of a page comes from the report of `lesson check --json`, and a page of which nothing ran gets
none. With `--link`, an episode with Python ends with a link to its notebook that runs in a browser.
"""

import argparse
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from lesson.editions import numbered
from lesson.options import root_of
from lesson.show import counted
from lesson_runner import LANGUAGES
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import find_lesson
from lesson_runner.page.places import FOLDERS, NO_PAGES, LessonError

EXAMPLE = "lesson stamp build/check.json --out build/site"

NAMES = {"python": "Python", "r": "R"}
"""The languages whose version the line tells: a shell is the system's own."""

FILES = ("*.md", "config.yaml", "CITATION.cff", ".gitignore", "site/README.md")
"""What the Workbench reads beside the folders of pages."""

Record = Mapping[str, Any]
"""One block of the report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "report", type=Path, metavar="REPORT", help="what `lesson check --json REPORT` wrote"
    )
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the copy goes"
    )
    parser.add_argument(
        "--link", metavar="ADDRESS", help="of the site of `lesson link`: episodes link to it"
    )


def run(options: argparse.Namespace) -> int:
    root = root_of(options.root, Path.cwd())
    lesson = find_lesson(root)
    records = read_report(options.report)
    out = options.out.resolve()
    if out == root or any(out.is_relative_to(root / folder) for folder in FOLDERS):
        raise LessonError(f"--out {options.out}: the copy would lie among the pages it is made of")
    if out.exists() and not (out / "config.yaml").is_file() and any(out.iterdir()):
        raise LessonError(f"--out {options.out}: there is something else, so choose a new folder")
    checked = options.report.stat().st_mtime
    lines: dict[Path, str] = {}
    names = numbered(lesson)
    for page in lesson.pages:
        episode = lesson.read(page)
        line = last_line(episode, records)
        if line and page.stat().st_mtime > checked:
            raise LessonError(
                f"{lesson.relative(page)} was changed after {options.report} was written: "
                "run `lesson check --json` again"
            )
        lines[page] = f"*{line}*" if line else ""
        if options.link and page.stem in names and episode.to_run("python"):
            opens = f"{options.link.rstrip('/')}/lab/index.html?path={names[page.stem]}.ipynb"
            lines[page] += f"\n[Run this page in your browser]({opens})"
    copy(root, out)
    for page, line in lines.items():
        if line:
            copied = out / page.relative_to(root)
            text = copied.read_bytes().decode("utf-8")
            copied.write_bytes(f"{text.rstrip()}\n\n{line.strip()}\n".encode())
    stamped = sum(line.startswith("*") for line in lines.values())
    print(f"{counted(stamped, 'page')} of {len(lines)} say when their blocks ran: {out}")
    return 0


def read_report(file: Path) -> list[Record]:
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        wanted = {"path", "line", "language", "outcome", "ran", "version", "recorded"}
        if isinstance(records, list) and all(wanted <= one.keys() for one in records):
            return records
    except (ValueError, TypeError, AttributeError):
        pass
    raise LessonError(f"{file} is no report of this version: write it with `lesson check --json`")


def last_line(page: Episode, records: Iterable[Record]) -> str:
    """What happened on a page; empty if nothing ran. A block that failed does not count."""
    wanted = {(b.line, b.language) for b in page.blocks if b.role == "run"}
    own = [record for record in records if record["path"] == page.path]
    ran = [
        record
        for record in own
        if record["outcome"] == "passed"
        and record["language"] in LANGUAGES
        and (record["line"], record["language"]) in wanted
    ]
    if not ran:
        return ""
    only_shown = any(block.role in ("not run", "exercise") for block in page.blocks)
    sentence = f"{how_many(len(ran), len(wanted), only_shown)} on {day(max(r['ran'] for r in ran))}"
    if versions := versions_of(ran):
        sentence += f", with {and_(versions)}"
    models = list(dict.fromkeys(name for record in own for name in record["recorded"]))
    if models:
        sentence += f"; answers recorded from {and_(models)}"
    return f"{sentence}."


def how_many(ran: int, wanted: int, only_shown: bool) -> str:
    if ran == wanted == 1 and not only_shown:
        return "The code block of this page ran"
    if ran == wanted and not only_shown:
        return f"All {ran} code blocks of this page ran"
    if ran == wanted == 1:
        return "The one code block of this page that is meant to run did so"
    share = f"All {ran}" if ran == wanted else f"{ran} of the {wanted}"
    return f"{share} code blocks of this page that are meant to run did so"


def versions_of(ran: Iterable[Record]) -> list[str]:
    """`Python 3.13.1` and the like, in the order of the tabs."""
    found = {(record["language"], record["version"]) for record in ran if record["version"]}
    return [
        f"{name} {version}"
        for language, name in NAMES.items()
        for version in sorted(version for of, version in found if of == language)
    ]


def day(text: str) -> str:
    """`2026-11-24` → `24 November 2026`, whatever language the computer speaks."""
    months = "January February March April May June July August September October November December"
    then = date.fromisoformat(text)
    return f"{then.day} {months.split()[then.month - 1]} {then.year}"


def and_(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def copy(root: Path, out: Path) -> None:
    """What the Workbench reads, and nothing else: the copy is built, and may be deployed."""
    if out.exists():
        shutil.rmtree(out)
    for folder in FOLDERS:
        if (root / folder).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".DS_Store")
            shutil.copytree(root / folder, out / folder, ignore=ignored)
    for pattern in FILES:
        # CONTRIBUTING.md and README.md are no pages, and link to files that are not copied.
        for file in (f for f in root.glob(pattern) if pattern != "*.md" or f.name not in NO_PAGES):
            to = out / file.relative_to(root)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
