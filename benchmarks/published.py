"""What the runner finds in published lessons, as a maintainer who adopts it would see it.

    python benchmarks/published.py FOLDER            # every lesson in the folder
    python benchmarks/published.py FOLDER --known benchmarks/published-defects.csv

Each lesson is copied, then `lesson adopt --write`, `lesson check`, `lesson baseline` and once more
`lesson check` run in the copy, with no edit of a page. The table says how many blocks are reached,
how many of the known defects are shown, and whether the lesson is green in the end.

`published-defects.csv` lists the defects that people found in eight lessons of The Carpentries, at
these commits: python-novice-gapminder 58eec486, python-novice-inflammation 2b3613a5,
python-ecology-lesson 535175e8, python-socialsci 0d12b7e8, shell-novice f095fbcb,
better-research-software 077e03e5, deep-learning-intro ebbde111, Natural-language-processing
814ac597. What a lesson shows depends on the packages that are installed here.
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
from dataclasses import dataclass
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
    *("known\ndefects", "shown", "other\nalarms"),
)


@dataclass(frozen=True)
class Found:
    name: str
    records: list[dict[str, Any]]
    defects: list[tuple[str, int]]
    is_green: bool
    seconds: float

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["outcome"] == "failed"]

    def shows(self, defect: tuple[str, int]) -> bool:
        return any(is_at(record, defect) for record in self.failed)

    def numbers(self) -> list[int]:
        code = [r for r in self.records if r["language"] in ("python", "r", "bash")]
        outcomes = Counter(record["outcome"] for record in code)
        others = [
            record
            for record in self.failed
            if record["cause"] not in NOT_OF_THE_PAGE
            and not any(is_at(record, defect) for defect in self.defects)
        ]
        return [
            len(self.records) + sum(len(record["checked"]) for record in self.records),
            len(code),
            outcomes["passed"] + outcomes["failed"],
            outcomes["passed"],
            outcomes["failed"],
            len(self.defects),
            sum(map(self.shows, self.defects)),
            len(others),
        ]


def is_at(record: dict[str, Any], defect: tuple[str, int]) -> bool:
    """Whether a failure is about this line: between the block's fence and what the page shows."""
    last = max([record["failed_line"] or 0, record["line"] + 1, *record["checked"]])
    return record["path"] == defect[0] and record["line"] <= defect[1] <= last


def lesson(*arguments: str, root: Path) -> int:
    call = [sys.executable, "-m", "lesson", *arguments, "--root", str(root)]
    return subprocess.run(call, capture_output=True, check=False, cwd=HERE.parent).returncode


def look_at(root: Path, known: dict[str, list[tuple[str, int]]], folder: Path) -> Found:
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
    return Found(root.name, records, known.get(root.name, []), is_green, seconds)


def read_known(file: Path) -> dict[str, list[tuple[str, int]]]:
    known: dict[str, list[tuple[str, int]]] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            known.setdefault(row["lesson"], []).append((row["page"], int(row["line"])))
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder whose folders are lessons")
    parser.add_argument("--known", type=Path, default=HERE / "published-defects.csv")
    parser.add_argument("--missed", action="store_true", help="list the defects that are not shown")
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
    table.add_column("green with\na baseline", f"{sum(one.is_green for one in found)}")
    table.add_column("seconds", f"{sum(one.seconds for one in found):.0f}", justify="right")
    for one in found:
        green = "yes" if one.is_green else "no"
        table.add_row(one.name, *map(str, one.numbers()), green, f"{one.seconds:.0f}")
    console = Console(highlight=False, width=140)
    console.print(table)
    if options.missed:
        for one in found:
            for page, line in one.defects:
                if not one.shows((page, line)):
                    console.print(f"not shown: {one.name}/{page}:{line}", markup=False)


if __name__ == "__main__":
    main()
