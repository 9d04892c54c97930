"""The run manifest says the same in Python and R, and no key gets into what is published."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

EPISODES = Path(__file__).resolve().parents[1] / "episodes"
PROMPT = "files/prompts/label-title.txt"
SAID = SimpleNamespace(headers={"x-litellm-version": "1.109.1"})
PATHS = ("data/labels.jsonl", "data/failures.jsonl", "data/titles.csv")

R_CODE = f"""
source("files/llm.R"); source("files/labelling.R"); source("files/manifest.R")
of <- function(log, path, version = "1.109.1") {{
  said <- response(headers = list("x-litellm-version" = version))
  write_manifest(log, "{PATHS[1]}", "{PATHS[2]}", "{PROMPT}", said, path)
}}
made <- of("{PATHS[0]}", "r.json")
stopifnot(made$labels == 120, is.na(of("mixed.jsonl", "mixed-r.json")$cost))
told <- tryCatch(of("{PATHS[0]}", "key.json", version = api_key), error = conditionMessage)
stopifnot(grepl("your key is in key.json", told))
"""


@pytest.fixture
def manifest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The module, in a folder outside Git, which also has a log that mixes two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("LITELLM_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LITELLM_API_KEY", "sk-of-a-test")
    monkeypatch.setenv("LITELLM_MODEL", "a-model")
    for name in ("files", "data"):
        shutil.copytree(EPISODES / name, tmp_path / name)
    records = [json.loads(line) for line in Path(PATHS[0]).read_text("utf-8").splitlines()[:2]]
    records[1] |= {"settings": {"temperature": 1}, "cost": None}
    Path("mixed.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    forget()
    yield importlib.import_module("files.manifest")
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "files"]:
        del sys.modules[name]


def test_it_summarises_the_log(manifest: ModuleType) -> None:
    made = manifest.write_manifest(*PATHS, [PROMPT], SAID)

    assert made == json.loads(Path("manifest.json").read_text("utf-8"))
    assert (made["titles"], made["labels"], made["failures"]) == (120, 120, 0)
    assert made["settings"] == [{"temperature": 0}]
    assert made["prompts"] == [made["files"][PROMPT]]
    assert list(made["files"]) == [PATHS[0], PATHS[2], PROMPT]
    assert made["proxy"] == {"model-name": None, "model-id": None, "version": "1.109.1"}
    assert made["commit"] is None
    assert made["last"] < made["written"] < "2100"


def test_a_log_of_two_runs_shows(manifest: ModuleType) -> None:
    made = manifest.write_manifest("mixed.jsonl", *PATHS[1:], [], SAID)

    assert made["settings"] == [{"temperature": 0}, {"temperature": 1}]
    assert made["cost"] is None


def test_a_key_in_a_file_is_found(manifest: ModuleType) -> None:
    Path("notes.txt").write_text("key = sk-of-a-test\n")

    with pytest.raises(ValueError, match=r"your key is in notes\.txt"):
        manifest.write_manifest(*PATHS, ["notes.txt"], SAID)


@pytest.mark.skipif(not shutil.which("git"), reason="needs Git")
def test_it_names_the_commit_and_says_what_has_changed_since(manifest: ModuleType) -> None:
    for command in (
        "git init --quiet",
        "git add files",
        "git -c user.name=A -c user.email=a@b.c commit --quiet --message=files",
    ):
        subprocess.run(command.split(), check=True)
    assert len(manifest.commit()) >= 7
    Path(PROMPT).write_text("Another prompt: {title}\n")
    assert manifest.commit().endswith("-dirty")


@pytest.mark.skipif(not shutil.which("Rscript"), reason="needs R")
def test_r_writes_the_same_file(manifest: ModuleType) -> None:
    own = [
        manifest.write_manifest(log, *PATHS[1:], [PROMPT], SAID, path="python.json")
        for log in (PATHS[0], "mixed.jsonl")
    ]
    Path("test.R").write_text(R_CODE)
    done = subprocess.run(["Rscript", "test.R"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

    theirs = [json.loads(Path(name).read_text("utf-8")) for name in ("r.json", "mixed-r.json")]
    for made in (*theirs, *own):
        assert made.pop("versions")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", made.pop("written"))
    assert theirs == own
