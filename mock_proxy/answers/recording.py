"""What a real model answered, in a file that ships: JSON Lines, for people to read too.

The first line says which model it was. Each further line is a chat (``ask`` and its ``answers``,
in the order in which they came) or the vector of a text (``text``, ``tokens``, and ``vector``:
float32, little-endian, base64).
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..litellm import wire
from . import vectors

DEFAULTS: dict[str, Any] = {"n": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
"""Settings that ask for nothing where they have these values."""

CHANGES_NOTHING = ("model", "user", "stream", "stream_options", "store", "metadata", "timeout")
"""Fields of a request that change no answer."""


class RecordingError(ValueError):
    """A recording that cannot be used: says file, line and the way out."""


def asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat asks for, in one form: two requests that ask the same are equal.

    The order of fields, ``user`` or ``stream`` change no answer; a limit has two names; ``0`` and
    ``0.0`` are one number, and a text is the same in parts.
    """
    ask = {
        name: wire.plain(value)
        for name, value in body.items()
        if value is not None and name not in CHANGES_NOTHING
    }
    ask = {name: value for name, value in ask.items() if DEFAULTS.get(name, ask) != value}
    if "max_completion_tokens" in ask:
        ask["max_tokens"] = ask.pop("max_completion_tokens")
    if isinstance(ask.get("stop"), str):
        ask["stop"] = [ask["stop"]]
    ask["messages"] = [_message(message) for message in ask.get("messages") or []]
    return ask


def _message(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    content = message.get("content")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        content = "".join(str(part.get("text", "")) for part in content)
    said = {**message, "content": content}
    return {name: value for name, value in said.items() if value is not None}


def _name(ask: Mapping[str, Any]) -> str:
    return json.dumps(ask, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Vector:
    """Of one text: its numbers, and the tokens that the text has."""

    numbers: tuple[float, ...]
    tokens: int


@dataclass
class Recording:
    """The answers of one model. ``about`` is the first line: model, file, SHA-256, server, date."""

    about: dict[str, Any] = field(default_factory=dict)
    chats: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Canonical request → answers: ``choices`` and ``usage`` as the provider gave them."""
    vectors: dict[str, Vector] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Canonical requests and texts that were asked for since the file was read."""

    def answer(self, body: Mapping[str, Any], nth: int) -> dict[str, Any] | None:
        """The n-th answer to a chat, from 1, or None if there are not so many."""
        name = _name(asked(body))
        self.used.add(name)
        answers = self.chats.get(name, [])
        return answers[nth - 1] if nth <= len(answers) else None

    def how_many(self, body: Mapping[str, Any]) -> int:
        return len(self.chats.get(_name(asked(body)), []))

    def keep(self, body: Mapping[str, Any], answer: dict[str, Any]) -> None:
        name = _name(asked(body))
        self.used.add(name)
        self.chats.setdefault(name, []).append(answer)

    def vector(self, text: str) -> Vector | None:
        self.used.add(text)
        return self.vectors.get(text)

    def keep_vector(self, text: str, vector: Vector) -> None:
        self.used.add(text)
        self.vectors[text] = vector

    def asked_for(self) -> Recording:
        """The same without what nobody asked for."""
        return Recording(
            self.about,
            {name: answers for name, answers in self.chats.items() if name in self.used},
            {text: vector for text, vector in self.vectors.items() if text in self.used},
        )

    def lines(self) -> Iterator[str]:
        yield json.dumps({"recording": self.about}, ensure_ascii=False)
        for name, answers in self.chats.items():
            ask = json.loads(name)
            yield json.dumps({"ask": ask, "answers": answers}, ensure_ascii=False)
        for text, vector in self.vectors.items():
            packed = vectors.as_base64(list(vector.numbers))
            line = {"text": text, "tokens": vector.tokens, "vector": packed}
            yield json.dumps(line, ensure_ascii=False)

    def write(self, path: Path) -> None:
        """Write the file as a whole: a run that is cut off leaves the old one."""
        draft = path.with_name(f".{path.name}.new")
        draft.write_text("".join(f"{line}\n" for line in self.lines()), encoding="utf-8")
        draft.replace(path)


def read(path: Path) -> Recording:
    """The recording in a file; RecordingError names the line that is not part of one."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise RecordingError(f"{path}: this is not UTF-8 text, so not a recording.") from None
    recording = Recording()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            _add(recording, json.loads(line), number)
        except (ValueError, TypeError, KeyError, struct.error) as problem:
            raise RecordingError(
                f"{path}:{number}: this line is not part of a recording ({problem}). "
                "Make it again with `lesson record`."
            ) from None
    return recording


def _add(recording: Recording, entry: Any, number: int) -> None:
    if number == 1:
        recording.about = dict(entry["recording"])
    elif "ask" in entry:
        answers = entry["answers"]
        if not answers or not all(isinstance(one["choices"], list) for one in answers):
            raise ValueError("it has no answers with choices")
        recording.chats[_name(entry["ask"])] = list(answers)
    else:
        packed = base64.b64decode(entry["vector"], validate=True)
        numbers = struct.unpack(f"<{len(packed) // 4}f", packed)
        # As many digits as the four bytes hold: Python would print twice as many.
        rounded = tuple(float(f"{number:.7g}") for number in numbers)
        recording.vectors[str(entry["text"])] = Vector(rounded, int(entry["tokens"]))
