"""Requests that were counted, prices that a proxy tells → what it cost, or will cost. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request to a proxy. `model` is named as in the lesson; `cost` is in USD."""

    page: str
    part: str
    method: str
    path: str
    model: str = ""
    status: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    @property
    def asks_model(self) -> bool:
        """Whether a model answers, which costs money. Counting tokens is free."""
        return bool(self.model) and self.method == "POST" and "token_counter" not in self.path


@dataclass(frozen=True)
class Price:
    """USD for one token of a prompt, and of a completion."""

    prompt: float
    completion: float


Prices = Mapping[str, Price]
"""By the name that the proxy gives the model."""


@dataclass(frozen=True)
class Bill:
    """The total of some calls. `told` USD are the proxy's own figures; `priced` are tokens times
    prices, where it named no cost; `unknown` answers have neither."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    told: float
    priced: float
    unknown: int

    @property
    def usd(self) -> float:
        return self.told + self.priced


def bill(calls: Iterable[Call], prices: Prices, models: Mapping[str, str]) -> Bill:
    """`models` names what stands in for a model of the lesson."""
    calls = tuple(calls)
    told = priced = 0.0
    unknown = 0
    for call in calls:
        if call.cost is not None:
            told += call.cost
        elif call.asks_model and call.status < 400:
            price = prices.get(models.get(call.model, call.model))
            if price is None or not call.prompt_tokens:
                unknown += 1
            else:
                priced += call.prompt_tokens * price.prompt
                priced += call.completion_tokens * price.completion
    prompt = sum(call.prompt_tokens for call in calls)
    completion = sum(call.completion_tokens for call in calls)
    return Bill(len(calls), prompt, completion, told, priced, unknown)


def grouped(calls: Iterable[Call], key: Callable[[Call], str]) -> dict[str, list[Call]]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    return groups


def of_one_learner(calls: Iterable[Call], prices: Prices, models: Mapping[str, str]) -> float:
    """USD for running every block once, in Python or in R, whichever costs more."""
    parts = grouped(calls, lambda call: call.part)
    costs = {part: bill(some, prices, models).usd for part, some in parts.items()}
    return max(costs.get("python", 0.0), costs.get("r", 0.0)) + costs.get("bash", 0.0)


def prices_of_groups(answer: Any) -> dict[str, Price]:
    """From `GET /model_group/info`, which every key may ask."""
    return _prices((entry.get("model_group"), entry) for entry in _entries(answer))


def prices_of_models(answer: Any) -> dict[str, Price]:
    """From `GET /model/info`."""
    return _prices((entry.get("model_name"), entry.get("model_info")) for entry in _entries(answer))


def _entries(answer: Any) -> list[dict[str, Any]]:
    entries = answer.get("data") if isinstance(answer, dict) else None
    return [entry for entry in entries or () if isinstance(entry, dict)]


def _prices(entries: Iterable[tuple[Any, Any]]) -> dict[str, Price]:
    prices = {}
    for name, told in entries:
        costs = told if isinstance(told, dict) else {}
        prompt = costs.get("input_cost_per_token")
        if isinstance(name, str) and prompt is not None:
            prices[name] = Price(float(prompt), float(costs.get("output_cost_per_token") or 0))
    return prices
