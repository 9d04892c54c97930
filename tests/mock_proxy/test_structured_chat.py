"""``response_format`` and ``tools`` in a chat."""

import json

import pytest
from proxy_client import Client

from mock_proxy.config import load
from mock_proxy.server.run import running

LABEL = {
    "type": "json_schema",
    "json_schema": {
        "name": "label",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "label": {"type": "string", "enum": ["health", "climate", "energy", "none"]}
            },
            "required": ["label"],
            "additionalProperties": False,
        },
    },
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "description": "What time is it"}}


def test_answer_fits_the_schema(client):
    said = client.answer("Title: Solar panels on school roofs", response_format=LABEL)
    assert json.loads(said) == {"label": "energy"}


def test_schemas_labels_are_those_of_the_prompt(client):
    prompt = "Choose one of: health, climate, energy, none.\n\nTitle: Solar panels on flats"
    assert json.loads(client.answer(prompt, response_format=LABEL)) == {"label": "energy"}


def test_json_may_be_cut_off_like_any_answer(client):
    body = client.ask("Solar panels", response_format=LABEL, max_tokens=3).json()
    assert body["choices"][0]["finish_reason"] == "length"
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(body["choices"][0]["message"]["content"])


def test_any_json_is_an_object(client):
    said = client.answer("What is JSON?", response_format={"type": "json_object"})
    assert "no rule for “What is JSON?”" in json.loads(said)["answer"]


def test_any_json_has_the_fields_that_the_prompt_names(client):
    prompt = (
        "Choose one of: health, energy, none. Answer in JSON like "
        '{"label": "…", "confidence": 0.5}.\n\nTitle: Solar panels on flats'
    )
    said = json.loads(client.answer(prompt, response_format={"type": "json_object"}))
    assert said == {"label": "energy", "confidence": 0.75}


def test_schema_that_nothing_fits_is_told(client):
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": []}}}
    response = client.ask("Hello", response_format=wanted)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "response_format"


def test_model_that_cannot_is_refused_as_litellm_does(client):
    response = client.ask("Hello", model="gpt-4", response_format=LABEL)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(
        "litellm.UnsupportedParamsError: openai does not support parameters: ['response_format']"
    )


def test_tool_is_called_with_arguments_that_fit(client):
    body = client.ask("What is the weather in Utrecht?", tools=[CLOCK, WEATHER]).json()
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    call = choice["message"]["tool_calls"][0]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Utrecht"}
    assert call["id"].startswith("call_")


def test_tool_may_be_named_or_ruled_out(client):
    named = {"type": "function", "function": {"name": "get_time"}}
    question = "What is the weather in Utrecht?"
    body = client.ask(question, tools=[WEATHER, CLOCK], tool_choice=named).json()
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_time"
    body = client.ask(question, tools=[WEATHER], tool_choice="none").json()
    assert body["choices"][0]["finish_reason"] == "stop"


def test_tools_answer_is_handed_on(client):
    messages = [
        {"role": "user", "content": "What is the weather in Utrecht?"},
        {"role": "tool", "tool_call_id": "call_1", "content": "14 degrees"},
    ]
    body = {"model": "gpt-4o-mini", "messages": messages, "tools": [WEATHER]}
    said = client.post("/chat/completions", json=body).json()["choices"][0]
    assert (said["finish_reason"], said["message"]["content"]) == (
        "stop",
        "The tool answered: 14 degrees",
    )


def test_tool_call_comes_in_pieces_too(client):
    response = client.ask("The weather in Utrecht?", tools=[WEATHER], stream=True)
    chunks = [
        json.loads(line.removeprefix("data: "))
        for line in response.text.split("\n\n")
        if line.startswith("data: {")
    ]
    parts = [c["choices"][0]["delta"].get("tool_calls", [{}])[0] for c in chunks]
    assert parts[0]["function"] == {"arguments": "", "name": "get_weather"}
    arguments = "".join(p.get("function", {}).get("arguments", "") for p in parts)
    assert json.loads(arguments) == {"city": "Utrecht"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("tools", [[], ["x"], [{"function": None}], [{"function": {}}], "x"])
def test_tools_of_a_wrong_shape_are_passed_over(client, tools):
    assert client.ask("Hello", tools=tools).status_code == 200


# --- models that fail at first ----------------------------------------------------------------

FLAKY = """\
model_list:
  - model_name: flaky
    litellm_params: {model: openai/gpt-4o-mini}
    model_info: {fail_first: 2, fail_with: 503}
  - model_name: busy
    litellm_params: {model: openai/gpt-4o-mini}
    model_info: {fail_first: 1}
"""


def test_model_fails_first_for_each_key_before_each_answer(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FLAKY, encoding="utf-8")
    with running(load(path)) as proxy:
        for _ in range(2):
            client = Client(proxy.url, proxy.new_key())
            statuses = [client.ask("Hello", model="flaky").status_code for _ in range(6)]
            assert statuses == [503, 503, 200, 503, 503, 200]
            refused, answered = (client.ask("Hello", model="busy") for _ in range(2))
            assert refused.status_code == 429
            assert refused.json()["error"]["type"] == "throttling_error"
            assert refused.headers["llm_provider-retry-after"] == "1"
            assert answered.status_code == 200


def test_models_that_misbehave_on_purpose_are_in_no_list(client):
    names = [entry["id"] for entry in client.get("/models").json()["data"]]
    assert "gpt-4" in names
    assert [name for name in names if name.startswith("practice-")] == ["practice-reasoning"]
    assert [client.ask("Hello", model="practice-busy").status_code for _ in range(3)] == [
        429,
        429,
        200,
    ]
    assert client.ask("Hello", model="practice-broken").status_code == 500


# --- schemas that OpenAI refuses --------------------------------------------------------------

STRICT = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["health", "none"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"additionalProperties": True}, "'additionalProperties' is required to be supplied"),
        ({"required": []}, "Missing 'label'"),
        ({"required": "label"}, "'label' is not of type 'array'"),
        (
            {"properties": {"label": {"type": "string", "enum": "health"}}},
            "In context=('properties', 'label', 'enum'), 'health' is not of type 'array'",
        ),
        (
            {"properties": {"label": {"type": "array", "items": {**STRICT, "required": []}}}},
            "In context=('properties', 'label', 'items'), 'required'",
        ),
    ],
)
def test_a_strict_schema_leaves_nothing_open(client, change, expected):
    schema = {"name": "title_label", "strict": True, "schema": {**STRICT, **change}}
    response = client.ask("Sleep", response_format={"type": "json_schema", "json_schema": schema})
    if expected is None:
        assert response.status_code == 200
        return
    assert response.status_code == 400
    assert "Invalid schema for response_format 'title_label'" in error_of(response)
    assert expected in error_of(response)


def test_a_schema_that_is_not_strict_may_leave_something_open(client):
    schema = {"name": "title_label", "schema": {**STRICT, "required": []}}
    response = client.ask("Sleep", response_format={"type": "json_schema", "json_schema": schema})
    assert response.status_code == 200


def error_of(response):
    return response.json()["error"]["message"]


def test_a_tie_is_unclear_where_that_is_offered(client):
    prompt = (
        "Choose one label: health, energy, none{}. Answer with one word.\nTitle: Solar hospital"
    )
    answers = [client.ask(prompt.format(more)).json() for more in ("", ", unclear")]
    contents = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert contents == ["energy", "unclear"]
