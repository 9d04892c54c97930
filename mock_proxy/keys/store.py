"""Virtual keys: what each may do, and what it has spent.

Kept in memory. A key is known by the SHA-256 of its text, as in LiteLLM, so that the text
itself is nowhere stored.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

WINDOW = timedelta(seconds=60)
"""Requests and tokens are counted over this time, from the first request in it."""

ALL_MODELS = {"all-proxy-models", "all-team-models"}
REMEMBERED_CONVERSATIONS = 10_000

LEAST_COST = 1e-12
"""USD below which nothing is left of a budget: sums of floats are off by less."""

LimitKind = Literal["requests", "max_parallel_requests", "tokens"]


def now() -> datetime:
    return datetime.now(timezone.utc)


def digest(key: str) -> str:
    """The name a key goes by: the SHA-256 of its text, 64 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def masked(key: str) -> str:
    """``sk-...1234``; no end of a key that is shorter than 16 characters."""
    return f"sk-...{key[-4:]}" if len(key) >= 16 else "sk-..."


@dataclass(frozen=True)
class OverLimit(Exception):
    """A limit that the next request would exceed."""

    scope: str
    """``api_key`` or ``model_per_key``."""
    name: str
    kind: LimitKind
    limit: int


@dataclass(frozen=True)
class OverBudget(Exception):
    """A budget that leaves nothing, or too little for what was asked."""

    key: Key
    current: float
    """USD spent and reserved."""
    estimate: float | None = None
    """USD that the request may cost, where that is what does not fit."""


class Keeper(Protocol):
    """Something that keeps keys beyond the life of the proxy."""

    def load(self) -> list[Key]: ...

    def save(self, key: Key) -> None: ...

    def remove(self, key: Key) -> None: ...


@dataclass
class Meter:
    """What one limit's scope (a key, or a key with one model) has used in its window."""

    started: datetime = field(default_factory=now)
    requests: int = 0
    tokens: int = 0
    unsettled: int = 0
    """Tokens used beyond those reserved, not yet counted."""
    is_late: bool = False
    """Whether what was used is counted with the next request only."""

    def refresh(self, time: datetime) -> None:
        if time - self.started >= WINDOW:
            self.started, self.requests, self.tokens, self.unsettled = time, 0, 0, 0

    def settle(self, tokens: int) -> None:
        """Count tokens used beyond those reserved."""
        if self.is_late:
            self.unsettled += tokens
        else:
            self.tokens += tokens


@dataclass
class Key:
    """A virtual key. Money in USD; limits None where there is none."""

    token: str
    key_name: str
    key_alias: str | None = None
    models: list[str] = field(default_factory=list)
    spend: float = 0.0
    max_budget: float | None = None
    budget_duration: str | None = None
    budget_reset_at: datetime | None = None
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    max_parallel_requests: int | None = None
    model_rpm_limit: dict[str, int] = field(default_factory=dict)
    model_tpm_limit: dict[str, int] = field(default_factory=dict)
    expires: datetime | None = None
    blocked: bool | None = None
    allowed_routes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    """Settings that LiteLLM keeps for a key and that change nothing here, such as a team."""
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    settings_updated_at: datetime | None = None
    last_active: datetime | None = None
    deleted_at: datetime | None = None
    is_master: bool = False
    is_admin: bool = False
    """A proxy admin's own key: it makes and changes keys as the master key does, and is judged by
    its own limits."""
    is_practice: bool = False
    """A master key that is its only user's own key too: it has spend, and /key/info tells of it."""

    in_flight: int = 0
    reserved: float = 0.0
    """USD set aside for requests that are being answered."""
    meters: dict[str, Meter] = field(default_factory=dict)
    asked: OrderedDict[str, int] = field(default_factory=OrderedDict)
    failed: dict[str, int] = field(default_factory=dict)
    """How often each model that fails at first has failed for this key since it last answered."""
    store: Keeper | None = None
    """Where changes are kept, if anywhere."""

    def __post_init__(self) -> None:
        if self.max_budget is not None:
            self.max_budget = float(self.max_budget)  # is shown as 1.0, not as 1

    @property
    def manages(self) -> bool:
        """Whether it makes, changes and sees all keys."""
        return self.is_master or self.is_admin

    def keep(self) -> None:
        """Keep the key as it is now."""
        if self.store is not None:
            self.store.save(self)

    def may_use(self, model: str) -> bool:
        """Whether the key's models include this one."""
        model = self.meant_by(model)
        return self.uses_all_models() or any(fnmatchcase(model, str(m)) for m in self.models)

    def meant_by(self, model: str) -> str:
        """The model that this key calls by this name."""
        return self.aliases().get(model, model)

    def aliases(self) -> dict[str, str]:
        """The key's own names for models."""
        aliases = self.other.get("aliases") or {}
        return {alias: model for alias, model in aliases.items() if isinstance(model, str)}

    def uses_all_models(self) -> bool:
        """Whether the key may use whatever model there is; an empty list means so."""
        return not self.models or any(str(model) in ALL_MODELS for model in self.models)

    def is_over_budget(self) -> bool:
        if self.budget_reset_at is not None and now() >= self.budget_reset_at:
            self.spend = 0.0
            self.budget_reset_at = next_reset(self.budget_duration or "30d")
            self.keep()
        return self.max_budget is not None and self.spend >= self.max_budget

    def has_expired(self) -> bool:
        return self.expires is not None and self.expires < now()

    def times_asked(self, conversation: str) -> int:
        """How often this key has sent this conversation, this time included: 1, 2, …"""
        nth = self.asked.pop(conversation, 0) + 1
        self.asked[conversation] = nth
        if len(self.asked) > REMEMBERED_CONVERSATIONS:
            self.asked.popitem(last=False)
        return nth

    def smallest_tpm_limit(self, model: str | None) -> int | None:
        """Tokens a minute: the least that the key may use of this model, None for no limit."""
        limits = (self.tpm_limit, self.model_tpm_limit.get(model or ""))
        return min((limit for limit in limits if limit is not None), default=None)

    def admit(self, model: str, reserve: int) -> Admission:
        """Count one request against the key's limits, or raise OverLimit.

        ``reserve`` tokens are taken at once and settled by ``Admission.close``. LiteLLM
        settles a moment after the answer has left, so a request that follows at once is still
        judged by the reservation alone: with a limit of 40 and 30 tokens a call, the third call
        fails. A model's limit was recorded with a pause between the calls: here it is settled
        with the answer.
        """
        scopes: list[tuple[str, str, int | None, int | None]] = [
            ("api_key", self.token, self.rpm_limit, self.tpm_limit),
            (
                "model_per_key",
                f"{self.token}:{model}",
                self.model_rpm_limit.get(model),
                self.model_tpm_limit.get(model),
            ),
        ]
        scopes = [s for s in scopes if s[2] is not None or s[3] is not None]
        time = now()
        for scope, name, requests, _ in scopes:
            meter = self.meters.setdefault(scope + name, Meter(is_late=scope == "api_key"))
            meter.refresh(time)
            if requests is not None and meter.requests + 1 > requests:
                raise OverLimit(scope, name, "requests", requests)
        parallel = self.max_parallel_requests
        if parallel is not None and self.in_flight + 1 > parallel:
            raise OverLimit("api_key", self.token, "max_parallel_requests", parallel)
        for scope, name, _, tokens in scopes:
            if tokens is not None and self.meters[scope + name].tokens + reserve > tokens:
                raise OverLimit(scope, name, "tokens", tokens)
        self.in_flight += 1
        remaining: dict[tuple[str, LimitKind], tuple[int, int]] = {}
        if parallel is not None:
            remaining["api_key", "max_parallel_requests"] = (parallel - self.in_flight, parallel)
        meters = []
        for scope, name, requests, tokens in scopes:
            meter = self.meters[scope + name]
            meters.append(meter)
            meter.requests += 1
            meter.tokens += reserve
            if requests is not None:
                remaining[scope, "requests"] = (requests - meter.requests, requests)
            if tokens is not None:
                remaining[scope, "tokens"] = (tokens - meter.tokens, tokens)
            meter.tokens += meter.unsettled
            meter.unsettled = 0
        return Admission(self, meters, reserve, remaining)


@dataclass
class Admission:
    """One request that was let in, until its answer is complete."""

    key: Key
    meters: list[Meter]
    reserved: int
    remaining: dict[tuple[str, LimitKind], tuple[int, int]]
    """Per limit, of the key or of the key with this model: what remains, and the limit."""
    is_open: bool = True
    reserved_cost: float = 0.0

    def reserve(self, cost: float, *, must_fit: bool) -> None:
        """Set aside what the answer may cost, in USD, or raise OverBudget.

        LiteLLM sets aside what is left where that is less. What ``must_fit`` is refused then, as
        with its ``fail_closed_budget_enforcement``.
        """
        key = self.key
        if key.max_budget is None or key.is_master or cost <= 0:
            return
        used = key.spend + key.reserved
        if key.max_budget - used <= LEAST_COST:
            raise OverBudget(key, used + cost)
        if must_fit and used + cost > key.max_budget:
            raise OverBudget(key, used, cost)
        self.reserved_cost = min(cost, key.max_budget - used)
        key.reserved += self.reserved_cost

    def close(self, tokens: int = 0, cost: float = 0.0) -> None:
        """Settle: the tokens really used, and their cost in USD. A second call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self.key.in_flight -= 1
        self.key.reserved = max(0.0, self.key.reserved - self.reserved_cost)
        if cost and (self.key.is_practice or not self.key.is_master):
            self.key.spend += cost
            self.key.last_active = now()
            self.key.keep()
        for meter in self.meters:
            meter.settle(tokens - self.reserved)


class KeyStore:
    """All keys, by the SHA-256 of their text."""

    def __init__(self, master_key: str, keeper: Keeper | None = None) -> None:
        self.master_key = master_key
        self.master = Key(digest(master_key), masked(master_key), is_master=True)
        self._keeper = keeper
        self._keys = {key.token: key for key in keeper.load()} if keeper else {}
        for key in self._keys.values():
            key.store = keeper
        self.deleted: list[Key] = []
        """The keys deleted since the proxy started, in that order."""

    def find(self, key: str) -> Key | None:
        """The key of this text, or of this SHA-256."""
        if key.startswith("sk-"):
            if secrets.compare_digest(key.encode(), self.master_key.encode()):
                return self.master
            return self._keys.get(digest(key))
        return self._keys.get(key)

    def find_deleted(self, key: str) -> Key | None:
        """The deleted key of this text, or of this SHA-256."""
        token = digest(key) if key.startswith("sk-") else key
        return next((old for old in self.deleted if old.token == token), None)

    def add(self, text: str | None = None, **settings: Any) -> tuple[str, Key]:
        """Make a key; returns its text and the key.

        A key of this text that is there already stays as it is: LiteLLM answers as if it had made
        one, and changes nothing.
        """
        text = text or "sk-" + secrets.token_urlsafe(16)
        key = Key(digest(text), masked(text), store=self._keeper, **settings)
        existing = self.find(text)
        if existing is not None:
            key.created_at = existing.created_at
            return text, key
        self._keys[key.token] = key
        key.keep()
        return text, key

    def remove(self, key: Key) -> None:
        self._keys.pop(key.token, None)
        key.deleted_at = now()
        self.deleted = [*(old for old in self.deleted if old.token != key.token), key]
        key.store = None  # what it still spends is kept no more
        if self._keeper is not None:
            self._keeper.remove(key)

    def has_alias(self, alias: str) -> bool:
        return any(key.key_alias == alias for key in self)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._keys.values()))

    def __len__(self) -> int:
        return len(self._keys)


DURATION = re.compile(r"(\d+)(mo|[smhdw]?)")
DURATION_WORDS = {"hourly": "1h", "daily": "24h", "weekly": "7d", "monthly": "30d"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 2_592_000}


class TooLong(ValueError):
    """A duration that ends after the calendar does."""


def duration(text: str) -> timedelta:
    """``30s``, ``15m``, ``2h``, ``7d``, ``1w``, ``1mo`` as a length of time; else ValueError.

    As in LiteLLM, what follows the unit does not matter: ``30 days`` has no unit, ``30days`` has.
    """
    match = DURATION.match(DURATION_WORDS.get(text.strip().lower(), text))
    if match is None:
        raise ValueError("Invalid duration format")
    if not match[2]:
        raise ValueError(f"Unsupported duration unit, passed duration: {text}")
    try:
        length = timedelta(seconds=int(match[1]) * UNITS[match[2]])
        now() + length  # the year 9999 is the last
    except (OverflowError, ValueError):
        raise TooLong(f"duration is too long. Received: {text[:40]}") from None
    return length


def next_reset(text: str) -> datetime:
    """When a budget of this duration starts anew.

    LiteLLM 1.106.2 takes round times in UTC for the common durations: the hour, midnight,
    Monday, the first of the month.
    """
    time = now()
    hour = time.replace(minute=0, second=0, microsecond=0)
    midnight = hour.replace(hour=0)
    if text == "1h":
        return hour + timedelta(hours=1)
    if text in ("1d", "24h"):
        return midnight + timedelta(days=1)
    if text in ("7d", "1w"):
        return midnight + timedelta(days=7 - midnight.weekday())
    if text in ("30d", "1mo"):
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return time + duration(text)
