"""The practice proxy as a process: it answers with fresh keys, and outlives nobody."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lesson.practice import PROGRAM, PracticeProxy, practice_environment
from mock_proxy import practice


def answers(url: str, key: str) -> bool:
    request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return bool(response.status == 200)


def test_every_notebook_has_a_key_of_its_own() -> None:
    with practice_environment() as environment:
        first, second = environment("a.md", "python"), environment("a.md", "r")
        assert answers(first["LITELLM_BASE_URL"], first["LITELLM_API_KEY"])
        assert first["LITELLM_BASE_URL"] == second["LITELLM_BASE_URL"]
        assert first["LITELLM_API_KEY"] != second["LITELLM_API_KEY"]
        assert first["LITELLM_MODEL"] in practice().names()


def test_a_key_is_known_before_anybody_can_use_it() -> None:
    """Keys that come before the proxy answers, while it begins to, and afterwards."""
    with practice_environment() as environment:
        for _ in range(50):
            made = environment("a.md", "python")
            assert answers(made["LITELLM_BASE_URL"], made["LITELLM_API_KEY"])


def test_a_preferred_port_that_is_taken_gives_way_to_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with practice_environment(port) as environment:
            assert f":{port}" not in environment("a.md", "python")["LITELLM_BASE_URL"]


def test_it_ends_with_the_one_who_uses_it_and_says_nothing() -> None:
    proxy = subprocess.Popen(
        [sys.executable, str(PROGRAM), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert proxy.stdout
    assert proxy.stdout.readline().startswith(b"http://127.0.0.1:")
    proxy.stdout.close()
    _, said = proxy.communicate(b'["sk-1", "a key that nobody uses"]\n', timeout=20)
    assert said == b""
    assert proxy.returncode == 0


def test_a_proxy_that_has_ended_is_an_error_and_no_endless_wait() -> None:
    proxy = PracticeProxy()
    try:
        proxy.environment("a.md", "python")
        os.kill(proxy.process.pid, signal.SIGKILL)
        proxy.process.wait()
        with pytest.raises(RuntimeError, match="has ended"):
            proxy.environment("a.md", "python")
    finally:
        proxy.end()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
def test_it_ends_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import time\nfrom lesson.practice import PracticeProxy\n"
        "proxy = PracticeProxy()\nproxy.environment('a.md', 'python')\n"
        "print(proxy.process.pid, flush=True)\ntime.sleep(600)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert runner.stdout
    pid = int(runner.stdout.readline())
    runner.kill()
    runner.communicate()
    for _ in range(200):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the practice proxy runs on")
