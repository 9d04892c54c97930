"""Every page on a real LiteLLM, with a virtual key as learners have one. Its provider is a practice
proxy, so that answers make sense.

LiteLLM, the newer one of `make contract`, keeps the key in a PostgreSQL. Skipped as
tests/mock_proxy/test_keys_against_litellm.py is.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_litellm
import requests
import yaml

from lesson.main import main
from mock_proxy import running

ROOT = Path(__file__).parents[1]
MASTER_KEY = "sk-lesson-live-0123456789abcdef"
MODELS = [
    *("qwen2.5-coder-1.5b-instruct", "all-minilm-l6-v2"),
    *("gpt-4", "gpt-4.1", "gpt-4o-mini", "Llama-3.3-70B-Instruct", "text-embedding-ada-002"),
]


@pytest.fixture
def litellm(tmp_path: Path) -> Iterator[str]:
    named = [name for name in real_litellm.COMMANDS if name in os.environ] or ["LITELLM_COMMAND"]
    command = real_litellm.command_with_keys(named[-1])
    with running() as provider:
        configuration = tmp_path / "config.yaml"
        configuration.write_text(yaml.safe_dump(configured(provider.url)), encoding="utf-8")
        environment = {"LITELLM_MASTER_KEY": MASTER_KEY, "PROVIDERS_KEY": provider.new_key()}
        with real_litellm.litellm_with_keys(command, configuration, environment) as url:
            yield url


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


def new_key(url: str) -> str:
    made = requests.post(
        url + "/key/generate",
        json={"max_budget": 5, "duration": "1d", "key_alias": "learner"},
        headers={"Authorization": f"Bearer {MASTER_KEY}"},
        timeout=60,
    )
    return str(made.json()["key"])


def test_every_page_runs_on_a_real_litellm(
    litellm: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = new_key(litellm)
    monkeypatch.setenv("LITELLM_BASE_URL", litellm)
    monkeypatch.setenv("LITELLM_API_KEY", key)
    report = tmp_path / "report.json"
    # The run that counts requests for the estimate has tests of its own.
    monkeypatch.setattr("lesson.live.practise", lambda *_: [])

    status = main(["live", "--root", str(ROOT), "--yes", "--jobs", "4", "--json", str(report)])

    found = json.loads(report.read_text(encoding="utf-8"))
    said = capsys.readouterr()
    assert key not in said.out + said.err + json.dumps(found)
    failed = [block for block in found["blocks"] if block["outcome"] == "failed"]
    assert not failed, failed
    assert status == 0
    assert found["litellm_version"] == real_litellm.version_of(litellm)
    assert found["requests"] > 400
    assert found["usd_told"] > 0
    assert found["requests_without_answer"] == 0
