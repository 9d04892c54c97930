"""Start the practice proxy, which answers as a LiteLLM proxy does."""

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lesson.options import pair
from lesson_runner.options import number_from
from lesson_runner.page.places import LessonError
from mock_proxy import config
from mock_proxy.litellm import version
from mock_proxy.litellm.version import VERSIONS
from mock_proxy.server.run import serve as run_server

if TYPE_CHECKING:
    from mock_proxy.upstream.source import Source

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
        "--litellm-version",
        choices=list(VERSIONS),
        metavar="VERSION",
        help=f"answer as this version of LiteLLM: {' or '.join(VERSIONS)}; the configuration's "
        "if left out, or the newest",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 127.0.0.1 is for this machine alone, 0.0.0.0 also for others",
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
    add_sources(parser.add_argument_group("answers of a real model, instead of simple rules"))


def add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--upstream",
        metavar="URL",
        help="have answers made by this OpenAI-compatible server, such as "
        "http://127.0.0.1:11434/v1; its key, if it needs one, is read from the environment "
        "variable LITELLM_UPSTREAM_KEY",
    )
    group.add_argument(
        "--upstream-model",
        type=pair("NAME=THEIRS"),
        action="append",
        default=[],
        metavar="NAME=THEIRS",
        help="what the upstream calls a model; *=THEIRS for all others, NAME= to answer NAME by "
        "simple rules; the same name if left out",
    )
    group.add_argument(
        "--record", type=Path, metavar="FILE", help="append what the upstream answers to this file"
    )
    group.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="answer from a recording, without network; a request that is not in it is an error",
    )
    group.add_argument(
        "--else-practice",
        action="store_true",
        help="with --replay: answer what is not recorded by simple rules; such an answer carries "
        "the header x-practice-proxy-answer: rules",
    )


def run(options: argparse.Namespace) -> int:
    refuse_what_does_not_go_together(options)
    try:
        loaded = config.load(options.config)
        number = options.litellm_version or loaded.litellm_version
        loaded = dataclasses.replace(loaded, litellm_version=version.of(number).number)
    except config.ConfigError as error:
        raise LessonError(str(error)) from error
    except version.UnknownVersion as error:
        raise LessonError(f"{options.config}: {error}") from error
    if options.upstream is None and options.replay is None:
        return serve(options, loaded)
    return serve_from_source(options, loaded)


def serve_from_source(options: argparse.Namespace, loaded: config.ProxyConfig) -> int:
    from mock_proxy.upstream import source as sources  # brings httpx
    from mock_proxy.upstream.recording import RecordingError

    with contextlib.ExitStack() as stack:
        names = dict(options.upstream_model)
        try:
            if options.replay is not None:
                source = sources.replay(
                    loaded, options.replay, names, else_practice=options.else_practice
                )
            else:
                source = stack.enter_context(
                    sources.upstream(loaded, options.upstream, names, record=options.record)
                )
        except (sources.UpstreamError, RecordingError) as error:
            raise LessonError(str(error)) from error
        return serve(options, source.config, source)


def serve(
    options: argparse.Namespace, loaded: config.ProxyConfig, source: "Source | None" = None
) -> int:
    return run_server(
        loaded,
        options.host,
        options.port,
        options.state,
        classroom=options.classroom,
        relay=source.relay if source else None,
        answers_from=source.told if source else None,
    )


def refuse_what_does_not_go_together(options: argparse.Namespace) -> None:
    if options.upstream is not None and options.replay is not None:
        raise LessonError("--replay needs no --upstream: give one of them")
    if options.upstream_model and options.upstream is None and options.replay is None:
        raise LessonError("--upstream-model needs --upstream URL")
    if options.record and options.upstream is None:
        raise LessonError("--record needs --upstream URL")
    if options.else_practice and options.replay is None:
        raise LessonError("--else-practice needs --replay FILE")
    if options.upstream is not None and is_itself(options.upstream, options.host, options.port):
        raise LessonError("--upstream is the address of this proxy itself: give another --port")


def is_itself(url: str, host: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port == port and parts.hostname in (host, "127.0.0.1", "localhost", "::1")
    except ValueError:  # is refused later, with the reason
        return False
