"""Write a site in which the Python notebooks run in the browser."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

import mock_proxy
from lesson.editions import Edition, files_of, fingerprint
from lesson.options import root_of
from lesson.wheels import Packages, asked_by, pure_wheel
from lesson_runner.export.documents import FORMATS
from lesson_runner.page.lesson import Lesson, find_lesson
from lesson_runner.page.places import LessonError

EXAMPLE = "lesson link --out public/link"

PROJECT = "llm-apis-litellm"
PLUGIN = "@jupyterlite/pyodide-kernel-extension:kernel"

EXTENSION = Path(sys.prefix, "share", "jupyter", "labextensions", PLUGIN.partition(":")[0])
"""The one extension of JupyterLab that the site gets, whatever else is installed."""

CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
"""Pyodide without packages."""

PROXY = ("h11", "jsonschema", "orjson", "pydantic", "pyyaml", "requests", "starlette", "urllib3")
"""What the practice proxy needs in a browser."""

AT_ONCE = ("comm", "ipykernel", "ipython", "jedi", "micropip", "piplite", "pyodide-kernel", "tqdm")
"""What the kernel needs to start, and a small package that `files` imports."""

WHEN_IMPORTED = ("pandas", "numpy", "matplotlib", "openai", "httpx")
"""Large packages: a notebook that imports one waits for it, and the others do not."""

STAND_INS = {
    # The package openai asks through httpx2, which would ask the browser, past the practice proxy.
    "httpx2-jsfetch": (
        """\
\"\"\"Has httpx2 work in a browser as elsewhere: through `socket`, which the lesson replaces.\"\"\"

import ssl

import httpcore2
from httpx2._transports.default import AsyncHTTPTransport as AsyncJavascriptFetchTransport
from httpx2._transports.default import HTTPTransport as JavascriptFetchTransport

# Certificates are the browser's concern.
httpcore2.default_ssl_context = lambda **_: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
""",
        ("anyio", "httpcore2", "truststore"),
    ),
    # It has 5600 files, and takes longer to complete a name than a learner waits: IPython does it.
    "jedi": ("", ()),
    # Where Pyodide's own packages are not at hand.
    "orjson": (
        """\
\"\"\"Python's json in the place of orjson, which is faster.\"\"\"

from json import JSONDecodeError, dumps as text_of, loads


def dumps(value):
    return text_of(value, ensure_ascii=False, separators=(",", ":")).encode()
""",
        (),
    ),
}
"""Packages that are replaced: their source, and what they need."""

SETTINGS = {
    "@jupyterlab/notebook-extension:panel": {
        "toolbar": [{"name": "download", "command": "docmanager:download", "rank": 11}]
    },
    # Running a cell at once asks for no kernel.
    "@jupyterlab/notebook-extension:tracker": {"autoStartDefaultKernel": True},
}
"""Of JupyterLab, where they differ from its own."""

CONNECT = """\
# Connect this notebook to the practice proxy inside this page
from mock_proxy.server.browser import start

start()"""


COMMANDS = re.compile(r"^```(?:bash|powershell)\b", re.MULTILINE)
NO_TERMINAL = "*In the browser there is no terminal: this is to read.*"
NO_THREADS = "*In the browser there are no threads: the tasks run one after the other.*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the site, made anew")
    parser.add_argument(
        "--pyodide",
        type=Path,
        metavar="FOLDER",
        help="a copy of Pyodide (default: its files are fetched from its CDN)",
    )


def run(options: argparse.Namespace) -> int:
    if find_spec("jupyterlite_pyodide_kernel") is None:
        raise LessonError(f"JupyterLite is missing: python -m pip install '{PROJECT}[lesson,link]'")
    out: Path = options.out.resolve()
    if out.exists() and any(out.iterdir()) and not (out / "jupyter-lite.json").is_file():
        raise LessonError(f"{out} has other files than those of such a site: name another folder")
    lesson = find_lesson(root_of(options.root, Path.cwd()))
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        files = contents(lesson)
        for name, content in files.items():
            file = work / "contents" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        packages = chosen_packages(options.pyodide, work / "pyodide", lesson)
        compiled = with_bytecode(packages, work)
        (work / "jupyter-lite.json").write_text(json.dumps(settings(packages)))
        shutil.rmtree(out, ignore_errors=True)
        build(work, out)
        shutil.copytree(work / "pyodide", out / "pyodide")
        shutil.copy(Path(__file__).with_suffix(".js"), out)
        page = out / "lab" / "index.html"
        html = page.read_text("utf-8")
        page.write_text(
            html.replace("</head>", '<script src="../link.js"></script></head>'), "utf-8"
        )
    notebooks = sum(name.endswith(".ipynb") for name in files)
    print(f"{notebooks} notebooks that run in a browser: {out}")
    if packages.missing:
        names = ", ".join(sorted(packages.missing))
        print(f"not in {packages.at}, so notebooks that import them stop there: {names}")
    if not compiled:
        print(
            "without Node.js, which compiles what a notebook imports, notebooks start more slowly"
        )
    print(f"Try it: {Path(sys.executable).name} -m http.server --bind 127.0.0.1 -d {out}")
    return 0


# What learners open


def contents(lesson: Lesson) -> dict[str, bytes]:
    """The Python notebooks, each with the cells that connect it, and what lies beside them."""
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    files = files_of(lesson, episodes, Edition("python", FORMATS["ipynb"]))
    return {
        name: connected(content) if name.endswith(".ipynb") else content
        for name, content in files.items()
    }


def with_what_is_not_there(cells: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """The cells, with a line where something is not as on a learner's computer."""
    for number, cell in enumerate(cells):
        if cell.cell_type == "markdown" and (commands := COMMANDS.search(cell.source)):
            at = commands.start()
            cell.source = f"{cell.source[:at]}{NO_TERMINAL}\n\n{cell.source[at:]}"
        if cell.cell_type == "code" and "ThreadPoolExecutor(" in cell.source:
            yield new_markdown_cell(NO_THREADS, id=f"link-threads-{number}")
        yield cell


def introduction() -> str:
    return Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").rstrip()


def connected(content: bytes) -> bytes:
    notebook = nbformat.reads(content.decode(), as_version=4)
    notebook.cells = list(with_what_is_not_there(notebook.cells))
    notebook.cells[1:1] = [
        new_markdown_cell(introduction(), id="link-text"),
        new_code_cell(CONNECT, id="link-connect"),
    ]
    notebook.metadata["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)"}
    notebook.metadata["lesson"]["fingerprint"] = fingerprint(notebook)
    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()


# What the browser loads


def chosen_packages(pyodide: Path | None, folder: Path, lesson: Lesson) -> Packages:
    """The folder `pyodide` of the site: Pyodide, wheels, their lock file."""
    from jupyterlite_pyodide_kernel import constants

    at = pyodide.resolve() if pyodide else constants.PYODIDE_CDN_URL
    if isinstance(at, Path) and not (at / constants.PYODIDE_MJS).is_file():
        raise LessonError(f"{at} has no {constants.PYODIDE_MJS}: it is no Pyodide")
    folder.mkdir()
    for name in (*CORE, constants.PYODIDE_LOCK):
        bring(at, name, folder)
    lock = json.loads((folder / constants.PYODIDE_LOCK).read_bytes())
    packages = Packages(lock, folder, at)
    own = [Path(shutil.copy(wheel, folder)) for wheel in kernel_wheels()]
    own += [stand_in(folder, "httpx2-jsfetch"), stand_in(folder, "jedi")]
    if pyodide is not None and not list(pyodide.glob("orjson-*.whl")):
        own.append(stand_in(folder, "orjson"))
    if pyodide is not None and not list(pyodide.glob("pyyaml-*.whl")):
        # Its compiled part only makes it faster.
        own.append(pure_wheel(folder, "pyyaml", version("pyyaml"), Path(yaml.__file__).parent))
    ours = Path(mock_proxy.__file__).parent
    own.append(pure_wheel(folder, "mock-proxy", version(PROJECT), ours, PROXY))
    needed = [str(one) for wheel in own for one in packages.take(wheel)]
    packages.add(*asked_by(PROJECT, PROXY), *AT_ONCE, *asked_by(PROJECT, WHEN_IMPORTED), *needed)
    for name in WHEN_IMPORTED:
        if name in packages.chosen:
            packages.chosen[name]["imports"] += importing(lesson, name)
    for name in packages.files():
        if not (folder / name).exists():
            bring(at, name, folder)
    return packages


def bring(at: str | Path, name: str, folder: Path) -> None:
    """A file of Pyodide, from a folder or its CDN."""
    if isinstance(at, Path):
        shutil.copy(at / name, folder)
        return
    try:
        with urllib.request.urlopen(f"{at}/{name}", timeout=60) as answer:
            (folder / name).write_bytes(answer.read())
    except OSError as error:
        raise LessonError(f"{at}/{name}: {error}: give --pyodide FOLDER") from error


def with_bytecode(packages: Packages, work: Path) -> bool:
    """Have the lock file written, with wheels of bytecode if Node.js is here to make them."""
    lock, out = packages.folder / "pyodide-lock.json", work / "bytecode"
    lock.write_text(json.dumps(packages.lock()))
    if (node := shutil.which("node")) is None:
        return False
    out.mkdir()
    large = [name for name in WHEN_IMPORTED if name in packages.chosen]
    (out / "large.json").write_text(json.dumps(large))
    here, start = Path(__file__), json.dumps(packages.with_what_they_need(*AT_ONCE, "mock-proxy"))
    paths = (here.with_suffix(".mjs"), packages.folder, out, here.with_name("bytecode.py"))
    call = [node, *map(str, paths), start]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr[-3000:]
        raise LessonError(f"the notebooks' packages do not start in {node} (is it old?):\n{said}")
    for wheel in out.glob("*.whl"):
        packages.take(Path(shutil.copy(wheel, packages.folder)))
    packages.chosen["mock-proxy"]["depends"].append("start-bytecode")
    for name in large:
        packages.chosen[name]["depends"].append(f"{name}-bytecode")
    lock.write_text(json.dumps(packages.lock()))
    return True


def stand_in(folder: Path, name: str) -> Path:
    source, needs = STAND_INS[name]
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary) / name.replace("-", "_")
        top.mkdir()
        if source:
            (top / "__init__.py").write_text(source, encoding="utf-8")
        return pure_wheel(folder, name, "999", top, needs)


def kernel_wheels() -> list[Path]:
    """Those that the kernel brings with it."""
    wheels = (EXTENSION / "static" / "pypi").glob("*.whl")
    return [wheel for wheel in wheels if not wheel.name.startswith("widgets")]


def importing(lesson: Lesson, package: str) -> list[str]:
    """The modules in `files` that import a package: Pyodide looks no further than the cell."""
    files = (lesson.root / "episodes" / "files").glob("*.py")
    line = re.compile(rf"^(import|from) {package}\b", re.MULTILINE)
    return sorted(f"files.{file.stem}" for file in files if line.search(file.read_text("utf-8")))


def settings(packages: Packages) -> Mapping[str, Any]:
    """Of JupyterLite."""
    kernel = {
        "pyodideUrl": "./pyodide/pyodide.mjs",
        "disablePyPIFallback": not isinstance(packages.at, str),
        "loadPyodideOptions": {
            "lockFileURL": "./pyodide/pyodide-lock.json",
            "packages": packages.with_what_they_need(*AT_ONCE, "mock-proxy"),
        },
    }
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "LLM APIs for Research",
            "exposeAppInBrowser": True,
            "settingsOverrides": SETTINGS,
            "litePluginSettings": {PLUGIN: kernel},
        },
    }


def build(work: Path, out: Path) -> None:
    extensions = {"ignore_sys_prefix": True, "federated_extensions": [str(EXTENSION)]}
    configured = json.dumps({"LiteBuildConfig": extensions})
    (work / "jupyter_lite_config.json").write_text(configured)
    call = [
        *(sys.executable, "-m", "jupyterlite_core", "build", "--apps", "lab", "--no-sourcemaps"),
        *("--no-unused-shared-packages", "--lite-dir", str(work), "--output-dir", str(out)),
        *("--contents", str(work / "contents")),
    ]
    done = subprocess.run(call, check=False, capture_output=True, text=True, cwd=work)
    if done.returncode:
        raise LessonError(f"JupyterLite was not built:\n{done.stdout}{done.stderr}"[-5000:])
