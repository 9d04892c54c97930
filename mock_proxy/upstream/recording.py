"""What an upstream answered, in a file: kept as it comes, and served again without network.

JSON Lines, one answer a line: ``path``, ``model`` (the learners' name for it), ``request``,
``upstream`` (its address, and its name for the model), ``time``, and ``answer`` (the body) or
``pieces`` (of a stream). No key is in it; prompts and answers are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import orjson

from ..litellm import wire
from .forms import CHAT, EMBEDDINGS, Request
from .relay import NotRecorded

KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
"""What may be a key that a learner wrote into a prompt."""

NOT_COMPARED = ("user", "safety_identifier", "prompt_cache_key", "stream_options", "store")
"""Parameters that change no answer."""

LEAVE_OUT = "Remove the line, or name another file."


class RecordingError(ValueError):
    """A recording that cannot be used: says file, line and the way out."""


Entry = dict[str, Any]


def read(path: Path) -> list[Entry]:
    """The answers in a recording, in order; RecordingError names a line that does not belong."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise RecordingError(f"{path}: there is no such recording.") from None
    except UnicodeDecodeError:
        raise RecordingError(f"{path}: this is not UTF-8 text, so not a recording.") from None
    return [_entry(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _entry(path: Path, number: int, line: str) -> Entry:
    try:
        entry = json.loads(line)
    except ValueError as problem:
        raise RecordingError(
            f"{path}:{number}: this is not a complete line of a recording ({problem}). {LEAVE_OUT}"
        ) from None
    wanted = {"path": str, "model": str, "request": dict, "upstream": dict}
    for name, kind in wanted.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
            raise RecordingError(
                f"{path}:{number}: this is not a line of a recording (no {name!r}). {LEAVE_OUT}"
            )
    upstream, pieces = entry["upstream"], entry.get("pieces")
    if not all(isinstance(upstream.get(name), str) for name in ("url", "model")):
        fault = "its 'upstream' has no 'url' and 'model'"
    elif entry["path"] not in (CHAT, EMBEDDINGS):
        fault = f"its path is {entry['path']!r}"
    elif "answer" not in entry and not isinstance(pieces, list):
        fault = "it has no 'answer' and no 'pieces'"
    elif not isinstance(entry.get("status", 200), int):
        fault = "its 'status' is not a number"
    else:
        return dict(entry)
    raise RecordingError(
        f"{path}:{number}: this is not a line of a recording ({fault}). {LEAVE_OUT}"
    )


def upstreams(entries: list[Entry]) -> dict[str, dict[str, str]]:
    """The learners' name for each model → the address and the name of the one that answered."""
    return {entry["model"]: entry["upstream"] for entry in entries}


def fingerprint(request: Request) -> str:
    """The SHA-256 of its canonical JSON: the same for requests that ask the same."""
    body = {
        name: wire.plain(value)
        for name, value in request.body.items()
        if name not in NOT_COMPARED and not (name == "stream" and value is False)
    }
    text = json.dumps([request.path, request.model, body], sort_keys=True)
    return hashlib.sha256(KEY.sub("sk-...", text).encode()).hexdigest()


class Recorder:
    """Appends each answer to a file, at once."""

    def __init__(self, path: Path, url: str, names: Mapping[str, str]) -> None:
        """Open the file, or raise RecordingError if it holds answers of another upstream."""
        self.kept = 0
        if path.exists() and path.stat().st_size:
            entries = read(path)
            _refuse_to_mix(path, upstreams(entries), url, names)
            if not path.read_bytes().endswith(b"\n"):
                raise RecordingError(
                    f"{path}:{len(entries)}: the last line has no end. Add one with an editor."
                )
            self.kept = len(entries)
        self._url = url
        # For its owner alone, as it holds what people asked. A lone surrogate, which JSON can
        # write and UTF-8 cannot, stays an escape.
        self._file = open(  # noqa: SIM115  (is closed by close)
            path,
            "a",
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            opener=lambda name, flags: os.open(name, flags, 0o600),
        )

    def keep(self, request: Request, upstream_model: str, answered: Mapping[str, Any]) -> None:
        entry = {
            "path": request.path,
            "model": request.model,
            "request": request.body,
            "upstream": {"url": self._url, "model": upstream_model},
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **answered,
        }
        line = json.dumps(entry, ensure_ascii=False)
        for key in set(KEY.findall(json.dumps(request.body, ensure_ascii=False))):
            line = line.replace(key, "sk-...")  # a model may repeat what it was asked
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            print(f"An answer was not recorded ({error.strerror}).", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._file.close()


def _refuse_to_mix(
    path: Path, recorded: Mapping[str, Mapping[str, str]], url: str, names: Mapping[str, str]
) -> None:
    for model, upstream in recorded.items():
        now = names.get(model)
        if now is not None and (upstream["url"], upstream["model"]) != (url, now):
            raise RecordingError(
                f"{path} holds answers of {upstream['model']!r} at {upstream['url']} to requests "
                f"for {model!r}; now they would come from {now!r} at {url}. Name another file "
                "after --record: one recording is of one model."
            )


class Replay(httpx.AsyncBaseTransport):
    """Answers from a recording, in place of the network.

    A key's n-th request of the same kind gets the n-th answer that was recorded, and later ones the
    last: each learner sees the same.
    """

    def __init__(self, path: Path, entries: list[Entry]) -> None:
        self._name = path.name
        self._answers: dict[str, list[Entry]] = {}
        for entry in entries:
            request = Request(entry["path"], entry["model"], entry["request"])
            self._answers.setdefault(fingerprint(request), []).append(entry)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked: Request = request.extensions["asked"]
        same = fingerprint(asked)
        answers = self._answers.get(same)
        if answers is None:
            raise self._not_recorded(asked.model)
        nth = request.extensions["key"].times_asked("recorded " + same)
        entry = answers[min(nth, len(answers)) - 1]
        if "pieces" in entry:
            events = b"".join(map(wire.event, entry["pieces"])) + wire.DONE
            return httpx.Response(200, content=events)
        answer = entry["answer"]
        content = answer.encode() if isinstance(answer, str) else orjson.dumps(answer)
        return httpx.Response(entry.get("status", 200), content=content)

    def _not_recorded(self, model: str) -> NotRecorded:
        message = (
            "litellm.NotFoundError: OpenAIException - This request is not in the recording "
            f"{self._name}, from which this proxy answers. Send a request of the lesson as it "
            "stands there (the same model, messages and parameters). To your instructor: record "
            "it with lesson proxy --record, or start the proxy with --else-practice."
        )
        error = wire.failed(404, message, model, "invalid_request_error")
        return NotRecorded(error.status, str(error), "invalid_request_error")
