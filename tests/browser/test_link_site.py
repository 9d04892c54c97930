"""The site of `lesson link`: its notebooks run to their ends in the browser, as pages show it.

The notebooks are tried with the Pyodide of `make link-environment`, which lacks numpy, pandas
and matplotlib: those that need them are skipped, and say so. `LESSON_PYODIDE` names the folder of
another Pyodide; with a whole one, as in the workflow `link`, none is.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from chromium import PATIENCE, Browser, Page, expect, not_here
from firefox import find_firefox, running_firefox
from nbformat import NotebookNode

from lesson import link
from lesson_runner.judge.verdict import judge
from lesson_runner.page.lesson import find_lesson
from lesson_runner.run.blocks import _Text
from lesson_runner.run.happened import Execution, Failure
from mock_proxy import RunningProxy

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("link")  # for all of these, one site is built

LESSON = find_lesson(ROOT)
EPISODES = [page.stem for page in LESSON.pages if page.parent.name == "episodes"]
PYODIDE = Path(__file__).with_name("pyodide") / "node_modules" / "pyodide"

if find_spec("jupyterlite_pyodide_kernel") is None:
    pytest.skip("JupyterLite is missing: pip install -e '.[link]'", allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pyodide = Path(os.environ.get("LESSON_PYODIDE") or PYODIDE)
    if not pyodide.is_dir():
        not_here(f"{pyodide} is missing: make link-environment")
    folder = tmp_path_factory.mktemp("link")
    call = [sys.executable, "-m", "lesson", "link", "--out", folder, "--pyodide", pyodide]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def end_headers(self) -> None:
        """A new version of a file is seen at once."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Of a web server that knows files, and nothing else."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of a browser that has seen nothing yet. It stays on this computer."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    yield page
    context.close()
    parts = [urlsplit(address) for address in addresses]
    assert {one.hostname for one in parts if one.scheme not in ("blob", "data")} <= {"127.0.0.1"}


def name_of(site: Path, episode: str) -> str:
    return next((site / "files").glob(f"*-{episode}.ipynb")).name


def needs(site: Path, notebook: NotebookNode) -> set[str]:
    """The packages that the notebook imports, in `files` too, and that the site lacks."""
    lock = (site / "pyodide" / "pyodide-lock.json").read_text(encoding="utf-8")
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    texts = {f.stem: f.read_text("utf-8") for f in (site / "files" / "files").glob("*.py")}
    for source in sources:
        sources += [
            texts.pop(name)
            for name in re.findall(r"^from files\.(\w+) import", source, re.MULTILINE)
            if name in texts
        ]
    imported = re.findall(r"^\s*(?:import|from) (\w+)", "\n".join(sources), re.MULTILINE)
    return {name for name in imported if name in ("numpy", "pandas", "matplotlib")} - {
        name for name in ("numpy", "pandas", "matplotlib") if f'"{name}": {{' in lock
    }


def choose(tab: Page, menu: str, entry: str) -> None:
    tab.get_by_role("menuitem", name=menu, exact=True).click()
    tab.get_by_role("menuitem", name=entry, exact=True).click()


def opened(tab: Page, address: str, name: str) -> None:
    tab.goto(f"{address}/lab/index.html?path={name}")
    line = tab.get_by_role("status").filter(has_text="Python")
    expect(line).to_contain_text(re.compile(r"^Python is (starting|ready)"))
    expect(tab.get_by_role("button", name=re.compile(r"^Python .* \| Idle$"))).to_be_visible()


def downloaded(tab: Page, file: Path) -> NotebookNode:
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download").click()
    download.value.save_as(file)
    return nbformat.read(file, as_version=4)


def failures(episode: str, notebook: NotebookNode) -> list[str]:
    """Where cells printed something else than their page shows, as `lesson check` says it."""
    blocks = {block.line: block for block in LESSON.read(page_of(episode)).to_run("python")}
    found: list[str] = []
    for cell in notebook.cells:
        block = blocks.pop(cell.metadata.get("line"), None)
        if block is None:
            continue
        text, failure = _Text(), None
        for output in cell.outputs:
            if output.output_type == "stream":
                text.add_stream(output.name, output.text)
            elif output.output_type == "error":
                failure = Failure(output.ename, f"{output.ename}: {output.evalue}")
            elif "text/plain" in output.data:
                text.add_value(output.data["text/plain"])
        result = judge(Execution(block, text.output, text.printed, failure))
        if result.outcome != "passed":
            found.append(f"{result.place}: {result.message}")
    return found + [f"{block.path}:{block.line}: there is no cell" for block in blocks.values()]


def page_of(episode: str) -> Path:
    return ROOT / "episodes" / f"{episode}.md"


@pytest.mark.parametrize("episode", EPISODES)
def test_a_notebook_runs_to_its_end(
    tab: Page, address: str, site: Path, episode: str, tmp_path: Path
) -> None:
    name = name_of(site, episode)
    notebook = nbformat.read(site / "files" / name, as_version=4)
    if missing := needs(site, notebook):
        pytest.skip(f"this Pyodide has no {', '.join(sorted(missing))}")
    number = sum(cell.cell_type == "code" for cell in notebook.cells)

    opened(tab, address, name)
    choose(tab, "View", "Expand All Code")
    choose(tab, "Run", "Run All Cells")
    prompts = tab.locator(".jp-CodeCell .jp-InputPrompt")
    expect(prompts).to_have_text([f"[{count}]:" for count in range(1, number + 1)])

    assert failures(episode, downloaded(tab, tmp_path / name)) == []


def test_a_notebook_runs_in_firefox(address: str, site: Path) -> None:
    program = find_firefox()
    if program is None:
        pytest.skip("there is no Firefox: on Debian, apt-get install firefox-esr")
    episode = "api-introduction"
    with running_firefox(program) as firefox:
        firefox.open(f"{address}/lab/index.html?path={name_of(site, episode)}")
        notebook = firefox.run("""
            const line = document.querySelector("#python-line");
            await new Promise((done) => {
              const look = () => { if (line.textContent === "Python is ready.") done(); };
              new MutationObserver(look).observe(line, { childList: true });
              look();
            });
            await window.jupyterapp.commands.execute("notebook:run-all-cells");
            return window.jupyterapp.shell.currentWidget.content.model.toJSON();
        """)
    assert failures(episode, nbformat.from_dict(notebook)) == []


def test_a_proxy_that_allows_web_pages_can_be_asked_instead(
    tab: Page, address: str, site: Path, tmp_path: Path, proxy: RunningProxy
) -> None:
    name = name_of(site, "api-introduction")
    key = proxy.new_key()
    opened(tab, address, name)
    cell = tab.locator(".jp-CodeCell").first
    cell.locator(".cm-content").click()
    tab.keyboard.press("ControlOrMeta+a")
    tab.keyboard.insert_text(
        "from mock_proxy.server.browser import start\n"
        f"start({proxy.url!r}, model='gpt-4')\n"
        "import os, requests\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['LITELLM_API_KEY']}\n"
        "print(requests.get(os.environ['LITELLM_BASE_URL'] + '/key/info', headers=headers).text)"
    )
    tab.keyboard.press("Shift+Enter")
    cell.locator("input.jp-Stdin-input").fill(key)
    cell.locator("input.jp-Stdin-input").press("Enter")

    expect(cell.locator(".jp-OutputArea")).to_contain_text(f"sk-...{key[-4:]}")
    notebook = downloaded(tab, tmp_path / name)
    assert key not in nbformat.writes(notebook)


def test_changes_stay_until_their_notebook_is_deleted(
    tab: Page, address: str, site: Path, tmp_path: Path
) -> None:
    def first() -> str:
        notebook = downloaded(tab, tmp_path / name)
        return next(cell.source for cell in notebook.cells if cell.cell_type == "code")

    name = name_of(site, "api-introduction")
    opened(tab, address, name)
    tab.locator(".jp-CodeCell .cm-content").first.click()
    tab.keyboard.press("ControlOrMeta+End")
    tab.keyboard.insert_text("\n# mine")
    tab.keyboard.press("ControlOrMeta+s")
    expect(tab.locator("#jp-main-statusbar")).to_contain_text("Saving completed")
    # A new version of the lesson.
    file = site / "files" / name
    file.write_text(file.read_text("utf-8").replace("Connect this", "Tie this"), encoding="utf-8")

    opened(tab, address, name)

    assert first() == f"{link.CONNECT}\n# mine"
    tab.locator(".jp-DirListing-item", has_text=name).click(button="right")
    tab.get_by_role("menuitem", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tab.locator(".jp-Notebook")).to_have_count(0)

    opened(tab, address, name)

    assert first() == link.CONNECT.replace("Connect this", "Tie this")
