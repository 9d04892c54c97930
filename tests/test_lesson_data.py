"""The data that the lesson ships is what its README says, and what the practice proxy answers."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from mock_proxy import running

EPISODES = Path(__file__).resolve().parents[1] / "episodes"
DATA = EPISODES / "data"
LABELS = ["health", "climate", "energy", "education", "equality", "none"]


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def test_titles_are_as_the_readme_counts_them() -> None:
    titles = rows("titles.csv")
    readme = (DATA / "README.md").read_text(encoding="utf-8")

    assert [row["id"] for row in titles] == [f"T{n:03}" for n in range(1, 121)]
    assert len({row["title"] for row in titles}) == 120
    for column in ("language", "topic_label"):
        counts = Counter(row[column] for row in titles)
        assert all(f"`{name}` ({count}" in readme for name, count in counts.items()), (
            f"{column}: {counts}"
        )
    assert {row["topic_label"] for row in titles} == set(LABELS)
    assert all(2015 <= int(row["year"]) <= 2026 for row in titles)


def test_coders_code_80_titles_and_differ_in_15() -> None:
    codes = rows("codes.csv")

    assert len({row["id"] for row in codes} & {row["id"] for row in rows("titles.csv")}) == 80
    assert {row[coder] for row in codes for coder in ("coder_a", "coder_b")} == set(LABELS)
    assert sum(row["coder_a"] != row["coder_b"] for row in codes) == 15


@pytest.mark.parametrize("field", ["label", "reply", "prompt_tokens", "completion_tokens", "cost"])
def test_the_shipped_labels_are_those_of_the_practice_proxy(
    field: str, labelled: list[dict[str, Any]]
) -> None:
    shipped = {line["id"]: line[field] for line in lines("labels.jsonl")}

    assert shipped == {line["id"]: line[field] for line in labelled}


@pytest.fixture(scope="module")
def labelled() -> list[dict[str, Any]]:
    """All titles labelled anew, with the prompt and the schema of the episodes."""
    prompt = (EPISODES / "files" / "prompts" / "label-title.txt").read_text(encoding="utf-8")
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": LABELS}},
        "required": ["label"],
        "additionalProperties": False,
    }
    found = []
    with running() as proxy, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {proxy.new_key()}"
        for row in rows("titles.csv"):
            content = prompt.replace("{title}", row["title"])
            response = session.post(
                f"{proxy.url}/chat/completions",
                json={
                    "model": "gpt-4o-mini",
                    "temperature": 0,
                    "messages": [{"role": "user", "content": content}],
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "title_label", "strict": True, "schema": schema},
                    },
                },
            )
            body = response.json()
            reply = body["choices"][0]["message"]["content"]
            found.append(
                {
                    "id": row["id"],
                    "label": json.loads(reply)["label"],
                    "reply": reply,
                    "prompt_tokens": body["usage"]["prompt_tokens"],
                    "completion_tokens": body["usage"]["completion_tokens"],
                    "cost": float(response.headers["x-litellm-response-cost"]),
                }
            )
    return found
