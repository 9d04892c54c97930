"""JSON that fits a JSON Schema, filled as far as possible from the text that was sent.

An ``enum`` is chosen as a label is: by the keywords that the text holds. Other values follow
from a property's name and kind. What the rules make is checked against the schema before it leaves;
where a schema asks for something that no rule can make (or contradicts itself), there is none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from . import labels

if TYPE_CHECKING:
    import jsonschema_rs

DEEPEST = 12
"""Levels of a schema that refers to itself before only what is required is filled in."""

MOST_VALUES = 2_000
MOST_CHARACTERS = 100_000
"""What one answer may hold. Everybody waits while one is made, and a schema of a few bytes can ask
for millions of either."""

MOST_WORK = 1_000_000
"""Values times characters of the text, as the text is searched for each value."""

MOST_PARTS, MOST_LEVELS, MOST_PATTERNS = 5_000, 64, 50
"""What a schema may hold: OpenAI documents a limit of 5,000 properties in 10 levels."""

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
LABEL = re.compile(r"label|categor|topic|class|sentiment|onderwerp", re.IGNORECASE)
YEAR = re.compile(r"year|jaar", re.IGNORECASE)
PLACE = re.compile(
    r"city|place|location|country|town|region|where|stad|plaats|land$", re.IGNORECASE
)
PERSON = re.compile(r"name|person|author|who\b|researcher|naam|auteur", re.IGNORECASE)

A_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
A_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
A_DATE = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
A_NAME = re.compile(r"[A-Z][\w'-]+(?: (?:(?:van|de|der|den|von) )*[A-Z][\w'-]+)*")
PLACED = re.compile(r"\b(?:in|at|from|near|to|for|of|te|uit|naar) $", re.IGNORECASE)
"""What stands before the name of a place."""

TWICE = 2
"""How often a schema that refers to itself may do so, where there is a way out."""


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
    chosen: str | None = None
    """The label that the prompt's own list of labels gave."""
    used: list[str] = field(default_factory=list)
    """Numbers and names of the text that a value was made of: the next gets another."""
    made: list[int] = field(default_factory=lambda: [0])
    """How many values have been made or compared, those of attempts that failed included."""

    def fill(
        self, schema: Any, name: str = "", depth: int = 0, way: tuple[str, ...] = ("#",)
    ) -> Any:
        """A value for the schema; ``name`` is that of the property it is for, ``way`` the
        references that lead to it."""
        self._count()
        if schema is True or schema == {}:
            return self._text_for(name)
        if schema is False or not isinstance(schema, Mapping):
            raise NoSuchValue
        if depth > 4 * DEEPEST:
            raise NoSuchValue
        schema, way = self._simple(schema, way)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choose(schema)
        for kind in self._kinds(schema):
            try:
                return self._of_kind(kind, schema, name, depth, way)
            except NoSuchValue:
                continue
        raise NoSuchValue

    def _count(self, values: int = 1) -> None:
        self.made[0] += values
        if self.made[0] > MOST_VALUES or self.made[0] * len(self.text) > MOST_WORK:
            raise TooLarge

    def _simple(
        self, schema: Mapping[str, Any], way: tuple[str, ...] = ("#",)
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The schema without references and without a choice: the first alternative that works."""
        for _ in range(DEEPEST):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                way = (*way, str(schema["$ref"]))
                schema = merged(self._resolve(way[-1]), rest)
            elif "allOf" in schema:
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                for part in schema["allOf"]:
                    rest = merged(rest, part if isinstance(part, Mapping) else {})
                schema = rest
            elif "anyOf" in schema or "oneOf" in schema:
                word = "anyOf" if "anyOf" in schema else "oneOf"
                rest = {key: value for key, value in schema.items() if key != word}
                schema = merged(rest, self._alternative(schema[word], way))
            else:
                return schema, way
        raise NoSuchValue

    def _alternative(self, options: Iterable[Any], way: tuple[str, ...]) -> Mapping[str, Any]:
        """The first alternative that is not ``null``, unless it would go on for ever."""
        usable = [option for option in options if isinstance(option, Mapping)]
        if not usable:
            raise NoSuchValue
        endless = [option for option in usable if _goes_round(option, way)]
        ending = [option for option in usable if option not in endless]
        best = [option for option in ending if option.get("type") != "null"]
        return (best if best and not endless else ending or usable)[0]

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

    def _of_kind(
        self, kind: str, schema: Mapping[str, Any], name: str, depth: int, way: tuple[str, ...]
    ) -> Any:
        if kind == "object":
            return self._object(schema, depth, way)
        if kind == "array":
            return self._array(schema, name, depth, way)
        if kind == "string":
            return self._string(schema, name)
        if kind in ("number", "integer"):
            return self._number(schema, name, whole=kind == "integer")
        if kind == "boolean":
            return self._is(name)
        if kind == "null":
            return None
        raise NoSuchValue

    def _is(self, name: str) -> bool:
        """Whether the text is about any part of the name: ``is_health``, ``aboutClimate``."""
        parts = re.findall(r"[A-Z]?[a-zà-ÿ]{3,}", name)
        topics = [part.lower() for part in parts if part.lower() not in labels.NO_TOPIC]
        stems = [begin for topic in topics for begin in labels.stems_of(topic)]
        return bool(labels.mentioned(self.text, tuple(stems)))

    def _object(
        self, schema: Mapping[str, Any], depth: int, way: tuple[str, ...]
    ) -> dict[str, Any]:
        known = schema.get("properties") or {}
        required = list(schema.get("required") or [])
        value = {}
        for name in [*known, *(name for name in required if name not in known)]:
            if name not in required and depth >= DEEPEST:
                continue
            part = known.get(name, self._schema_of_others(schema, name))
            if name not in required and _goes_round(part, way):
                continue
            try:
                value[name] = self.fill(part, name, depth + 1, way)
            except NoSuchValue:
                if name in required:
                    raise
        more = 0
        while len(value) < within(MOST_VALUES, schema.get("minProperties")):
            more += 1
            name = f"more{more}"
            value[name] = self.fill(self._schema_of_others(schema, name), name, depth + 1, way)
        most = schema.get("maxProperties")
        for name in [name for name in value if name not in required][::-1]:
            if most is not None and len(value) > most:
                del value[name]
        return value

    def _schema_of_others(self, schema: Mapping[str, Any], name: str) -> Any:
        for pattern, part in (schema.get("patternProperties") or {}).items():
            self._count()
            if matching(pattern)(name):
                return part
        return schema.get("additionalProperties", True)

    def _array(
        self, schema: Mapping[str, Any], name: str, depth: int, way: tuple[str, ...]
    ) -> list[Any]:
        first = list(schema.get("prefixItems") or [])
        each = schema.get("items", True)
        least = within(MOST_VALUES, schema.get("minItems"))
        most = schema.get("maxItems")
        none = depth >= DEEPEST or each is False or _goes_round(each, way)
        wanted = max(least, len(first), 0 if none else 1)
        wanted = wanted if most is None else min(wanted, int(most))
        values: list[Any] = []
        if not first and _is_free_text(each):
            words = self._words_for(name)[: max(least, 3)]
            values = [word for word in words if is_valid(word, each)]
            values = values if most is None else values[: int(most)]
            wanted = max(0, wanted - len(values))
        for index in range(wanted):
            part = first[index] if index < len(first) else each
            if schema.get("uniqueItems"):
                values.append(self._another(part, name, depth, values))
            else:
                values.append(self.fill(part, name, depth + 1, way))
        return values

    def _another(self, schema: Any, name: str, depth: int, taken: list[Any]) -> Any:
        """A value that is not yet among those taken."""
        self._count(len(taken))
        shared = {word: self.root[word] for word in ("$defs", "definitions") if word in self.root}
        candidates = [self.fill(schema, name, depth + 1)]
        simple = self._simple(schema)[0] if isinstance(schema, Mapping) else {}
        candidates += simple.get("enum", [])
        kinds = self._kinds(simple)
        if "enum" not in simple and "integer" in kinds + ["integer"] * ("number" in kinds):
            candidates += [candidates[0] + n for n in range(-len(taken) - 1, len(taken) + 2)]
        if "enum" not in simple and "string" in kinds and isinstance(candidates[0], str):
            candidates += [f"{candidates[0][:40]} {n}" for n in range(2, len(taken) + 3)]
        for candidate in candidates:
            if candidate not in taken and is_valid(candidate, {**shared, **simple}):
                return str(candidate)
        raise NoSuchValue

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get("format") in FORMATS:
            dated = A_DATE.search(self.text) if schema["format"] == "date" else None
            return dated[0] if dated else FORMATS[schema["format"]]
        if "pattern" in schema:
            return self._matching(schema)
        text = self._text_for(name)
        least, most = within(MOST_CHARACTERS, schema.get("minLength")), schema.get("maxLength")
        if len(text) < least:
            text = (text + " ") * math.ceil(least / (len(text) + 1))
            text = text[:least]
        return text if most is None else text[: int(most)]

    def _matching(self, schema: Mapping[str, Any]) -> str:
        """A word, number or date that fits the pattern: of the text, the pattern, or a format."""
        pattern = str(schema["pattern"])
        words = re.findall(r"[^\W\d_]{1,20}", f"{self.text[:1000]} {pattern}")[:60]
        numbers = re.findall(r"\d{1,20}", f"{self.text[:1000]} 1 12 123 2026")
        candidates = [*numbers, *words, *map(str.lower, words), *(w[:2].upper() for w in words)]
        candidates += [*A_DATE.findall(self.text), *FORMATS.values(), "10.1000/182", "NL", "A-1"]
        for candidate in dict.fromkeys(candidates):
            if matching(pattern)(candidate) and is_valid(candidate, schema):
                return str(candidate)
        raise NoSuchValue

    def _text_for(self, name: str) -> str:
        """A text for a property of this name."""
        if self.chosen is not None and LABEL.search(name):
            return self.chosen
        if name and name.lower() in self.text.lower():
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
        for pattern, found in ((YEAR, A_YEAR), (re.compile(r"date|datum", re.I), A_DATE)):
            if pattern.search(name) and (match := found.search(self.text)):
                return str(match[0])
        if PLACE.search(name) or PERSON.search(name):
            names = self._names(places=bool(PLACE.search(name)))
            if names:
                return names[0]
        return self.text.strip()[:200] or "practice proxy"

    def _names(self, *, places: bool) -> list[str]:
        """Names in the text, the likeliest first: places stand after "in", people do not."""
        found = list(A_NAME.finditer(self.text))
        begins = [m for m in found if re.search(r"(?:^|[.!?:] )[\"“]?$", self.text[: m.start()])]
        placed = [m for m in found if PLACED.search(self.text[max(0, m.start() - 6) : m.start()])]
        if places:
            rest = [m for m in found if m not in placed and m not in begins]
            return [m[0] for m in placed[::-1] + rest[::-1]]
        people = [m for m in found if m not in placed]
        people.sort(key=lambda m: (" " not in m[0], m in begins))
        return [m[0] for m in people or placed]

    def _words_for(self, name: str) -> list[str]:
        """Different words of the text, for a list; names, where the list is of those."""
        if PLACE.search(name) or PERSON.search(name):
            return list(dict.fromkeys(self._names(places=bool(PLACE.search(name)))))
        words = re.findall(r"[^\W\d_]{4,}", self.text.lower())
        common = ("with", "from", "that", "this", "their", "into", "voor", "niet", "over")
        return list(dict.fromkeys(word for word in words if word not in common))

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
        years = A_YEAR.findall(self.text)
        if YEAR.search(name) and years:
            return float(years[0])
        found = [number for number in A_NUMBER.findall(self.text) if number not in years]
        left = [number for number in found if number not in self.used] or found
        if name and left:
            self.used.append(left[0])
            return float(left[0].replace(",", ""))
        return 1.0 if re.search(r"count|number|how_many", name, re.IGNORECASE) else 0.0


def _goes_round(schema: Any, way: tuple[str, ...]) -> bool:
    """Whether the schema refers to what led to it often enough."""
    return isinstance(schema, Mapping) and way.count(str(schema.get("$ref"))) >= TWICE


def _is_free_text(schema: Any) -> bool:
    return (
        isinstance(schema, Mapping)
        and schema.get("type") == "string"
        and not (schema.keys() & {"enum", "const", "pattern", "format", "minLength"})
    )


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
    return validator(schema)(value)


def validator(schema: Any) -> Callable[[Any], bool]:
    """Whether a value fits the schema; ``nothing`` does where the schema cannot be used.

    It comes from a learner. Patterns that could take more than linear time, with lookaround or
    back-references, cannot be used, nor those that need much memory, nor references to elsewhere.
    """
    try:
        import jsonschema_rs
    except ImportError:  # no wheel for Python in a browser, where nobody else has to wait
        return _validator_in_python(schema)
    options = jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=1_000_000)
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, pattern_options=options, retriever=_refuse
        ).is_valid
    except (ValueError, jsonschema_rs.ReferencingError):
        return nothing


def _refuse(uri: str) -> NoReturn:
    """A schema may name any file of this machine, and any address that it reaches."""
    raise ValueError(f"{uri} is not read")


def _validator_in_python(schema: Any) -> Callable[[Any], bool]:
    import jsonschema
    import referencing

    checked = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())

    def is_valid(value: Any) -> bool:
        try:
            return bool(checked.is_valid(value))
        except Exception:  # it refers to nothing, or is none
            return False

    return is_valid


def nothing(value: Any) -> bool:
    return False


@lru_cache(maxsize=MOST_PATTERNS)
def matching(pattern: str) -> Callable[[Any], bool]:
    """Whether a text holds the pattern; ``nothing`` does where it cannot be used."""
    return validator({"pattern": pattern})


def fault(schema: Any, *, strict: bool) -> str | None:
    """Why OpenAI would refuse the schema, if it would: no JSON Schema, or not a strict one.

    Or why this proxy does: it is too large, or a pattern could take too long.
    """
    problem = too_large(schema) or _not_valid(schema)
    if problem is None:
        problem = next(filter(None, map(_unusable, _patterns(schema))), None)
    return problem or (_not_strict(schema, ()) if strict else None)


def too_large(schema: Any) -> str | None:
    """Why so large a schema is refused; None if it is not."""
    levels, level, parts = 0, [schema], 0
    while level:
        parts, levels = parts + len(level), levels + 1
        if parts > MOST_PARTS or levels > MOST_LEVELS:
            return (
                f"In context=(), the schema is too large: at most {MOST_PARTS} values and "
                f"{MOST_LEVELS} levels are supported."
            )
        level = [part for whole in level for part in _parts(whole)]
    if sum(1 for _ in _patterns(schema)) > MOST_PATTERNS:
        return f"In context=(), at most {MOST_PATTERNS} patterns are supported."
    return None


def _parts(whole: Any) -> Iterable[Any]:
    if isinstance(whole, Mapping):
        return whole.values()
    return whole if isinstance(whole, list) else ()


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        by_pattern = schema.get("patternProperties")
        yield from by_pattern if isinstance(by_pattern, Mapping) else ()
    for part in _parts(schema):
        yield from _patterns(part)


def _unusable(pattern: str) -> str | None:
    if matching(pattern) is not nothing:
        return None
    return (
        f"In context=(), {pattern[:100]!r} is not a supported regular expression: lookaround and "
        "back-references are not supported."
    )


DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""The schema of schemas; the library holds it."""


@cache
def _of_schemas() -> jsonschema_rs.Draft202012Validator:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator({"$ref": DRAFT}, retriever=_refuse)


def _not_valid(schema: Any) -> str | None:
    try:
        import jsonschema_rs
    except ImportError:  # as in ``validator``
        return None
    try:
        _of_schemas().validate(schema)
    except jsonschema_rs.ValidationError as error:
        message = error.message.replace('"', "'")  # OpenAI's are written by Python's jsonschema
        return f"In context={tuple(map(str, error.instance_path))}, {message}."
    return None


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


def answer(schema: Any, text: str, nth: int = 1, chosen: str | None = None) -> str | None:
    """JSON that fits the schema, as text; None where no rule makes it."""
    root = schema if isinstance(schema, Mapping) else {}
    if too_large(schema):
        return None
    try:
        value = Filler(text, root, nth, chosen).fill(schema)
    except (
        NoSuchValue,
        TooLarge,
        TypeError,
        ValueError,
        KeyError,
        OverflowError,
        RecursionError,
        re.error,
    ):
        return None
    return json.dumps(value, ensure_ascii=False) if is_valid(value, schema) else None


FIELDS = re.compile(
    r"\b(?:extract|give(?: me)?|return|list|find"
    r"|JSON(?: \w+)? (?:with|met)(?! one)(?: the)?(?: fields?| keys?)?"
    r"|with(?: the)? (?:fields?|keys?)|fields?|keys?"
    r"|geef|haal|velden)\b:? (?!(?:me )?(?:(?:as |als )?(?:an? |een )?JSON|this|it|that|dit)\b)"
    r"(?P<names>[^.:;\n{]{2,120}?)"
    r"(?=\s+(?:as|in|als|from|of|uit|with|for|van|voor)\b|[.:;\n]|$)",
    re.IGNORECASE,
)
"""Fields named in words: "Extract the year and the city as JSON"."""


WISH = re.compile(
    r"(?:^|(?<=[.!?] ))(?:extract|give|return|list|find|make|write|create|output|geef|haal|maak)\b"
    r"[^.:!?\n]*\bJSON\b[^.:!?\n]*[.:!?\n]?\s*",
    re.IGNORECASE,
)
"""A sentence that asks for JSON, and is no part of the text to fill it from."""


def free_answer(prompt: str, text: str, chosen: str | None) -> str | None:
    """JSON without a schema: the fields that the prompt names, or the label; else None."""
    named = re.findall(r"[\"“']([\w-]{1,40})[\"”']\s*:", prompt)
    for match in FIELDS.finditer(prompt):
        if named:
            break
        parts = re.split(r",\s*(?:and |en )?|\s+(?:and|en)\s+", match["names"])
        parts = [re.sub(r"^(?:the|a|an|its|de|het|een)\s+", "", part.strip()) for part in parts]
        parts = [part.strip("\"'“”` ").replace(" ", "_") for part in parts]
        if all(re.fullmatch(r"[^\W\d]\w{0,30}", part) and part != "JSON" for part in parts):
            named = parts
    text = re.sub(r"\s*\b(?:as|in|als) JSON\b\.?", "", WISH.sub("", text), flags=re.IGNORECASE)
    if not text.strip() and chosen is None:
        return None
    filler = Filler(text, {}, chosen=chosen)
    value: dict[str, Any] = {}
    for name in dict.fromkeys(named):
        if LIKELIHOOD.search(name):
            value[name] = 0.75
        elif YEAR.search(name) or re.search(r"^n$|number|count|participants|aantal", name, re.I):
            value[name] = filler._number({"type": "integer"}, name, whole=True)
        else:
            value[name] = filler._text_for(name)
    if not value and chosen is None:
        return None
    return json.dumps(value or {"label": chosen}, ensure_ascii=False)
