"""What `lesson link` puts into its site. tests/browser/test_link_site.py tries the site itself."""

import argparse
import itertools
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lesson import link
from lesson.wheels import Packages, pure_wheel
from lesson_runner.page.lesson import find_lesson
from lesson_runner.page.places import LessonError

ROOT = Path(__file__).resolve().parents[1]


def pyodide(**versions: str) -> dict[str, Any]:
    """A lock file with packages of these versions, which need nothing."""
    packages = {
        name: {"name": name, "version": version, "file_name": f"{name}.whl", "depends": []}
        for name, version in versions.items()
    }
    return {"info": {"python": "3.14.2", "abi_version": "2026_0"}, "packages": packages}


def packages(folder: Path, **versions: str) -> Packages:
    return Packages(pyodide(**versions), folder, "https://cdn.example")


def test_every_notebook_begins_with_the_same_two_cells() -> None:
    files = link.contents(find_lesson(ROOT))
    notebooks = [
        nbformat.reads(content.decode(), as_version=4)
        for name, content in files.items()
        if name.endswith(".ipynb")
    ]
    assert len(notebooks) == len(list((ROOT / "episodes").glob("*.md")))
    assert {notebook.cells[1].source for notebook in notebooks} == {link.introduction()}
    assert {notebook.cells[2].source for notebook in notebooks} == {link.CONNECT}


def test_what_is_not_there_is_told_where_it_stands() -> None:
    files = link.contents(find_lesson(ROOT))

    def cells(name: str) -> list[Any]:
        content = next(content for path, content in files.items() if path == f"{name}.ipynb")
        return list(nbformat.reads(content.decode(), as_version=4).cells)

    (curl,) = (cell.source for cell in cells("02-api-litellm") if "```bash" in cell.source)
    assert f"{link.NO_TERMINAL}\n\n```bash\ncurl" in curl
    notes, codes = zip(*itertools.pairwise(cells("08-classify-dataset")), strict=True)
    above = [
        n.source for n, c in zip(notes, codes, strict=True) if "ThreadPoolExecutor(" in c.source
    ]
    assert above == [link.NO_THREADS]


def test_a_package_comes_from_pyodide_where_its_version_fits(tmp_path: Path) -> None:
    found = packages(tmp_path, tqdm="4.67.3")
    found.add("tqdm>=4.66")
    assert found.files() == {"tqdm.whl"}


def test_what_is_too_old_there_comes_from_the_package_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(self: Packages, wanted: Any) -> list[Path]:
        return [pure_wheel(tmp_path, one.name, "4.70", tmp_path) for one in wanted]

    monkeypatch.setattr(Packages, "_fetched", fetched)
    found = packages(tmp_path, tqdm="4.67.3")
    found.add("tqdm", "tqdm>=4.68")
    assert found.files() == {"tqdm-4.70-py3-none-any.whl"}
    with pytest.raises(LessonError, match=r"tqdm is 4\.70 already"):
        found.add("tqdm<4.70")


def test_a_wheel_says_what_it_needs_in_a_browser(tmp_path: Path) -> None:
    top = tmp_path / "made_up"
    top.mkdir()
    (top / "__init__.py").touch()
    elsewhere, there = 'psutil; sys_platform != "emscripten"', "comm>=0.2"
    wheel = pure_wheel(tmp_path, "made-up", "1", top, [elsewhere, there])
    content = wheel.read_bytes()
    found = packages(tmp_path)
    assert [str(one) for one in found.take(wheel)] == ["comm>=0.2"]
    assert found.chosen["made-up"]["imports"] == ["made_up"]
    again = pure_wheel(tmp_path, "made-up", "1", top, [elsewhere, there])
    assert again.read_bytes() == content


def test_what_only_pyodide_compiles_is_missing_without_it(tmp_path: Path) -> None:
    found = packages(tmp_path)
    found.add("numpy>=1.26")
    assert found.missing == {"numpy"}


def test_pyodide_loads_pandas_for_files_that_import_it() -> None:
    assert link.importing(find_lesson(ROOT), "pandas") == ["files.evaluation", "files.manifest"]


def test_other_files_are_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").touch()
    monkeypatch.setattr(link, "find_spec", lambda name: True)
    options = argparse.Namespace(out=tmp_path, root=ROOT, pyodide=None)
    with pytest.raises(LessonError, match="other files"):
        link.run(options)
