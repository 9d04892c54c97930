"""An upstream's answers kept in a file, and served again without it."""

from __future__ import annotations

import contextlib
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from other_server import DONE, completion, endless, piece, streaming
from proxy_client import Client
from starlette.responses import JSONResponse

from mock_proxy.config import load, practice
from mock_proxy.server.run import RunningProxy, running
from mock_proxy.upstream import recording
from mock_proxy.upstream.forms import Request
from mock_proxy.upstream.recording import Recorder, RecordingError
from mock_proxy.upstream.source import KEY_VARIABLE, UpstreamError, replay, upstream

PLANTED = "planted-key-0123456789"
URL = "http://127.0.0.1:11434/v1"


@contextlib.contextmanager
def recorded_into(file: Path, url: str, **names: str) -> Iterator[RunningProxy]:
    environment = {KEY_VARIABLE: PLANTED}
    with (
        upstream(
            practice(), url, names or {"*": "gemma3"}, record=file, environment=environment
        ) as source,
        running(source.config, relay=source.relay) as proxy,
    ):
        yield proxy


@contextlib.contextmanager
def replaying(file: Path, *, else_practice: bool = False) -> Iterator[RunningProxy]:
    source = replay(practice(), file, else_practice=else_practice)
    with running(source.config, relay=source.relay) as proxy:
        yield proxy


def learner(proxy: RunningProxy) -> Client:
    return Client(proxy.url, proxy.new_key())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "class.jsonl"


def entries(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def entry(text: str, model: str = "gpt-4o-mini", **more: Any) -> dict[str, Any]:
    """A recorded answer to "Hello"."""
    return {
        "path": "/chat/completions",
        "model": model,
        "request": {"messages": [{"role": "user", "content": "Hello"}]},
        "upstream": {"url": URL, "model": "gemma3"},
        "answer": completion(text),
        **more,
    }


def write(file: Path, *lines: dict[str, Any] | str) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(text + "\n" for text in texts), encoding="utf-8")


# --- there and back ---------------------------------------------------------------------------

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "stream": True}),
    ("/chat/completions", {"messages": [{"role": "user", "content": "Hëllo \u2028"}], "n": 2}),
    ("/completions", {"prompt": "Once upon a time"}),
    ("/completions", {"prompt": "Once upon a time", "stream": True}),
    ("/embeddings", {"model": "text-embedding-ada-002", "input": ["a", "b"]}),
    ("/v1/responses", {"input": "Hello"}),
    ("/v1/messages", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}),
]


def ask_all(proxy: RunningProxy) -> list[Any]:
    client = learner(proxy)
    responses = [client.post(path, json={"model": "gpt-4", **body}) for path, body in REQUESTS]
    assert [response.status_code for response in responses] == [200] * len(REQUESTS)
    return [without_names(response.text) for response in responses]


def without_names(text: str) -> list[Any]:
    """The JSON of a body, or of each event, without what is new for each answer."""
    bodies = [line.removeprefix("data: ") for line in text.split("\n") if line.strip()]
    return [_without(json.loads(body)) for body in bodies if body != "[DONE]"]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        new = ("id", "created", "created_at", "item_id")
        return {name: _without(item) for name, item in value.items() if name not in new}
    return [_without(item) for item in value] if isinstance(value, list) else value


def test_what_was_recorded_is_served_again(file):
    with running() as another:
        key = another.new_key()
        environment = {KEY_VARIABLE: key}
        with (
            upstream(
                practice(), another.url + "/v1", {}, record=file, environment=environment
            ) as source,
            running(source.config, relay=source.relay) as proxy,
        ):
            recorded = ask_all(proxy)
    assert key not in file.read_text(encoding="utf-8")
    with replaying(file) as proxy:  # the upstream is gone
        assert ask_all(proxy) == recorded


def test_a_recording_says_who_answered_what(other, file):
    with recorded_into(file, other.url) as proxy:
        learner(proxy).ask("Hello", temperature=0.5)
    (kept,) = entries(file)
    assert kept.pop("time").endswith("+00:00")
    assert kept == {
        "path": "/chat/completions",
        "model": "gpt-4o-mini",
        "request": {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5},
        "upstream": {"url": other.url, "model": "gemma3"},
        "answer": completion("Hello"),
    }


def test_a_stream_is_kept_in_its_pieces(other, file):
    other.answer = lambda body: streaming(piece({"content": "Hi"}), piece({}, "stop"), DONE)
    with recorded_into(file, other.url) as proxy:
        learner(proxy).ask("Hello", stream=True)
    (kept,) = entries(file)
    deltas = [p["choices"][0]["delta"] for p in kept["pieces"]]
    assert deltas == [{"content": "Hi"}, {}]


def test_each_answer_is_in_the_file_at_once(other, file):
    with recorded_into(file, other.url) as proxy:
        for number in (1, 2, 3):
            learner(proxy).ask("Hello")
            assert len(entries(file)) == number


def test_answers_that_are_not_whole_are_not_kept(other, file):
    answers = [
        JSONResponse({"error": {"message": "overloaded"}}, 503),
        JSONResponse({"error": {"message": "slow down"}}, 429),
        streaming(piece({"content": "Hi"})),
    ]
    with recorded_into(file, other.url) as proxy:
        client = learner(proxy)
        for answer in answers:
            other.answer = lambda body, answer=answer: answer
            client.ask("Hello", stream=answer is answers[2])
        other.answer = lambda body: endless(other.left, piece({"content": "Hi"}))
        with client.post(
            "/chat/completions",
            json={"model": "gpt-4", "messages": [], "stream": True},
            stream=True,
        ) as response:
            next(response.iter_lines())
        assert other.left.wait(10)
    assert entries(file) == []


def test_a_request_that_is_at_fault_is_kept_with_its_error(other, file):
    """It fails each time; an overloaded server does not."""
    error = {"error": {"message": "Invalid 'temperature'", "param": "temperature"}}
    other.answer = lambda body: JSONResponse(error, 400)
    with recorded_into(file, other.url) as proxy:
        recorded = learner(proxy).ask("Hello", temperature=5)
    with replaying(file) as proxy:
        replayed = learner(proxy).ask("Hello", temperature=5)
    assert (replayed.status_code, replayed.json()) == (400, recorded.json())


def test_half_a_character_is_kept(file):
    """JSON can name it, UTF-8 cannot."""
    recorder = Recorder(file, URL, {"gpt-4o-mini": "gemma3"})
    request = Request("/chat/completions", "gpt-4o-mini", {"messages": ["\ud83d"]})
    recorder.keep(request, "gemma3", {"answer": {}})
    recorder.close()
    assert recording.read(file)[-1]["request"] == {"messages": ["\ud83d"]}


# --- keys -------------------------------------------------------------------------------------


def test_no_key_is_in_a_recording(other, file):
    """The upstream's, even if it repeats it, the learner's, even in a prompt and its answer."""
    with recorded_into(file, other.url) as proxy:
        key = proxy.new_key()
        answers = [
            JSONResponse(completion(f"You wrote {key}, I know {PLANTED}")),
            JSONResponse({"error": {"message": f"Wrong: {PLANTED}"}}, 400),
            streaming(piece({"content": PLANTED}), piece({}, "stop"), DONE),
        ]
        for answer in answers:
            other.answer = lambda body, answer=answer: answer
            Client(proxy.url, key).ask(
                f"My key is {key}",
                stream=answer is answers[2],
                api_key="sk-in-the-body-0123456789",
                extra_headers={"Authorization": "Bearer sk-in-the-body-0123456789"},
            )
        text = file.read_text(encoding="utf-8")
    assert len(entries(file)) == 3
    assert [
        secret for secret in (PLANTED, key, "sk-in-the-body", "uthoriz") if secret in text
    ] == []
    with replaying(file) as proxy:  # another key in the same prompt is the same request
        answer = Client(proxy.url, proxy.new_key()).answer(f"My key is {proxy.new_key()}")
    assert answer.startswith("You wrote sk-...")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_recording_is_for_its_owner_alone(other, file):
    with recorded_into(file, other.url):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


# --- which answer -----------------------------------------------------------------------------


def test_repetitions_get_the_recorded_ones_in_turn_then_the_last(file):
    write(file, entry("one"), entry("two"), entry("three"))
    with replaying(file) as proxy:
        for client in (learner(proxy), learner(proxy)):  # each learner sees the same
            answers = [client.answer("Hello") for _ in range(5)]
            assert answers == ["one", "two", "three", "three", "three"]


@pytest.mark.parametrize(
    "same",
    [
        '{"temperature": 0.0, "model": "gpt-4o-mini", "messages": [%s]}',
        '{"messages": [%s], "model": "gpt-4o-mini", "temperature": 0, "stream": false}',
        '{"model":"gpt-4o-mini","messages":[%s],"temperature":0,"user":"a7","seed":null}',
    ],
)
def test_the_same_request_in_other_words(file, same):
    messages = [{"role": "user", "content": "Hello"}]
    write(file, entry("kept", request={"messages": messages, "temperature": 0}))
    body = same % '{"content": "Hello", "role": "user"}'
    with replaying(file) as proxy:
        response = learner(proxy).post("/chat/completions", data=body, headers=JSON)
    assert response.json()["choices"][0]["message"]["content"] == "kept"


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "more",
    [{"temperature": 0.1}, {"max_tokens": 5}, {"seed": 1}, {"stream": True}, {"model": "gpt-4"}],
)
@pytest.mark.parametrize("text", ["Hello", "hello"])
def test_what_was_not_recorded_is_an_error_that_says_what_to_do(file, text, more):
    write(file, entry("kept"))
    with replaying(file) as proxy:
        client = learner(proxy)
        response = client.ask(text, **more)
        assert client.get("/key/info").json()["info"]["spend"] == 0.0
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(
        "litellm.NotFoundError: OpenAIException - This request is not in the recording class.jsonl"
    )
    assert str(file.parent) not in error["message"]  # learners need no path of another machine


def test_embeddings_that_were_not_recorded(file):
    write(file, entry("kept"))
    with replaying(file) as proxy:
        body = {"model": "text-embedding-ada-002", "input": "a"}
        assert learner(proxy).post("/embeddings", json=body).status_code == 404


def test_a_model_left_to_the_rules_while_recording_is_left_to_them_again(file):
    write(file, entry("kept"))
    source = replay(practice(), file, {"text-embedding-ada-002": ""})
    with running(source.config, relay=source.relay) as proxy:
        body = {"model": "text-embedding-ada-002", "input": "a"}
        assert learner(proxy).post("/embeddings", json=body).status_code == 200
        assert learner(proxy).ask("Bye").status_code == 404
    with pytest.raises(UpstreamError, match="a recording knows who answered"):
        replay(practice(), file, {"*": "gemma3"})


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_else_practice_answers_the_rest_by_rules_and_marks_it(file, more):
    write(file, entry("kept"))
    with replaying(file, else_practice=True) as proxy:
        client = learner(proxy)
        recorded, ruled = client.ask("Hello"), client.ask("Bye", **more)
        body = {"model": "text-embedding-ada-002", "input": "a"}
        vector = client.post("/embeddings", json=body)
    assert recorded.json()["choices"][0]["message"]["content"] == "kept"
    assert "x-practice-proxy-answer" not in recorded.headers
    for response in (ruled, vector):
        assert response.status_code == 200
        assert response.headers["x-practice-proxy-answer"] == "rules"


def test_headers_say_who_answered_when_it_was_recorded(file):
    write(file, entry("kept"))
    with replaying(file) as proxy:
        headers = learner(proxy).ask("Hello").headers
    assert headers["x-litellm-model-name"] == "openai/gemma3"
    assert headers["x-litellm-model-api-base"] == URL


def test_budgets_and_misbehaving_models_stay_with_a_replay(file):
    write(file, entry("kept"))
    with replaying(file) as proxy:
        spent = Client(proxy.url, proxy.new_key(max_budget=0.0))
        assert spent.ask("Hello").status_code == 422
        client = learner(proxy)
        statuses = [client.ask("Hello", model="practice-busy").status_code for _ in range(3)]
        assert statuses == [429, 429, 200]


# --- files that cannot be used ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"path": "/chat/comp', "not a complete line"),
        ("[]", "no 'path'"),
        ('{"path": "/chat/completions", "model": "gpt-4"}', "no 'request'"),
        (json.dumps(entry("a", upstream={})), "no 'url' and 'model'"),
        (json.dumps(entry("a", path="/key/generate")), "'/key/generate'"),
        (json.dumps({**entry("a"), "answer": 1, "status": "bad"}), "'status'"),
        (json.dumps({k: v for k, v in entry("a").items() if k != "answer"}), "no 'answer'"),
    ],
)
def test_a_broken_line_is_named_at_the_start(file, line, problem):
    write(file, entry("kept"), "", line)
    for use in (lambda: replay(practice(), file), lambda: Recorder(file, URL, {})):
        with pytest.raises(RecordingError) as refused:
            use()
        assert str(refused.value).startswith(f"{file}:3: ")
        assert problem in str(refused.value)
        assert "Remove the line" in str(refused.value)


def test_a_file_that_is_no_recording_is_not_appended_to(file):
    file.write_text("# My notes\n")
    with pytest.raises(RecordingError, match=r"class\.jsonl:1: "):
        Recorder(file, URL, {})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordingError, match="not UTF-8"):
        Recorder(file, URL, {})


def test_a_last_line_without_an_end_is_named(file):
    file.write_text(json.dumps(entry("kept")))
    with pytest.raises(RecordingError, match=r"class.jsonl:1: the last line has no end"):
        Recorder(file, URL, {"gpt-4o-mini": "gemma3"})


@pytest.mark.parametrize(
    ("url", "names"),
    [("http://elsewhere/v1", {"gpt-4o-mini": "gemma3"}), (URL, {"gpt-4o-mini": "another"})],
)
def test_a_recording_of_another_upstream_or_model_is_not_mixed(file, url, names):
    write(file, entry("kept"))
    with pytest.raises(RecordingError) as refused:
        Recorder(file, url, names)
    assert "Name another file" in str(refused.value)
    assert URL in str(refused.value)
    assert len(entries(file)) == 1


def test_a_recording_of_the_same_upstream_goes_on(file, other):
    for _ in range(2):
        with recorded_into(file, other.url) as proxy:
            learner(proxy).ask("Hello")
    assert len(entries(file)) == 2
    with upstream(practice(), other.url, {"*": "gemma3"}, record=file, environment={}) as source:
        assert "which holds 2 already" in source.told


def test_there_is_nothing_to_replay(file):
    with pytest.raises(RecordingError, match="no such recording"):
        replay(practice(), file)
    file.write_text("")
    with pytest.raises(RecordingError, match="Record some with --record"):
        replay(practice(), file)


def test_a_recording_made_with_other_models_names_the_one_that_lacks(file):
    write(file, entry("kept", model="campus-model"))
    with pytest.raises(RecordingError, match=r"'campus-model'.*--config"):
        replay(practice(), file)


def test_a_pattern_of_models_may_be_replayed(file, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text('model_list: [{model_name: "openai/*", litellm_params: {model: "openai/*"}}]')
    write(file, entry("kept", model="openai/gpt-4o"))
    source = replay(load(config, {}), file)
    with running(source.config, relay=source.relay) as proxy:
        assert learner(proxy).ask("Hello", model="openai/gpt-4o").status_code == 200
