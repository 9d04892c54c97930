"""The module of the two episodes on evaluation says the same in Python and R."""

import csv
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

EPISODES = Path(__file__).resolve().parents[1] / "episodes"

R_CODE = """
source("files/evaluation.R")
coded <- coded_titles("log.jsonl")
titles <- labelled_titles("log.jsonl")
all <- corrected_share("health", titles, titles)
cat(jsonlite::toJSON(list(
  missing = sum(titles$model == "missing"), coded = nrow(coded),
  accuracy = accuracy(coded), f1 = f1(coded, "health"),
  kappa = cohen_kappa(coded$reference, coded$model),
  wilson = wilson(0, 10), share = all[1], error = all[2]
), auto_unbox = TRUE, digits = 10))
limits <- interval(f1, coded, "health")
stopifnot(limits[1] < f1(coded, "health"), f1(coded, "health") < limits[2])
rare <- data.frame(reference = rep("none", 30), model = rep("none", 30))
rare[1, ] <- "health"
stopifnot(all(interval(f1, rare, "health") == 1))
many <- try(interval(function(data) data$reference == "none", rare), silent = TRUE)
stopifnot(grepl("one number", many))
twice <- try(coded_titles("twice.jsonl"), silent = TRUE)
stopifnot(grepl("two labels", twice))
"""


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The module, in a folder with a log in which each fifth title is "health", one is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("files", "data"):
        shutil.copytree(EPISODES / name, tmp_path / name)
    with (EPISODES / "data" / "titles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        json.dumps({"id": row["id"], "label": row["topic_label"] if n % 5 else "health"})
        for n, row in enumerate(rows)
    ]
    Path("log.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    Path("twice.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")
    for name in [n for n in sys.modules if n.partition(".")[0] == "files"]:
        monkeypatch.delitem(sys.modules, name)
    yield importlib.import_module("files.evaluation")
    for name in [n for n in sys.modules if n.partition(".")[0] == "files"]:
        del sys.modules[name]


def test_a_title_without_a_label_is_missing_and_wrong(evaluation: ModuleType) -> None:
    titles = evaluation.labelled_titles("log.jsonl")
    assert list(titles["model"]).count("missing") == 1
    assert evaluation.accuracy(titles) < 1


def test_a_title_with_two_labels_is_an_error(evaluation: ModuleType) -> None:
    with pytest.raises(pd.errors.MergeError):
        evaluation.coded_titles("twice.jsonl")


def test_kappa_is_the_one_that_is_worked_out_by_hand(evaluation: ModuleType) -> None:
    a = pd.Series(["energy"] * 30 + ["other"] * 70)
    b = pd.Series(["energy"] * 20 + ["other"] * 10 + ["energy"] * 10 + ["other"] * 60)
    assert evaluation.cohen_kappa(a, b) == pytest.approx(0.22 / 0.42)


def test_a_label_that_is_missing_from_resamples_has_an_interval(evaluation: ModuleType) -> None:
    rare = pd.DataFrame({"reference": ["none"] * 29 + ["health"], "model": "none"})
    rare.loc[29, "model"] = "health"
    with pytest.warns(RuntimeWarning):
        assert list(evaluation.interval(evaluation.f1, rare, "health")) == [1, 1]


def test_a_score_that_is_a_column_is_an_error(evaluation: ModuleType) -> None:
    rare = pd.DataFrame({"reference": ["none"] * 30})
    with pytest.raises(ValueError, match="one number"):
        evaluation.interval(lambda data: data["reference"] == "none", rare)


def test_wilson_is_right_at_both_ends(evaluation: ModuleType) -> None:
    assert list(evaluation.wilson(0, 10)) == [0, 0.28]
    assert list(evaluation.wilson(10, 10)) == [0.72, 1]
    assert list(evaluation.wilson(34, 40)) == [0.71, 0.93]


def test_with_all_titles_coded_the_corrected_share_is_the_true_one(evaluation: ModuleType) -> None:
    titles = evaluation.labelled_titles("log.jsonl")
    share, error = evaluation.corrected_share("none", titles, titles)
    assert share == pytest.approx((titles["reference"] == "none").mean())
    assert 0 < error < 0.05


@pytest.mark.skipif(not shutil.which("Rscript"), reason="needs R")
def test_r_says_the_same(evaluation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test.R").write_text(R_CODE)
    done = subprocess.run(["Rscript", "test.R"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    coded = evaluation.coded_titles("log.jsonl")
    titles = evaluation.labelled_titles("log.jsonl")
    share, error = evaluation.corrected_share("health", titles, titles)
    assert json.loads(done.stdout) == {
        "missing": 1,
        "coded": 80,
        "accuracy": pytest.approx(evaluation.accuracy(coded)),
        "f1": pytest.approx(evaluation.f1(coded, "health")),
        "kappa": pytest.approx(evaluation.cohen_kappa(coded["reference"], coded["model"])),
        "wilson": [0, 0.28],
        "share": pytest.approx(share),
        "error": pytest.approx(error),
    }
