"""`lesson stamp`: what the last line of a page of the site says, and what it is made from."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lesson.main import main
from lesson.practice import practice_environment
from lesson.stamp import last_line
from lesson_runner.page.episode import read_episode

BOTH = "```python\n1\n```\n\n```r\n1\n```\n"


def record(line: int, language: str, **changes: Any) -> dict[str, Any]:
    version = {"python": "3.13.1", "r": "4.5.2"}.get(language, "")
    made = {"path": "a.md", "line": line, "language": language, "outcome": "passed"}
    return made | {"ran": "2026-11-24", "version": version, "recorded": []} | changes


def said(text: str, *records: dict[str, Any]) -> str:
    return last_line(read_episode("a.md", text), records)


def test_a_page_says_how_many_blocks_ran_when_with_what_and_who_answered() -> None:
    python = record(1, "python", recorded=["Qwen", "MiniLM"])
    assert said(BOTH, python, record(5, "r", recorded=["Qwen"])) == (
        "All 2 code blocks of this page ran on 24 November 2026, with Python 3.13.1 and R 4.5.2; "
        "answers recorded from Qwen and MiniLM."
    )


def test_a_page_of_which_nothing_ran_says_nothing() -> None:
    assert said("Text.\n") == ""
    assert said(BOTH) == ""
    assert said(BOTH, record(1, "python", outcome="not run", ran=None)) == ""
    assert said(BOTH, record(1, "python", path="b.md")) == ""


def test_what_failed_or_did_not_run_is_not_counted() -> None:
    failed = record(5, "r", outcome="failed")
    assert said(BOTH, record(1, "python"), failed) == (
        "1 of the 2 code blocks of this page that are meant to run did so on 24 November 2026, "
        "with Python 3.13.1."
    )


def test_a_block_that_the_page_no_longer_has_is_not_counted() -> None:
    assert said(BOTH, record(2, "python"), record(5, "python")) == ""


def test_starter_code_and_blocks_that_are_not_run_are_no_part_of_all() -> None:
    text = BOTH + "\n<!-- not run: it installs -->\n```bash\napt install r\n```\n"
    assert said(text, record(1, "python"), record(5, "r")).startswith(
        "All 2 code blocks of this page that are meant to run did so on 24 November"
    )
    text = "```bash\nls\n```\n\n```{.python .exercise}\nx = ____\n```\n"
    assert said(text, record(1, "bash")) == (
        "The one code block of this page that is meant to run did so on 24 November 2026."
    )


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    folder = tmp_path / "lesson"
    (folder / "episodes" / "data").mkdir(parents=True)
    (folder / "config.yaml").write_text("title: Made\nepisodes:\n- a.md\n- b.md\n")
    (folder / "episodes" / "a.md").write_text("---\ntitle: A\n---\n\n```python\n6 * 7\n```\n")
    (folder / "episodes" / "b.md").write_text("---\ntitle: B\n---\n\nText.\n")
    (folder / "episodes" / "data" / "titles.csv").write_text("id\n")
    (folder / "index.md").write_text("---\nsite: sandpaper::sandpaper_site\n---\n\nHello.\n")
    (folder / "secret.txt").write_text("not for the site\n")
    (folder / "CONTRIBUTING.md").write_text("See [the secret](secret.txt).\n")
    (folder / "site").mkdir()
    (folder / "site" / "README.md").write_text("Built here.\n")
    monkeypatch.chdir(folder)
    return folder


def test_the_copy_is_stamped_and_the_lesson_stays_as_it_is(lesson: Path) -> None:
    before = (lesson / "episodes" / "a.md").read_text()
    assert main(["check", "--json", "report.json"]) == 0
    assert main(["stamp", "report.json", "--out", "build/site"]) == 0
    assert (lesson / "episodes" / "a.md").read_text() == before
    copied = (lesson / "build" / "site" / "episodes" / "a.md").read_text()
    assert copied.startswith(before + "\n*The code block of this page ran on ")
    assert "with Python 3." in copied.splitlines()[-1]
    site = lesson / "build" / "site"
    assert (site / "episodes" / "b.md").read_text() == (lesson / "episodes" / "b.md").read_text()
    assert (site / "episodes" / "data" / "titles.csv").is_file()
    assert (site / "index.md").is_file()
    assert (site / "site" / "README.md").is_file()
    assert not (site / "secret.txt").exists()
    assert not (site / "CONTRIBUTING.md").exists()
    assert main(["stamp", "report.json", "--out", "build/site"]) == 0
    assert (site / "episodes" / "a.md").read_text() == copied


def test_episodes_with_python_link_to_their_notebook_in_a_browser(lesson: Path) -> None:
    assert main(["check", "--json", "report.json"]) == 0
    link = ["--link", "https://example.org/link/"]
    assert main(["stamp", "report.json", "--out", "build/site", *link]) == 0
    site = lesson / "build" / "site"
    address = "https://example.org/link/lab/index.html?path=01-a.ipynb"
    last = (site / "episodes" / "a.md").read_text().splitlines()[-2:]
    assert last[0].startswith("*The code block of this page ran on ")
    assert last[1] == f"[Run this page in your browser]({address})"
    for page in ("episodes/b.md", "index.md"):
        assert (site / page).read_text() == (lesson / page).read_text()


def test_a_page_that_was_changed_after_the_report_is_refused(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--json", "report.json"]) == 0
    later = (lesson / "report.json").stat().st_mtime + 1
    os.utime(lesson / "episodes" / "a.md", (later, later))
    assert main(["stamp", "report.json", "--out", "build/site"]) == 2
    assert "episodes/a.md was changed after report.json was written" in capsys.readouterr().err
    assert not (lesson / "build").exists()


@pytest.mark.parametrize("out", [".", "episodes", "episodes/site", "other"])
def test_the_copy_replaces_nothing_but_a_copy(lesson: Path, out: str) -> None:
    (lesson / "other").mkdir()
    (lesson / "other" / "mine.txt").write_text("mine")
    assert main(["check", "--json", "report.json"]) == 0
    assert main(["stamp", "report.json", "--out", out]) == 2
    assert (lesson / "other" / "mine.txt").is_file()
    assert (lesson / "episodes" / "a.md").is_file()


@pytest.mark.parametrize("text", ["no JSON", "{}", '[{"path": "a.md", "line": 1}]', "[1]"])
def test_what_is_no_report_is_refused(
    lesson: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (lesson / "report.json").write_text(text)
    assert main(["stamp", "report.json", "--out", "build/site"]) == 2
    assert "report.json is no report" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no R on this machine")
def test_each_language_says_its_own_version(lesson: Path) -> None:
    page = "---\ntitle: A\n---\n\n```r\n6 * 7\n```\n\n```bash\ntrue\n```\n\n```python\n1\n```\n"
    (lesson / "episodes" / "a.md").write_text(page)
    assert main(["check", "--json", "report.json"]) == 0
    found = {r["language"]: r for r in json.loads((lesson / "report.json").read_text())}
    if found["r"]["outcome"] == "not run":
        pytest.skip("no R kernel on this machine")
    assert found["r"]["version"].split(".")[0] == "4"
    assert found["python"]["version"].split(".")[0] == "3"
    assert found["bash"]["version"] == ""


def test_the_models_are_those_whose_recorded_answers_a_page_got() -> None:
    import requests

    with practice_environment() as environment:
        asked, other = environment("a.md", "python"), environment("b.md", "python")
        for model in ("gpt-4", "no-such-model"):
            chat(requests, other, model)
        assert environment.recorded("b.md", "python") == ()
        assert environment.recorded("c.md", "python") == ()
        embed = {"model": "all-minilm-l6-v2", "input": "a text that nobody recorded"}
        headers = {"Authorization": f"Bearer {asked['LITELLM_API_KEY']}"}
        url = asked["LITELLM_BASE_URL"]
        requests.post(f"{url}/embeddings", json=embed, headers=headers, timeout=20)
        assert environment.recorded("a.md", "python") == ()
        embed["input"] = "Battery storage and the stability of the grid"
        answer = requests.post(f"{url}/embeddings", json=embed, headers=headers, timeout=20)
        assert answer.status_code == 200
        assert environment.recorded("a.md", "python") == ("all-MiniLM-L6-v2",)
        assert environment.recorded("b.md", "python") == ()


def chat(requests: Any, given: Any, model: str) -> None:
    requests.post(
        f"{given['LITELLM_BASE_URL']}/chat/completions",
        json={"model": model, "messages": [{"role": "user", "content": "Hello"}]},
        headers={"Authorization": f"Bearer {given['LITELLM_API_KEY']}"},
        timeout=20,
    )
