"""Where answers come from instead of the rules: checks what was asked for and sets it up."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from ..config import Model, ProxyConfig
from ..litellm import tokens
from . import recording
from .relay import Relay

KEY_VARIABLE = "LITELLM_UPSTREAM_KEY"
"""The environment variable with the upstream's key: a command line is seen by all on a machine."""


class UpstreamError(ValueError):
    """An upstream that cannot be used as requested; says why, and what to do."""


@dataclass(frozen=True)
class Source:
    """Who answers for which models."""

    config: ProxyConfig
    relay: Relay
    told: str
    """In words, for whoever starts the proxy."""


@contextmanager
def upstream(
    config: ProxyConfig,
    url: str,
    names: Mapping[str, str],
    *,
    record: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Source]:
    """Answers of an OpenAI-compatible server, recorded if a file is named.

    ``names`` maps the learners' names of models to the upstream's; ``*`` stands for all others,
    and an empty name leaves a model to this proxy's rules.
    """
    url = address(url)
    called = names_of(config, names)
    key = _key(environment)
    told = f"of {url} ({f'with the key in {KEY_VARIABLE}' if key else 'without a key'})"
    if record is None:
        yield Source(relaying(config, called, url), Relay(url, called, key=key), told)
        return
    recorder = recording.Recorder(record, url, called)
    more = f", which holds {recorder.kept} already" if recorder.kept else ""
    try:
        relay = Relay(url, called, key=key, recorder=recorder)
        yield Source(relaying(config, called, url), relay, f"{told}, recorded in {record}{more}")
    finally:
        recorder.close()


def replay(
    config: ProxyConfig,
    path: Path,
    names: Mapping[str, str] | None = None,
    *,
    else_practice: bool = False,
) -> Source:
    """Answers from a recording. Other requests are errors, or with ``else_practice`` for the rules.

    ``names`` may leave models to the rules, with an empty name, as when the file was recorded.
    """
    names = names or {}
    if renamed := [name for name, theirs in names.items() if theirs]:
        raise UpstreamError(
            f"--upstream-model {renamed[0]}={names[renamed[0]]}: a recording knows who answered. "
            "With --replay, only NAME= has a meaning: the practice proxy's rules answer NAME."
        )
    replayed = names_of(config, names)
    entries = recording.read(path)
    if not entries:
        raise recording.RecordingError(f"{path}: holds no answers. Record some with --record.")
    asked = recording.upstreams(entries)
    known = {model.name for model in _relayable(config)}
    unknown = [name for name in asked if name not in known and not _by_pattern(config, name)]
    if unknown:
        raise recording.RecordingError(
            f"{path} holds answers to requests for {unknown[0]!r}, which is not a model of "
            f"{config.path}. Name the file that was used with --config."
        )
    for name, answered_by in asked.items():
        if name in known:
            config = relaying(config, {name: answered_by["model"]}, answered_by["url"])
    relay = Relay(
        "http://recording",
        replayed,
        transport=recording.Replay(path, entries),
        else_practice=else_practice,
    )
    others = "by the practice proxy's rules" if else_practice else "an error"
    told = f"{len(entries)} from the recording {path}; what is not in it: {others}"
    return Source(config, relay, told)


def address(url: str) -> str:
    """The URL without a trailing slash, or UpstreamError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as problem:
        _refuse(f"the address after --upstream is not a URL ({problem}).")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # Not repeated here: it may hold a password.
        _refuse(f"the address after --upstream may not hold a key: put it into {KEY_VARIABLE}.")
    if parts.scheme not in ("http", "https") or not host:
        _refuse(f"{url!r} is not the address of a server.")
    return url.rstrip("/")


def _refuse(problem: str) -> NoReturn:
    raise UpstreamError(f"{problem} Give one such as --upstream http://127.0.0.1:11434/v1")


def names_of(config: ProxyConfig, names: Mapping[str, str]) -> dict[str, str]:
    """The upstream's name for each model that it answers for."""
    models = _relayable(config)
    known = [model.name for model in models]
    for name in names:
        if name != "*" and name not in known:
            raise UpstreamError(
                f"--upstream-model {name}=…: {config.path} has no such model to relay. It has "
                f"{', '.join(known)}."
            )
    wanted = {name: names.get(name, names.get("*", name)) for name in known}
    return {name: theirs for name, theirs in wanted.items() if theirs}


def _relayable(config: ProxyConfig) -> list[Model]:
    """All but models that misbehave on purpose and those with a canned answer."""
    return [model for model in config.models if not model.stays_here]


def _by_pattern(config: ProxyConfig, name: str) -> bool:
    model = config.find(name)
    return model is not None and "*" in model.name


def _key(environment: Mapping[str, str]) -> str | None:
    key = environment.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UpstreamError(f"{KEY_VARIABLE} holds characters that no key has. Copy the key again.")
    return key or None


def relaying(config: ProxyConfig, names: Mapping[str, str], url: str) -> ProxyConfig:
    """The configuration as headers and ``/model/info`` show it: who really answers.

    The price is that of the upstream's model. Where the table has none, as for a local model, it is
    that of the name that learners know, so that costs and budgets can still be taught.
    """
    return replace(
        config,
        models=tuple(
            _relayed(model, names[model.name], url) if model.name in names else model
            for model in config.models
        ),
    )


PRICES = ("input_cost_per_token", "output_cost_per_token", "mode")


def _relayed(model: Model, name: str, url: str) -> Model:
    target = f"openai/{name}"
    own, asked = tokens.facts(target, {}), tokens.facts(model.target, {})
    facts = own if "input_cost_per_token" in own else asked
    known = {fact: facts[fact] for fact in PRICES if fact in facts}
    params = {**model.params, "model": target, "api_base": url}
    return replace(model, params=params, info={**known, **model.info})
