"""Anthropic's form and OpenAI's newer one in front of a server that knows chats alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from other_server import DONE, OtherServer, completion, endless, piece, streaming
from proxy_client import Client
from starlette.responses import JSONResponse
from test_upstream import relaying

from mock_proxy.server.run import RunningProxy

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
CALLS = [
    {"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}}
    for id, arguments in (("t1", '{"city": "Ede"}'), ("t2", '{"city": "Ulm"}'))
]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Which is warmer, Ede or Ulm?"},
    {"role": "assistant", "content": "I look.", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "t1", "content": "14"},
    {"role": "tool", "tool_call_id": "t2", "content": "17"},
    {"role": "user", "content": [{"type": "text", "text": "In one word, please."}]},
]
"""The conversation as `/chat/completions` has it."""

ANTHROPICS = {
    "model": "gpt-4o-mini",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Which is warmer, Ede or Ulm?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Ede"}},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {"city": "Ulm"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "14"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "content": [{"type": "text", "text": "17"}],
                },
                {"type": "text", "text": "In one word, please.", "cache_control": {}},
            ],
        },
    ],
    "tools": [{"name": "weather", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
}
OPENAIS = {
    "model": "gpt-4o-mini",
    "max_output_tokens": 50,
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "Which is warmer, Ede or Ulm?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "I look."},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "t1",
            "name": "weather",
            "arguments": '{"city": "Ede"}',
        },
        {
            "type": "function_call",
            "id": "fc_2",
            "call_id": "t2",
            "name": "weather",
            "arguments": '{"city": "Ulm"}',
        },
        {"type": "function_call_output", "call_id": "t1", "output": "14"},
        {
            "type": "function_call_output",
            "call_id": "t2",
            "output": [{"type": "input_text", "text": "17"}],
        },
        {"role": "user", "content": [{"type": "input_text", "text": "In one word, please."}]},
    ],
    "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}],
    "tool_choice": {"type": "function", "name": "weather"},
    "parallel_tool_calls": False,
}
FORMS = {"/v1/messages": ANTHROPICS, "/v1/responses": OPENAIS}


@pytest.fixture
def proxy(other: OtherServer) -> Iterator[RunningProxy]:
    with relaying(other.url, everything="gemma3") as proxy:
        yield proxy


@pytest.fixture
def learner(proxy: RunningProxy) -> Client:
    return Client(proxy.url, proxy.new_key())


@pytest.mark.parametrize("path", FORMS)
def test_a_conversation_with_tools_is_a_valid_chat(other, learner, path):
    assert learner.post(path, json=FORMS[path]).status_code == 200
    assert other.bodies() == [
        {
            "model": "gemma3",
            "messages": CHAT,
            "max_tokens": 50,
            "tools": [FUNCTION],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
        }
    ]


@pytest.mark.parametrize(
    ("path", "choice", "chosen"),
    [
        ("/v1/messages", {"type": "auto"}, "auto"),
        ("/v1/messages", {"type": "any"}, "required"),
        ("/v1/messages", {"type": "none"}, "none"),
        ("/v1/messages", "nonsense", None),
        ("/v1/responses", "required", "required"),
        ("/v1/responses", "none", "none"),
    ],
)
def test_the_choice_of_a_tool_is_translated(other, learner, path, choice, chosen):
    learner.post(path, json=FORMS[path] | {"tool_choice": choice})
    assert other.bodies()[0].get("tool_choice") == chosen


@pytest.mark.parametrize("path", FORMS)
def test_without_tools_nothing_is_said_of_them(other, learner, path):
    learner.post(path, json={n: v for n, v in FORMS[path].items() if n != "tools"})
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & other.bodies()[0].keys()


def test_pictures_go_along(other, learner):
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    messages = [{"role": "user", "content": blocks}]
    learner.post("/v1/messages", json={"model": "gpt-4", "max_tokens": 9, "messages": messages})
    url = "data:image/png;base64,aGk="
    parts = [
        {"type": "input_image", "image_url": url},
        {"type": "input_text", "text": "What is this?"},
    ]
    learner.post(
        "/v1/responses", json={"model": "gpt-4", "input": [{"role": "user", "content": parts}]}
    )
    text = {"type": "text", "text": "What is this?"}
    first, second = (body["messages"][0]["content"] for body in other.bodies())
    assert first == [{"type": "image_url", "image_url": {"url": url}}, text]
    assert second == [{"type": "image_url", "image_url": {"url": url, "detail": "auto"}}, text]


@pytest.mark.parametrize("path", FORMS)
def test_text_and_calls_are_both_in_a_whole_answer(other, learner, path):
    answer = completion("I look.")
    answer["choices"][0]["message"]["tool_calls"] = CALLS
    answer["choices"][0]["finish_reason"] = "tool_calls"
    other.answer = lambda body: JSONResponse(answer)
    body = learner.post(path, json=FORMS[path]).json()
    assert said_in(path, body) == ("I look.", CALLS)


# --- streams ----------------------------------------------------------------------------------


def said_in(path: str, body: dict[str, Any]) -> tuple[str, list[Any]]:
    """The text of a whole answer in this form, and the calls of tools as a chat has them."""
    if path == "/v1/messages":
        texts = [block["text"] for block in body["content"] if block["type"] == "text"]
        calls = [
            (block["id"], block["name"], json.dumps(block["input"]))
            for block in body["content"]
            if block["type"] == "tool_use"
        ]
    else:
        texts = [i["content"][0]["text"] for i in body["output"] if i["type"] == "message"]
        calls = [
            (item["call_id"], item["name"], item["arguments"])
            for item in body["output"]
            if item["type"] == "function_call"
        ]
    return "".join(texts), [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]


def events_of(response) -> list[dict[str, Any]]:
    lines = [line for line in response.text.split("\n") if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def put_together(path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole answer of a stream, and whether its events are in the form's own order."""
    if path == "/v1/responses":
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        pieces: dict[int, str] = {}
        for event in events:
            if event["type"].endswith(".delta"):
                at = event["output_index"]
                pieces[at] = pieces.get(at, "") + event["delta"]
        body = events[-1]["response"]
        whole = [
            item["content"][0]["text"] if item["type"] == "message" else item["arguments"]
            for item in body["output"]
        ]
        assert whole == [pieces.get(at, "") for at in range(len(whole))]
        done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
        for part in (part for item in done for part in item.get("content", [])):
            assert part.pop("logprobs") is None  # which the whole answer leaves out
        assert done == body["output"]
        return body
    blocks: list[dict[str, Any]] = []
    inputs: list[str] = []
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert (event["index"], is_open) == (len(blocks), False)
            blocks.append(dict(event["content_block"]))
            inputs.append("")
            is_open = True
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                blocks[event["index"]]["text"] += delta["text"]
            else:
                inputs[event["index"]] += delta["partial_json"]
        elif event["type"] == "content_block_stop":
            assert (event["index"], is_open) == (len(blocks) - 1, True)
            is_open = False
    assert not is_open
    for block, text in zip(blocks, inputs, strict=True):
        if block["type"] == "tool_use":
            block["input"] = json.loads(text)
    return {"content": blocks, **events[-2]["delta"], "usage": events[-2]["usage"]}


def calling(index: int, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        made |= {"id": f"t{index + 1}", "type": "function"}
        made["function"]["name"] = name
    return {"tool_calls": [made]}


USAGE = {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
STREAM = (
    piece({"role": "assistant", "content": ""}),
    piece({"content": "I "}),
    piece({"content": "look."}),
    piece(calling(0, "weather")),
    piece(calling(0, arguments='{"city": ')),
    piece(calling(0, arguments='"Ede"}')),
    piece(calling(1, "weather", '{"city": "Ulm"}')),
    piece({}, "tool_calls"),
    b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n",
    DONE,
)


@pytest.mark.parametrize("path", FORMS)
def test_a_stream_with_text_and_tools_is_passed_on(other, proxy, path):
    other.answer = lambda body: streaming(*STREAM)
    learner = Client(proxy.url, proxy.new_key())
    response = learner.post(path, json=FORMS[path] | {"stream": True})
    body = put_together(path, events_of(response))
    assert said_in(path, body) == ("I look.", CALLS)
    assert body["usage"]["input_tokens"] == 70
    assert body["usage"]["output_tokens"] == 30
    (asked,) = other.bodies()
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
    spend = learner.get("/key/info").json()["info"]["spend"]
    assert spend == pytest.approx(70 * 0.15e-6 + 30 * 0.6e-6)
    if path == "/v1/messages":
        assert body["stop_reason"] == "tool_use"


@pytest.mark.parametrize("path", FORMS)
def test_pieces_are_passed_on_as_they_come(other, learner, path):
    """The upstream does not end: a proxy that waited for the whole answer would say nothing."""
    other.answer = lambda body: endless(other.left, piece({"content": "First"}))
    with learner.post(path, json=FORMS[path] | {"stream": True}, stream=True) as response:
        lines = response.iter_lines()  # held: requests leaves when its generator is thrown away
        assert any(b"First" in line for line in lines)
        assert not other.left.is_set()
    assert other.left.wait(10)


@pytest.mark.parametrize("path", FORMS)
def test_an_empty_stream_is_an_empty_answer(other, learner, path):
    other.answer = lambda body: streaming(piece({"role": "assistant"}), piece({}, "stop"), DONE)
    events = events_of(learner.post(path, json=FORMS[path] | {"stream": True}))
    assert said_in(path, put_together(path, events)) == ("", [])


@pytest.mark.parametrize("path", FORMS)
def test_an_answer_that_is_cut_off_says_so(other, learner, path):
    other.answer = lambda body: streaming(piece({"content": "Fir"}), piece({}, "length"), DONE)
    body = put_together(path, events_of(learner.post(path, json=FORMS[path] | {"stream": True})))
    assert body.get("status", body.get("stop_reason")) in ("incomplete", "max_tokens")


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": 5},
        {"tool_calls": [5, {"index": [], "function": {"name": 3}}]},
        {"content": 1},
    ],
)
@pytest.mark.parametrize("path", [*FORMS, "/chat/completions"])
def test_strange_pieces_break_nothing(other, learner, path, delta):
    other.answer = lambda body: streaming(piece({"content": "Hi"}), piece(delta), DONE)
    body = FORMS.get(path) or {"model": "gpt-4", "messages": CHAT}
    response = learner.post(path, json=body | {"stream": True})
    assert response.status_code == 200
    assert "error" not in events_of(response)[-1]


def test_an_error_in_the_middle_is_in_the_forms_own_words(other, learner):
    """Anthropic's client looks for an event of this name, OpenAI's for this field."""
    other.answer = lambda body: streaming(piece({"content": "Hi"}))  # and breaks off
    response = learner.post("/v1/messages", json=ANTHROPICS | {"stream": True})
    *_, name, data = response.text.strip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["type"] == "error"
    response = learner.post("/v1/responses", json=OPENAIS | {"stream": True})
    assert "message" in events_of(response)[-1]["error"]
