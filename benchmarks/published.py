"""What the runner finds in published lessons, as a maintainer who adopts it would see it.

    python benchmarks/published.py FOLDER            # every lesson in the folder
    python benchmarks/published.py FOLDER --list     # also what is not shown, and new alarms

Each lesson is copied, then `lesson adopt --write`, `lesson check`, `lesson baseline` and once more
`lesson check` run in the copy, with no edit of a page. The table says how many blocks are reached,
how many of the defects are shown that were found by reading, how many more the runner has found,
how many of its alarms are false, and whether the lesson is green in the end. Failures that lie in
this computer, and those that an earlier block explains, are no alarms.

`published-defects.csv` lists the defects, and the false alarms with the reason why they are none,
of eight lessons of The Carpentries at these commits: python-novice-gapminder 58eec486,
python-novice-inflammation 2b3613a5, python-ecology-lesson 535175e8, python-socialsci 0d12b7e8,
shell-novice f095fbcb, better-research-software 077e03e5, deep-learning-intro ebbde111,
Natural-language-processing 814ac597. What a lesson shows depends on the packages that are installed
here.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
NOT_OF_THE_PAGE = {"package", "program", "network", "file", "stopped", "input", "consequence"}
"""Causes that lie in this computer, or in an earlier block."""

COLUMNS = (
    *("fences", "blocks", "run", "passed", "failed"),
    *("defects\nby reading", "of them\nshown", "more\ndefects", "false\nalarms", "not\njudged"),
)

Place = tuple[str, int]


@dataclass(frozen=True)
class Judged:
    """Places of a lesson, by what is there."""

    by_reading: list[Place] = field(default_factory=list)
    by_runner: list[Place] = field(default_factory=list)
    no_defects: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    name: str
    records: list[dict[str, Any]]
    judged: Judged
    is_green: bool
    seconds: float

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["outcome"] == "failed"]

    def shows(self, place: Place) -> bool:
        return any(is_at(record, place) for record in self.failed)

    def alarms(self) -> list[dict[str, Any]]:
        """Failures that say something is wrong with the page, and that nobody has judged."""
        judged = [*self.judged.by_reading, *self.judged.by_runner, *self.judged.no_defects]
        return [
            record
            for record in self.failed
            if record["cause"] not in NOT_OF_THE_PAGE
            and not any(is_at(record, place) for place in judged)
        ]

    def numbers(self) -> list[int]:
        code = [r for r in self.records if r["language"] in ("python", "r", "bash")]
        outcomes = Counter(record["outcome"] for record in code)
        return [
            len(self.records) + sum(len(record["checked"]) for record in self.records),
            len(code),
            outcomes["passed"] + outcomes["failed"],
            outcomes["passed"],
            outcomes["failed"],
            len(self.judged.by_reading),
            sum(map(self.shows, self.judged.by_reading)),
            sum(map(self.shows, self.judged.by_runner)),
            sum(map(self.shows, self.judged.no_defects)),
            len(self.alarms()),
        ]


def is_at(record: dict[str, Any], place: Place) -> bool:
    """Whether a failure is about this line: between the block's fence and what the page shows."""
    last = max([record["failed_line"] or 0, record["line"] + 1, *record["checked"]])
    return record["path"] == place[0] and record["line"] <= place[1] <= last


def lesson(*arguments: str, root: Path) -> int:
    call = [sys.executable, "-m", "lesson", *arguments, "--root", str(root)]
    return subprocess.run(call, capture_output=True, check=False, cwd=HERE.parent).returncode


def look_at(root: Path, known: dict[str, Judged], folder: Path) -> Found:
    copy = folder / root.name
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".git"), symlinks=True)
    lesson("adopt", "--write", root=copy)
    report = folder / f"{root.name}.json"
    started = time.perf_counter()
    lesson("check", "--json", str(report), root=copy)
    seconds = time.perf_counter() - started
    lesson("baseline", root=copy)
    is_green = lesson("check", root=copy) == 0
    records = json.loads(report.read_text(encoding="utf-8"))
    return Found(root.name, records, known.get(root.name, Judged()), is_green, seconds)


def read_known(file: Path) -> dict[str, Judged]:
    known: dict[str, Judged] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            of_lesson = known.setdefault(row["lesson"], Judged())
            places = of_lesson.by_reading if row["found"] == "reading" else of_lesson.by_runner
            if row["kind"].startswith("none: "):
                places = of_lesson.no_defects
            places.append((row["page"], int(row["line"])))
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder whose folders are lessons")
    parser.add_argument("--known", type=Path, default=HERE / "published-defects.csv")
    parser.add_argument(
        "--list", action="store_true", help="list the defects that are not shown, and new alarms"
    )
    options = parser.parse_args()
    known = read_known(options.known)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    roots = sorted(f for f in options.folder.iterdir() if (f / "episodes").is_dir())
    with tempfile.TemporaryDirectory() as folder:
        found = [look_at(root, known, Path(folder)) for root in roots]
    sums = [sum(column) for column in zip(*(one.numbers() for one in found), strict=True)]
    table.add_column("lesson", "together", no_wrap=True)
    for heading, number in zip(COLUMNS, sums, strict=True):
        table.add_column(heading, str(number), justify="right")
    table.add_column("green", f"{sum(one.is_green for one in found)}")
    table.add_column("seconds", f"{sum(one.seconds for one in found):.0f}", justify="right")
    for one in found:
        green = "yes" if one.is_green else "no"
        table.add_row(one.name, *map(str, one.numbers()), green, f"{one.seconds:.0f}")
    console = Console(highlight=False, width=140)
    console.print(table)
    if options.list:
        for one in found:
            for page, line in one.judged.by_reading + one.judged.by_runner:
                if not one.shows((page, line)):
                    console.print(f"not shown: {one.name}/{page}:{line}", markup=False)
            for record in one.alarms():
                place = f"{one.name}/{record['path']}:{record['failed_line']}"
                console.print(f"not judged: {place}: {record['reason']}", markup=False)


if __name__ == "__main__":
    main()
