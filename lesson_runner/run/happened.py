"""What happened when the blocks of a page ran, as plain data: no import of Jupyter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesson_runner import BLOCK_SECONDS
from lesson_runner.page.episode import Block


@dataclass(frozen=True)
class Limits:
    """`seconds` per block, `characters` of output per block, `start` seconds for a kernel.

    With `exit_first`, a block that raises what its page does not show is the last one to run.
    """

    seconds: int = BLOCK_SECONDS
    characters: int = 1_000_000
    start: int = 60
    exit_first: bool = False


@dataclass(frozen=True)
class Before:
    """What runs before the blocks of a page, which learners of the page do not see.

    `pages` are the blocks of pages that it continues, whose failures are told there; `setup` is
    the lesson's own.
    """

    pages: tuple[str, ...] = ()
    setup: str = ""


@dataclass(frozen=True)
class Failure:
    """The error of a block. `text` is as `error` fences show it; `line` is the page's, or 0.

    `summary` says it in one line where `text` is the output of programs.
    """

    name: str
    text: str
    line: int = 0
    summary: str = ""


@dataclass(frozen=True)
class Execution:
    """What happened when a block ran.

    `outputs` is all that a notebook shows below the cell, in nbformat's form. `output` is stdout
    and the values of expressions in the order they came; `printed` is everything printed, stderr
    included. `ended` says what stopped the block or its kernel from outside; `ended_line` is the
    line of the page at which that happened, or 0.
    """

    block: Block
    output: str = ""
    printed: str = ""
    failure: Failure | None = None
    images: tuple[bytes, ...] = ()
    seconds: float = 0.0
    ended: str = ""
    ended_line: int = 0
    refused_hosts: tuple[str, ...] = ()
    outputs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Run:
    """All blocks of one language of one page, as far as they were reached.

    `version` is that of the language, as its kernel says it.
    """

    executions: tuple[Execution, ...]
    start_problem: str = ""
    seconds: float = 0.0
    version: str = ""
