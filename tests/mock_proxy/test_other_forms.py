"""``/v1/responses`` (OpenAI's newer form) and ``/v1/messages`` (Anthropic's)."""

import json

import pytest

TITLE = "Choose one of: health, energy, none. One word.\n\nTitle: Solar panels"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def respond(client, **body):
    response = client.post("/v1/responses", json={"model": "gpt-4o-mini", **body})
    assert response.status_code == 200, response.text
    return response


def message(client, *texts, **body):
    messages = [{"role": "user", "content": text} for text in texts]
    body = {"model": "gpt-4o-mini", "max_tokens": 100, "messages": messages, **body}
    return client.post("/v1/messages", json=body)


@pytest.mark.parametrize("path", ["/responses", "/v1/responses"])
def test_input_is_answered(client, path):
    body = client.post(path, json={"model": "gpt-4o-mini", "input": "Say hello."}).json()
    assert body["status"] == "completed"
    assert body["output"][0]["content"][0]["text"] == "Hello!"
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": None,
        "output_tokens": 2,
        "output_tokens_details": None,
        "total_tokens": 12,
        "cost": None,
    }


def test_input_may_be_a_conversation(client):
    told = [
        {"role": "user", "content": [{"type": "input_text", "text": "My name is Ada."}]},
        {"role": "user", "content": "What is my name?"},
    ]
    body = respond(client, input=told, instructions="Answer in capital letters.").json()
    assert body["output"][0]["content"][0]["text"] == "YOUR NAME IS ADA."


def test_longest_output_is_kept_to(client):
    body = respond(client, input="What is life?", max_output_tokens=16).json()
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}


def test_output_fits_the_schema(client):
    schema = {"type": "object", "properties": {"label": {"enum": ["health", "energy"]}}}
    wanted = {"format": {"type": "json_schema", "name": "label", "schema": schema}}
    body = respond(client, input="Solar panels", text=wanted).json()
    assert json.loads(body["output"][0]["content"][0]["text"]) == {"label": "energy"}


def test_function_is_called(client):
    body = respond(client, input="Weather in Delft?", tools=[{"type": "function", **WEATHER}])
    call = body.json()["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"]) == {"city": "Delft"}


def test_events_hold_the_same_answer(client):
    response = respond(client, input="Say hello.", stream=True)
    *lines, end, empty = response.text.split("\n\n")
    assert (end, empty) == ("data: [DONE]", "")
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    pieces = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    assert "".join(pieces) == "Hello!"


def test_message_is_answered(client):
    body = message(client, TITLE).json()
    assert body["content"] == [{"type": "text", "text": "energy"}]
    assert (body["role"], body["stop_reason"]) == ("assistant", "end_turn")
    assert body["usage"]["output_tokens"] == 1


@pytest.mark.parametrize(("asked", "given"), [(2, 16), (18, 18)])
def test_longest_message_is_kept_to(client, asked, given):
    """LiteLLM asks for 16 tokens at least."""
    body = message(client, "What is life?", max_tokens=asked, system="Answer in capitals.").json()
    assert body["stop_reason"] == "max_tokens"
    assert body["usage"]["output_tokens"] == given
    assert body["content"][0]["text"].startswith("THIS IS")


def test_longest_message_may_be_left_open(client):
    assert message(client, "Hello", max_tokens=None).json()["stop_reason"] == "end_turn"


def test_tool_is_used(client):
    tool = {
        "name": "get_weather",
        "description": WEATHER["description"],
        "input_schema": WEATHER["parameters"],
    }
    body = message(client, "Weather in Delft?", tools=[tool]).json()
    assert body["stop_reason"] == "tool_use"
    assert body["content"][0]["input"] == {"city": "Delft"}


def test_named_events_hold_the_same_answer(client):
    response = message(client, "Say hello.", stream=True)
    parts = [part.split("\n") for part in response.text.strip().split("\n\n")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in parts]
    assert [name.removeprefix("event: ") for name, _ in parts] == [e["type"] for e in events]
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    text = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
    assert "".join(text) == "Hello!"


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"model": "nope"}, 400, "invalid_request_error"),
        ({"messages": None}, 500, "api_error"),
    ],
)
def test_errors_have_anthropics_form(client, change, status, kind):
    response = message(client, "Hello", **change)
    assert response.status_code == status
    assert response.json()["type"] == "error"
    assert response.json()["error"]["type"] == kind


def test_tokens_of_messages_are_counted(client):
    """LiteLLM 1.106.2 counts 14 for the second."""
    for system, count in (({}, 8), ({"system": "Be terse"}, 14)):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
        answer = client.post("/v1/messages/count_tokens", json={**body, **system})
        assert answer.json() == {"input_tokens": count, "litellm_count_source": "local_estimate"}
    response = client.post("/v1/messages/count_tokens", json={})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "model parameter is required"
