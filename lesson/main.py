"""`lesson`: check the pages of a lesson, write its notebooks, start the practice proxy."""

import argparse
import importlib
import io
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lesson_runner.page.places import LessonError

COMMANDS = {
    "check": "Run every block of every page, and compare what it prints with what the page shows.",
    "adopt": "Propose what a lesson needs to be checked: lesson.yaml and a workflow, as a patch.",
    "stamp": "Write a copy of the lesson where each page says what happened when its blocks ran.",
    "baseline": "Record today's failures: from now on, checks are red for new ones only.",
    "live": "Run every block against your own proxy, the day before a workshop.",
    "notebooks": "Write the notebooks that learners follow: one per episode, language and format.",
    "teach": "Start a class: JupyterLab with the notebooks, and the practice proxy, until Ctrl-C.",
    "link": "Write a site in which the Python notebooks run in the browser.",
    "proxy": "Start the practice proxy, which answers as a LiteLLM proxy does.",
    "record": "Record what a real model answers to the pages, for the practice proxy to serve.",
    "keys": "Make one key for each learner, with cards to hand out; block them after class.",
    "doctor": "Check that this computer is ready for the lesson, and say what to do if it is not.",
}
"""Each command has a module of this name, imported when it is called: `--help` waits for none."""


OWN = ("lesson", "lesson_runner", "mock_proxy")


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the call; only the command that it names has its own options."""
    top = argparse.ArgumentParser(prog="lesson", description=__doc__)
    top.add_argument("--version", action=_Version)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for name, first_line in COMMANDS.items():
        sub = subparsers.add_parser(name, help=first_line, description=first_line)
        if name in arguments[:1]:
            module = importlib.import_module(f"lesson.{name}")
            sub.epilog = f"example: {module.EXAMPLE}"
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return top


class _Version(argparse.Action):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # which nothing else here needs

        print(version("llm-apis-litellm"))
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 all well, 1 something in the lesson is wrong, 2 the call itself was wrong."""
    try:
        end_as_ctrl_c_does()
        print_whatever_the_encoding()
        return call(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("\nlesson: stopped", file=sys.stderr)
        return 130


def start_early(arguments: Sequence[str]) -> None:
    """Start the slowest processes before the command itself is imported."""
    runs_nothing = {"-h", "--help", "--parse-only"} & set(arguments)
    if arguments[:1] in (["check"], ["baseline"], ["adopt"]) and not runs_nothing:
        from lesson import practice
        from lesson_runner.run import fork_server

        fork_server.start_early()
        practice.start_early()


def call(arguments: Sequence[str]) -> int:
    start_early(arguments)
    # Importing the command takes long enough to meet a Ctrl-C, so it happens here.
    try:
        options = parser(arguments).parse_args(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OWN:
            raise
        print(
            f"lesson {arguments[0]}: {error.name} is not installed. This command needs more than "
            "the runner: python -m pip install 'llm-apis-litellm[lesson]'",
            file=sys.stderr,
        )
        return 2
    try:
        status: int = options.run(options)
    except LessonError as error:
        print(f"lesson: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"lesson: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return status


def end_as_ctrl_c_does() -> None:
    """A closed terminal and `kill` end the kernels as well."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)


def print_whatever_the_encoding() -> None:
    """A log on Windows may know no `✓`: better an escape than a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
