"""Keys in an SQLite file, so that they outlive the proxy, even one that is killed."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from .store import Key

PASSING = {"in_flight", "reserved", "meters", "asked", "failed", "store"}
"""Fields of a key that end with the proxy."""


class StateError(ValueError):
    """A state file that cannot be used."""


COLUMNS = ["token", "settings"]


class State:
    """The keys of one proxy in one file, each written before its caller hears of the change.

    SQLite's journal keeps what was written when the process is killed; only a crash of the
    whole machine may lose the last moments. The file is its owner's alone, as aliases may be
    names, and one proxy's alone, as two would overwrite each other's spend.
    """

    def __init__(self, path: Path) -> None:
        try:
            _make_private(path)
            self._database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=0.5
            )
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        try:
            self._open()
            self.load()
        except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            self._database.close()
            raise _unusable(path, error) from error
        self._lock = threading.Lock()  # keys are also made from other threads

    def _open(self) -> None:
        """Take the file, and hold it until it is closed. One of another program stays as it is."""
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        tables = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = [name for (name,) in tables]
        columns = [row[1] for row in self._database.execute("PRAGMA table_info(keys)")]
        if found and (found != ["keys"] or columns != COLUMNS):
            raise ValueError("another program made this file")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("BEGIN EXCLUSIVE")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS keys (token TEXT PRIMARY KEY, settings TEXT NOT NULL)"
        )
        self._database.execute("COMMIT")

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


def _make_private(path: Path) -> None:
    """SQLite gives ``-wal`` and ``-shm`` the rights of the file that they belong to."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        if (file := path.with_name(name)).exists():
            file.chmod(0o600)


def _unusable(path: Path, error: Exception) -> StateError:
    if "locked" in str(error):
        return StateError(
            f"{path}: another proxy keeps its keys here. Stop it, or name another file."
        )
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
