"""Record what a real model answers to the pages, for the practice proxy to serve.

The pages run against the practice proxy, which asks the model what it has not recorded yet. What no
page asks any more is dropped, if all pages ran.
"""

import argparse
import datetime
import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lesson.options import LIVE_SECONDS, add_page_arguments, lesson_of, pair
from lesson.show import console_of_the_call, counted, tell_checked
from lesson_runner import LANGUAGES
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.run.happened import Limits
from lesson_runner.verify import Verification, parts
from mock_proxy import load, running
from mock_proxy.answers import recording
from mock_proxy.answers.recording import Recording
from mock_proxy.config import PRACTICE_CONFIG, ConfigError, Model, ProxyConfig
from mock_proxy.upstream import source
from mock_proxy.upstream.relay import Relay

EXAMPLE = "lesson record --upstream http://127.0.0.1:8091/v1 --model qwen2.5-coder-1.5b-instruct"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_page_arguments(parser, LIVE_SECONDS)
    parser.add_argument(
        "--upstream",
        required=True,
        metavar="URL",
        help="the OpenAI-compatible server to ask; its key, if it needs one, is read from the "
        f"environment variable {source.KEY_VARIABLE}",
    )
    parser.add_argument(
        "--upstream-model", metavar="NAME", help="what that server calls the model (the same name)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the model to record, where the configuration has several with a recording",
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=PRACTICE_CONFIG,
        metavar="FILE",
        help="a file in LiteLLM's format whose model_info names the recording; the lesson's own "
        "if left out",
    )
    parser.add_argument(
        "--about",
        action="append",
        default=[],
        type=pair("NAME=TEXT"),
        metavar="NAME=TEXT",
        help="what to say of the model in the first line of the recording, such as licence=…; may "
        "be given several times",
    )


def run(options: argparse.Namespace) -> int:
    lesson = lesson_of(options)
    console = console_of_the_call()
    try:
        config = load(options.config, to_record=True)
        model, file = to_record(config, options.model)
        kept = recording.read(file) if file.exists() else Recording()
        relay = Relay(
            source.address(options.upstream),
            {model.name: options.upstream_model or model.name},
            key=os.environ.get(source.KEY_VARIABLE) or None,
        )
    except (ConfigError, recording.RecordingError, source.UpstreamError) as error:
        raise LessonError(str(error)) from error
    before = size_of(kept)
    try:
        failed = run_pages(lesson, options, config, relay, model, kept, console)
    finally:  # also what came before Ctrl-C
        is_whole = not options.pages and set(options.language) == set(LANGUAGES)
        after = kept.asked_for() if is_whole else kept
        today = datetime.date.today().isoformat()
        after.about |= {"model": model.name, "recorded": today, **dict(options.about)}
        after.write(file)
    tell(console, file, before, size_of(kept), size_of(after))
    if not is_whole:
        console.print("Nothing was dropped: only some of the pages or languages ran.")
    return 1 if failed else 0


def to_record(config: ProxyConfig, wanted: str | None) -> tuple[Model, Path]:
    """The model to record, and its file, as the configuration and the call say."""
    found = {model.name: model for model in config.models if model.recording}
    if wanted is None and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        known = ", ".join(found) or "none: write `model_info: {recording: FILE}` below a model"
        raise LessonError(
            f"--model {wanted}: {config.path} names no recording for it. With one: {known}"
            if wanted
            else f"{config.path} has several models with a recording, or none; give --model. "
            f"With one: {known}"
        )
    file = found[wanted].recording
    assert file is not None
    return found[wanted], file


def run_pages(
    lesson: Lesson,
    options: argparse.Namespace,
    config: ProxyConfig,
    relay: Relay,
    model: Model,
    kept: Recording,
    console: Console,
) -> bool:
    """Run the pages one after the other; whether a block failed."""
    failed = False
    with running(config, relay=relay, kept={model.name: kept}) as proxy:

        def environment(path: str, part: str) -> dict[str, str]:
            key = proxy.new_key(alias=f"{path} {part}", is_admin=True)
            return {
                "LITELLM_BASE_URL": proxy.url,
                "LITELLM_API_KEY": key,
                "LITELLM_MODEL": model.name,
            }

        limits = Limits(seconds=options.block_timeout)
        with Verification(
            lesson.root, environment, limits, jobs=1, answers_vary=True
        ) as verification:
            for episode, part in parts_of(lesson, options.language):
                checked = verification.start(episode, part).result()
                tell_checked(console, checked)
                failed = failed or bool(checked.failed)
    return failed


def parts_of(lesson: Lesson, languages: tuple[str, ...]) -> Iterable[tuple[Episode, str]]:
    for page in lesson.pages:
        episode = lesson.read(page)
        for part in parts(episode, languages):
            yield episode, part


def size_of(kept: Recording) -> tuple[int, int]:
    """How many answers it holds, and how many vectors."""
    return sum(map(len, kept.chats.values())), len(kept.vectors)


def tell(
    console: Console,
    file: Path,
    before: tuple[int, int],
    during: tuple[int, int],
    after: tuple[int, int],
) -> None:
    for at, thing in enumerate(("answer", "vector")):
        new, dropped = during[at] - before[at], during[at] - after[at]
        if new or dropped or after[at]:
            console.print(
                f"{counted(after[at], thing)}: {new} new, {dropped} dropped", markup=False
            )
    console.print(f"{file}: {file.stat().st_size / 1000:.0f} kB", markup=False)
