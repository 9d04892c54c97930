"""With an upstream or kept keys there is something to lose: other sites' pages are kept out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from other_server import OtherServer, other_server
from proxy_client import Client
from starlette.testclient import TestClient
from test_starting import said_by, started

from mock_proxy.config import PRACTICE_KEY, practice
from mock_proxy.keys.store import KeyStore
from mock_proxy.server.app import create_app
from mock_proxy.server.run import RunningProxy, running
from mock_proxy.upstream.source import upstream


@contextlib.contextmanager
def relaying(url: str) -> Iterator[RunningProxy]:
    with (
        upstream(practice(), url, {}, environment={}) as source,
        running(source.config, relay=source.relay) as proxy,
    ):
        yield proxy


@pytest.fixture(scope="module")
def other() -> Iterator[OtherServer]:
    with other_server() as server:
        yield server


@pytest.fixture(scope="module")
def guarded(other: OtherServer) -> Iterator[RunningProxy]:
    with relaying(other.url) as proxy:
        yield proxy


def test_the_public_key_opens_no_proxy_with_an_upstream(guarded, other):
    assert Client(guarded.url, PRACTICE_KEY).ask("Hello").status_code == 401
    assert other.asked == []
    assert Client(guarded.url, guarded.master_key).ask("Hello").status_code == 200


def test_two_proxies_with_an_upstream_have_different_keys(guarded, other):
    with relaying(other.url) as another:
        assert another.master_key != guarded.master_key


@pytest.mark.parametrize(
    "host",
    [
        "rebind.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.9",
        "",
        "[",
        "localhost.evil.example",
    ],
)
def test_requests_to_another_host_are_refused(guarded, other, host):
    asked = len(other.asked)
    client = Client(guarded.url, guarded.master_key)
    client.headers["Host"] = host
    response = client.ask("Hello")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "host"
    assert len(other.asked) == asked


@pytest.mark.parametrize("host", ["localhost:4000", "LOCALHOST", "127.0.0.1", "[::1]:4000"])
def test_this_machines_own_names_are_known(guarded, host):
    client = Client(guarded.url, guarded.master_key)
    client.headers["Host"] = host
    assert client.ask("Hello").status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://10.0.0.9", "http://localhost.evil.example"]
)
def test_pages_of_other_sites_may_not_ask(guarded, other, origin):
    asked = len(other.asked)
    client = Client(guarded.url, guarded.master_key)
    client.headers["Origin"] = origin
    preflight = client.options(
        "/chat/completions", headers={"Access-Control-Request-Method": "POST"}
    )
    for response in (client.ask("Hello"), client.get("/key/list"), preflight):
        assert response.status_code == 403
        assert "Pages of other sites" in response.json()["error"]["message"]
        assert "access-control-allow-origin" not in response.headers
    assert len(other.asked) == asked


def test_a_page_of_this_machine_may_ask(guarded):
    client = Client(guarded.url, guarded.master_key)
    client.headers["Origin"] = "http://localhost:8888"
    response = client.ask("Hello")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://localhost:8888"


def test_no_answer_is_for_all_sites(guarded):
    response = Client(guarded.url, guarded.master_key).ask("Hello")
    assert "access-control-allow-origin" not in response.headers


def asked_as(host: str, guarded: str, origin: str | None = None) -> int:
    app = create_app(practice(), KeyStore("sk-master"), guarded=guarded)
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    return TestClient(app).get("/health/liveliness", headers=headers).status_code


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("192.168.1.7:4000", None, 200),
        ("192.168.1.7:4000", "http://192.168.1.7:4000", 200),
        ("192.168.1.7:4000", "http://192.168.1.8", 403),
        ("rebind.evil.example", "http://rebind.evil.example", 400),
    ],
)
def test_a_class_reaches_its_proxy_by_any_of_its_addresses(host, origin, status):
    assert asked_as(host, "0.0.0.0", origin) == status


def test_a_proxy_is_known_by_the_name_that_it_listens_on():
    assert asked_as("class.example.org", "class.example.org") == 200
    assert asked_as("class.example.org", "127.0.0.1") == 400


def test_a_proxy_without_upstream_and_state_stays_open_to_pages():
    with running() as proxy:
        assert proxy.master_key == PRACTICE_KEY
        response = Client(proxy.url, PRACTICE_KEY).get(
            "/models", headers={"Origin": "https://lesson.example", "Host": "x"}
        )
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("what", ["upstream", "state"])
def test_the_command_makes_a_key_and_prints_it_once(what, other, tmp_path):
    value = other.url if what == "upstream" else str(tmp_path / "keys.sqlite")
    with started("--port", "0", f"--{what}", value) as process:
        said = said_by(process)
        key = said.partition("key:")[2].split()[0]
        url = said.partition("answers at ")[2].split()[0]
        assert said.count(key) == 1
        assert Client(url, PRACTICE_KEY).get("/models").status_code == 401
        assert Client(url, key).get("/models").status_code == 200
        # What the lesson's pages do with their only key works with this one, too.
        assert "spend" in Client(url, key).get("/key/info").json()["info"]
        foreign = {"Origin": "https://evil.example"}
        assert Client(url, key).get("/key/list", headers=foreign).status_code == 403
    assert PRACTICE_KEY not in said
