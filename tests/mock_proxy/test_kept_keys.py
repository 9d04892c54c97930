"""Keys in a file: they outlive the proxy, even one that is killed in the middle of a class."""

import contextlib
import os
import subprocess
import sys
import threading

import pytest
import requests
from proxy_client import Client
from test_starting import free_port

from mock_proxy.keys import store
from mock_proxy.keys.state import State, StateError

COMMAND = (
    "import pathlib, sys; from mock_proxy import config; from mock_proxy.server import run;"
    "sys.exit(run.serve(config.load(config.PRACTICE_CONFIG), '127.0.0.1',"
    " int(sys.argv[1]), pathlib.Path(sys.argv[2])))"
)

MASTER = "sk-master"


def start(port, path):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(port), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LITELLM_MASTER_KEY": MASTER},
    )
    assert process.stdout is not None
    assert "answers at" in process.stdout.readline()
    process.stdout.readline()
    return process


@pytest.fixture
def state(tmp_path):
    with contextlib.closing(State(tmp_path / "keys.sqlite")) as state:
        yield state


def test_key_is_read_as_it_was_written(state):
    kept = store.KeyStore("sk-master", state)
    text, key = kept.add(
        key_alias="a",
        models=["gpt-4"],
        max_budget=1.0,
        expires=store.now(),
        budget_reset_at=store.now(),
        metadata={"time": "in a dictionary of its own", "course": 1},
        model_rpm_limit={"gpt-4": 1},
    )
    _, gone = kept.add()
    kept.remove(gone)
    again = store.KeyStore("sk-master", state)
    assert [k.token for k in again] == [key.token]
    found = again.find(text)
    assert found is not None
    found.store = key.store
    assert found == key


def test_file_holds_no_key_itself(tmp_path):
    path = tmp_path / "keys.sqlite"
    with contextlib.closing(State(path)) as state:
        text, key = store.KeyStore("sk-master", state).add()
    assert text.encode() not in path.read_bytes()
    assert key.token.encode() in path.read_bytes()


@pytest.mark.parametrize("content", [b"this is no database, but some text" * 100, None])
def test_file_that_cannot_be_used_is_told(tmp_path, content):
    path = tmp_path / "no folder" / "keys.sqlite"
    if content is not None:
        path = tmp_path / "keys.sqlite"
        path.write_bytes(content)
    with pytest.raises(StateError, match=r"the keys cannot be kept here .* Name a file"):
        State(path)


def test_killed_proxy_loses_no_key_and_no_acknowledged_cent(tmp_path):
    path, port = tmp_path / "keys.sqlite", free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(port, path)
    made, paid = {}, {}

    def learn(number):
        key = requests.post(
            url + "/key/generate",
            json={"key_alias": f"learner {number}"},
            headers={"x-litellm-api-key": MASTER},
            timeout=10,
        ).json()["key"]
        made[number], paid[number] = key, 0.0
        client = Client(url, key)
        while True:
            try:
                response = client.ask("Say hello.")
            except requests.RequestException:
                return
            paid[number] += float(response.headers["x-litellm-response-cost"])
            if number == 0 and paid[0] > 1e-4:
                process.kill()

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    process = start(port, path)
    try:
        for number, key in made.items():
            info = Client(url, key).get("/key/info").json()["info"]
            assert info["key_alias"] == f"learner {number}"
            assert info["spend"] >= paid[number] - 1e-12
    finally:
        process.kill()
        process.communicate()
