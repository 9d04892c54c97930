"""Read LiteLLM's own configuration format, so that one file starts either server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import yaml

PRACTICE_CONFIG = Path(__file__).with_name("practice.yaml")
"""The configuration that serves the lesson when no other is named."""

PRACTICE_KEY = "sk-practice-key"
"""The master key on this machine, unless the file or LITELLM_MASTER_KEY names one."""

HARMS = ("hate", "self_harm", "sexual", "violence")
"""What Azure OpenAI's content filter looks for, by its own names."""

ENVIRONMENT_PREFIX = "os.environ/"


class ConfigError(ValueError):
    """A configuration file that cannot be used: says file, line and the way out."""

    def __init__(self, path: Path, line: int | None, problem: str, way_out: str) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {problem} {way_out}")


@dataclass(frozen=True)
class Model:
    """One entry of ``model_list``: the name learners use, and what stands behind it."""

    name: str
    params: dict[str, Any]
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The provider's name for the model, such as ``openai/gpt-4``."""
        return str(self.params["model"])

    @property
    def mock_response(self) -> Any:
        """The canned answer, or None where the mock's own rules answer."""
        return self.params.get("mock_response")

    @property
    def is_canned(self) -> bool:
        """Whether LiteLLM itself would answer this model without a provider."""
        return any(self.params.get(k) for k in ("mock_tool_calls", "mock_timeout")) or (
            self.mock_response is not None
        )

    @property
    def is_hidden(self) -> bool:
        """Whether lists of models leave it out; a real LiteLLM accepts the word and lists it."""
        return self.info.get("hidden") is True

    @property
    def stays_here(self) -> bool:
        """Whether this proxy answers for it where another server answers for other models."""
        return self.is_hidden or self.is_canned or self.info.get("upstream") is False

    @property
    def recording(self) -> Path | None:
        """A file with answers of this model, where ``model_info`` names one."""
        return Path(self.info["recording"]) if "recording" in self.info else None

    @property
    def api_base(self) -> str:
        return str(self.params.get("api_base") or "https://api.openai.com")

    @cached_property
    def id(self) -> str:
        """64 hex digits made from the entry, the same that LiteLLM 1.106.2 makes from it."""
        if "id" in self.info:
            return str(self.info["id"])
        parts = [
            key + (json.dumps(value) if isinstance(value, dict) else str(value))
            for key, value in self.params.items()
        ]
        return hashlib.sha256("".join([self.name, *parts]).encode()).hexdigest()


@dataclass(frozen=True)
class ProxyConfig:
    """What a proxy serves: the models, and the master key if the file names one."""

    models: tuple[Model, ...]
    master_key: str | None = None
    master_key_from: str = "the configuration"
    """Where the master key stands, in words: who starts the proxy is told this, not the key."""
    path: Path | None = None
    litellm_version: str | None = None
    """Which LiteLLM to answer as, such as ``1.106.2``; the newest that the mock knows if None."""

    def names(self) -> list[str]:
        """Model names in the file's order, each once; patterns such as ``openai/*`` and hidden
        models left out."""
        return list(
            dict.fromkeys(m.name for m in self.models if "*" not in m.name and not m.is_hidden)
        )

    def find(self, name: str) -> Model | None:
        """The model that answers a request for ``name``.

        First by its own name, then by the provider's (LiteLLM 1.106.2 answers a request
        for ``openai/gpt-4`` too), then by a pattern. A pattern fits no control characters: the
        name becomes a header of the answer.
        """
        for model in self.models:
            if model.name == name:
                return model
        for model in self.models:
            if model.target == name:
                return model
        if not name.isprintable():
            return None
        for model in self.models:
            if "*" in model.name and fnmatchcase(name, model.name):
                return model
        return None


def load(
    path: Path, environment: Mapping[str, str] | None = None, *, to_record: bool = False
) -> ProxyConfig:
    """Read a LiteLLM configuration file. With ``to_record``, recordings may not be there yet.

    Values written ``os.environ/NAME`` come from the environment, or from ``environment`` if it
    is given; a variable that is not set counts as not given. Raises ConfigError, with file and
    line, for a file that LiteLLM could not use either.
    """
    path = Path(path)
    environment = os.environ if environment is None else environment
    data, lines = _read(path)
    if not isinstance(data, dict):
        raise ConfigError(path, 1, "this is not a mapping.", "Start it with 'model_list:'.")
    entries = data.get("model_list")
    if not isinstance(entries, list) or not entries:
        line = lines.get(("model_list",))
        raise ConfigError(
            path,
            line or 1,
            "'model_list' names no models.",
            "List at least one: '- model_name: …' with 'litellm_params: {model: …}'.",
        )
    general = data.get("general_settings") or {}
    if not isinstance(general, dict):
        raise ConfigError(
            path,
            lines.get(("general_settings",)),
            "'general_settings' is not a mapping.",
            "Write 'general_settings:' and indent 'master_key: …' below it.",
        )
    key, key_from = _master_key(path, lines, general, environment)
    number = general.get("litellm_version")
    if number is not None and not isinstance(number, str):
        raise ConfigError(
            path,
            lines.get(("general_settings", "litellm_version")),
            "'litellm_version' is not a text.",
            'Write it in quotes: litellm_version: "1.109.1".',
        )
    models = tuple(_model(path, lines, i, entry, environment) for i, entry in enumerate(entries))
    for index, model in enumerate(models):
        if model.recording and not to_record and not model.recording.is_file():
            raise ConfigError(
                path,
                lines.get(("model_list", index, "model_info", "recording")),
                f"there is no recording {model.recording}.",
                "Make it with `lesson record`, or leave the line out.",
            )
    return ProxyConfig(
        models=models,
        master_key=key,
        master_key_from=key_from,
        path=path,
        litellm_version=number,
    )


def practice() -> ProxyConfig:
    """The lesson's own configuration, whatever the environment holds: no caller's key is in it."""
    return load(PRACTICE_CONFIG, {})


def _model(
    path: Path, lines: Lines, index: int, entry: Any, environment: Mapping[str, str]
) -> Model:
    at = ("model_list", index)
    example = "Write '- model_name: gpt-4' and below it 'litellm_params: {model: openai/gpt-4}'."
    if not isinstance(entry, dict):
        raise ConfigError(path, lines.get(at), "this model is not a mapping.", example)
    name = entry.get("model_name")
    if not isinstance(name, str) or not name:
        raise ConfigError(path, lines.get(at), "this model has no 'model_name'.", example)
    params = entry.get("litellm_params")
    if not isinstance(params, dict) or not isinstance(params.get("model"), str):
        raise ConfigError(
            path,
            lines.get((*at, "litellm_params")) or lines.get(at),
            f"the model '{name}' has no 'litellm_params' with a 'model'.",
            "Say what stands behind it, for example 'litellm_params: {model: openai/gpt-4}'.",
        )
    info = entry.get("model_info") or {}
    if not isinstance(info, dict):
        raise ConfigError(
            path,
            lines.get((*at, "model_info")),
            f"'model_info' of the model '{name}' is not a mapping.",
            "Write 'model_info: {mode: chat}', or leave it out.",
        )
    if not _is_filter(info.get("filter", {})):
        raise ConfigError(
            path,
            lines.get((*at, "model_info", "filter")),
            f"the 'filter' of the model '{name}' names no words for what it refuses or cuts.",
            "Write 'filter: {refuse: {self_harm: [suicid]}}', or 'cut', and one of "
            f"{', '.join(HARMS)}.",
        )
    if "recording" in info:
        info = {**info, "recording": str(path.parent / str(info["recording"]))}
    return Model(name, _resolve(params, environment), _resolve(info, environment))


def _is_filter(given: Any) -> bool:
    """Whether it is ``{refuse: {self_harm: [word, …]}, cut: {…}}``, or a part of that."""
    return isinstance(given, dict) and all(
        what in ("refuse", "cut")
        and isinstance(harms, dict)
        and all(harm in HARMS and isinstance(words, list) for harm, words in harms.items())
        for what, harms in given.items()
    )


def _master_key(
    path: Path, lines: Lines, general: dict[str, Any], environment: Mapping[str, str]
) -> tuple[str | None, str]:
    """The master key, if there is one, and where it stands."""
    entry = general.get("master_key")
    key, key_from = _resolve(entry, environment), f"'master_key' in {path}"
    if isinstance(entry, str) and entry.startswith(ENVIRONMENT_PREFIX):
        key_from = f"the environment variable {entry[len(ENVIRONMENT_PREFIX) :]}"
    if not key:
        key = environment.get("LITELLM_MASTER_KEY")
        key_from = "the environment variable LITELLM_MASTER_KEY"
    if not key:
        return None, key_from
    if not isinstance(key, str) or not key.startswith("sk-"):
        raise ConfigError(
            path,
            lines.get(("general_settings", "master_key")),
            f"the master key (from {key_from}) does not start with 'sk-'.",
            "Begin it with 'sk-', as LiteLLM asks of every key.",
        )
    return key, key_from


def _resolve(value: Any, environment: Mapping[str, str]) -> Any:
    """The value with every ``os.environ/NAME`` in it replaced."""
    if isinstance(value, str) and value.startswith(ENVIRONMENT_PREFIX):
        return environment.get(value[len(ENVIRONMENT_PREFIX) :])
    if isinstance(value, dict):
        return {key: _resolve(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, environment) for item in value]
    return value


Lines = dict[tuple[str | int, ...], int]
"""Where each entry stands: ``("model_list", 0, "model_name")`` → its line, from 1."""


def _read(path: Path) -> tuple[Any, Lines]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            path, None, f"cannot be read ({error.strerror}).", "Check the path after --config."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, None, "is not UTF-8 text.", "Save it as UTF-8.") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            path,
            mark.line + 1 if mark else None,
            f"this is not YAML ({error.problem}).",
            "Check the indentation, colons and quotes on this line and the one above.",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            path, None, f"is not YAML ({error}).", "Save it as plain text."
        ) from error
    lines: Lines = {}
    if root is not None:
        _collect_lines(root, (), lines)
    return data, lines


def _collect_lines(node: yaml.Node, at: tuple[str | int, ...], lines: Lines) -> None:
    if len(at) > 8:  # an anchor may contain itself
        return
    lines.setdefault(at, cast(int, node.start_mark.line) + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, key.value)
            lines[place] = key.start_mark.line + 1
            _collect_lines(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect_lines(item, (*at, index), lines)
