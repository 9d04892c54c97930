"""Answers that a model gave once: kept while they come, then served to all who ask the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from proxy_client import Client

from mock_proxy import RunningProxy, load, running
from mock_proxy.answers import recording
from mock_proxy.answers.recording import Recording, RecordingError
from mock_proxy.config import ConfigError, ProxyConfig
from mock_proxy.upstream.relay import Relay

MODEL, VECTORS = "small-model", "small-vectors"


def configured(folder: Path, **info: object) -> ProxyConfig:
    """A proxy with a chat model and one for vectors, which tell `info` of themselves."""
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}"}, "model_info": info}
        for name in (MODEL, VECTORS)
    ]
    file = folder / "proxy.yaml"
    file.write_text(yaml.safe_dump({"model_list": models}))
    return load(file)


@pytest.fixture
def other() -> Iterator[RunningProxy]:
    """The server that is recorded: another practice proxy."""
    with running() as proxy:
        yield proxy


@pytest.fixture
def recorded(tmp_path: Path, other: RunningProxy) -> Recording:
    """What the other server answered to a few requests."""
    kept = Recording({"model": "gpt-4o-mini"})
    names = {MODEL: "gpt-4o-mini", VECTORS: "text-embedding-ada-002"}
    relay = Relay(other.url, names, key=other.new_key())
    with running(configured(tmp_path), relay=relay, kept={MODEL: kept, VECTORS: kept}) as proxy:
        client = Client(proxy.url, proxy.new_key())
        for _ in range(3):
            client.ask("Which topic? Heat waves", model=MODEL, temperature=1)
        assert client.answer("What is 2 + 3?", model=MODEL) == "2 + 3 = 5"
        client.post("/embeddings", json={"model": VECTORS, "input": ["Heat", "Wind"]})
    return kept


ODD = (
    {"messages": [{"role": "teacher", "content": "Hello"}]},
    {"messages": []},
    {"temperature": 3},
    {"temperature": "0"},
    {"max_tokens": 0},
    {"temprature": 0},
    {"response_format": {"type": "json_object"}},
)


@pytest.mark.parametrize("address", [{}, {"api_base": "http://127.0.0.1:9/v1"}])
def test_recorded_models_are_as_strict_as_a_provider(tmp_path, recorded, address):
    recorded.write(tmp_path / "answers.jsonl")
    params = {"model": f"openai/{MODEL}", **address}
    info = {"recording": "answers.jsonl"}
    models = [{"model_name": MODEL, "litellm_params": params, "model_info": info}]
    (tmp_path / "proxy.yaml").write_text(yaml.safe_dump({"model_list": models}))
    with running(load(tmp_path / "proxy.yaml")) as proxy:
        client = Client(proxy.url, proxy.new_key())
        assert client.answer("What is 2 + 3?", model=MODEL) == "2 + 3 = 5"
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        odd = [client.post("/chat/completions", json={**body, **change}) for change in ODD]
    assert [response.status_code for response in odd] == [400] * len(ODD)


def answered_by(response: object) -> str:
    return str(response.headers["x-practice-proxy-answer"])  # type: ignore[attr-defined]


@pytest.fixture
def served(tmp_path: Path, recorded: Recording) -> Iterator[Client]:
    """A proxy that has the recording, and nobody to ask."""
    recorded.write(tmp_path / "answers.jsonl")
    with running(configured(tmp_path, recording="answers.jsonl")) as proxy:
        yield Client(proxy.url, proxy.new_key())


def test_the_same_request_gets_the_recorded_answer_and_its_usage(served: Client) -> None:
    response = served.ask("What is 2 + 3?", model=MODEL)
    assert answered_by(response) == "recorded"
    assert response.json()["choices"][0]["message"]["content"] == "2 + 3 = 5"
    assert response.json()["usage"]["completion_tokens"] > 0


def test_what_changes_no_answer_loses_none(served: Client) -> None:
    content = [{"type": "text", "text": "What is 2 + 3?"}]
    messages = [{"content": content, "role": "user"}]
    for more in ({"user": "noor"}, {"n": 1}, {"top_p": 1.0}, {"presence_penalty": 0}):
        sent = {**more, "messages": messages, "model": MODEL}
        assert answered_by(served.post("/chat/completions", json=sent)) == "recorded"


def test_what_changes_the_answer_is_another_request(served: Client) -> None:
    for more in ({"temperature": 0.5}, {"max_tokens": 3}, {"stop": "="}, {"seed": 1}):
        assert answered_by(served.ask("What is 2 + 3?", model=MODEL, **more)) == "rules"
    assert answered_by(served.ask("What is 2 + 4?", model=MODEL)) == "rules"


def test_the_nth_request_gets_the_nth_answer_where_answers_vary(
    served: Client, recorded: Recording
) -> None:
    (answers,) = (a for name, a in recorded.chats.items() if "temperature" in name)
    assert len(answers) == 3
    told = [answer["choices"][0]["content"] for answer in answers]
    asked = [served.answer("Which topic? Heat waves", model=MODEL, temperature=1) for _ in "1234"]
    assert asked == [*told, told[0]]


def test_a_recorded_answer_is_streamed(served: Client) -> None:
    sent = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
    messages = [{"role": "user", "content": "What is 2 + 3?"}]
    response = served.post("/chat/completions", json={**sent, "messages": messages})
    events = [json.loads(e[6:]) for e in response.text.split("\n\n") if e.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "2 + 3 = 5"
    assert answered_by(response) == "recorded"
    whole = served.ask("What is 2 + 3?", model=MODEL).json()["usage"]
    assert events[-1]["usage"]["total_tokens"] == whole["total_tokens"]


def test_recorded_texts_have_their_vectors(served: Client, recorded: Recording) -> None:
    def vectors(*texts: str) -> object:
        return served.post("/embeddings", json={"model": VECTORS, "input": list(texts)})

    both = vectors("Wind", "Heat")
    assert answered_by(both) == "recorded"
    first, second = (item["embedding"] for item in both.json()["data"])
    assert first == pytest.approx(recorded.vectors["Wind"].numbers, abs=1e-7)
    assert second == pytest.approx(recorded.vectors["Heat"].numbers, abs=1e-7)
    assert answered_by(vectors("Wind", "Rain")) == "rules"


def test_what_a_provider_refuses_is_refused_before_the_recording_is_asked(served: Client) -> None:
    response = served.ask("What is 2 + 3?", model=MODEL, temperature=3)
    assert response.status_code == 400
    assert "temperature" in response.json()["error"]["message"]


def test_where_only_recorded_answers_count_any_other_request_is_not_found(
    tmp_path: Path, recorded: Recording
) -> None:
    recorded.write(tmp_path / "answers.jsonl")
    config = configured(tmp_path, recording="answers.jsonl")
    with running(config, only_recorded=True) as proxy:
        client = Client(proxy.url, proxy.new_key())
        assert client.answer("What is 2 + 3?", model=MODEL) == "2 + 3 = 5"
        missing = client.ask("What is 2 + 4?", model=MODEL)
        streamed = client.ask("What is 2 + 4?", model=MODEL, stream=True)
        unknown = client.post("/embeddings", json={"model": VECTORS, "input": ["Rain"]})
        known = client.post("/embeddings", json={"model": VECTORS, "input": ["Heat"]})
    assert [missing.status_code, streamed.status_code, unknown.status_code] == [404, 404, 404]
    assert "`lesson record` asks the model" in missing.json()["error"]["message"]
    assert known.status_code == 200


def test_what_is_recorded_is_not_asked_again(
    tmp_path: Path, other: RunningProxy, recorded: Recording
) -> None:
    before = {name: len(answers) for name, answers in recorded.chats.items()}
    relay = Relay("http://127.0.0.1:9", {MODEL: "gone"})
    with running(configured(tmp_path), relay=relay, kept={MODEL: recorded}) as proxy:
        client = Client(proxy.url, proxy.new_key())
        assert client.answer("What is 2 + 3?", model=MODEL) == "2 + 3 = 5"
        assert client.ask("What is 2 + 4?", model=MODEL).status_code == 500
    assert {name: len(answers) for name, answers in recorded.chats.items()} == before


def test_what_nobody_asks_any_more_can_be_dropped(recorded: Recording, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    recorded.write(file)
    again = recording.read(file)
    assert (again.about, again.chats) == (recorded.about, recorded.chats)
    body = {"messages": [{"role": "user", "content": "What is 2 + 3?"}]}
    assert again.answer(body, 1) is not None
    assert again.vector("Heat") is not None
    kept = again.asked_for()
    assert (len(kept.chats), list(kept.vectors)) == (1, ["Heat"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1),
        ('{"ask": {}}', 1),
        ('{"recording": {}}\n{"ask": {}, "answers": []}', 2),
        ('{"recording": {}}\n{"text": "a", "tokens": 1, "vector": "AAA"}', 2),
        ('{"recording": {}}\n\n[]', 3),
    ],
)
def test_a_line_that_is_not_part_of_a_recording_is_named(
    tmp_path: Path, text: str, line: int
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(text)
    with pytest.raises(RecordingError, match=rf"answers\.jsonl:{line}: this line is not part"):
        recording.read(file)


def test_a_recording_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"proxy\.yaml:\d+: there is no recording"):
        configured(tmp_path, recording="nowhere.jsonl")
