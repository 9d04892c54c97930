"""Run every block against your own proxy, the day before a workshop.

The code stays as it is. It talks to a relay on this machine (`lesson/relay.py`), which holds the
real key. What models answer varies: other output than the page shows is reported, and no failure.
"""

import argparse
import fnmatch
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich.console import Console

from lesson import doctor
from lesson.bill import Call, Prices, prices_of_groups, prices_of_models
from lesson.live_report import Live, say, tell_estimate, tell_plan, tell_report, write_json
from lesson.options import LIVE_SECONDS, add_live_arguments, add_page_arguments, lesson_of
from lesson.practice import PRACTICE_MODEL
from lesson.show import (
    Outcome,
    console_of_the_call,
    left_out,
    not_reached,
    progress,
    refuse_to_overwrite,
    require,
    tell,
    tell_checked,
)
from lesson_runner import LANGUAGES
from lesson_runner.judge.baseline import Baseline
from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.run.happened import Limits
from lesson_runner.verify import Checked, Verification, not_executed, parts
from mock_proxy import running

if TYPE_CHECKING:  # httpx is not for the other commands
    from lesson.relay import Relay

EXAMPLE = "lesson live --model gpt-4o-mini=our-gpt --max-cost 1.00"

TIMEOUT = 30
"""Seconds for each question to the proxy before the run."""

Part = tuple[Episode, str]
"""A page, and a language of it or `responses`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_page_arguments(parser, LIVE_SECONDS)
    add_live_arguments(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON")


def run(options: argparse.Namespace) -> int:
    from lesson.relay import Relay, relaying

    if options.json:
        refuse_to_overwrite(options.json)
    lesson = lesson_of(options)
    console = console_of_the_call()
    proxy = proxy_of(os.environ)
    models = dict(options.model)
    available = proxy.models()
    named = [*models.values(), *filter(None, [os.environ.get("LITELLM_MODEL")])]
    refuse_models([theirs for theirs in named if not has(available, theirs)], available)
    prices = proxy.prices()
    outcome, work = read(lesson, options, console)
    tell_plan(console, proxy.url, outcome, work)
    counted = practise(lesson, work, options, console)
    used = {call.model for call in counted if call.asks_model and call.status < 400}
    wanted = [name for name in sorted(used) if not has(available, models.get(name, name))]
    refuse_models(wanted, available)
    tell_estimate(console, counted, prices, models, options.learners)
    say(console, f"{doctor.check_budget(proxy.url, proxy.key).what}.")
    confirm(options)
    with relaying(Relay(proxy.url, proxy.key, models, prices, options.max_cost)) as relay:
        verify(lesson, work, options, relay, outcome, console)
    live = Live(outcome, relay, options.learners)
    tell_report(console, live)
    if options.json:
        write_json(options.json, live)
    return 0 if live.is_well else 1


# The proxy


@dataclass(frozen=True)
class Proxy:
    """The proxy that the lesson is tried on. No message names the key."""

    url: str
    key: str = field(repr=False)

    def get(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            return requests.get(self.url + path, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise LessonError(
                f"{self.url} does not answer ({type(error).__name__}). "
                "Is LITELLM_BASE_URL right, and does the proxy run?"
            ) from None

    def models(self) -> list[str]:
        """The models that the key may use, or LessonError with what to do."""
        response = self.get("/models")
        if not response.ok:
            finding = doctor.refused_key(doctor.Refused(response.status_code, _type(response)))
            raise LessonError(f"{finding.what}. {finding.todo}.")
        try:
            return [str(model["id"]) for model in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            raise LessonError(
                f"what answers at {self.url} is no LiteLLM proxy: "
                "compare LITELLM_BASE_URL with the address that you were given"
            ) from None

    def prices(self) -> Prices:
        """The prices that the proxy publishes; empty if it publishes none."""
        for path, read in (
            ("/model_group/info", prices_of_groups),
            ("/model/info", prices_of_models),
        ):
            response = self.get(path)
            try:
                found = read(response.json()) if response.ok else {}
            except (ValueError, TypeError):
                found = {}
            if found:
                return found
        return {}


def proxy_of(environment: Mapping[str, str]) -> Proxy:
    url = environment.get("LITELLM_BASE_URL", "").rstrip("/")
    key = environment.get("LITELLM_API_KEY", "")
    for finding in (doctor.check_url(url), doctor.check_key(key)):
        if finding.state == "no":
            raise LessonError(f"{finding.what}. {finding.todo}.")
    return Proxy(url, key)


def _type(response: requests.Response) -> str:
    try:
        return str(response.json()["error"]["type"])
    except (ValueError, KeyError, TypeError):
        return ""


def has(available: Iterable[str], name: str) -> bool:
    """Whether a list of models has this one; LiteLLM's lists may hold `openai/*`."""
    return any(name == one or ("*" in one and fnmatch.fnmatch(name, one)) for one in available)


def refuse_models(missing: list[str], available: list[str]) -> None:
    if missing:
        raise LessonError(
            f"the proxy has no {' and no '.join(missing)}. It has: {', '.join(available)}. "
            f"Name one that stands in: --model {missing[0]}=THEIRS"
        )


# What is run


def read(
    lesson: Lesson, options: argparse.Namespace, console: Console
) -> tuple[Outcome, list[Part]]:
    """The pages without the blocks that only the practice proxy can answer."""
    outcome = Outcome()
    problems = outcome.add_problems(lesson.problems, Baseline())
    work: list[Part] = []
    for page in lesson.pages:
        episode = without_practice_only(lesson.read(page))
        problems += outcome.add_problems(episode.problems, Baseline())
        outcome.others += not_executed(episode)
        others = [name for name in LANGUAGES if name not in options.language]
        outcome.others += left_out([episode], others, "left out by --language")
        work += [(episode, part) for part in parts(episode, options.language)]
    for problem in problems:
        tell(console, str(problem), problem.path, problem.line, problem.message)
    return outcome, work


def without_practice_only(episode: Episode) -> Episode:
    def left_out(block: Block) -> Block:
        if not block.practice_only or block.role not in ("run", "response"):
            return block
        return replace(block, role="not run", reason=f"practice proxy only: {block.practice_only}")

    return replace(episode, blocks=tuple(map(left_out, episode.blocks)))


def practise(
    lesson: Lesson, work: list[Part], options: argparse.Namespace, console: Console
) -> list[Call]:
    """Run the same blocks against the practice proxy, with a learner's key, to count requests."""
    from lesson.relay import Relay, relaying

    say(console, "They run against the practice proxy first, to count requests.")
    with running() as practice, relaying(Relay(practice.url)) as relay:

        def environment(path: str, part: str) -> dict[str, str]:
            key = relay.new_key(path, part, practice.new_key())
            return variables(relay, key)

        limits = Limits(seconds=options.block_timeout)
        with Verification(lesson.root, environment, limits, answers_vary=True) as verification:
            found: list[Checked] = []
            in_turn(work, verification, len(work), console, found.append)
        for checked in found:
            if checked.failed:
                say(
                    console,
                    "On the practice proxy, too, this fails once those blocks are left out:",
                )
                tell_checked(console, checked)
        return relay.calls


def confirm(options: argparse.Namespace) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise LessonError("there is no terminal to ask at: add --yes to run this")
    if input("Run it on this proxy? [y/N] ").strip().lower() not in ("y", "yes"):
        raise LessonError("stopped: no model of the proxy was asked")


def variables(relay: "Relay", key: str) -> dict[str, str]:
    """The environment of a kernel; where a page names no model, it asks the caller's."""
    model = os.environ.get("LITELLM_MODEL") or PRACTICE_MODEL
    return {"LITELLM_BASE_URL": relay.url, "LITELLM_API_KEY": key, "LITELLM_MODEL": model}


def verify(
    lesson: Lesson,
    work: list[Part],
    options: argparse.Namespace,
    relay: "Relay",
    outcome: Outcome,
    console: Console,
) -> None:
    def environment(path: str, part: str) -> dict[str, str]:
        return variables(relay, relay.new_key(path, part))

    def tell_and_keep(checked: Checked) -> None:
        checked = require(checked, options)
        tell_checked(console, checked)
        outcome.checked.append(checked)

    limits = Limits(seconds=options.block_timeout)
    with Verification(
        lesson.root, environment, limits, options.jobs, answers_vary=True
    ) as verification:
        in_turn(work, verification, options.jobs, console, tell_and_keep, lambda: relay.stopped)


def in_turn(
    work: list[Part],
    verification: Verification,
    ahead: int,
    console: Console,
    keep: Callable[[Checked], Any],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run some parts at a time; once stopped, no further part is started."""
    started = 0
    with progress(console) as bar:
        task = bar.add_task("", total=len(work))
        for number, (episode, part) in enumerate(work):
            while started < min(number + ahead, len(work)) and not stopped():
                verification.start(*work[started])
                started += 1
            bar.update(task, description=f"{episode.path} {part}")
            if number < started:
                keep(verification.start(episode, part).result())
            else:
                keep(not_reached(episode, part, "stopped at --max-cost"))
            bar.advance(task)
