"""`lesson`: check the pages of a lesson, write its notebooks, start the practice proxy."""

import argparse
import io
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import NoReturn


def parser(subcommands: Sequence[ModuleType]) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lesson", description=__doc__)
    top.add_argument("--version", action="version", version=version("llm-apis-litellm"))
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for module in subcommands:
        first_line = (module.__doc__ or "").split("\n", 1)[0]
        sub = subparsers.add_parser(
            module.__name__.rsplit(".", 1)[-1],
            help=first_line,
            description=first_line,
            epilog=f"example: {module.EXAMPLE}",
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 all well, 1 something in the lesson is wrong, 2 the call itself was wrong."""
    try:
        end_as_ctrl_c_does()
        print_whatever_the_encoding()
        return call(arguments)
    except KeyboardInterrupt:
        print("\nlesson: stopped", file=sys.stderr)
        return 130


def call(arguments: Sequence[str] | None) -> int:
    # Imported here, so that Ctrl-C is met while they are, too.
    if (arguments or sys.argv[1:])[:1] == ["check"]:
        from lesson import practice
        from lesson_runner.run.fork_server import start_early

        start_early()
        practice.start_early()
    from lesson_runner.run.slow_imports import defer_iri_grammar

    defer_iri_grammar()  # before anything brings jsonschema
    from lesson import check, doctor, keys, live, notebooks, proxy, teach
    from lesson_runner.page.places import LessonError

    options = parser((check, live, notebooks, teach, proxy, keys, doctor)).parse_args(arguments)
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
    """A closed terminal and `kill` end the kernels, too."""

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
