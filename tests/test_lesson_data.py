"""The data that the lesson ships is what its README says, and what the practice proxy answers."""

import csv
import hashlib
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("name", "model"),
    [("labels.jsonl", "qwen2.5-coder-1.5b-instruct"), ("labels-rules.jsonl", "gpt-4o-mini")],
)
@pytest.mark.filterwarnings("ignore:No model answered")
def test_the_shipped_logs_are_what_a_run_on_the_practice_proxy_writes(
    name: str, model: str, labelling: ModuleType, tmp_path: Path
) -> None:
    log, failures = tmp_path / name, tmp_path / "failures.jsonl"
    prompt = labelling.read_prompt(EPISODES / "files" / "prompts" / "label-title.txt")
    labelling.run(rows("titles.csv"), prompt, log=log, failures=failures, model=model)

    assert without_times(labelling.read_log(log)) == without_times(lines(name))
    assert not failures.exists()
    assert {line["model"] for line in lines(name)} == {model}


def test_the_log_of_the_other_prompt_is_what_the_readme_says_of_it() -> None:
    log = lines("labels-subjects.jsonl")
    prompt = (EPISODES / "files" / "prompts" / "label-title-subjects.txt").read_bytes()
    pairs = zip(rows("titles.csv"), log, strict=True)
    right = {row["id"] for row, line in pairs if row["topic_label"] == line["label"]}
    coded = {row["id"] for row in rows("codes.csv")}
    readme = (DATA / "README.md").read_text(encoding="utf-8")

    assert {line["prompt_sha256"] for line in log} == {hashlib.sha256(prompt).hexdigest()}
    assert f"it gets {len(right - coded)} right" in readme
    assert f"the two prompts get {len(right & coded)} each" in " ".join(readme.split())


def without_times(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**record, "time": None} for record in records]


@pytest.fixture
def labelling(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the episodes, which asks a practice proxy; no rule answers for a model."""
    monkeypatch.syspath_prepend(str(EPISODES))
    with running(only_recorded=True) as proxy:
        monkeypatch.setenv("LITELLM_BASE_URL", proxy.url)
        monkeypatch.setenv("LITELLM_API_KEY", proxy.new_key())
        monkeypatch.setenv("LITELLM_MODEL", "qwen2.5-coder-1.5b-instruct")
        forget()
        yield importlib.import_module("files.labelling")
        forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "files"]:
        del sys.modules[name]
