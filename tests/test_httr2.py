"""The version of httr2 that the lesson needs: one number everywhere, and what only it can do."""

import os
import re
import shutil
from pathlib import Path

import pytest

from lesson import doctor
from lesson.main import main

ROOT = Path(__file__).resolve().parents[1]
NEEDED = doctor.R_PACKAGES["httr2"]
SAY_IT = ("README.md", "learners/setup.md", "episodes/classify-dataset.md", "episodes/files/llm.R")

LEFT_OUT = "<!-- not run: a test of its own runs it, where httr2 is new enough -->\n"


def asked_for(text: str) -> list[str]:
    """The versions that a text asks for, such as "`httr2` 1.1.1 or newer"."""
    return re.findall(r"httr2`? (\d[\d.]*) +(?:or )?newer", " ".join(text.split()))


def test_a_version_that_a_text_asks_for_is_found() -> None:
    text = "We counted in `httr2` 1.3.0. It needs `httr2` 1.0 or\nnewer. # httr2 1.1.1 or newer."
    assert asked_for(text) == ["1.0", "1.1.1"]


@pytest.mark.parametrize("file", SAY_IT)
def test_every_file_asks_for_the_version_that_the_doctor_wants(file: str) -> None:
    assert asked_for((ROOT / file).read_text(encoding="utf-8")) == [NEEDED]


def test_no_other_file_asks_for_a_version() -> None:
    folders = ("episodes", "instructors", "learners", "profiles")
    files = [
        *ROOT.glob("*.md"),
        *(file for folder in folders for file in (ROOT / folder).rglob("*.*")),
    ]
    found = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.suffix in (".md", ".R", ".py") and asked_for(file.read_text(encoding="utf-8"))
    }
    assert found == set(SAY_IT)


@pytest.fixture
def new_enough() -> None:
    """Skips with an httr2 that is too old, unless a new one is required."""
    rscript = shutil.which("Rscript")
    version = ""
    if rscript:
        has_it = 'requireNamespace("httr2", quietly = TRUE)'
        version = doctor.ask_r(rscript, f'if ({has_it}) cat(format(packageVersion("httr2")))')
    if doctor.numbers(version) < doctor.numbers(NEEDED):
        assert not os.environ.get("LESSON_REQUIRE_HTTR2"), f"httr2 {version} is too old"
        pytest.skip(f"httr2 {version or 'is missing'}: older than {NEEDED}")


def test_the_blocks_that_only_a_new_httr2_can_run_print_what_the_page_shows(
    new_enough: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "episodes" / "classify-dataset.md").read_text(encoding="utf-8")
    assert LEFT_OUT in text
    shutil.copytree(ROOT / "episodes", tmp_path / "episodes")
    for page in (tmp_path / "episodes").glob("*.md"):
        page.unlink()
    (tmp_path / "episodes" / "classify-dataset.md").write_text(text.replace(LEFT_OUT, ""), "utf-8")
    (tmp_path / "config.yaml").write_text("title: Made\nepisodes:\n- classify-dataset.md\n")
    call = ["check", "--root", str(tmp_path), "--language", "r", "--require-languages", "r"]
    assert main(call) == 0, capsys.readouterr().out
