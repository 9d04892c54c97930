"""Strange requests, clients that leave, many at once: the proxy goes on."""

import contextlib
import gzip
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import orjson
import pytest
from proxy_client import Client
from starlette.testclient import TestClient

from mock_proxy.answers import talk
from mock_proxy.config import practice
from mock_proxy.keys.store import KeyStore
from mock_proxy.litellm import tokens
from mock_proxy.litellm.wire import LARGEST_BODY_MB
from mock_proxy.routes import auth
from mock_proxy.routes.auth import LONG_BODY
from mock_proxy.server.app import create_app


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000, b'"\\ud800"', b"NaN", b"{" + b" " * 2_000_000],
)
def test_bodies_that_are_no_json_are_told(client, raw):
    response = client.post("/chat/completions", data=raw)
    assert response.status_code in (400, 500)
    assert "error" in response.json()


def test_large_prompts_are_answered(client):
    text = "Heat waves and hospital admissions. " * 30_000  # 1 MB
    assert client.ask(text, model="gpt-4.1", max_tokens=5).status_code == 200


HARD = [
    "a, ",
    "label: ",
    "labels ",
    "my name is ",
    "1+",
    "say hello",
    "one of ",
    "classify as a, ",
    '"a',
    "the title ",
    "in 3 sentences ",
    "Aa van ",
    " ",
    "\t\n",
    "\n \n",
    "JSON with fields a ",
]
BLANKS = ["hi{}", "say hello{}", "summarise{}", "One of: {}", "label:\n{}", "fields a{}"]


@pytest.mark.parametrize(
    ("prompt", "unit"), [*(("{}?", unit) for unit in HARD), *((prompt, " ") for prompt in BLANKS)]
)
def test_rules_take_no_runaway_time(prompt, unit):
    """Eight times the text, less than thirty-two times the work: a square would be sixty-four."""

    def work(length: int) -> float:
        text = prompt.format(unit * (length // len(unit)))
        conversation = talk.read([{"role": "user", "content": text}])
        spent = []
        for _ in range(2):
            started = time.thread_time()
            talk.answer(conversation)
            talk.formatted(conversation, {"type": "json_object"})
            spent.append(time.thread_time() - started)
        return min(spent)

    assert work(20_000) < 32 * max(work(2_500), 0.0005)


@pytest.mark.parametrize("role", ["user", "system"])
def test_of_a_long_message_rules_read_both_ends(role):
    text = "Labels: a, b." + "x" * 2_000_000 + " Text: a"
    ((_, read),) = talk.read([{"role": role, "content": text}]).turns
    assert len(read) <= talk.MOST_READ + 1
    assert read.startswith("Labels: a, b.")
    assert read.endswith(" Text: a")


def test_white_space_without_end_is_read_as_an_empty_line():
    ((_, read),) = talk.read([{"role": "user", "content": "a" + " \n" * 1_000_000 + "b"}]).turns
    assert read == "a\n\nb"


def asked_in_process(raw: bytes, key: str | None, headers: dict[str, str] | None = None) -> int:
    """The status of a chat with this body."""
    keys = KeyStore("sk-master")
    own = {} if key is None else {"Authorization": f"Bearer {key}"}
    client = TestClient(create_app(practice(), keys), raise_server_exceptions=False)
    return client.post("/chat/completions", content=raw, headers=own | (headers or {})).status_code


@pytest.mark.parametrize(
    ("length", "key", "status", "is_parsed"),
    [
        (20 * 1024 * 1024, "sk-master", 413, False),
        (20 * 1024 * 1024, None, 413, False),
        (LONG_BODY + 9, None, 401, False),
        (LONG_BODY + 9, "sk-unknown", 401, False),
        (LONG_BODY + 9, "sk-master", 400, True),
        (LONG_BODY - 9, None, 400, True),  # LiteLLM's order
    ],
)
def test_nobody_waits_for_the_parsing_of_a_body_that_is_refused(
    monkeypatch, length, key, status, is_parsed
):
    parsed = []
    parse = orjson.loads
    monkeypatch.setattr(auth.orjson, "loads", lambda raw: parsed.append(raw) or parse(raw))
    body = b"[" + b"[]," * (length // 3 - 1) + b"[]]"
    assert asked_in_process(body, key) == status
    assert bool(parsed) is is_parsed


@pytest.mark.parametrize(
    ("length", "key", "status"),
    [(0, "sk-master", 400), (1, "sk-master", 413), (20_000_000, "sk-master", 413), (1, None, 401)],
)
def test_compressed_body_may_not_grow_beyond_the_limit(length, key, status):
    body = gzip.compress(b"[" + b" " * (LARGEST_BODY_MB * 1024 * 1024 + length - 2) + b"]")
    assert asked_in_process(body, key, {"content-encoding": "gzip"}) == status


def test_tokens_of_a_long_text_are_counted_at_its_beginning(monkeypatch):
    counted = []
    pieces = tokens._pieces
    monkeypatch.setattr(tokens, "_pieces", lambda text: counted.append(text) or pieces(text))
    assert tokens.count("word " * 400_000) == pytest.approx(4 * tokens.count("word " * 100_000))
    assert max(map(len, counted)) <= tokens.LONG


def test_bodies_that_are_too_large_are_refused_with_litellms_words(proxy):
    client = Client(proxy.url)
    chunk = b" " * 1024 * 1024

    def chunks():  # of no announced length
        yield from [chunk] * (LARGEST_BODY_MB + 2)

    for body in (chunk * (LARGEST_BODY_MB + 1), chunks()):
        response = client.post("/chat/completions", data=body)
        assert response.status_code == 413
        problem = f"Request size is too large. Max size is {LARGEST_BODY_MB} MB"
        assert response.json() == {"error": problem}


def test_head_without_end_is_refused(proxy):
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"GET /models HTTP/1.1\r\nHost: x\r\nx-long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"x" * 65536)
        said = b"HTTP/1.1 431 "  # lost where the connection is reset first
        with contextlib.suppress(ConnectionError):
            said = connection.recv(1000)
        assert said.startswith(b"HTTP/1.1 431 ")
        assert is_closed(connection)


def test_many_answers_to_a_long_text_keep_nobody_waiting_for_all_of_them(proxy):
    client = Client(proxy.url, proxy.new_key())
    wanted = {"model": "gpt-4o-mini", "n": 64, "temperature": 1} | asking("Why? " * 30_000)
    long = threading.Thread(
        target=lambda: client.post("/chat/completions", json=wanted, timeout=120)
    )
    long.start()
    time.sleep(0.2)
    other = Client(proxy.url, proxy.new_key())
    assert other.answer("Say hello.") == "Hello!"
    assert long.is_alive()
    long.join()


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection; waits for up to 5 s."""
    connection.settimeout(5)
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return True


def asking(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


def test_clients_that_leave_free_their_place(proxy):
    key = proxy.new_key(max_parallel_requests=1)
    address = urlsplit(proxy.url)
    body = json.dumps(
        {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "What is life?"}],
            "stream": True,
            "n": 128,
        }
    )
    request = (
        f"POST /chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(request.encode())
            connection.recv(10)
    client = Client(proxy.url, key)
    for _ in range(50):
        if client.ask("Hello").status_code == 200:
            break
        time.sleep(0.1)
    assert client.ask("Hello").status_code == 200


def test_many_ask_at_once(proxy):
    statuses = []

    def ask():
        client = Client(proxy.url, proxy.new_key())
        statuses.extend(client.ask("Say hello.").status_code for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 640


def test_a_thousand_keys_are_kept_apart(proxy):
    made = [proxy.new_key(alias=f"learner {number}", rpm_limit=1) for number in range(1000)]
    with Client(proxy.url) as client:
        for number, key in enumerate(made):
            client.headers["Authorization"] = f"Bearer {key}"
            assert client.ask("Say hello.").headers["x-ratelimit-api_key-remaining-requests"] == "0"
            info = client.get("/key/info").json()["info"]
            assert info["key_alias"] == f"learner {number}"
        assert client.ask("Say hello.").status_code == 429


@pytest.mark.parametrize("model", ["gpt-4o-mini", "Llama-3.3-70B-Instruct"])
def test_too_many_answers_at_once_are_refused(client, model):
    response = client.ask("Hello", model=model, n=1_000_000_000)
    assert response.status_code == 400
    assert "Expected a value <= 128" in response.json()["error"]["message"]


@pytest.mark.parametrize("model", ["gpt-4o-mini", "Llama-3.3-70B-Instruct"])
def test_too_many_tools_are_refused(client, model):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert client.ask("Hello", model=model, tools=[tool] * 128).status_code == 200
    response = client.ask("Hello", model=model, tools=[tool] * 129)
    assert response.status_code == 400
    assert "maximum length 128, but got an array with length 129" in response.text


def test_too_many_texts_at_once_are_refused(client):
    body = {"model": "text-embedding-ada-002", "input": ["a"] * 2049}
    response = client.post("/embeddings", json=body)
    assert response.status_code == 400
    assert "2048" in response.json()["error"]["message"]
