"""The instructor's page: who is stuck, in which order, live, and nothing that is private."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from proxy_client import Client

from mock_proxy.classroom import board, watch
from mock_proxy.classroom.board import Asked, Classroom, Record, State, state_of
from mock_proxy.keys import store
from mock_proxy.server import run
from mock_proxy.server.run import RunningProxy, running

HTML = Path(board.__file__).with_name("classroom.html").read_text(encoding="utf-8")
WRONG_KEY = "sk-wrong-0123456789abcdef"


@pytest.fixture
def proxy() -> Iterator[RunningProxy]:
    with running(classroom=True) as proxy:
        yield proxy


class Page:
    """The page's side of the events. What it has read is in ``text``."""

    def __init__(self, url: str, master_key: str, timeout: float = 10) -> None:
        self.response = requests.get(
            url + "/classroom/events",
            headers={"Authorization": f"Bearer {master_key}"},
            stream=True,
            timeout=timeout,
        )
        assert self.response.status_code == 200
        assert self.response.headers["content-type"].startswith("text/event-stream")
        self.text = ""
        self.pieces = self.response.iter_content(None)

    def messages(self) -> Iterator[str]:
        """What stands between two blank lines: an event, or a sign of life (``:``)."""
        unread = ""
        for piece in self.pieces:
            self.text += piece.decode()
            *messages, unread = (unread + piece.decode()).split("\n\n")
            yield from messages

    def snapshots(self) -> Iterator[dict[str, Any]]:
        for message in self.messages():
            if message.startswith("data: "):
                yield json.loads(message.removeprefix("data: "))


@contextlib.contextmanager
def opened(proxy: RunningProxy, timeout: float = 10) -> Iterator[Page]:
    page = Page(proxy.url, proxy.master_key, timeout)
    with contextlib.closing(page.response):
        yield page


def rows(proxy: RunningProxy) -> list[dict[str, Any]]:
    """What a page shows that is opened now, without those who have sent nothing."""
    with opened(proxy) as page:
        snapshot = next(page.snapshots())
    return [row for row in snapshot["rows"] if row["state"] != "unused"]


def names(proxy: RunningProxy) -> list[str]:
    return [row["name"] for row in rows(proxy)]


def learner(proxy: RunningProxy, key: str | None, address: str = "10.0.0.1") -> Client:
    """A client on a laptop of its own: uvicorn believes the header if it comes from here."""
    client = Client(proxy.url, key)
    client.headers["X-Forwarded-For"] = address
    return client


def fail(client: Client, times: int = 1) -> None:
    for _ in range(times):
        assert client.ask("Hello", model="no-such-model").status_code == 400


# --- who comes first --------------------------------------------------------------------------


def test_those_who_need_help_come_first(proxy):
    """Keys are made as `lesson keys` makes them."""
    admin = Client(proxy.url, proxy.master_key)
    learners = {}
    for alias, limits in {
        "asleep": {},
        "works": {},
        "recovered": {},
        "failed once": {},
        "stuck": {},
        "spent": {"max_budget": 0.00001},
        "expired": {"duration": "0s"},
        "blocked": {},
    }.items():
        made = admin.post("/key/generate", json={"key_alias": alias, **limits}).json()
        learners[alias] = learner(proxy, made["key"])
    assert learners["works"].ask("Hello").status_code == 200
    fail(learners["recovered"], times=5)
    assert learners["recovered"].ask("Hello").status_code == 200
    fail(learners["failed once"])
    fail(learners["stuck"], times=3)
    statuses = [learners["spent"].ask("Hello").status_code for _ in range(2)]
    assert statuses == [200, 422]
    assert learners["expired"].ask("Hello").status_code == 401
    key = learners["blocked"].headers["Authorization"].removeprefix("Bearer ")
    assert admin.post("/key/block", json={"key": key}).status_code == 200
    assert learners["blocked"].ask("Hello").status_code == 401

    with opened(proxy) as page:
        snapshot = next(page.snapshots())
    assert [(row["name"], row["label"], row["needs_help"]) for row in snapshot["rows"]] == [
        ("spent", "Key over budget", True),
        ("expired", "Key expired", True),
        ("blocked", "Key blocked", True),
        ("stuck", "Stuck: 3 errors in a row", True),
        ("failed once", "Failing: 1 error", False),
        ("practice key", "Working", False),
        ("recovered", "Working", False),
        ("works", "Working", False),
        ("asleep", "No request yet", False),
    ]
    assert (snapshot["need_help"], snapshot["keys"]) == (4, 9)


def test_among_those_who_are_stuck_whoever_has_waited_longest_comes_first(proxy):
    first, second = (learner(proxy, proxy.new_key(alias)) for alias in ("zoe", "abel"))
    fail(first, times=3)
    fail(second, times=30)
    fail(first)
    assert names(proxy) == ["zoe", "abel"]


def test_row_says_what_was_asked_last_and_how_it_ended(proxy):
    client = learner(proxy, proxy.new_key("ann", max_budget=0.5))
    before = time.time()
    fail(client, times=2)
    assert client.get("/v1/model").status_code == 404
    [row] = rows(proxy)
    assert before <= row.pop("time") <= time.time()
    assert row == {
        "name": "ann",
        "state": "stuck",
        "needs_help": True,
        "label": "Stuck: 3 errors in a row",
        "method": "GET",
        "path": "/v1/model",
        "model": None,
        "status": 404,
        "error": None,
        "errors": {"invalid_request_error": 2, "404": 1},
        "spend": 0.0,
        "budget": 0.5,
    }
    client.ask("Hello")
    [row] = rows(proxy)
    shown = [row[name] for name in ("state", "path", "model", "status")]
    assert shown == ["working", "/chat/completions", "gpt-4o-mini", 200]
    assert row["spend"] > 0
    assert row["errors"] == {"invalid_request_error": 2, "404": 1}


def test_errors_that_the_proxy_itself_stumbles_over_are_noted_too(proxy):
    client = learner(proxy, proxy.new_key("ann"))
    assert client.post("/chat/completions", json=["no mapping"]).status_code == 400
    too_large = client.post("/chat/completions", data=iter([b" " * 2**20] * 52))
    assert too_large.status_code == 413
    [row] = rows(proxy)
    assert row["errors"] == {"invalid_request_error": 1, "413": 1}


def test_type_of_an_error_is_known_although_the_answer_is_compressed():
    with running(classroom=True, litellm_version="1.106.2") as proxy:
        client = learner(proxy, proxy.new_key("ann"))
        response = client.ask("Hello", model="no-such-model" * 50)
        assert response.status_code == 400
        assert response.headers["content-encoding"] == "gzip"
        [row] = rows(proxy)
    assert row["error"] == "invalid_request_error"


def test_key_without_alias_goes_by_its_masked_name(proxy):
    key = proxy.new_key()
    fail(learner(proxy, key))
    assert names(proxy) == [f"sk-...{key[-4:]}"]


def test_master_key_that_somebody_chose_is_no_practice_key():
    assert board.name_of(store.KeyStore("sk-mine").master) == "master key"


NOW = 10_000.0


@pytest.mark.parametrize(
    ("failures", "seconds_ago", "fault", "expected"),
    [
        (0, 599, None, State.WORKING),
        (0, 601, None, State.QUIET),
        (1, 599, None, State.FAILING),
        (2, 599, None, State.FAILING),
        (3, 599, None, State.STUCK),
        (9, 601, None, State.STOPPED),
        (0, 599, "expired", State.USELESS),
        (9, 601, "expired", State.STOPPED),
        (0, 601, "expired", State.QUIET),
    ],
)
def test_who_has_been_quiet_for_ten_minutes_moves_down(failures, seconds_ago, fault, expected):
    record, last = Record(), NOW - seconds_ago
    record.add(Asked("GET", "/models", None, 200, None, "10.0.0.1", last))
    for _ in range(failures):
        record.add(Asked("GET", "/models", None, 404, None, "10.0.0.1", last))
    assert state_of(record, fault, NOW) is expected
    assert state_of(None, fault, NOW) is State.UNUSED


def test_snapshot_stays_as_it_was():
    room = Classroom(store.KeyStore("sk-practice-key"))
    failed = Asked("GET", "/nowhere", None, 404, None, "10.0.0.1", NOW)
    room.note("sk-practice-key", failed)
    before = room.snapshot(NOW)
    room.note("sk-practice-key", failed)
    assert before["rows"][0]["errors"] == {"404": 1}
    assert room.snapshot(NOW)["rows"][0]["errors"] == {"404": 2}


def test_rule_on_the_page_is_the_rule_in_the_code():
    rule = " ".join((State.__doc__ or "").split())
    assert rule in " ".join(HTML.split())
    assert (board.MANY, board.RECENT) == (3, 10 * 60)


# --- wrong keys -------------------------------------------------------------------------------


def test_wrong_key_is_shown_by_the_address_that_it_came_from(proxy):
    learner(proxy, WRONG_KEY, "10.0.0.7").get("/models")
    learner(proxy, None, "10.0.0.8").get("/models")
    learner(proxy, "{api_key}", "10.0.0.9").get("/models")
    assert names(proxy) == [
        "Unknown key from 10.0.0.7",
        "No key from 10.0.0.8",
        "Malformed key from 10.0.0.9",
    ]


def test_alias_that_worked_at_the_address_tells_who_it_is(proxy):
    assert learner(proxy, proxy.new_key("ann"), "10.0.0.7").ask("Hello").status_code == 200
    learner(proxy, WRONG_KEY, "10.0.0.7").get("/models")
    assert names(proxy) == ["Unknown key from 10.0.0.7, where ann worked before", "ann"]


def test_wrong_key_is_forgotten_once_the_right_one_works_there(proxy):
    learner(proxy, WRONG_KEY, "10.0.0.7").get("/models")
    client = learner(proxy, proxy.new_key("ann"), "10.0.0.7")
    fail(client)
    assert names(proxy) == ["Unknown key from 10.0.0.7", "ann"]
    client.ask("Hello")
    assert names(proxy) == ["ann"]


def test_wrong_key_stays_where_an_address_is_shared(proxy):
    """Behind one address there may be many laptops: another's success says nothing."""
    ann, bob = (learner(proxy, proxy.new_key(alias), "10.0.0.7") for alias in ("ann", "bob"))
    ann.ask("Hello")
    bob.ask("Hello")
    learner(proxy, WRONG_KEY, "10.0.0.7").get("/models")
    bob.ask("Hello")
    assert names(proxy) == ["Unknown key from 10.0.0.7", "ann", "bob"]


def test_what_needs_no_key_is_not_shown(proxy):
    for client in (learner(proxy, None), learner(proxy, proxy.new_key("ann"))):
        for path in ("/", "/openapi.json", "/health/liveliness", "/classroom", "/classroom/events"):
            client.get(path)
    assert learner(proxy, None).get("/favicon.ico").status_code == 404
    assert rows(proxy) == []


# --- live -------------------------------------------------------------------------------------


def test_refused_key_is_shown_within_two_seconds(proxy):
    with opened(proxy, timeout=2) as page:
        snapshots = page.snapshots()
        assert [row["name"] for row in next(snapshots)["rows"]] == ["practice key"]
        assert learner(proxy, WRONG_KEY, "10.0.0.7").get("/models").status_code == 401
        row = next(snapshots)["rows"][0]  # waits for two seconds at most
    assert (row["name"], row["status"]) == ("Unknown key from 10.0.0.7", 401)


def test_nothing_but_a_sign_of_life_is_sent_where_nothing_has_changed(proxy, monkeypatch):
    monkeypatch.setattr(watch, "PAUSE", 0.01)
    monkeypatch.setattr(watch, "HEARTBEAT", 0.01)
    fail(learner(proxy, proxy.new_key("ann")))
    with opened(proxy) as page:
        messages = page.messages()
        next(messages)
        assert [next(messages) for _ in range(5)] == [":"] * 5
        fail(learner(proxy, proxy.new_key("bob")))
        assert any(message.startswith("data: ") for message in messages)


def test_many_requests_are_one_event(proxy, monkeypatch):
    monkeypatch.setattr(watch, "PAUSE", 3600)
    with opened(proxy, timeout=0.5) as page:
        snapshots = page.snapshots()
        next(snapshots)
        fail(learner(proxy, proxy.new_key("ann")), times=20)
        with pytest.raises(requests.ConnectionError, match="timed out"):
            next(snapshots)


def test_page_that_is_closed_costs_nothing_more(monkeypatch):
    made: list[Classroom] = []

    def kept(keys: store.KeyStore) -> Classroom:
        made.append(Classroom(keys))
        return made[0]

    monkeypatch.setattr(run, "Classroom", kept)
    with running(classroom=True) as proxy:
        with opened(proxy) as page:
            next(page.snapshots())
            assert len(made[0].pages) == 1
        deadline = time.monotonic() + 10
        while made[0].pages:
            assert time.monotonic() < deadline
            time.sleep(0.01)


# --- what is private --------------------------------------------------------------------------


PROMPT = "Confidential interview with a patient"
REQUESTS: list[Callable[[Client, str], object]] = [
    lambda client, key: client.ask(PROMPT),
    lambda client, key: client.ask(PROMPT, stream=True),
    lambda client, key: client.ask(PROMPT, messages=PROMPT),
    lambda client, key: client.ask(PROMPT, model=PROMPT),
    lambda client, key: client.ask(PROMPT, model=key),
    lambda client, key: client.post("/chat/completions", data=PROMPT),
    lambda client, key: client.post("/key/generate", json={"key": key, "key_alias": PROMPT}),
    lambda client, key: client.get("/key/info", params={"key": key, "prompt": PROMPT}),
    lambda client, key: client.get(f"/{PROMPT}"),
    lambda client, key: client.get(f"/models/{key}"),
    lambda client, key: client.post(f"/key/{key}/regenerate"),
]
"""A prompt and a key in all the places where a learner may put them."""


def test_no_prompt_no_answer_and_no_key_is_ever_sent(proxy):
    keys = [proxy.new_key("ann", max_budget=1), WRONG_KEY, "0123456789abcdef"]
    answer = learner(proxy, keys[0]).answer(PROMPT)
    assert len(answer) > 20
    text = ""
    written = [*zip(keys, keys, strict=True), (keys[0], keys[1]), (keys[1], keys[0])]
    for key, key_in_the_wrong_place in written:
        for send in REQUESTS:
            send(learner(proxy, key), key_in_the_wrong_place)
            with opened(proxy) as page:
                next(page.snapshots())
            text += page.text
    assert '"path":"/models/…"' in text
    assert '"path":"/models/sk-…"' in text
    assert '"model":"(not shown)"' in text
    keys.append(proxy.master_key)
    secrets = [*keys, *map(store.digest, keys), *PROMPT.split()[:2], answer]
    assert [secret for secret in secrets if secret in text] == []


def test_key_that_was_taken_for_a_name_is_not_shown(proxy):
    key = proxy.new_key(f"mine is {WRONG_KEY}")
    fail(learner(proxy, key))
    assert names(proxy) == ["mine is sk-…"]


def test_names_of_models_are_shown_with_their_typos():
    assert board.shown("gpt-4o-mimi") == "gpt-4o-mimi"
    assert board.shown("Llama-3.3-70B-Instruct") == "Llama-3.3-70B-Instruct"
    assert board.shown("/v1//{path}") == "/v1//{path}"
    assert board.shown(["gpt-4"]) is None


@pytest.mark.parametrize("key", [None, "a virtual key", WRONG_KEY, "sk-", "Schlüssel"])
def test_only_the_master_key_opens_the_events(proxy, key):
    key = proxy.new_key("ann", is_admin=True) if key == "a virtual key" else key
    headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
    response = requests.get(proxy.url + "/classroom/events", headers=headers, timeout=5)
    assert response.status_code == 401
    assert "needs the master key" in response.json()["error"]["message"]
    assert key is None or key not in response.text


def test_hash_of_a_key_does_not_open_the_events(proxy):
    for key in (proxy.master_key, proxy.new_key()):
        sent = {"Authorization": f"Bearer {store.digest(key)}"}
        response = requests.get(proxy.url + "/classroom/events", headers=sent, timeout=5)
        assert response.status_code == 401


class Elements(HTMLParser):
    """The page's elements with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(HTML)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_browser_may_run_the_page_alone_and_ask_this_proxy_alone(proxy):
    response = requests.get(proxy.url + "/classroom", timeout=5)
    assert response.status_code == 200
    assert response.text == HTML
    rules = dict(
        rule.strip().partition(" ")[::2]
        for rule in response.headers["content-security-policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["form-action"] == "'none'"  # a key never gets into an address
    assert rules["frame-ancestors"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])
    assert response.headers["cache-control"] == "no-store"
    elements = Elements().found
    assert not [tag for tag, attributes in elements if "src" in attributes]
    assert [dict(a)["href"] for tag, a in elements if "href" in a] == ["data:,"]
    [key] = [attributes for tag, attributes in elements if tag == "input"]
    assert (key["type"], "name" in key, key["autocomplete"]) == ("password", False, "off")
    assert not re.search(r"localStorage|sessionStorage|document\.cookie|innerHTML", HTML)


def test_table_is_told_to_screen_readers():
    elements = Elements().found
    heads = [attributes for tag, attributes in elements if tag == "th"]
    assert [(head["scope"], head["role"]) for head in heads] == [("col", "columnheader")] * 7
    assert 'name.scope = "row"' in HTML
    assert "<caption" in HTML
    live = [attributes["id"] for _, attributes in elements if attributes.get("role") == "status"]
    assert live == ["connection", "news"]


# --- memory, and nothing where nobody asked for it ----------------------------------------------


def test_what_is_remembered_is_bounded(proxy, monkeypatch):
    monkeypatch.setattr(board, "MOST", 5)
    for number in range(20):
        fail(learner(proxy, proxy.new_key(f"learner {number}")))
        learner(proxy, None, f"10.0.0.{number}").get("/models")
    with opened(proxy) as page:
        snapshot = next(page.snapshots())
    assert len(snapshot["rows"]) == 5
    assert snapshot["keys"] == 26  # 20 keys, the practice key, and 5 addresses
    assert [row["name"] for row in snapshot["rows"]] == [
        "learner 15",
        "No key from 10.0.0.15",
        "learner 16",
        "No key from 10.0.0.16",
        "learner 17",
    ]


def test_kinds_of_error_are_counted_apart_up_to_a_limit(proxy, monkeypatch):
    monkeypatch.setattr(board, "MOST_KINDS", 2)
    client = learner(proxy, proxy.new_key("ann"))
    for _ in range(2):
        fail(client)
        client.get("/nowhere")
        client.delete("/models")
        client.ask("Hello", model="practice-broken")
    [row] = rows(proxy)
    assert row["errors"] == {"invalid_request_error": 2, "404": 2, "other": 4}


def test_without_the_flag_there_is_no_page_and_nothing_else_is_different():
    with running() as plain, running(classroom=True) as proxy:
        for path in ("/classroom", "/classroom/events"):
            key = {"Authorization": f"Bearer {plain.master_key}"}
            response = requests.get(plain.url + path, headers=key, timeout=5)
            assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
        described = [
            requests.get(url + "/openapi.json", timeout=5).json() for url in (plain.url, proxy.url)
        ]
    assert described[0] == described[1]
    assert not [path for path in described[0]["paths"] if "classroom" in path]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_command_says_where_the_page_is_and_stops_although_it_is_open(host):
    command = [sys.executable, "-m", "lesson.main", "proxy", "--classroom"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--host", host],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LITELLM_MASTER_KEY": "sk-mine-0123456789"},
    )
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        said += process.stdout.readline()
        assert process.poll() is None, said
    found = re.search(
        r"classroom: +(http://127\.0\.0\.1:\d+)/classroom  \(asks for the key\)", said
    )
    assert found is not None, said
    assert requests.get(found[1] + "/classroom", timeout=5).text == HTML
    page = Page(found[1], "sk-mine-0123456789")
    next(page.snapshots())
    if sys.platform == "win32":
        process.kill()
        process.communicate()
    else:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    page.response.close()
