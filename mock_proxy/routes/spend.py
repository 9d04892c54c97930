"""``/spend/logs``: what each call of a key has cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..keys import store
from ..keys.store import Key
from ..litellm import version as versions
from ..litellm import wire
from ..litellm.spend_log import Entry, SpendLog

MOST_DAYS = 366
"""Days without spend that are listed, as the last day asked for may be in the year 9999."""


def answer(request: Request, log: SpendLog, caller: Key) -> Response:
    """The calls of the caller's own key; with the master key those of all, or of one.

    Not recorded: the form follows LiteLLM 1.106.2's OpenAPI description and the columns of its
    database. There, a key without a user is refused and one of an internal user is told of the
    user's calls; an institution's keys have users, and those here stand for them. Calls that
    failed are not listed.
    """
    query = request.query_params
    entries = [entry for entry in log.newest_first() if caller.manages or entry.key is caller]
    if wanted := query.get("api_key"):
        token = store.digest(wanted) if wanted.startswith("sk-") else wanted
        entries = [entry for entry in entries if entry.key.token == token]
    if wanted := query.get("request_id"):
        entries = [entry for entry in entries if wanted in (entry.id, entry.call_id)]
    if wanted := query.get("user_id"):
        entries = [entry for entry in entries if entry.user == wanted]
    dates = query.get("start_date"), query.get("end_date")
    if dates[0] is None or dates[1] is None:
        return _json(entry.body() for entry in entries)
    first, last = (_date(text) for text in dates)
    entries = [entry for entry in entries if first <= entry.ended <= last]
    if query.get("summarize", "true").lower() in ("false", "0", "no", "off"):
        return _json(entry.body() for entry in entries)
    return _json(_days(entries, last.date()))


def _days(entries: list[Entry], last: date) -> Iterator[dict[str, Any]]:
    """What was spent on each day, the first day first; nothing on those after it."""
    for day, group in groupby(reversed(entries), key=lambda entry: entry.ended.date()):
        of_day = list(group)
        yield {
            **_sums((entry.key.token, entry.spend) for entry in of_day),
            "startTime": day.isoformat(),
            "spend": sum(entry.spend for entry in of_day),
            "users": _sums((entry.user, entry.spend) for entry in of_day),
            "models": _sums((entry.body()["model"], entry.spend) for entry in of_day),
        }
    day = entries[0].ended.date() if entries else last
    for days in range(1, min((last - day).days, MOST_DAYS) + 1):
        later = day + timedelta(days=days)
        yield {"startTime": later.isoformat(), "spend": 0, "users": {}, "models": {}}


def _sums(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, spend in pairs:
        sums[name] = sums.get(name, 0.0) + spend
    return sums


def _date(text: str | None) -> datetime:
    """A day's beginning in UTC, or LiteLLM's error for what is none."""
    try:
        return datetime.strptime(f"{text} +0000", "%Y-%m-%d %z")
    except ValueError:
        problem = f"time data {text!r} does not match format '%Y-%m-%d'"
        message, param = f"/spend/logs Error{problem}", versions.current().key_error_param
        raise wire.ProxyError(500, message, "internal_error", param) from None


def _json(rows: Iterable[dict[str, Any]]) -> Response:
    return Response(wire.python_json(list(rows)), media_type="application/json")
