"""Every page on a real LiteLLM, whose provider is a practice proxy, so that answers make sense.

Skipped unless LITELLM_COMMAND names a LiteLLM, as `make contract` does. LiteLLM runs without a
database here, and so knows no virtual keys: the code runs with the master key.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from lesson.main import main
from lesson_runner.page.lesson import Lesson
from mock_proxy import running

ROOT = Path(__file__).parents[1]
COMMAND = os.environ.get("LITELLM_COMMAND")
pytestmark = pytest.mark.skipif(COMMAND is None, reason="LITELLM_COMMAND names no LiteLLM")

MASTER_KEY = "sk-lesson-live-0123456789abcdef"
MODELS = ["gpt-4", "gpt-4.1", "gpt-4o-mini", "Llama-3.3-70B-Instruct", "text-embedding-ada-002"]

NEED_VIRTUAL_KEYS = {
    ("episodes/tokens-cost.md", "python"): "asks /key/info: without a database that is a 500",
    ("episodes/tokens-cost.md", "r"): "asks /key/info: without a database that is a 500",
}
"""Page and language of the one block each that fails here, and why."""


@pytest.fixture
def litellm(tmp_path: Path) -> Iterator[str]:
    with running() as provider, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        configuration = tmp_path / "config.yaml"
        configuration.write_text(yaml.safe_dump(configured(provider.url)), encoding="utf-8")
        environment = {
            **os.environ,
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PROVIDERS_KEY": provider.new_key(),
        }
        command = [str(COMMAND), "--config", str(configuration), "--telemetry", "False"]
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url, process)
            yield url
        finally:
            process.terminate()
            process.wait()


def configured(provider: str) -> dict[str, object]:
    def entry(name: str) -> dict[str, object]:
        key = "os.environ/PROVIDERS_KEY"
        params = {"model": f"openai/{name}", "api_base": provider, "api_key": key}
        return {"model_name": name, "litellm_params": params}

    return {
        "model_list": [entry(name) for name in MODELS],
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(240):
        assert process.poll() is None, "LiteLLM stopped while it started"
        try:
            if requests.get(url + "/health/liveliness", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    raise AssertionError("LiteLLM did not start")


def version_of(url: str) -> str:
    return str(requests.get(url + "/openapi.json", timeout=60).json()["info"]["version"])


def test_every_page_runs_on_a_real_litellm(
    litellm: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LITELLM_BASE_URL", litellm)
    monkeypatch.setenv("LITELLM_API_KEY", MASTER_KEY)
    report = tmp_path / "report.json"
    # The run that counts requests for the estimate has tests of its own.
    monkeypatch.setattr("lesson.live.practise", lambda *_: [])

    status = main(["live", "--root", str(ROOT), "--yes", "--jobs", "4", "--json", str(report)])

    found = json.loads(report.read_text(encoding="utf-8"))
    said = capsys.readouterr()
    assert MASTER_KEY not in said.out + said.err + json.dumps(found)
    assert found["litellm_version"] == version_of(litellm)
    blocks = {(b["path"], b["line"], b["language"]): b for b in found["blocks"]}
    failed = {place: b["reason"] for place, b in blocks.items() if b["outcome"] == "failed"}
    ran = {place[::2] for place, b in blocks.items() if b["outcome"] in ("passed", "failed")}
    first = {p: r for p, r in failed.items() if "may follow from" not in blocks[p]["detail"]}
    assert {place[::2] for place in first} == set(NEED_VIRTUAL_KEYS) & ran
    for place, reason in first.items():
        assert "info" in source_of(place)
        assert "500" in reason or "resp_abort" in reason
    # What follows a failure uses what it did not get; no other page and language fails.
    assert {place[::2] for place in failed} == {place[::2] for place in first}
    assert status == (1 if failed else 0)
    assert found["requests"] > 400
    assert found["usd_told"] > 0
    assert found["requests_without_answer"] == 0


def source_of(place: tuple[str, int, str]) -> str:
    path, line, _ = place
    blocks = Lesson(ROOT, ()).read(ROOT / path).blocks
    return next(block.source for block in blocks if block.line == line)
