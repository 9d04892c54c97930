"""JSON answers: valid for any schema asked for, filled from the text."""

import json
import random
import socketserver
import sys
import threading

import jsonschema
import pytest

from mock_proxy.answers import schemas

TITLE = "Solar panels on school roofs in Utrecht, 2019"
LABELS = ["health", "climate", "energy", "none"]


def test_fields_are_filled_from_the_text():
    schema = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": LABELS},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "year": {"type": "integer"},
            "city": {"type": "string"},
            "reason": {"type": "string"},
        },
        "required": ["label", "confidence", "year", "city", "reason"],
        "additionalProperties": False,
    }
    assert json.loads(schemas.answer(schema, TITLE)) == {
        "label": "energy",
        "confidence": 0.75,
        "year": 2019,
        "city": "Utrecht",
        "reason": "The text says: panels, school, roofs.",
    }


def random_schema(dice: random.Random, depth: int = 0) -> dict:
    """A schema as people write them for ``response_format``, and stranger ones."""
    kinds = ["string", "number", "integer", "boolean", "null", "enum", "const", "format", "pattern"]
    if depth < 4:
        kinds += ["object", "object", "array", "anyOf", "allOf", "ref", "types", "unique"]
    kind = dice.choice(kinds)
    inner = depth + 1
    if kind == "object":
        names = dice.sample(["label", "reason", "year", "city", "items", "x y", "é", "$id_"], 4)
        return {
            "type": "object",
            "properties": {name: random_schema(dice, inner) for name in names},
            "required": dice.sample(names, dice.randrange(5)),
            "additionalProperties": dice.choice([False, True, {"type": "integer"}]),
        }
    if kind == "array":
        least = dice.randrange(3)
        return {
            "type": "array",
            "items": random_schema(dice, inner),
            "minItems": least,
            "maxItems": least + dice.randrange(3),
        }
    if kind == "unique":
        return {
            "type": "array",
            "items": {"enum": LABELS},
            "uniqueItems": True,
            "minItems": dice.randrange(5),
        }
    if kind in ("anyOf", "oneOf"):
        return {kind: [random_schema(dice, inner), {"type": "null"}]}
    if kind == "allOf":
        return {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9 + dice.randrange(9)}]}
    if kind == "ref":
        return {"$ref": "#/$defs/shared"}
    if kind == "types":
        return {"type": dice.sample(["string", "null", "integer"], 2)}
    if kind == "enum":
        return {"enum": dice.sample([*LABELS, 1, None, True, {"a": [1]}], 3)}
    if kind == "const":
        return {"const": dice.choice(["x", 5, None, [1]])}
    if kind == "string":
        least = dice.randrange(40)
        return {"type": "string", "minLength": least, "maxLength": least + dice.randrange(9)}
    if kind == "format":
        return {"type": "string", "format": dice.choice(["date", "email", "uuid", "uri"])}
    if kind == "pattern":
        return {
            "type": "string",
            "pattern": dice.choice([r"^\d{4}$", r"^[A-Z]{2}$", r"a|b", r"^(x|yz)+$"]),
        }
    if kind in ("number", "integer"):
        low = dice.randrange(-9, 9)
        limits = [
            {},
            {"minimum": low},
            {"minimum": low, "maximum": low + 1},
            {"exclusiveMinimum": low, "exclusiveMaximum": low + 3},
            {"multipleOf": 5},
            {"minimum": 7, "multipleOf": 5},
        ]
        return {"type": kind, **dice.choice(limits)}
    return {"type": kind}


@pytest.mark.parametrize("seed", range(40))
def test_answers_are_valid_for_generated_schemas(seed):
    dice = random.Random(seed)
    for _ in range(25):
        schema = {**random_schema(dice), "$defs": {"shared": {"type": "string", "minLength": 1}}}
        made = schemas.answer(schema, TITLE)
        assert made is not None, schema
        jsonschema.validate(json.loads(made), schema, jsonschema.Draft202012Validator)


def test_schema_that_refers_to_itself_ends():
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["name"],
    }
    assert schemas.is_valid(json.loads(schemas.answer(schema, TITLE)), schema)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "string", "pattern": "(?=a)b"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.org/schema"},
        {"type": "array", "items": {"enum": [1]}, "uniqueItems": True, "minItems": 2},
        {"type": "nonsense"},
        5,
    ],
)
def test_no_answer_for_a_schema_that_nothing_fits(schema):
    assert schemas.answer(schema, TITLE) is None


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        (r"^\d{4}$", "2019"),
        (r"^[A-Z]{2}$", "SO"),
        (r"^\d{4}-\d{2}-\d{2}$", "2026-01-01"),
        (r"^[a-z_]+$", "panels"),
        (r"^(?:yes|no)$", "yes"),
        (r"^10\.\d{4,9}/.+$", "10.1000/182"),
        (r"\w+@\w+\.org", "reader@example.org"),
        (r"^Q\d+-[xyz]{3}$", None),
        (r"[", None),
    ],
)
def test_text_that_fits_a_pattern_is_found_or_not(pattern, made):
    answer = schemas.answer({"type": "string", "pattern": pattern}, TITLE)
    assert (answer and json.loads(answer)) == made


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**9},
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
        {"type": "object", "minProperties": 10**9},
        {"type": "string", "pattern": "(a{2000}){2000}"},
        {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
            "minItems": schemas.MOST_VALUES,
        },
    ],
    ids=["text", "list", "object", "pattern", "different"],
)
def test_schema_of_a_few_bytes_cannot_ask_for_millions(schema, monkeypatch):
    made = []
    count = schemas.Filler._text_for
    monkeypatch.setattr(schemas.Filler, "_text_for", lambda *a: made.append(a) or count(*a))
    answer = schemas.answer(schema, TITLE)
    assert answer is None
    assert len(made) <= schemas.MOST_VALUES


def test_tree_of_a_few_bytes_does_not_grow_into_thousands_of_nodes():
    schema = {
        "type": "object",
        "properties": {name: {"$ref": "#"} for name in ("a", "b", "c", "d")},
    }
    leaf = {"a": {}, "b": {}, "c": {}, "d": {}}
    assert json.loads(schemas.answer(schema, TITLE)) == leaf


RUNAWAY = [
    ("^(a+)+$", "a" * 60 + "!"),
    ("^(a?){60}a{60}$", "a" * 59),
    ("^(a|aa)+$", "a" * 60 + "!"),
    (r"^(\w+\s?)*$", "a" * 60 + "!"),
]
"""Python's own engine would take longer for any of these than this test suite may."""


@pytest.mark.parametrize(("pattern", "text"), RUNAWAY)
def test_patterns_take_linear_time(pattern, text):
    assert schemas.answer({"const": text, "pattern": pattern}, TITLE) is None
    assert schemas.answer({"type": "string", "pattern": pattern}, text) != json.dumps(text)
    schema = {"type": "object", "patternProperties": {pattern: False}, "required": [text]}
    assert json.loads(schemas.answer(schema, TITLE) or "") == {text: TITLE}


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", "(", "(a{2000}){2000}"])
@pytest.mark.parametrize("word", ["pattern", "patternProperties"])
def test_patterns_that_could_take_longer_are_refused(client, pattern, word):
    part = {word: pattern if word == "pattern" else {pattern: {}}}
    wanted = {"name": "a", "schema": {"type": "object", "properties": {"b": part}}}
    response = client.ask("b", response_format={"type": "json_schema", "json_schema": wanted})
    assert response.status_code == 400
    assert "is not a supported regular expression" in response.json()["error"]["message"]


def nested(levels):
    return {"items": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (nested(60), True),
        (nested(900), False),
        ({"enum": [0] * (schemas.MOST_PARTS - 5)}, True),
        ({"enum": [0] * schemas.MOST_PARTS}, False),
        ({"anyOf": [{"pattern": "a"}] * schemas.MOST_PATTERNS}, True),
        ({"anyOf": [{"pattern": "a"}] * (schemas.MOST_PATTERNS + 1)}, False),
    ],
)
def test_a_schema_has_limits(client, schema, fits):
    assert (schemas.too_large(schema) is None) is fits
    assert (schemas.answer(schema, TITLE) is not None) is fits
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    response = client.ask("b", response_format=wanted)
    assert response.status_code == (200 if fits else 400)
    assert fits or "Invalid schema for response_format 'a'" in response.json()["error"]["message"]


def test_a_long_text_is_searched_for_few_values():
    schema = {"properties": {f"p{n}": {"type": "string"} for n in range(100)}}
    assert schemas.answer(schema, TITLE) is not None
    assert schemas.answer(schema, TITLE * 1000) is None


def test_a_tool_with_such_a_schema_is_called_without_arguments(client):
    for parameters in ({"pattern": "^(a+)+$", "const": "a" * 60 + "!"}, nested(900)):
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        response = client.ask("Call f", tools=[tool], tool_choice="required")
        (call,) = response.json()["choices"][0]["message"]["tool_calls"]
        assert call["function"]["arguments"] == "{}"


@pytest.mark.parametrize("word", ["$ref", "$schema", "$dynamicRef"])
@pytest.mark.parametrize("has_engine", [True, False])
def test_a_schema_reads_no_file_and_no_address(client, tmp_path, monkeypatch, word, has_engine):
    """What it names would be read by the proxy: on its machine, and in its network."""
    if not has_engine:
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    file = tmp_path / "secret.json"
    file.write_text('{"const": "secret"}', encoding="utf-8")
    asked = []

    class Noting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Noting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for uri in (file.as_uri(), f"http://127.0.0.1:{server.server_address[1]}/a"):
            for schema in ({word: uri}, {"properties": {"a": {word: uri}}, "required": ["a"]}):
                schemas.fault(schema, strict=True)
                assert "secret" not in str(schemas.answer(schema, TITLE))
                assert not schemas.is_valid("secret", {"allOf": [{"$ref": uri}, schema]})
        server.shutdown()
        thread.join()
    assert asked == []


def test_where_there_is_no_linear_engine_python_validates(monkeypatch):
    """There is no wheel of it for Python in a browser, where nobody else has to wait."""
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    schemas.matching.cache_clear()
    assert schemas.fault({"type": "string"}, strict=True) is None
    assert schemas.answer({"type": "string", "pattern": "^[a-z_]+$"}, TITLE) == '"panels"'
    assert schemas.answer({"$ref": "#/nowhere"}, TITLE) is None
    schemas.matching.cache_clear()
