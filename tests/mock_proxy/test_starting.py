"""Start, stop, and who may reach the proxy."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mock_proxy.config import PRACTICE_CONFIG, PRACTICE_KEY, ProxyConfig, load
from mock_proxy.server.listener import addresses, is_loopback
from mock_proxy.server.run import master_key_for, running, serve

ROOT = Path(__file__).parents[2]
SLOW = """\
model_list:
  - model_name: slow
    litellm_params: {model: openai/gpt-4, mock_response: Late, mock_delay: 60}
  - model_name: quick
    litellm_params: {model: openai/gpt-4}
"""
COMMAND = (
    "import sys; from mock_proxy import config; from mock_proxy.server import run;"
    "sys.exit(run.serve(config.load(config.PRACTICE_CONFIG), '127.0.0.1', int(sys.argv[1])))"
)


LESSON = [sys.executable, "-m", "lesson.main", "proxy"]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_starting_and_stopping_is_quick():
    session = requests.Session()  # a client that stays connected must not hold it up
    times = []
    for _ in range(5):
        started = time.perf_counter()
        with running() as proxy:
            assert session.get(proxy.url + "/health/liveliness", timeout=5).ok
        times.append(time.perf_counter() - started)
    session.close()
    assert min(times) < 0.1


def test_several_proxies_run_side_by_side():
    with running() as one, running() as other:
        assert one.url != other.url
        key = one.new_key()
        for proxy, status in ((one, 200), (other, 401)):
            headers = {"Authorization": f"Bearer {key}"}
            assert requests.get(proxy.url + "/models", headers=headers, timeout=5).status_code == (
                status
            )


def test_stopped_proxy_answers_no_more():
    with running() as proxy:
        url = proxy.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url + "/health/liveliness", timeout=5)


def test_serving_says_where_and_stops_cleanly():
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(4)]
    assert f"http://127.0.0.1:{port}\n" in said[0]
    assert PRACTICE_KEY in said[1]
    assert f"http://127.0.0.1:{port}/\n" in said[2]
    assert requests.get(f"http://127.0.0.1:{port}/health/liveliness", timeout=5).ok
    if sys.platform == "win32":
        process.kill()
        process.communicate()
    else:
        process.send_signal(2)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`lesson proxy` with these arguments; ended with the block, and then silent."""
    process = subprocess.Popen(
        [*LESSON, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == ""


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read() if process.stderr else ""
    return "".join(lines)


def test_key_that_was_given_is_not_printed():
    with started("--port", "0", LITELLM_MASTER_KEY="sk-real-secret") as process:
        said = said_by(process)
    assert "key:         yours, from the environment variable LITELLM_MASTER_KEY\n" in said
    assert "secret" not in said


def test_proxy_for_others_names_addresses_that_they_can_use():
    port = free_port()
    with started("--host", "0.0.0.0", "--port", str(port)) as process:
        said = said_by(process)
        url = said.partition("for others:")[2].split()[0]
        assert requests.get(url + "/health/liveliness", timeout=5).ok
    assert "0.0.0.0" not in said
    assert f"answers at http://127.0.0.1:{port}\n" in said
    assert f"http://{socket.gethostname()}:{port}" in said
    assert PRACTICE_KEY not in said


@pytest.mark.parametrize(
    ("host", "others"), [("127.0.0.1", 0), ("::1", 0), ("10.1.2.3", 0), ("0.0.0.0", 1), ("::", 1)]
)
def test_address_that_means_all_is_none_for_clients(host, others):
    assert host in addresses(host) or len(addresses(host)) > others


def test_keys_are_kept_where_the_command_says(tmp_path):
    port, key = free_port(), ""
    for _ in range(2):
        with started("--port", str(port), "--state", str(tmp_path / "keys.sqlite")) as process:
            master = {"x-litellm-api-key": said_by(process).partition("key:")[2].split()[0]}
            url = f"http://127.0.0.1:{port}/key/"
            if not key:
                made = requests.post(url + "generate", json={}, headers=master, timeout=5)
                key = made.json()["key"]
            else:
                own = {"x-litellm-api-key": key}
                assert requests.get(url + "info", headers=own, timeout=5).status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_stopping_in_the_middle_of_requests_says_nothing(tmp_path):
    """One waits for its answer, one does not read its stream, one has sent half of its body."""
    config = tmp_path / "slow.yaml"
    config.write_text(SLOW, encoding="utf-8")
    port = free_port()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(started("--port", str(port), "--config", str(config)))
        said_by(process)
        hello = '"messages": [{"role": "user", "content": "Hello"}]'
        half = f'{{"model": "quick", "stream": true, "n": 128, {hello}'
        for body, missing in (
            (f'{{"model": "slow", {hello}}}', 0),
            (half.replace("Hello", "Hello " * 5_000) + "}", 0),
            (half, 10),
        ):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(
                b"POST /chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: Bearer sk-practice-key\r\n"
                + f"Content-Length: {len(body) + missing}\r\n\r\n{body}".encode()
            )
        time.sleep(0.5)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
        assert time.perf_counter() - began < 3


@pytest.mark.parametrize("host", ["nonsense.invalid", "192.0.2.1"])
def test_address_of_no_machine_here_is_a_clear_message(host, capsys):
    assert serve(load(PRACTICE_CONFIG), host, 0) == 1
    said = capsys.readouterr().err
    assert f"Cannot listen on {host}:0" in said
    assert "--host 127.0.0.1" in said
    assert "another proxy" not in said


def test_taken_port_is_a_clear_message(proxy, capsys):
    port = int(proxy.url.rpartition(":")[2])
    assert serve(load(PRACTICE_CONFIG), "127.0.0.1", port) == 1
    said = capsys.readouterr().err
    assert f"Cannot listen on 127.0.0.1:{port}" in said
    assert "--port" in said


def test_known_key_serves_this_machine_only():
    config = ProxyConfig(models=load(PRACTICE_CONFIG).models)
    assert master_key_for(config, "127.0.0.1") == PRACTICE_KEY
    first, second = (master_key_for(config, "0.0.0.0") for _ in range(2))
    assert first.startswith("sk-")
    assert len(first) > 30
    assert first != second
    guarded = master_key_for(config, "127.0.0.1", is_guarded=True)
    assert guarded not in (PRACTICE_KEY, first, second)


def test_configured_key_serves_everywhere():
    config = ProxyConfig(models=(), master_key="sk-ours")
    assert master_key_for(config, "0.0.0.0") == "sk-ours"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("example.org", False),
    ],
)
def test_loopback_addresses_are_this_machine(host, here):
    assert is_loopback(host) is here
