"""`lesson record`: what the pages ask, answered once by a server, and kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lesson.main import main
from mock_proxy import RunningProxy, running

PAGE = """\
---
title: Ask
---

```python
import os
import requests

def ask(text, **more):
    messages = [{"role": "user", "content": text}]
    body = {"model": "small-model", "messages": messages, **more}
    headers = {"Authorization": "Bearer " + os.environ["LITELLM_API_KEY"]}
    url = os.environ["LITELLM_BASE_URL"] + "/chat/completions"
    response = requests.post(url, headers=headers, json=body, timeout=30)
    return response.json()["choices"][0]["message"]["content"]
```

"""


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningProxy]:
    with running() as proxy:
        monkeypatch.setenv("LITELLM_UPSTREAM_KEY", proxy.new_key())
        yield proxy


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "episodes").mkdir()
    (tmp_path / "config.yaml").write_text("title: T\n")
    (tmp_path / "proxy.yaml").write_text(
        "model_list:\n  - model_name: small-model\n"
        "    litellm_params: {model: openai/small-model}\n"
        "    model_info: {recording: answers.jsonl}\n"
    )
    return tmp_path


def write(lesson: Path, *blocks: str) -> None:
    fences = "".join(f"```python\n{block}\n```\n\n" for block in blocks)
    (lesson / "episodes" / "ask.md").write_text(PAGE + fences)


def record(other: RunningProxy, *more: str) -> int:
    call = ["record", "--upstream", other.url, "--upstream-model", "gpt-4o-mini"]
    return main([*call, "--config", "proxy.yaml", *more])


def answers(lesson: Path) -> list[str]:
    _, *lines = map(json.loads, (lesson / "answers.jsonl").read_text().splitlines())
    return [one["choices"][0]["content"] for line in lines for one in line["answers"]]


def test_what_is_missing_is_asked_and_what_nobody_asks_is_dropped(
    lesson: Path, other: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    write(lesson, 'ask("What is 2 + 3?")', 'ask("What is 1 + 1?")')
    assert record(other, "--about", "licence=CC0") == 0
    assert "2 answers: 2 new, 0 dropped" in capsys.readouterr().out
    assert answers(lesson) == ["2 + 3 = 5", "1 + 1 = 2"]

    write(lesson, 'ask("What is 2 + 3?")', 'ask("What is 4 + 4?")')
    assert record(other) == 0
    assert "2 answers: 1 new, 1 dropped" in capsys.readouterr().out
    assert answers(lesson) == ["2 + 3 = 5", "4 + 4 = 8"]

    about = json.loads((lesson / "answers.jsonl").read_text().splitlines()[0])["recording"]
    assert (about["model"], about["licence"]) == ("small-model", "CC0")


def test_nothing_is_dropped_where_only_a_part_ran(lesson: Path, other: RunningProxy) -> None:
    write(lesson, 'ask("What is 2 + 3?")')
    assert record(other) == 0
    write(lesson, 'ask("What is 4 + 4?")')
    assert record(other, "--language", "python") == 0
    assert answers(lesson) == ["2 + 3 = 5", "4 + 4 = 8"]


def test_a_block_that_fails_is_reported_and_the_rest_is_kept(
    lesson: Path, other: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    write(lesson, 'ask("What is 2 + 3?")', "1 / 0")
    assert record(other) == 1
    assert "episodes/ask.md:23: ZeroDivisionError: division by zero" in capsys.readouterr().out
    assert answers(lesson) == ["2 + 3 = 5"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "gpt-9"], "--model gpt-9: proxy.yaml names no recording for it"),
        (["--upstream", "ftp://x"], "'ftp://x' is not the address of a server"),
        (["--config", "/dev/null"], "/dev/null:1: this is not a mapping"),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why(
    lesson: Path,
    other: RunningProxy,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    write(lesson, "1")
    assert record(other, *more) == 2
    assert message in capsys.readouterr().err
