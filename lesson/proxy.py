"""Start the practice proxy, which answers as a LiteLLM proxy does."""

import argparse
from pathlib import Path

from lesson.options import number_from
from lesson_runner.workbench import LessonError
from mock_proxy import config, server

EXAMPLE = "lesson proxy --port 4000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=config.PRACTICE_CONFIG, help="a file in LiteLLM's own format"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=number_from(0, 65535), default=4000, help="4000 is LiteLLM's own"
    )


def run(options: argparse.Namespace) -> int:
    try:
        loaded = config.load(options.config)
    except config.ConfigError as error:
        raise LessonError(str(error)) from error
    return server.serve(loaded, options.host, options.port)
