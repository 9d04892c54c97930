"""Start, stop, and who may reach the proxy."""

import socket
import subprocess
import sys
import time

import pytest
import requests

from mock_proxy.config import PRACTICE_CONFIG, PRACTICE_KEY, ProxyConfig, load
from mock_proxy.server import is_loopback, master_key_for, running, serve

COMMAND = (
    "import sys; from mock_proxy import config, server;"
    "sys.exit(server.serve(config.load(config.PRACTICE_CONFIG), '127.0.0.1', int(sys.argv[1])))"
)


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
