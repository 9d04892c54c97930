"""A class of `lesson teach`: notebooks are opened and run to their ends in JupyterLab.

What JupyterLab shows is waited for; what is asserted is the notebook that it saves.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from chromium import PATIENCE, Locator, Page, expect, not_here, violations
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from ports import free_port

from lesson_runner.run.kernels import find_kernel

ROOT = Path(__file__).resolve().parents[2]

OURS = ".jp-RenderedMarkdown"
"""The pages' text in the notebooks. Toolbars, editors, outputs and colours are JupyterLab's."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class's notebooks."""
    return tmp_path_factory.mktemp("class")


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a class with both languages, by somebody who has changed no setting of JupyterLab."""
    settings = tmp_path_factory.mktemp("settings")
    options = ["--no-browser", "--folder", str(folder), "--port", str(free_port())]
    call = [sys.executable, "-m", "lesson", "teach", *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM_")}
    with subprocess.Popen(
        call,
        cwd=ROOT,
        env=environment | {"JUPYTER_CONFIG_DIR": str(settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        too_long = threading.Timer(PATIENCE / 1000, process.kill)
        too_long.start()
        try:
            told = address_told(process)
            too_long.cancel()
            yield told
        finally:
            too_long.cancel()
            process.terminate()
            process.communicate()


def address_told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Save your notebooks"):
            return re.findall(r"Open JupyterLab: +(\S+)", said)[0]
    pytest.fail(f"lesson teach ended:\n{said}")


def opened(page: Page, address: str, language: str, name: str) -> None:
    """Open a notebook from the folder of the class, and wait until its kernel is ready."""
    # A workspace of its own: no tabs of another test.
    page.goto(address.replace("/lab?", f"/lab/workspaces/{language}?"))
    files = page.get_by_role("region", name="file browser section")
    for entry in (language, name):
        files.get_by_role("listitem", name=re.compile(f"^Name: {re.escape(entry)} ")).dblclick()
    # JupyterLab asks for a kernel if a cell is run before there is one.
    expect(is_idle(page)).to_be_visible()


def is_idle(page: Page) -> Locator:
    """The bar at the bottom names the kernel of the notebook, and says what it does."""
    return page.get_by_role("button", name=re.compile(r"^(Python 3|R)\b.* \| Idle$"))


def choose(page: Page, menu: str, entry: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def run_all_cells(page: Page, file: Path) -> NotebookNode:
    """The notebook as JupyterLab saves it once all cells have run."""
    number = len(code_cells(nbformat.read(file, as_version=4)))
    choose(page, "View", "Expand All Code")  # solutions are folded
    choose(page, "Run", "Run All Cells")
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    expect(prompts).to_have_text([f"[{count}]:" for count in range(1, number + 1)])
    expect(is_idle(page)).to_be_visible()
    with page.expect_response(
        lambda response: response.request.method == "PUT" and "/api/contents/" in response.url
    ):
        page.keyboard.press("ControlOrMeta+s")
    return nbformat.read(file, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def counts(notebook: NotebookNode) -> list[int | None]:
    return [cell.execution_count for cell in code_cells(notebook)]


def failed(notebook: NotebookNode) -> list[str]:
    """The cells with an error that is not meant to happen."""
    return [
        cell.source
        for cell in code_cells(notebook)
        if any(output.output_type == "error" for output in cell.outputs)
        and "raises-exception" not in cell.metadata.get("tags", [])
    ]


def test_a_python_notebook_runs_to_its_end(page: Page, address: str, folder: Path) -> None:
    """Beyond the starter code, which nobody has completed yet."""
    opened(page, address, "python", "01-api-introduction.ipynb")
    saved = run_all_cells(page, folder / "python" / "01-api-introduction.ipynb")

    assert counts(saved) == list(range(1, len(counts(saved)) + 1))
    assert len(counts(saved)) > 10
    assert failed(saved) == []
    assert violations(page, OURS) == []


def test_an_r_notebook_runs_to_its_end(page: Page, address: str, folder: Path) -> None:
    if missing := find_kernel("r").missing:
        not_here(missing)
    opened(page, address, "r", "02-api-litellm.ipynb")
    saved = run_all_cells(page, folder / "r" / "02-api-litellm.ipynb")

    assert counts(saved) == list(range(1, len(counts(saved)) + 1))
    assert len(counts(saved)) > 10
    assert failed(saved) == []
    assert violations(page, OURS) == []


def test_a_cell_that_fails_or_has_not_run_is_found() -> None:
    error = new_output("error", ename="NameError", evalue="x", traceback=[])
    notebook = new_notebook(
        cells=[
            new_code_cell("x", execution_count=1, outputs=[error]),
            new_code_cell(
                "____", execution_count=2, outputs=[error], metadata={"tags": ["raises-exception"]}
            ),
            new_code_cell("1"),
        ]
    )

    assert failed(notebook) == ["x"]
    assert counts(notebook) == [1, 2, None]
