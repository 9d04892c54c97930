"""Who is stuck? What the instructor's page shows about each key, and in which order.

``State`` says who comes first, and why. Known of a request are its method, path, model, status,
kind of error and time; never a prompt, an answer or a key. A request whose key is missing or wrong
belongs to nobody known, so it counts for the address that it came from: in class, each laptop has
one. All of it is in memory, bounded, and ends with the proxy.

A real LiteLLM has no such page: it is the practice proxy's own.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeVar

from ..keys.store import Key, KeyStore

RECENT = 600.0
"""Seconds after which somebody who sends nothing counts as quiet."""

MANY = 3
"""Errors without a success between them that make a learner count as stuck. The lesson lets
requests fail on purpose, but two times in a row at most before they work."""

MOST = 1_000
"""Keys, and addresses without a key, that are remembered and shown; the latest ones."""

MOST_KINDS = 20
"""Kinds of error that are counted separately for each key."""


class State(IntEnum):
    """Those who need help come first: keys in use that are blocked, expired or over budget, then 3
    or more errors since the last success, then 1 or 2, in each group whoever has waited longest;
    after 10 minutes without a request a key moves down, below these if its last request failed,
    else below those whose last request worked; keys that have sent nothing come last.
    """

    USELESS = 0
    STUCK = 1
    FAILING = 2
    STOPPED = 3
    WORKING = 4
    QUIET = 5
    UNUSED = 6

    @property
    def needs_help(self) -> bool:
        return self <= State.STUCK


@dataclass(frozen=True)
class Asked:
    """A request that has ended."""

    method: str
    path: str
    model: str | None
    status: int
    error: str | None
    """``error.type`` of the answer, where it has one."""
    address: str
    time: float
    """Seconds since 1970."""

    @property
    def worked(self) -> bool:
        return self.status < 400


@dataclass
class Record:
    """The last request of a key, or of an address, and the errors so far."""

    last: Asked | None = None
    failures: int = 0
    """Errors since the last success."""
    failing_since: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    lacks: str = ""
    """What is wrong with the key, if the proxy does not know it."""

    def add(self, asked: Asked) -> None:
        self.last = asked
        if asked.worked:
            self.failures = 0
            return
        if not self.failures:
            self.failing_since = asked.time
        self.failures += 1
        kind = asked.error or str(asked.status)
        if kind not in self.errors and len(self.errors) >= MOST_KINDS:
            kind = "other"
        self.errors[kind] = self.errors.get(kind, 0) + 1


def state_of(record: Record | None, fault: str | None, time: float) -> State:
    """Where somebody stands in the order; ``fault`` is what keeps the key from being used."""
    if record is None or record.last is None:
        return State.UNUSED
    if time - record.last.time > RECENT:
        return State.STOPPED if record.failures else State.QUIET
    if fault is not None:
        return State.USELESS
    if not record.failures:
        return State.WORKING
    return State.STUCK if record.failures >= MANY else State.FAILING


class Classroom:
    """The latest requests of each key, and those who look at them."""

    def __init__(self, keys: KeyStore) -> None:
        self.keys = keys
        self.pages: set[asyncio.Event] = set()
        """One for each page that is open; set when something has changed."""
        self._known: OrderedDict[str, Record] = OrderedDict()
        self._strangers: OrderedDict[str, Record] = OrderedDict()
        self._users: OrderedDict[str, list[Key]] = OrderedDict()
        """By address: one or two keys that worked there. Two mean that people share it."""

    def note(self, sent: str | None, asked: Asked) -> None:
        """Remember a request that came with this key, None without one."""
        key = self.keys.find(sent) if sent is not None and sent.startswith("sk-") else None
        if key is not None:
            _latest(self._known, key.token, Record).add(asked)
            if asked.worked:
                self._recognise(asked.address, key)
        else:
            record = _latest(self._strangers, asked.address, Record)
            record.lacks = _lacks(sent)
            record.add(asked)
        for page in self.pages:
            page.set()

    def _recognise(self, address: str, key: Key) -> None:
        """The key works here. If no other ever did, a wrong key from here was a slip, now over."""
        users = _latest(self._users, address, list)
        if len(users) < 2 and all(user is not key for user in users):
            users.append(key)
        if len(users) == 1:
            self._strangers.pop(address, None)

    def snapshot(self, time: float) -> dict[str, Any]:
        """What the page shows at this time: the rows in their order, and how many are left out."""
        rows = sorted(self._rows(time), key=lambda row: row.place)
        return {
            "keys": len(rows),
            "need_help": sum(row.place[0].needs_help for row in rows),
            "rows": [row.body() for row in rows[:MOST]],
        }

    def _rows(self, time: float) -> Iterator[Row]:
        for key in (self.keys.master, *self.keys):
            record, fault = self._known.get(key.token), fault_of(key)
            yield _row(name_of(key), record, fault, time, key)
        for address, record in self._strangers.items():
            yield _row(self._stranger(address, record), record, None, time)

    def _stranger(self, address: str, record: Record) -> str:
        """A name for whoever sent a wrong key or none, with the alias that worked there before."""
        users = self._users.get(address, [])
        before = f", where {name_of(users[0])} worked before" if len(users) == 1 else ""
        return f"{record.lacks} from {address}{before}"


@dataclass(frozen=True)
class Row:
    """What the page shows of a key, or of an address."""

    name: str
    place: tuple[State, float, str]
    label: str
    record: Record
    key: Key | None

    def body(self) -> dict[str, Any]:
        last = self.record.last
        return {
            "name": self.name,
            "state": self.place[0].name.lower(),
            "needs_help": self.place[0].needs_help,
            "label": self.label,
            "method": last and last.method,
            "path": last and last.path,
            "model": last and last.model,
            "status": last and last.status,
            "error": last and last.error,
            "time": last and last.time,
            "errors": dict(self.record.errors),
            "spend": self.key and self.key.spend,
            "budget": self.key and self.key.max_budget,
        }


def _row(
    name: str, record: Record | None, fault: str | None, time: float, key: Key | None = None
) -> Row:
    state = state_of(record, fault, time)
    record = record or Record()
    since = 0.0
    if state <= State.STOPPED and record.last is not None:
        since = record.failing_since if record.failures else record.last.time
    return Row(name, (state, since, _in_order(name)), _label(state, record, fault), record, key)


def _label(state: State, record: Record, fault: str | None) -> str:
    errors = "1 error" if record.failures == 1 else f"{record.failures} errors in a row"
    labels = {
        State.USELESS: f"Key {fault}",
        State.STUCK: f"Stuck: {errors}",
        State.FAILING: f"Failing: {errors}",
        State.STOPPED: f"Stopped after {errors}",
        State.WORKING: "Working",
        State.QUIET: "Quiet",
        State.UNUSED: "No request yet",
    }
    return labels[state] + (f", key {fault}" if fault and state > State.USELESS else "")


def fault_of(key: Key) -> str | None:
    """Why no request with this key can work now."""
    if key.is_master:
        return None
    if key.blocked:
        return "blocked"
    if key.has_expired():
        return "expired"
    return "over budget" if key.is_over_budget() else None


def name_of(key: Key) -> str:
    """How a key is shown: its alias, else its masked text."""
    if key.is_master:
        return "practice key" if key.is_practice else "master key"
    return without_keys(key.key_alias or "")[:80] or key.key_name


def _lacks(sent: str | None) -> str:
    if sent is None:
        return "No key"
    return "Unknown key" if sent.startswith("sk-") else "Malformed key"


@lru_cache(maxsize=2 * MOST)
def _in_order(name: str) -> str:
    """A sort key that puts ``class-9`` before ``class-10``."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(9), name)


# --- texts that a learner chose ---------------------------------------------------------------

PLAIN = re.compile(r"[\w./:@+%{}-]{1,80}", re.ASCII)
"""The characters of model names, paths, kinds of error and addresses. Anything else may be a prompt
in the wrong place."""

KEY = re.compile(r"sk-[\w-]{4,}")


def shown(text: object, sent: str | None = None) -> str | None:
    """A name from a request, if the page may show it: never a sentence or a key."""
    if not isinstance(text, str):
        return None
    if not PLAIN.fullmatch(text):
        return "(not shown)"
    return without_keys(text.replace(sent, "…") if sent else text)


def without_keys(text: str) -> str:
    return KEY.sub("sk-…", text)


# --- memory -----------------------------------------------------------------------------------

Kept = TypeVar("Kept")


def _latest(kept: OrderedDict[str, Kept], name: str, make: Callable[[], Kept]) -> Kept:
    """What is kept under this name, or something new; the least recently used is forgotten."""
    if name not in kept:
        kept[name] = make()
        if len(kept) > MOST:
            kept.popitem(last=False)
    kept.move_to_end(name)
    return kept[name]
