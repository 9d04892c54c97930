"""`lesson keys`: a key for each learner, cards to hand out, and no key left working after class."""

import csv
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from lesson.main import main
from mock_proxy import RunningProxy, running

Run = Callable[..., int]


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with running() as proxy:
        yield proxy


@pytest.fixture
def folder(tmp_path: Path, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the environment of somebody who runs the proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITELLM_BASE_URL", proxy.url)
    monkeypatch.setenv("LITELLM_MASTER_KEY", proxy.master_key)
    monkeypatch.delenv("LITELLM_API_KEY", raising=False)
    return tmp_path


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def models_of(proxy: RunningProxy, key: str) -> requests.Response:
    return requests.get(f"{proxy.url}/models", headers={"Authorization": f"Bearer {key}"})


def test_each_learner_gets_a_key_that_works_until_class_is_over(
    folder: Path, proxy: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["keys", "--learners", "3", "--budget", "0.25", "--days", "2", "--rpm", "30"]
    assert main([*call, "--models", "gpt-4o-mini", "--name", "spring"]) == 0

    rows = read(folder / "keys.csv")
    assert [row["alias"] for row in rows] == ["spring-01", "spring-02", "spring-03"]
    assert {row["budget"] for row in rows} == {"0.25"}
    answers = [models_of(proxy, row["key"]) for row in rows]
    assert [[m["id"] for m in answer.json()["data"]] for answer in answers] == [["gpt-4o-mini"]] * 3
    key = proxy.keys.find(rows[0]["key"])
    assert key is not None
    assert (key.max_budget, key.rpm_limit) == (0.25, 30)
    assert str(key.expires)[:10] == rows[0]["expires"]

    assert main(["keys", "--revoke", "keys.csv"]) == 0
    assert {models_of(proxy, row["key"]).status_code for row in rows} == {401}

    said = capsys.readouterr()
    assert "3 of 3 keys blocked" in said.out
    assert not [row for row in rows if row["key"] in said.out + said.err]


def test_the_cards_hold_each_key_and_the_address_for_learners(folder: Path) -> None:
    assert main(["keys", "--learners", "2", "--name", "a<b", "--address", "https://x.org"]) == 0

    page = (folder / "keys.html").read_text(encoding="utf-8")
    assert page.count("<section>") == 2
    assert all(page.count(row["key"]) == 1 for row in read(folder / "keys.csv"))
    assert page.count("https://x.org") == 2
    assert "a&lt;b-01" in page
    assert "LITELLM_MODEL" not in page


@pytest.mark.parametrize("by_variable", [False, True])
def test_the_cards_name_the_model_where_one_was_chosen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    chosen = [] if by_variable else ["--model", "our-<model>"]
    if by_variable:
        monkeypatch.setenv("LITELLM_MODEL", "our-<model>")
    name = f"class-{by_variable}"
    assert main(["keys", "--learners", "2", "--name", name, *chosen]) == 0
    page = (folder / "keys.html").read_text(encoding="utf-8")
    assert page.count("our-&lt;model&gt;") == page.count("LITELLM_MODEL") == 2
    assert {row["model"] for row in read(folder / "keys.csv")} == {"our-<model>"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_nobody_else_on_this_computer_reads_the_keys(folder: Path) -> None:
    main(["keys", "--learners", "1", "--name", "private"])

    modes = {stat.S_IMODE((folder / name).stat().st_mode) for name in ("keys.csv", "keys.html")}
    assert modes == {0o600}


def test_keys_in_use_are_never_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "keys.html").write_text("mine")

    assert main(["keys", "--learners", "1"]) == 2
    assert "keys.html exists, and may hold keys in use" in capsys.readouterr().err
    assert (folder / "keys.html").read_text() == "mine"
    assert not (folder / "keys.csv").exists()


def test_keys_made_before_a_failure_are_in_the_table(
    folder: Path, proxy: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.new_key(alias="autumn-03")

    assert main(["keys", "--learners", "4", "--name", "autumn"]) == 2

    said = capsys.readouterr().err
    assert "Key with alias 'autumn-03' already exists" in said
    assert "2 keys of 4 made; they are in keys.csv" in said
    assert [row["alias"] for row in read(folder / "keys.csv")] == ["autumn-01", "autumn-02"]


def test_a_failure_at_once_leaves_no_table(
    folder: Path, proxy: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.new_key(alias="winter-01")

    assert main(["keys", "--learners", "4", "--name", "winter"]) == 2
    assert not (folder / "keys.csv").exists()


def test_a_learners_key_makes_no_keys(
    folder: Path,
    proxy: RunningProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = proxy.new_key()
    monkeypatch.setenv("LITELLM_MASTER_KEY", key)

    assert main(["keys", "--learners", "1"]) == 2
    said = capsys.readouterr().err
    assert "does not let this key manage keys" in said
    assert key not in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LITELLM_BASE_URL", "", "LITELLM_BASE_URL is not set"),
        ("LITELLM_MASTER_KEY", "", "LITELLM_MASTER_KEY is not set"),
        ("LITELLM_BASE_URL", "http://127.0.0.1:1", "http://127.0.0.1:1 does not answer"),
    ],
)
def test_what_is_missing_is_named(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    expected: str,
) -> None:
    monkeypatch.setenv(name, value)

    assert main(["keys", "--learners", "1"]) == 2
    assert expected in capsys.readouterr().err


def test_revoking_goes_on_after_a_key_that_is_gone(
    folder: Path, proxy: RunningProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    key = proxy.new_key()
    (folder / "keys.csv").write_text(f"alias,key\ngone,sk-gone-0123456789\nhere,{key}\n")

    assert main(["keys", "--revoke", "keys.csv"]) == 1
    said = capsys.readouterr().out
    assert "gone is not blocked" in said
    assert "1 of 2 keys blocked" in said
    assert "sk-gone-0123456789" not in said
    assert models_of(proxy, key).status_code == 401


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("name,budget\nx,1\n", "keys.csv:1: the table needs the columns 'alias' and 'key'"),
        ("alias,key\na,sk-1\nb,\n", "keys.csv:3: the key of 'b' does not begin with sk-"),
    ],
)
def test_a_table_that_is_none_is_refused_before_anything_is_blocked(
    folder: Path, capsys: pytest.CaptureFixture[str], table: str, expected: str
) -> None:
    (folder / "keys.csv").write_text(table)

    assert main(["keys", "--revoke", "keys.csv"]) == 2
    assert expected in capsys.readouterr().err
