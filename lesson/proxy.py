"""Start the practice proxy, which answers as a LiteLLM proxy does."""

import argparse
from pathlib import Path

from lesson.options import number_from
from lesson_runner.workbench import LessonError
from mock_proxy import config, server

EXAMPLE = "lesson proxy --port 4000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=config.PRACTICE_CONFIG,
        metavar="FILE",
        help="a file in LiteLLM's own format; the lesson's models if left out",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 127.0.0.1 is for this machine alone, 0.0.0.0 for others, too",
    )
    parser.add_argument(
        "--port", type=number_from(0, 65535), default=4000, help="4000 is LiteLLM's own"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep virtual keys and what they have spent in this file, made if there is none; "
        "without it they end with the proxy",
    )
    parser.add_argument(
        "--classroom",
        action="store_true",
        help="serve a page for the instructor at /classroom: whose requests fail, and how; "
        "it asks for the master key, and shows no prompt and no answer",
    )


def run(options: argparse.Namespace) -> int:
    try:
        loaded = config.load(options.config)
    except config.ConfigError as error:
        raise LessonError(str(error)) from error
    return server.serve(
        loaded, options.host, options.port, options.state, classroom=options.classroom
    )
