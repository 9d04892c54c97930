"""The same requests with virtual keys to the mock and to a real LiteLLM with a database.

`make contract` names the commands of two versions, and installs the adapter to their databases.
Where PostgreSQL, Node or the adapter's packages are missing, these tests say so and are skipped, or
fail if LITELLM_REQUIRE_KEYS is 1.
"""

import csv
from collections.abc import Iterator

import contract
import key_steps
import pytest
import real_litellm
from proxy_client import Client

from lesson.main import main


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        yield


@pytest.fixture(scope="module", params=real_litellm.COMMANDS)
def litellm(request, environment) -> Iterator[str]:
    command = real_litellm.command_with_keys(request.param)
    with real_litellm.litellm_with_keys(command, contract.DATA / "config.yaml", {}) as url:
        yield url


@pytest.fixture(scope="module")
def mock(litellm) -> Iterator[str]:
    """The mock as this version of LiteLLM, or as the newest that it knows."""
    with real_litellm.mock_of(litellm) as url:
        yield url


# One test for all: LiteLLM takes long to start, and every process of pytest-xdist would start one.
def test_virtual_keys_are_litellms(mock, litellm, folder, capsys):
    steps(mock, litellm)
    stories(mock, litellm)
    lesson_keys(folder, litellm, capsys)


def steps(mock, litellm):
    got = key_steps.stepped(mock)
    want = key_steps.stepped(litellm, wait=True)
    compare(
        {step: (got[step], want[step]) for step in got if step not in key_steps.DIFFERENT_STEPS}
    )


def stories(mock, litellm):
    pairs = {}
    for story in sorted(set(key_steps.STORIES) - set(key_steps.UNSETTLED_STORIES)):
        got, want = key_steps.told(mock, story), key_steps.told(litellm, story, wait=True)
        for number, ((case, one), (_, other)) in enumerate(zip(got, want, strict=True)):
            pairs[f"{story} {number}: {case}"] = (one, other)
    compare(pairs)


def compare(pairs):
    if different := key_steps.differences(pairs):
        pytest.fail("\n".join(different), pytrace=False)


# --- lesson keys ------------------------------------------------------------------------------


@pytest.fixture
def folder(litellm, tmp_path, monkeypatch):
    """The current folder, with the environment of somebody who runs this LiteLLM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITELLM_BASE_URL", litellm)
    monkeypatch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
    return tmp_path


def lesson_keys(folder, litellm, capsys):
    """Keys are made, hold to their limits, are listed, blocked and deleted."""
    call = ["keys", "--learners", "2", "--budget", "0.25", "--days", "2", "--rpm", "2"]
    assert main([*call, "--models", "gpt-4o-mini", "--name", "spring"]) == 0
    with (folder / "keys.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["alias"] for row in rows] == ["spring-01", "spring-02"]
    cards = (folder / "keys.html").read_text(encoding="utf-8")
    admin = Client(litellm, contract.MASTER_KEY)
    for row in rows:
        assert row["key"] in cards
        learner = Client(litellm, row["key"])
        told = learner.get("/key/info").json()["info"]
        assert (told["key_alias"], told["max_budget"], told["rpm_limit"]) == (
            row["alias"],
            float(row["budget"]),
            2,
        )
        assert told["expires"][:10] == row["expires"]
        assert [model["id"] for model in learner.get("/models").json()["data"]] == ["gpt-4o-mini"]
        assert [learner.ask("Hello").status_code for _ in range(3)] == [200, 200, 429]
        assert learner.ask("Hello", model="gpt-4").status_code == 403
        listed = admin.get("/key/list", params={"key_alias": row["alias"]}).json()
        assert listed["total_count"] == 1

    # The same names a second time, and a learner who tries.
    assert main([*call, "--name", "spring", "--out", "more.csv"]) == 2
    assert "already exists" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", rows[0]["key"])
        assert main(["keys", "--learners", "1", "--out", "mine.csv"]) == 2
    assert "does not let this key manage keys" in capsys.readouterr().err

    assert main(["keys", "--revoke", "keys.csv"]) == 0
    assert "2 of 2 keys blocked" in capsys.readouterr().out
    refused = [Client(litellm, row["key"]).ask("Hello") for row in rows]
    assert [response.status_code for response in refused] == [401, 401]
    deleted = admin.post("/key/delete", json={"keys": [row["key"] for row in rows]})
    assert deleted.status_code == 200
    assert main(["keys", "--revoke", "keys.csv"]) == 1
    assert "0 of 2 keys blocked" in capsys.readouterr().out
