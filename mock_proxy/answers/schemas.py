"""JSON that fits a JSON Schema, filled as far as possible from the text that was sent.

An ``enum`` is chosen as a label is: by the keywords that the text holds. Other values follow
from a property's name and kind. What the rules make is checked with jsonschema before it leaves;
where a schema asks for something that no rule can make (or contradicts itself), there is none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import labels, patterns

DEEPEST = 12
"""Levels of a schema that refers to itself before only what is required is filled in."""

MOST_VALUES = 2_000
MOST_CHARACTERS = 100_000
"""What one answer may hold. Everybody waits while one is made, and a schema of a few bytes can ask
for millions of either."""

FORMATS = {
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "date-time": "2026-01-01T12:00:00Z",
    "duration": "P1D",
    "email": "reader@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

EXPLAINING = re.compile(r"reason|expla|rationale|evidence|justif|why|comment", re.IGNORECASE)
LIKELIHOOD = re.compile(r"confiden|probab|certain|likelihood|score", re.IGNORECASE)


class NoSuchValue(Exception):
    """No rule makes a value for this schema."""


class TooLarge(Exception):
    """The schema asks for more than an answer may hold."""


@dataclass(frozen=True)
class Filler:
    """Makes values from one text."""

    text: str
    root: Mapping[str, Any]
    nth: int = 1
    made: list[int] = field(default_factory=lambda: [0])
    """How many values have been made, those of attempts that failed included."""

    def fill(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """A value for the schema; ``name`` is that of the property it is for."""
        self.made[0] += 1
        if self.made[0] > MOST_VALUES:
            raise TooLarge
        if schema is True or schema == {}:
            return self._text_for(name)
        if schema is False or not isinstance(schema, Mapping):
            raise NoSuchValue
        if depth > 4 * DEEPEST:
            raise NoSuchValue
        schema = self._simple(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choose(schema)
        for kind in self._kinds(schema):
            try:
                return self._of_kind(kind, schema, name, depth)
            except NoSuchValue:
                continue
        raise NoSuchValue

    def _simple(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema without references and without a choice: the first alternative that works."""
        for _ in range(DEEPEST):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = merged(self._resolve(str(schema["$ref"])), rest)
            elif "allOf" in schema:
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                for part in schema["allOf"]:
                    rest = merged(rest, part if isinstance(part, Mapping) else {})
                schema = rest
            elif "anyOf" in schema or "oneOf" in schema:
                word = "anyOf" if "anyOf" in schema else "oneOf"
                rest = {key: value for key, value in schema.items() if key != word}
                schema = merged(rest, self._alternative(rest, schema[word]))
            else:
                return schema
        raise NoSuchValue

    def _alternative(self, rest: Mapping[str, Any], options: Iterable[Any]) -> Mapping[str, Any]:
        """The first alternative that is not ``null``, else the first."""
        usable = [option for option in options if isinstance(option, Mapping)]
        if not usable:
            raise NoSuchValue
        return next((o for o in usable if o.get("type") != "null"), usable[0])

    def _resolve(self, reference: str) -> Mapping[str, Any]:
        if not reference.startswith("#"):
            raise NoSuchValue
        found: Any = self.root
        for part in reference.removeprefix("#").split("/"):
            if part:
                part = part.replace("~1", "/").replace("~0", "~")
                found = found.get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            raise NoSuchValue
        return found

    def _choose(self, schema: Mapping[str, Any]) -> Any:
        allowed = [value for value in schema["enum"] if _is_of(value, self._kinds(schema))]
        if not allowed:
            raise NoSuchValue
        by_name = {str(value): value for value in allowed if isinstance(value, str)}
        if len(by_name) < 2:
            return allowed[0]
        task = labels.Task(self.text, tuple(by_name))
        return by_name[labels.choose(task, self.nth)]

    def _kinds(self, schema: Mapping[str, Any]) -> list[str]:
        kinds = schema.get("type")
        if isinstance(kinds, str):
            return [kinds]
        if isinstance(kinds, list):
            return sorted((str(kind) for kind in kinds), key="null".__eq__)
        for word, kind in (
            ("properties", "object"),
            ("required", "object"),
            ("items", "array"),
            ("prefixItems", "array"),
            ("minimum", "number"),
            ("maximum", "number"),
        ):
            if word in schema:
                return [kind]
        return ["string", "number", "boolean", "object", "array", "null"]

    def _of_kind(self, kind: str, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return self._string(schema, name)
        if kind in ("number", "integer"):
            return self._number(schema, name, whole=kind == "integer")
        if kind == "boolean":
            return bool(name) and labels.stem(name.lower()) in self.text.lower()
        if kind == "null":
            return None
        raise NoSuchValue

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        known = schema.get("properties") or {}
        required = list(schema.get("required") or [])
        value = {}
        for name in [*known, *(name for name in required if name not in known)]:
            if name not in required and depth >= DEEPEST:
                continue
            part = known.get(name, self._schema_of_others(schema, name))
            try:
                value[name] = self.fill(part, name, depth + 1)
            except NoSuchValue:
                if name in required:
                    raise
        more = 0
        while len(value) < within(MOST_VALUES, schema.get("minProperties")):
            more += 1
            name = f"more{more}"
            value[name] = self.fill(self._schema_of_others(schema, name), name, depth + 1)
        most = schema.get("maxProperties")
        for name in [name for name in value if name not in required][::-1]:
            if most is not None and len(value) > most:
                del value[name]
        return value

    def _schema_of_others(self, schema: Mapping[str, Any], name: str) -> Any:
        for pattern, part in (schema.get("patternProperties") or {}).items():
            if re.search(pattern, name):
                return part
        return schema.get("additionalProperties", True)

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        first = list(schema.get("prefixItems") or [])
        each = schema.get("items", True)
        least = within(MOST_VALUES, schema.get("minItems"))
        most = schema.get("maxItems")
        wanted = max(least, len(first), 0 if depth >= DEEPEST or each is False else 1)
        wanted = wanted if most is None else min(wanted, int(most))
        values: list[Any] = []
        for index in range(wanted):
            part = first[index] if index < len(first) else each
            if schema.get("uniqueItems"):
                values.append(self._another(part, name, depth, values))
            else:
                values.append(self.fill(part, name, depth + 1))
        return values

    def _another(self, schema: Any, name: str, depth: int, taken: list[Any]) -> Any:
        """A value that is not yet among those taken."""
        shared = {word: self.root[word] for word in ("$defs", "definitions") if word in self.root}
        candidates = [self.fill(schema, name, depth + 1)]
        simple = self._simple(schema) if isinstance(schema, Mapping) else {}
        candidates += simple.get("enum", [])
        kinds = self._kinds(simple)
        if "enum" not in simple and "integer" in kinds + ["integer"] * ("number" in kinds):
            candidates += [candidates[0] + n for n in range(-len(taken) - 1, len(taken) + 2)]
        if "enum" not in simple and "string" in kinds and isinstance(candidates[0], str):
            candidates += [f"{candidates[0][:40]} {n}" for n in range(2, len(taken) + 3)]
        for candidate in candidates:
            if candidate not in taken and is_valid(candidate, {**shared, **simple}):
                return candidate
        raise NoSuchValue

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        if "pattern" in schema:
            made = patterns.example(str(schema["pattern"]))
            if made is None:
                raise NoSuchValue
            return made + "x" * (within(MOST_CHARACTERS, schema.get("minLength")) - len(made))
        text = self._text_for(name)
        least, most = within(MOST_CHARACTERS, schema.get("minLength")), schema.get("maxLength")
        if len(text) < least:
            text = (text + " ") * math.ceil(least / (len(text) + 1))
            text = text[:least]
        return text if most is None else text[: int(most)]

    def _text_for(self, name: str) -> str:
        """A text for a property of this name."""
        if name:
            said = re.search(
                rf"\b{re.escape(name)}\b(?:\s*[:=]\s*|\s+(?:is|was|of)\s+)[\"“']?([^\n\"”',.;?!]+)",
                self.text,
                re.IGNORECASE,
            )
            if said:
                return said[1].strip()
        if EXPLAINING.search(name):
            words = [w for w in re.findall(r"[^\W\d_]{5,}", self.text) if w.islower()]
            return f"The text says: {', '.join(words[:3])}." if words else "The text is short."
        if re.search(r"summary|gist", name, re.IGNORECASE):
            return re.split(r"(?<=[.!?])\s+", self.text.strip(), maxsplit=1)[0]
        if re.search(r"city|place|location|country|name|person|author|where|who", name, re.I):
            names = re.findall(r"(?<=[a-z,] )(?:[A-Z]\w+)(?: [A-Z]\w+)*", self.text)
            if names:
                return str(names[-1])
        return self.text.strip()[:200] or "practice proxy"

    def _number(self, schema: Mapping[str, Any], name: str, *, whole: bool) -> float | int:
        low, high = _bounds(schema, whole=whole)
        step = schema.get("multipleOf") or (1 if whole else None)
        wanted = self._number_for(name)
        if not math.isfinite(wanted):
            raise NoSuchValue
        wanted = min(max(wanted, low), high)
        if step:
            multiple = math.floor(wanted / step)
            wanted = next(
                (m * step for m in (multiple, multiple + 1) if low <= m * step <= high), math.nan
            )
            if math.isnan(wanted):
                raise NoSuchValue
        return int(wanted) if whole or wanted == int(wanted) else wanted

    def _number_for(self, name: str) -> float:
        if LIKELIHOOD.search(name):
            return 0.75
        found = re.findall(r"-?\d+(?:\.\d+)?", self.text)
        if name and found:
            return float(found[0])
        return 1.0 if re.search(r"count|number|how_many", name, re.IGNORECASE) else 0.0


def within(limit: int, least: Any) -> int:
    """The least number that a schema asks for. Raises ``TooLarge`` beyond the limit."""
    number = int(least or 0)
    if number > limit:
        raise TooLarge
    return number


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two schemas that must both hold, as one."""
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    for word, pick in (("minimum", max), ("minLength", max), ("minItems", max), ("maximum", min)):
        if word in one and word in other:
            both[word] = pick(one[word], other[word])
    if "enum" in one and "enum" in other:
        both["enum"] = [value for value in one["enum"] if value in other["enum"]]
    return both


def _bounds(schema: Mapping[str, Any], *, whole: bool) -> tuple[float, float]:
    """The lowest and the highest number allowed; exclusive bounds moved inwards."""
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    inwards = 1.0 if whole else 1e-6 * max(1.0, abs(above or 0), abs(below or 0))
    if above is not None:
        low = max(low, math.floor(above) + 1 if whole else above + inwards)
    if below is not None:
        high = min(high, math.ceil(below) - 1 if whole else below - inwards)
    if low > high:
        raise NoSuchValue
    return low, high


def _is_of(value: Any, kinds: list[str]) -> bool:
    names = {
        bool: ["boolean"],
        int: ["integer", "number"],
        float: ["number"],
        str: ["string"],
        type(None): ["null"],
        list: ["array"],
        dict: ["object"],
    }
    return any(kind in kinds for kind in names.get(type(value), []))


def is_valid(value: Any, schema: Any) -> bool:
    """Whether the value fits the schema (JSON Schema 2020-12)."""
    import jsonschema  # takes 60 ms, and few requests need it

    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))
    except Exception:  # a schema that refers to nothing, or is none
        return False


def fault(schema: Any, *, strict: bool) -> str | None:
    """Why OpenAI would refuse the schema, if it would: no JSON Schema, or not a strict one."""
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"In context={tuple(map(str, error.absolute_path))}, {error.message}."
    return _not_strict(schema, ()) if strict else None


def _not_strict(schema: Any, context: tuple[str, ...]) -> str | None:
    """The first object of the schema that leaves something open, if there is one."""
    if isinstance(schema, list):
        found = (_not_strict(part, (*context, str(at))) for at, part in enumerate(schema))
        return next(filter(None, found), None)
    if not isinstance(schema, Mapping):
        return None
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, Mapping):
        if schema.get("additionalProperties") is not False:
            return (
                f"In context={context}, 'additionalProperties' is required to be supplied and to "
                "be false."
            )
        missing = [name for name in properties if name not in (schema.get("required") or [])]
        if missing:
            return (
                f"In context={context}, 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing '{missing[0]}'."
            )
    found = (
        _not_strict(part, (*context, name))
        for name, part in schema.items()
        if name not in ("enum", "const", "default", "examples")
    )
    return next(filter(None, found), None)


def answer(schema: Any, text: str, nth: int = 1) -> str | None:
    """JSON that fits the schema, as text; None where no rule makes it."""
    root = schema if isinstance(schema, Mapping) else {}
    try:
        value = Filler(text, root, nth).fill(schema)
    except (NoSuchValue, TooLarge, TypeError, ValueError, KeyError, OverflowError, RecursionError):
        return None
    return json.dumps(value, ensure_ascii=False) if is_valid(value, schema) else None


def free_answer(prompt: str, text: str, chosen: str | None) -> str:
    """JSON without a schema: the fields that the prompt names, or one field."""
    named = re.findall(r"[\"“']([\w-]{1,40})[\"”']\s*:", prompt)
    filler = Filler(text, {})
    value: dict[str, Any] = {}
    for name in dict.fromkeys(named):
        is_label = re.search(r"label|categor|topic|class|sentiment", name, re.IGNORECASE)
        if is_label and chosen is not None:
            value[name] = chosen
        elif LIKELIHOOD.search(name):
            value[name] = 0.75
        else:
            value[name] = filler._text_for(name)
    if not value:
        value = {"label": chosen} if chosen is not None else {"answer": text.strip()[:200]}
    return json.dumps(value, ensure_ascii=False)
