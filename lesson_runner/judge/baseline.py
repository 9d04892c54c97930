"""Failures that a lesson knows of: checks are red for new ones only.

`lesson baseline` writes them into `lesson-baseline.json`: the page, the language, the cause, and
the text of the block and of what the page shows, known again wherever they move to in the page.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lesson_runner.judge.causes import cause_of
from lesson_runner.judge.verdict import Result
from lesson_runner.page.places import LessonError

NAME = "lesson-baseline.json"
MOST_SHOWN = 60


@dataclass(frozen=True, order=True)
class Known:
    """One failure. `block` is the fingerprint of its text, of which `begins` is the first line;
    `shown` that of what the page shows below it, `error` the name of the error that it raised.
    """

    page: str
    language: str
    cause: str
    block: str
    shown: str
    error: str
    begins: str = field(compare=False, default="")


@dataclass(frozen=True)
class Baseline:
    """The known failures of a lesson; several may be the same."""

    known: tuple[Known, ...] = ()

    def mark(self, results: Iterable[Result], page: str, language: str) -> "Marked":
        """The results of a page and language, of which each known failure is marked."""
        left = Counter(one for one in self.known if (one.page, one.language) == (page, language))
        marked = []
        for result in results:
            known = result.outcome == "failed" and left[key := known_as(result)] > 0
            if known:
                left[key] -= 1
            marked.append(replace(result, known=known))
        known_at = {result.place for result in marked if result.known}
        # A new failure is not blamed on one that stays as it is.
        marked = [replace(r, follows="") if r.follows in known_at else r for r in marked]
        fail = {fingerprint(r) for r in marked if r.outcome == "failed" or is_not_reached(r)}
        gone = (one for one in left.elements() if one.block not in fail)
        return Marked(tuple(marked), tuple(gone))


@dataclass(frozen=True)
class Marked:
    """Results, and the known failures of blocks that pass now, or are not there any more."""

    results: tuple[Result, ...]
    gone: tuple[Known, ...]


def known_as(result: Result) -> Known:
    block = result.block
    text = block.source or result.reason  # of a directive, only what is wrong with it is known
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    failure = result.execution.failure if result.execution else None
    return Known(
        block.path,
        "" if block.role == "data" else block.language,
        cause_of(replace(result, follows="")).name,  # it stays when an earlier failure is gone
        fingerprint(result),
        _hash("\n".join(shown.text for shown in block.shown)),
        failure.name if failure else "",
        first[:MOST_SHOWN],
    )


def fingerprint(result: Result) -> str:
    """Of the block's text, or of what is wrong with a directive."""
    return _hash(result.block.source or result.reason)


def is_not_reached(result: Result) -> bool:
    """Whether an earlier block, or a kernel that is missing, kept a block from running."""
    return result.outcome == "not run" and result.execution is None


def _hash(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16] if text.strip() else ""


def read_baseline(root: Path) -> Baseline:
    """The lesson's baseline, empty where it has none. Raises `LessonError`."""
    file = root / NAME
    if not file.is_file():
        return Baseline()
    try:
        records = json.loads(file.read_text(encoding="utf-8"))["failures"]
        return Baseline(tuple(Known(**record) for record in records))
    except (ValueError, KeyError, TypeError) as error:
        line = getattr(error, "lineno", 1)
        raise LessonError(
            f"{NAME}:{line}: not as `lesson baseline` writes it ({error}): "
            "delete it, and write it again with that command"
        ) from None


def write_baseline(root: Path, known: Iterable[Known]) -> Path:
    """One line for each failure, in a fixed order: a change of one is a change of one line."""
    records = [json.dumps(_record(one), ensure_ascii=False) for one in sorted(known)]
    file = root / NAME
    text = ",\n".join(f"  {record}" for record in records)
    file.write_text(f'{{"failures": [\n{text}\n]}}\n', encoding="utf-8")
    return file


def _record(known: Known) -> dict[str, Any]:
    return {name: getattr(known, name) for name in Known.__dataclass_fields__}
