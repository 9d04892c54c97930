"""Keys in a file: they outlive the proxy, even one that is killed in the middle of a class."""

import contextlib
import os
import sqlite3
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


def test_what_was_set_aside_ends_with_the_proxy(state):
    """A proxy that is killed settles nothing; what it had reserved must not be lost to the key."""
    kept = store.KeyStore("sk-master", state)
    _, key = kept.add(max_budget=1.0)
    waiting, answered = key.admit("gpt-4", 0), key.admit("gpt-4", 0)
    waiting.reserve(0.5, must_fit=False)
    answered.close(1, 0.1)
    (again,) = store.KeyStore("sk-master", state)
    assert (again.spend, again.reserved) == (0.1, 0.0)


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has rights of another kind")
@pytest.mark.parametrize("exists", [False, True])
def test_files_are_their_owners_alone(tmp_path, exists):
    path = tmp_path / "keys.sqlite"
    if exists:  # as an earlier version left it
        with contextlib.closing(State(path)):
            pass
        path.chmod(0o644)
    with contextlib.closing(State(path)) as state:
        store.KeyStore("sk-master", state).add(key_alias="Ada Lovelace")
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    assert "keys.sqlite-wal" in modes
    assert set(modes.values()) == {"0o600"}


def test_two_proxies_on_one_file_are_refused(tmp_path, state):
    with pytest.raises(StateError, match=r"keys\.sqlite: another proxy keeps its keys here\. Stop"):
        State(tmp_path / "keys.sqlite")
    state.close()
    State(tmp_path / "keys.sqlite").close()


def test_a_second_proxy_says_so_and_ends(tmp_path):
    path = tmp_path / "keys.sqlite"
    process = start(free_port(), path)
    try:
        second = subprocess.run(
            [sys.executable, "-c", COMMAND, str(free_port()), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        process.kill()
        process.communicate()
    assert second.returncode == 1
    assert second.stderr == (
        f"{path}: another proxy keeps its keys here. Stop it, or name another file.\n"
    )


FOREIGN = {
    "another table": "CREATE TABLE history (session INTEGER)",
    "more tables": "CREATE TABLE keys (token, settings); CREATE TABLE history (session INTEGER)",
    "other columns": "CREATE TABLE keys (id INTEGER, name TEXT)",
}


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_program_is_told_and_left_alone(tmp_path, script):
    path = tmp_path / "history.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.executescript(script)
    before = path.read_bytes()
    told = (
        r"history\.sqlite: the keys cannot be kept here \(another program made this file\)\. Name"
    )
    with pytest.raises(StateError, match=told):
        State(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("settings", ["no JSON", "5", '{"token": 1}', '{"expires": {"time": "x"}}'])
def test_a_row_that_is_no_key_is_told(tmp_path, settings):
    path = tmp_path / "keys.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE keys (token TEXT PRIMARY KEY, settings TEXT NOT NULL)")
        foreign.execute("INSERT INTO keys VALUES ('a', ?)", (settings,))
        foreign.commit()
    with pytest.raises(StateError, match=r"keys\.sqlite: the keys cannot be kept here"):
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
