"""`lesson live` on another proxy: a learner's key, other models, and what can go wrong."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lesson.main import main
from lesson.practice import PRACTICE_MODEL
from lesson_runner.page.lesson import Lesson
from mock_proxy import RunningProxy, load, running

ROOT = Path(__file__).parents[1]

THEIRS = """\
model_list:
  - model_name: their-chat
    litellm_params: {model: openai/gpt-4o-mini}
  - model_name: their-embedding
    litellm_params: {model: openai/text-embedding-ada-002}
    model_info: {mode: embedding}
general_settings:
  master_key: sk-of-whoever-runs-their-proxy
"""

STAND_INS = ["--model", "gpt-4o-mini=their-chat"]

ASK = """\
    ```python
    import os, requests

    def ask(text, model="gpt-4o-mini"):
        response = requests.post(
            os.environ["LITELLM_BASE_URL"] + "/chat/completions",
            headers={"Authorization": "Bearer " + os.environ["LITELLM_API_KEY"]},
            json={"model": model, "messages": [{"role": "user", "content": text}]},
            timeout=60,
        )
        response.raise_for_status()
        return response.json()["choices"][0]["message"]["content"]

    print(ask("Hello"))
    ```

    ```output
    What no model answers.
    ```
    """


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy of somebody else: other models, and a master key that nobody here has."""
    file = tmp_path_factory.mktemp("theirs") / "config.yaml"
    file.write_text(THEIRS, encoding="utf-8")
    with running(load(file)) as proxy:
        yield proxy


@pytest.fixture
def key(theirs: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """A learner's key, in the environment of the call."""
    key = theirs.new_key(max_budget=5.0)
    monkeypatch.setenv("LITELLM_BASE_URL", theirs.url)
    monkeypatch.setenv("LITELLM_API_KEY", key)
    return key


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    root = tmp_path / "lesson"
    (root / "episodes").mkdir(parents=True)
    (root / "config.yaml").write_text("carpentry: incubator\ntitle: Made\n", encoding="utf-8")
    return root


def page(lesson: Path, *blocks: str, name: str = "a.md") -> Path:
    file = lesson / "episodes" / name
    text = "\n".join(textwrap.dedent(block) for block in blocks)
    file.write_text(f"---\ntitle: Made\n---\n\n{text}", encoding="utf-8")
    return file


def live(lesson: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and the report as JSON if there is one."""
    report = lesson.parent / "report.json"
    report.unlink(missing_ok=True)
    status = main(["live", "--root", str(lesson), "--json", str(report), *STAND_INS, *options])
    return status, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}


def test_code_asks_the_callers_own_model(
    key: str, lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page(
        lesson,
        "```python\nimport os\nprint(os.environ['LITELLM_MODEL'])\n```\n",
        "```output\nX\n```\n",
    )
    monkeypatch.setenv("LITELLM_MODEL", "their-chat")
    _, found = live(lesson, "--yes")
    assert "+their-chat" in found["blocks"][0]["difference"]
    monkeypatch.setenv("LITELLM_MODEL", "no-such")
    assert live(lesson, "--yes") == (2, {})
    assert "the proxy has no no-such. It has: their-chat" in capsys.readouterr().err


def spend_of(theirs: RunningProxy, key: str) -> float:
    found = theirs.keys.find(key)
    assert found is not None
    return found.spend


# The lesson itself


def test_the_lesson_runs_on_another_proxy_with_a_learners_key(
    theirs: RunningProxy, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    names = ["episodes/api-litellm.md", "episodes/tokens-cost.md", "episodes/errors-retries.md"]
    pages = [str(ROOT / name) for name in names]
    stand_ins = ["--model", f"{PRACTICE_MODEL}=their-chat"]
    options = ["--language", "python", "--yes", "--json", str(report), *stand_ins]

    assert main(["live", *pages, *options]) == 0

    said = capsys.readouterr().out
    found = json.loads(report.read_text(encoding="utf-8"))
    outcomes = {(b["path"], b["line"]): b["outcome"] for b in found["blocks"]}
    assert "failed" not in outcomes.values()
    blocks = [b for name in names for b in Lesson(ROOT, ()).read(ROOT / name).blocks]
    practice_only = [b for b in blocks if b.practice_only]
    assert practice_only
    for block in practice_only:
        assert outcomes[block.path, block.line] == "not run"
        assert f"left out: practice proxy only: {block.practice_only}" in said
    # Whatever stands below a block that was left out has run all the same.
    ran = [b for b in blocks if b.language == "python" and b.role == "run" and not b.practice_only]
    assert {outcomes[b.path, b.line] for b in ran} == {"passed"}

    assert found["models"] == [f"their-chat for {PRACTICE_MODEL}"]
    assert found["requests"] > 30
    assert found["usd_told"] == pytest.approx(spend_of(theirs, key))
    assert found["litellm_version"] == "1.109.1"
    assert found["usd_for_learners"] == pytest.approx(30 * found["usd_told"], rel=0.1)
    assert "A class of 30" in said
    assert "Differences worth a look" in said
    assert "All well." in said


# What differs, and what fails


def test_what_a_model_answers_may_differ(
    key: str, lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page(lesson, ASK)
    status, found = live(lesson, "--yes")
    (block,) = found["blocks"]
    assert (status, block["outcome"]) == (0, "passed")
    assert "-What no model answers." in block["difference"]
    assert "Differences worth a look: 1." in capsys.readouterr().out


def test_a_block_that_raises_fails_and_other_languages_run_on(
    key: str, lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page(
        lesson,
        '```python\nraise ValueError("no label")\n```\n',
        "```python\nprint(1)\n```\n",
        "```bash\necho 2\n```\n",
    )
    status, found = live(lesson, "--yes")
    assert status == 1
    assert [(b["line"], b["outcome"]) for b in found["blocks"]] == [
        (5, "failed"),
        (9, "passed"),
        (13, "passed"),
    ]
    said = capsys.readouterr().out
    assert "episodes/a.md:6: ValueError: no label" in said
    assert "1 block failed." in said


def test_a_block_that_does_not_raise_fails_where_the_page_shows_an_error(
    key: str, lesson: Path
) -> None:
    page(lesson, "```python\nx = 1\n```\n", "```error\nKeyError: 'x'\n```\n")
    status, found = live(lesson, "--yes")
    assert status == 1
    assert found["blocks"][0]["reason"] == "the page shows an error, but the block raised none"


ANSWER = "<!-- response: GET /models{} -->\n```json\n{}\n```\n"


def test_an_answer_of_the_proxy_may_differ_but_be_no_error(key: str, lesson: Path) -> None:
    page(
        lesson,
        ANSWER.format("", '{"data": [{"id": "gpt-4", "...": "..."}], "object": "list"}'),
        ANSWER.format(" without key", '{"data": ["..."], "object": "list"}'),
    )
    status, found = live(lesson, "--yes")
    assert status == 1
    assert [block["outcome"] for block in found["blocks"]] == ["passed", "failed"]
    assert found["blocks"][0]["difference"].startswith("data")


def test_a_block_that_needs_one_that_is_left_out_is_told_before_anything_is_spent(
    key: str, lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = "<!-- practice proxy only: made up -->\n```python\nx = 1\n```\n"
    page(lesson, left_out, "```python\nprint(x)\n```\n")
    status, _ = live(lesson, "--yes")
    told, _, _ = capsys.readouterr().out.partition("Likely cost")
    assert status == 1
    assert "On the practice proxy, too, this fails once those blocks are left out:" in told
    assert "episodes/a.md:11: NameError: name 'x' is not defined" in told


# Before it starts


def test_without_a_terminal_it_asks_for_yes_and_spends_nothing(
    theirs: RunningProxy,
    key: str,
    lesson: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page(lesson, ASK)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    status, found = live(lesson)
    said = capsys.readouterr()
    assert (status, found, spend_of(theirs, key)) == (2, {}, 0.0)
    assert "gpt-4o-mini → their-chat" in said.out
    assert "Likely cost: about 0.0000" in said.out
    assert "there is no terminal to ask at: add --yes" in said.err


@pytest.mark.parametrize(("typed", "expected"), [("y", 0), ("", 2)])
def test_at_a_terminal_it_asks(
    theirs: RunningProxy,
    key: str,
    lesson: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    expected: int,
) -> None:
    page(lesson, ASK)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: typed)
    status, _ = live(lesson)
    assert status == expected
    assert bool(spend_of(theirs, key)) == (expected == 0)


def test_models_that_the_proxy_lacks_are_named_once(
    theirs: RunningProxy, key: str, lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page(lesson, ASK, 'ask("Hello again", "gpt-4.1")\n'.join(["```python\n", "```\n"]))
    assert main(["live", "--root", str(lesson), "--yes"]) == 2
    assert capsys.readouterr().err == (
        "lesson: the proxy has no gpt-4.1 and no gpt-4o-mini. It has: their-chat, "
        "their-embedding. Name one that stands in: --model gpt-4.1=THEIRS\n"
    )
    assert spend_of(theirs, key) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["live", "--model", "gpt-4=no-such"], "the proxy has no no-such. It has: their-chat"),
        (["live", "--json", "report.md"], "--json writes its report into report.md: name another"),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why(
    key: str,
    lesson: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    page(lesson, ASK)
    assert main([*options, "--root", str(lesson), "--yes"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LITELLM_BASE_URL", "", "LITELLM_BASE_URL is not set"),
        ("LITELLM_API_KEY", "", "LITELLM_API_KEY is not set"),
        ("LITELLM_API_KEY", "sk-wrong-key", "The proxy does not accept your key"),
        ("LITELLM_BASE_URL", "http://127.0.0.1:9", "http://127.0.0.1:9 does not answer"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_before_anything_runs(
    key: str,
    lesson: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    message: str,
) -> None:
    page(lesson, ASK)
    monkeypatch.setenv(name, value)
    assert main(["live", "--root", str(lesson), "--yes"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "sk-wrong-key" not in said.err + said.out


# Money


def test_it_stops_when_so_much_is_spent(
    theirs: RunningProxy, key: str, lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page(lesson, ASK, '```python\nask("Once more")\n```\n')
    page(lesson, ASK, name="b.md")
    status, found = live(lesson, "--yes", "--max-cost", "0.000001")
    assert status == 1
    assert [block["outcome"] for block in found["blocks"]] == ["passed", "failed", "not run"]
    assert "422" in found["blocks"][1]["reason"]
    assert found["blocks"][2]["reason"] == "not reached: stopped at --max-cost"
    assert found["stopped_at_max_cost"] is True
    assert found["requests"] == 1
    assert "Stopped at --max-cost 1e-06" in capsys.readouterr().out


# The key

LOOKS_AROUND = """\
    ```python
    import pathlib

    def read(file):
        try:
            return file.read_bytes().decode("latin-1")
        except OSError:
            return ""

    seen = [repr(dict(os.environ))]
    seen += [read(file) for file in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
    seen += [read(file) for file in pathlib.Path.cwd().parent.parent.rglob("*") if file.is_file()]
    info = requests.get(
        os.environ["LITELLM_BASE_URL"] + "/key/info",
        headers={"Authorization": "Bearer " + os.environ["LITELLM_API_KEY"]},
    )
    seen.append(repr(info.request.headers) + info.text)
    pathlib.Path(DUMP).write_text("".join(seen), encoding="utf-8")
    print(seen[0], seen[-1])
    ask("Hello", "no-such-model")
    ```
    """


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_the_key_is_found_nowhere_even_after_a_failure(
    key: str,
    lesson: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    dump = tmp_path / "seen.txt"
    page(lesson, ASK, LOOKS_AROUND.replace("DUMP", repr(str(dump))))

    status, found = live(lesson, "--yes")

    assert status == 1
    assert "HTTPError: 400" in found["blocks"][1]["reason"]
    said = capsys.readouterr()
    seen = dump.read_text(encoding="utf-8")
    stand_in = seen.partition("'LITELLM_API_KEY': '")[2].partition("'")[0]
    assert stand_in.startswith("sk-")
    assert stand_in != key
    kept = [file.read_text("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert not [text for text in (said.out, said.err, json.dumps(found), *kept) if key in text]
    assert list(temporary.iterdir()) == []
