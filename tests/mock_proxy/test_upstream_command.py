"""`lesson proxy --upstream`, `--record` and `--replay` as people type them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_server import OtherServer, other_server
from proxy_client import Client

from lesson.main import main

PLANTED = "planted-key-0123456789"
LESSON = [sys.executable, "-m", "lesson.main"]


@pytest.fixture
def other() -> Iterator[OtherServer]:
    with other_server() as server:
        yield server


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[tuple[str, list[str]]]:
    """The address of a `lesson proxy` with these arguments, and what it says. Then it is stopped,
    and must have said no more."""
    environment = {**os.environ, "LITELLM_UPSTREAM_KEY": PLANTED, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*LESSON, "proxy", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("Press Ctrl-C"):
                    break
            assert said[0].startswith("The practice proxy answers at "), said
            yield said[0].split()[-1], said
        finally:
            process.terminate()
            rest = process.stdout.read()
        assert rest == ""
    assert process.returncode == 0


def test_record_today_and_replay_tomorrow(
    other: OtherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keys that outlive the proxy, the classroom's page, and `lesson keys`."""
    file, state, keys = (str(tmp_path / name) for name in ("class.jsonl", "keys.db", "keys.csv"))
    recording = ("--upstream", other.url, "--upstream-model", "*=gemma3", "--record", file)
    with served(*recording, "--state", state, "--classroom") as (url, said):
        told = "".join(said)
        assert f"answers:     of {other.url} (with the key in LITELLM_UPSTREAM_KEY)" in told
        monkeypatch.setenv("LITELLM_BASE_URL", url)
        monkeypatch.setenv("LITELLM_MASTER_KEY", told.partition("key:")[2].split()[0])
        assert main(["keys", "--learners", "1", "--budget", "0.5", "--out", keys]) == 0
        key = Path(keys).read_text(encoding="utf-8").splitlines()[1].split(",")[1]
        assert key.startswith("sk-")
        first = Client(url, key).ask("Hello")
    assert other.bodies()[0]["model"] == "gemma3"
    with served("--replay", file, "--state", state) as (url, said_then):
        assert f"1 from the recording {file}; what is not in it: an error" in "".join(said_then)
        second = Client(url, key).ask("Hello")
        assert Client(url, key).ask("Bye").status_code == 404
        spent = Client(url, key).get("/key/info").json()["info"]["spend"]
    assert len(other.asked) == 1
    assert first.json()["choices"] == second.json()["choices"]
    assert spent == pytest.approx(2 * float(first.headers["x-litellm-response-cost"]))
    for text in (*said, *said_then, Path(file).read_text(encoding="utf-8")):
        assert PLANTED not in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--upstream", "http://127.0.0.1:1/v1", "--replay", "f"], "give one of them"),
        (["--record", "f"], "--record needs --upstream URL"),
        (["--upstream-model", "*=gemma3"], "--upstream-model needs --upstream URL"),
        (["--else-practice"], "--else-practice needs --replay FILE"),
        (["--upstream", "localhost:11434"], "is not the address of a server"),
        (["--upstream", "http://me:secret@here/v1"], "may not hold a key"),
        (["--upstream", "http://here/v1", "--upstream-model", "gpt-5=a"], "no such model"),
        (["--upstream", "http://localhost:4000/v1"], "this proxy itself"),
        (["--replay", "none.jsonl"], "none.jsonl: there is no such recording"),
        (["--upstream", "http://here/v1", "--record", "no/such/folder"], "no/such/folder"),
    ],
)
def test_a_wrong_call_is_exit_status_2_with_the_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["proxy", *arguments]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "secret" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_not_known_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["proxy", "--litellm-version", "1.80"])
    assert "invalid choice: '1.80'" in capsys.readouterr().err
    config = tmp_path / "config.yaml"
    text = "model_list: [{model_name: m, litellm_params: {model: openai/m}}]\n"
    config.write_text(text + "general_settings: {litellm_version: '1.80'}\n")
    assert main(["proxy", "--config", str(config)]) == 2
    told = capsys.readouterr().err
    assert f"{config}: the practice proxy knows LiteLLM 1.106.2 and 1.109.1, not 1.80" in told


def test_a_map_without_a_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["proxy", "--upstream", "http://here/v1", "--upstream-model", "gemma3"])
    assert stopped.value.code == 2
    assert "'gemma3' is not of the form NAME=THEIRS" in capsys.readouterr().err


def test_who_relays_nothing_loads_no_client() -> None:
    """httpx costs a learner's start a tenth of a second and more."""
    code = "import sys, mock_proxy.server.run; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
