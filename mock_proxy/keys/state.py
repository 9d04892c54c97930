"""Keys in an SQLite file, so that they outlive the proxy, even one that is killed."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from .store import Key

PASSING = {"in_flight", "meters", "asked", "failed", "store"}
"""Fields of a key that end with the proxy."""


class StateError(ValueError):
    """A state file that cannot be used."""


class State:
    """The keys of one proxy in one file, each written before its caller hears of the change.

    SQLite's journal keeps what was written when the process is killed; only a crash of the
    whole machine may lose the last moments.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS keys (token TEXT PRIMARY KEY, settings TEXT NOT NULL)"
            )
        except sqlite3.Error as error:
            self._database.close()
            raise _unusable(path, error) from error
        self._lock = threading.Lock()  # keys are also made from other threads

    def load(self) -> list[Key]:
        """The keys in the file, in the order in which they were made."""
        rows = self._database.execute("SELECT settings FROM keys ORDER BY rowid")
        return [_from_json(text) for (text,) in rows]

    def save(self, key: Key) -> None:
        with self._lock:
            self._database.execute(
                "INSERT INTO keys VALUES (?, ?) "
                "ON CONFLICT (token) DO UPDATE SET settings = excluded.settings",
                (key.token, _to_json(key)),
            )

    def remove(self, key: Key) -> None:
        with self._lock:
            self._database.execute("DELETE FROM keys WHERE token = ?", (key.token,))

    def close(self) -> None:
        self._database.close()


def _unusable(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"{path}: the keys cannot be kept here ({error}). "
        "Name a file in a folder that you may write to, or one that this proxy made."
    )


def _to_json(key: Key) -> str:
    kept = {
        field.name: getattr(key, field.name)
        for field in dataclasses.fields(key)
        if field.name not in PASSING
    }
    return json.dumps(kept, default=lambda moment: {"time": moment.isoformat()})


def _from_json(text: str) -> Key:
    settings: dict[str, Any] = json.loads(text)
    known = {field.name for field in dataclasses.fields(Key)} - PASSING
    for name, value in settings.items():
        if isinstance(value, dict) and set(value) == {"time"}:
            settings[name] = datetime.fromisoformat(value["time"])
    return Key(**{name: value for name, value in settings.items() if name in known})
