"""The output of `lesson live`: the plan, its likely cost, and the result."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from lesson.bill import Bill, Call, Prices, bill, grouped, of_one_learner
from lesson.show import Outcome, closing, counted
from lesson_runner.judge import report
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Episode
from lesson_runner.verify import RESPONSES, Checked

if TYPE_CHECKING:  # httpx is not for the other commands
    from lesson.relay import Relay

PRACTICE_ONLY = "practice proxy only: "
MOST_LINES = 8
"""Of each difference; `--json` has all."""


@dataclass(frozen=True)
class Live:
    """A run against a real proxy: what was found, and what the relay counted."""

    outcome: Outcome
    relay: "Relay"
    learners: int

    @property
    def is_well(self) -> bool:
        return self.outcome.is_well and not self.relay.stopped

    @property
    def bill(self) -> Bill:
        return self.bill_of(self.relay.calls)

    def bill_of(self, calls: Iterable[Call]) -> Bill:
        return bill(calls, self.relay.prices, self.relay.models)

    @property
    def of_one_learner(self) -> float:
        return of_one_learner(self.relay.calls, self.relay.prices, self.relay.models)

    @property
    def differing(self) -> list[Result]:
        return [result for result in self.outcome.results if result.difference]


def practice_only(outcome: Outcome) -> list[Result]:
    return [result for result in outcome.results if result.reason.startswith(PRACTICE_ONLY)]


def say(console: Console, text: str = "") -> None:
    console.print(text, markup=False)


# Before


def tell_plan(
    console: Console, url: str, outcome: Outcome, work: list[tuple[Episode, str]]
) -> None:
    pages = {episode.path for episode, _ in work}
    blocks: dict[str, int] = {}
    for episode, part in work:
        some = episode.responses if part == RESPONSES else episode.to_run(part)
        blocks[part] = blocks.get(part, 0) + len(some)
    numbers = ", ".join(f"{part} {number}" for part, number in blocks.items())
    say(console, f"On {url}, with your key: {counted(len(pages), 'page')}; blocks: {numbers}")
    tell_reasons(console, practice_only(outcome), "left out")


def tell_reasons(console: Console, results: Iterable[Result], what: str) -> None:
    for reason, places in report.reasons_not_run(results):
        say(console, f"{what}: {reason}\n    {report.short_places(places)}")


def tell_estimate(
    console: Console, calls: list[Call], prices: Prices, models: dict[str, str], learners: int
) -> None:
    asked = [call for call in calls if call.asks_model and call.status < 400]
    # The practice proxy's own costs say nothing: tokens times the prices of the real one do.
    asked = [replace(call, cost=None) for call in asked]
    table = table_of("model", ("requests", "tokens in", "tokens out", "about USD"))
    for name, some in sorted(grouped(asked, lambda call: call.model).items()):
        stand_in = f"{name} → {models[name]}" if name in models else name
        came_to = bill(some, prices, models)
        known = models.get(name, name) in prices
        usd = amount(came_to.usd) if known else "unknown"
        tokens = (f"{came_to.prompt_tokens:,}", f"{came_to.completion_tokens:,}")
        table.add_row(stand_in, f"{came_to.requests:,}", *tokens, usd)
    console.print(table)
    total = bill(asked, prices, models)
    say(console, f"Likely cost: {about(total)}. Real models write more, or less, than this.")
    each = of_one_learner(asked, prices, models)
    say(console, class_of(learners, each))


def about(total: Bill) -> str:
    if not total.unknown:
        return f"about {amount(total.usd)} USD"
    known = f"about {amount(total.usd)} USD, and " if total.usd else ""
    return f"{known}unknown for {counted(total.unknown, 'answer')} (streams, or no price told)"


def class_of(learners: int, each: float) -> str:
    return (
        f"A class of {learners}, if each runs every block once, in one language: "
        f"about {amount(learners * each)} USD, {amount(each)} each."
    )


def amount(usd: float) -> str:
    return f"{usd:.2f}" if usd >= 1 else f"{usd:.4f}" if usd >= 0.01 else f"{usd:.6f}"


# After


def tell_report(console: Console, live: Live) -> None:
    tell_table(console, live)
    tell_reasons(console, live.outcome.results, "not run")
    if live.differing:
        say(console, f"\nDifferences worth a look: {len(live.differing)}. Answers of models vary.")
    for result in live.differing:
        say(console, difference_text(result))
    say(console)
    tell_numbers(console, live)
    say(console, closing(live.outcome, live.is_well))


def difference_text(result: Result) -> str:
    lines = result.difference.splitlines()
    shown = [report.printable(report.short(line)) for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        shown.append(f"… and {counted(len(lines) - MOST_LINES, 'line')} more")
    return "\n".join([f"{result.place}: {result.block.language}", *(f"    {s}" for s in shown)])


def tell_table(console: Console, live: Live) -> None:
    headings = ("run", "failed", "differ", "requests", "tokens", "USD", "seconds")
    table = table_of("page", headings)
    of_part = grouped(live.relay.calls, lambda call: f"{call.page} {call.part}")
    for checked in live.outcome.checked:
        name = f"{checked.episode.path} {checked.language}"
        table.add_row(name, *row(live, checked, of_part.get(name, [])))
    console.print(table)


def row(live: Live, checked: Checked, calls: list[Call]) -> tuple[str, ...]:
    ran = sum(result.outcome in ("passed", "failed") for result in checked.results)
    differ = sum(bool(result.difference) for result in checked.results)
    came_to = live.bill_of(calls)
    tokens = came_to.prompt_tokens + came_to.completion_tokens
    return (
        *(str(number) for number in (ran, len(checked.failed), differ)),
        *(f"{number:,}" for number in (came_to.requests, tokens)),
        amount(came_to.usd),
        f"{checked.seconds:.1f}",
    )


def tell_numbers(console: Console, live: Live) -> None:
    relay, total = live.relay, live.bill
    version = f"LiteLLM {relay.version}" if relay.version else "a proxy that names no version"
    say(console, f"{relay.target}: {version}")
    say(console, f"Models: {', '.join(models_used(live)) or 'none'}")
    tokens = f"{total.prompt_tokens:,} tokens in, {total.completion_tokens:,} out"
    say(console, f"{counted(total.requests, 'request')}, {tokens}")
    spend = f"Spent: {amount(total.told)} USD by the proxy's own figures"
    if total.priced:
        spend += f", and {amount(total.priced)} by its prices where it named no cost"
    if total.unknown:
        spend += f"; unknown for {counted(total.unknown, 'answer')} (streams, or no price told)"
    say(console, spend + ".")
    if relay.waits:
        times = f"{counted(len(relay.waits), 'time')}, together {sum(relay.waits):.0f} s"
        say(console, f"Waited {times}, because the proxy was busy (429). Learners will meet this.")
    if relay.slowed >= 1:
        limit = f"{relay.requests_a_minute:,} requests a minute"
        say(console, f"The key allows {limit}: requests waited {relay.slowed:.0f} s for this.")
    if relay.lost:
        say(console, f"No answer to {counted(len(relay.lost), 'request')}.")
    if relay.stopped:
        say(console, f"Stopped at --max-cost {relay.max_cost}: what follows was not run.")
    say(console, class_of(live.learners, live.of_one_learner))


def models_used(live: Live) -> list[str]:
    used = sorted({c.model for c in live.relay.calls if c.asks_model and c.status < 400})
    models = live.relay.models
    return [f"{models[name]} for {name}" if name in models else name for name in used]


def table_of(first: str, headings: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def write_json(file: Path, live: Live) -> None:
    file.write_text(json.dumps(record(live), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def record(live: Live) -> dict[str, Any]:
    relay, total = live.relay, live.bill
    blocks = [
        {**report.block_record(result), "difference": result.difference}
        for result in live.outcome.results
    ]
    blocks += [{**report.block_record(r), "difference": ""} for r in live.outcome.without_meaning]
    blocks.sort(key=lambda block: (block["path"], block["line"]))
    return {
        "proxy": relay.target,
        "litellm_version": relay.version or None,
        "stand_ins": dict(relay.models),
        "models": models_used(live),
        "requests": total.requests,
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "usd_told": total.told,
        "usd_by_prices": total.priced,
        "answers_of_unknown_cost": total.unknown,
        "waits": len(relay.waits),
        "seconds_waited": sum(relay.waits),
        "requests_a_minute": relay.requests_a_minute or None,
        "seconds_slowed": relay.slowed,
        "requests_without_answer": len(relay.lost),
        "stopped_at_max_cost": relay.stopped,
        "learners": live.learners,
        "usd_for_learners": live.learners * live.of_one_learner,
        "blocks": blocks,
    }
