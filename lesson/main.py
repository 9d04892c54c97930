"""`lesson`: check the pages of a lesson, write its notebooks, start the practice proxy."""

import argparse
import sys
from collections.abc import Sequence

from lesson_runner.deferred import defer_iri_grammar

defer_iri_grammar()  # before anything brings jsonschema

from lesson import check, notebooks, proxy  # noqa: E402
from lesson_runner.workbench import LessonError  # noqa: E402

SUBCOMMANDS = (check, notebooks, proxy)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lesson", description=__doc__)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
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
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except LessonError as error:
        print(f"lesson: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlesson: stopped", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
