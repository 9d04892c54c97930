"""The relay between lesson code and a real proxy: what it passes on, hides, and counts."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import requests

from lesson.bill import Price
from lesson.relay import HIDDEN, Relay, masked, relaying

KEY = "sk-the-real-key-0123456789"
MODELS = {"gpt-4o-mini": "their-chat"}
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


class Provider(BaseHTTPRequestHandler):
    """Answers with what it was asked, and with what a test puts into `next_answers`."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[dict[str, Any]]] = []
    next_answers: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []
    go_on: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = {
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
        }
        self.asked.append(asked)
        if self.path == "/stream":
            self.stream()
            return
        status, headers, answer = 200, {}, json.dumps(asked).encode()
        if self.next_answers:
            status, headers, answer = self.next_answers.pop(0)
        self.send_response(status, "As It Is")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b"data: one\n\n")
        self.wfile.flush()
        self.go_on.wait(10)
        self.wfile.write(b'data: {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[str]:
    Provider.asked.clear()
    Provider.next_answers.clear()
    Provider.go_on.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/their/path"
        Provider.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def relay(provider: str, slept: list[float]) -> Iterator[Relay]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    prices = {"their-chat": Price(0.001, 0.01)}
    relay = Relay(provider.removesuffix("/their/path"), KEY, MODELS, prices, sleep=sleep)
    with relaying(relay):
        yield relay


def ask(relay: Relay, key: str, path: str = "/chat/completions") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(relay.url + path, headers=headers, json=QUESTION, timeout=10)


# Keys


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "x-litellm-api-key"])
def test_the_real_key_goes_to_the_proxy_and_never_comes_back(relay: Relay, header: str) -> None:
    stand_in = relay.new_key("page.md", "python")
    response = requests.get(f"{relay.url}/key/info", headers={header: f"Bearer {stand_in}"})
    assert Provider.asked[0]["headers"][header.lower()] == f"Bearer {KEY}"
    assert KEY not in response.text
    assert stand_in in response.text


def test_a_page_that_sends_an_empty_key_gets_the_proxys_answer(relay: Relay) -> None:
    requests.get(f"{relay.url}/models", headers={"Authorization": "Bearer "})
    assert Provider.asked[0]["headers"]["authorization"] == "Bearer"
    assert relay.lost == []


def test_other_keys_and_no_key_pass_as_they_are(relay: Relay) -> None:
    relay.new_key("page.md", "python")
    ask(relay, "sk-wrong")
    requests.get(f"{relay.url}/models")
    wrong, none = Provider.asked
    assert wrong["headers"]["authorization"] == "Bearer sk-wrong"
    assert KEY not in str([wrong, none])
    assert "authorization" not in none["headers"]


def test_a_key_in_an_answer_to_nobody_is_hidden(relay: Relay) -> None:
    Provider.next_answers.append((401, {"x-key": KEY}, f'"{KEY}"'.encode()))
    response = requests.get(f"{relay.url}/models")
    assert (response.json(), response.headers["x-key"]) == (HIDDEN, HIDDEN)


def test_a_key_that_a_stream_cuts_in_pieces_is_hidden() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in ("data: sk-", "sk-the-real-", "key-0123456789", " sk-the", "."):
            yield piece.encode()

    async def collect() -> list[bytes]:
        return [piece async for piece in masked(pieces(), KEY, "sk-x")]

    assert b"".join(asyncio.run(collect())) == b"data: sk-sk-x sk-the."


# Answers as they are


def test_status_and_headers_pass_as_they_are(relay: Relay) -> None:
    Provider.next_answers.append((422, {"x-litellm-version": "1.2.3", "x-two": "2"}, b'"no"'))
    response = ask(relay, "sk-any")
    assert (response.status_code, response.json()) == (422, "no")
    assert (response.headers["x-two"], relay.version) == ("2", "1.2.3")


def test_a_stream_passes_piece_by_piece(relay: Relay) -> None:
    key = relay.new_key("page.md", "r")
    headers = {"Authorization": f"Bearer {key}"}
    with requests.post(
        f"{relay.url}/stream", headers=headers, json=QUESTION, stream=True, timeout=10
    ) as response:
        lines = response.iter_lines()
        assert next(lines) == b"data: one"  # the provider has not written the rest yet
        Provider.go_on.set()
        assert list(lines)[-2].startswith(b"data: {")
    (call,) = relay.calls
    assert (call.page, call.part, call.prompt_tokens, call.cost) == ("page.md", "r", 7, None)


def test_a_path_before_the_proxys_own_stays(provider: str) -> None:
    with relaying(Relay(provider, KEY)) as relay:
        requests.get(f"{relay.url}/models?a=b")
    assert Provider.asked[0]["path"] == "/their/path/models?a=b"


def test_a_proxy_that_does_not_answer_is_said_to() -> None:
    with relaying(Relay("http://127.0.0.1:9", KEY)) as relay:
        response = requests.get(f"{relay.url}/models")
    assert response.status_code == 502
    assert "http://127.0.0.1:9 does not answer" in response.json()["error"]["message"]
    assert relay.lost == ["ConnectError"]


# Names of models


def test_another_model_stands_in(relay: Relay) -> None:
    ask(relay, "sk-any")
    requests.get(f"{relay.url}/models/gpt-4o-mini")
    requests.get(f"{relay.url}/model_group/info?model_group=gpt-4o-mini")
    body, *paths = Provider.asked
    assert json.loads(body["body"]) == {**QUESTION, "model": "their-chat"}
    assert [asked["path"] for asked in paths] == [
        "/models/their-chat",
        "/model_group/info?model_group=their-chat",
    ]
    assert relay.calls[0].model == "gpt-4o-mini"


def test_lists_name_it_as_the_lesson_does_too(relay: Relay) -> None:
    Provider.next_answers.append((200, {}, b'{"data": [{"id": "other"}, {"id": "their-chat"}]}'))
    listed = requests.get(f"{relay.url}/models").json()["data"]
    assert [model["id"] for model in listed] == ["gpt-4o-mini", "other", "their-chat"]


# Money


def answer(cost: str | None, prompt: int = 10, completion: int = 1) -> tuple[int, Any, bytes]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    headers = {"x-litellm-response-cost": cost} if cost else {}
    return 200, headers, json.dumps({"usage": usage}).encode()


def test_requests_tokens_and_costs_are_counted(relay: Relay) -> None:
    Provider.next_answers += [answer("0.5"), answer(None), answer("0.0")]
    ask(relay, relay.new_key("page.md", "python"))
    for _ in range(2):
        ask(relay, relay.new_key("page.md", "r"))
    assert [(c.part, c.prompt_tokens, c.cost) for c in relay.calls] == [
        ("python", 10, 0.5),
        ("r", 10, None),
        ("r", 10, None),  # 0.0: the price is not known
    ]
    assert relay.spent == pytest.approx(0.5 + 2 * (10 * 0.001 + 1 * 0.01))


def test_it_stops_at_a_sum(relay: Relay) -> None:
    relay.max_cost = 0.5
    Provider.next_answers += [answer("0.4"), answer("0.2")]
    statuses = [ask(relay, "sk-any").status_code for _ in range(3)]
    assert (statuses, relay.stopped, len(Provider.asked)) == ([200, 200, 422], True, 2)
    error = ask(relay, "sk-any").json()["error"]
    assert (error["type"], error["code"]) == ("budget_exceeded", "422")


# Limits


@pytest.mark.parametrize("header", ["retry-after", "llm_provider-retry-after"])
def test_a_busy_proxy_is_asked_again_later(relay: Relay, slept: list[float], header: str) -> None:
    Provider.next_answers += [(429, {header: "7"}, b"{}"), answer("0.1")]
    assert ask(relay, "sk-any").status_code == 200
    assert (slept, relay.waits, len(relay.calls)) == ([7.0], [7.0], 1)


def test_patience_ends_before_the_lessons_own_code_gives_up(
    relay: Relay, slept: list[float]
) -> None:
    Provider.next_answers += [(429, {"retry-after": "30"}, b"{}")] * 5
    assert ask(relay, "sk-any").status_code == 429
    assert slept == [30.0, 20.0]
    assert len(Provider.asked) == 3


def test_requests_are_spread_over_the_minute_that_the_key_allows(
    relay: Relay, slept: list[float]
) -> None:
    limit = {"x-litellm-key-rpm-limit": "20"}
    Provider.next_answers += [(200, limit, b"{}")] * 3
    for _ in range(3):
        ask(relay, "sk-any")
    # From the second on, one request in three seconds. Nobody waits for lists of models.
    assert len(slept) == 1
    assert slept[0] == pytest.approx(3.0, abs=1.0)
    requests.get(f"{relay.url}/models")
    assert len(slept) == 1


def test_whoever_leaves_is_not_waited_for(relay: Relay) -> None:
    """The relay ends although the provider never goes on."""
    with (
        contextlib.suppress(requests.Timeout),
        requests.post(f"{relay.url}/stream", json=QUESTION, stream=True, timeout=10) as response,
    ):
        assert next(response.iter_lines()) == b"data: one"
