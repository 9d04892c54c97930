"""How long this runner takes beside its peers, on the same content, in one run.

    python -m pip install -r requirements.txt -e '.[benchmark]'
    python benchmarks/runner.py                     # 8 episodes × 12 blocks, all peers
    python benchmarks/runner.py --growth            # ours alone: 8, 80 and 320 episodes

It writes a lesson of made-up episodes, as Markdown and as notebooks, serves the requests of their
blocks from this machine, and times whole commands: the median of several runs, the ratio to
nbmake and to plain Python (each episode's blocks in one script, one `python` per episode), and
the largest memory of all processes of a command together. Only ratios within one run mean
anything: seconds depend on the machine.
"""

import argparse
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

REPOSITORY = Path(__file__).resolve().parents[1]

# What lesson code does: a request to a server, its JSON, a little of the standard library.
BLOCKS = [
    (
        "import json\nimport os\nimport requests\n\nurl = os.environ['LITELLM_BASE_URL']\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['LITELLM_API_KEY']}",
        "",
    ),
    (
        "answer = requests.get(f'{url}/models', headers=headers, timeout=10)\n"
        "print(answer.json()['data'][0]['id'])",
        "gpt-4\n",
    ),
    ("titles = ['Heat', 'Wind', 'School']\nlen(titles)", "3\n"),
    ("print(json.dumps({'titles': titles}))", '{"titles": ["Heat", "Wind", "School"]}\n'),
    ("counts = {title: len(title) for title in titles}\ncounts['Wind']", "4\n"),
    ("for title in sorted(titles):\n    print(title)", "Heat\nSchool\nWind\n"),
]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"data": [{"id": "gpt-4"}]}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def local_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_lesson(root: Path, episodes: int, blocks: int) -> None:
    """The same content as pages (`episodes`), as notebooks and as scripts."""
    for folder in ("episodes", "notebooks", "scripts"):
        (root / folder).mkdir(parents=True)
    (root / "config.yaml").write_text("title: Benchmark\n")
    # A lesson of its own has no mock proxy: its requests go to the benchmark's server.
    (root / "pytest.ini").write_text("[pytest]\n")
    chosen = [BLOCKS[0], *(BLOCKS[1 + n % (len(BLOCKS) - 1)] for n in range(blocks - 1))]
    for number in range(episodes):
        name = f"episode-{number:03d}"
        page = [f"---\ntitle: Episode {number}\n---\n"]
        for source, output in chosen:
            page.append(f"Some text about this block.\n\n```python\n{source}\n```\n")
            if output:
                page.append(f"```output\n{output}```\n")
        (root / "episodes" / f"{name}.md").write_text("\n".join(page))
        notebook = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            cells=[notebook_cell(n, *block) for n, block in enumerate(chosen, start=1)],
        )
        nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")
        script = "\n".join(source for source, _ in chosen)
        (root / "scripts" / f"{name}.py").write_text(f"{script}\n")


def notebook_cell(number: int, source: str, output: str) -> nbformat.NotebookNode:
    """With its output, for tools that compare it."""
    if not output:
        made = []
    elif "print" in source:
        made = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    else:
        value = {"text/plain": output.strip()}
        made = [nbformat.v4.new_output("execute_result", value, execution_count=number)]
    return nbformat.v4.new_code_cell(source, outputs=made, execution_count=number)


@dataclass(frozen=True)
class Approach:
    """A command on a lesson; `checks` says whether it compares what the page shows."""

    name: str
    checks: str
    command: Callable[[Path], list[list[str]]]


PLUGINS = ("lesson", "nbmake", "nbval")


def pytest(plugin: str, *arguments: str) -> list[str]:
    """Only the plugin that is measured: each costs time by being imported."""
    others = [option for name in PLUGINS if name != plugin for option in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *others]
    return [*command, *arguments]


def tool(name: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / name), *arguments]


def notebooks(root: Path) -> list[str]:
    return sorted(map(str, (root / "notebooks").glob("*.ipynb")))


OURS = Approach(
    "pytest episodes (this project)", "yes", lambda root: [pytest("lesson", "episodes")]
)
OURS_2 = Approach(
    "pytest -n 2 episodes (this project)",
    "yes",
    lambda root: [pytest("lesson", "-n", "2", "episodes")],
)
COMMAND = Approach("lesson check (this project)", "yes", lambda root: [tool("lesson", "check")])

PLAIN = Approach(
    "python, once per episode",
    "no",
    lambda root: [[sys.executable, str(script)] for script in sorted(root.glob("scripts/*.py"))],
)
NBMAKE = Approach("pytest --nbmake", "no", lambda root: [pytest("nbmake", "--nbmake", "notebooks")])

PEERS = [
    OURS,
    OURS_2,
    COMMAND,
    PLAIN,
    NBMAKE,
    Approach(
        "pytest --nbmake -n 2",
        "no",
        lambda root: [pytest("nbmake", "--nbmake", "-n", "2", "notebooks")],
    ),
    Approach("pytest --nbval", "yes", lambda root: [pytest("nbval", "--nbval", "notebooks")]),
    Approach(
        "jupytext --execute",
        "no",
        lambda root: [tool("jupytext", "--quiet", "--execute", *notebooks(root))],
    ),
    Approach(
        "jupyter-cache, cold",
        "no",
        lambda root: [
            tool("jcache", "notebook", "add", *notebooks(root)),
            tool("jcache", "project", "execute"),
        ],
    ),
]


@dataclass(frozen=True)
class Measured:
    seconds: float
    megabytes: float


def measure(approach: Approach, root: Path, url: str) -> Measured:
    """Run the commands of an approach in a fresh copy of the lesson. Raises if one fails."""
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    environment = os.environ | {"LITELLM_BASE_URL": url, "LITELLM_API_KEY": "sk-benchmark"}
    peak = [0.0]
    try:
        started = time.perf_counter()
        for command in approach.command(copy):
            process = subprocess.Popen(
                command,
                cwd=copy,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            watcher = threading.Thread(target=watch_memory, args=(process.pid, peak))
            watcher.start()
            output, _ = process.communicate("y\n")  # jcache asks whether to make its cache
            watcher.join()
            if process.returncode != 0 or "succeeded: []" in output:
                raise SystemExit(f"{approach.name} failed:\n{output[-2000:]}")
        seconds = time.perf_counter() - started
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return Measured(seconds, peak[0])


def watch_memory(pid: int, peak: list[float]) -> None:
    """The largest sum of proportional set sizes of a process and all below it, in MB.

    Shared pages count once: what a fork shares with its parent is not counted again.
    """
    while True:
        try:
            process = psutil.Process(pid)
            together = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        total = 0.0
        for one in together:
            try:
                total += getattr(one.memory_full_info(), "pss", 0) / 1e6
            except psutil.Error:
                continue
        if total == 0.0:
            return
        peak[0] = max(peak[0], total)
        time.sleep(0.1)


def compare(episodes: int, blocks: int, runs: int) -> None:
    with lesson_of(episodes, blocks) as root, local_server() as url:
        times: dict[str, list[Measured]] = {approach.name: [] for approach in PEERS}
        for number in range(runs):
            for approach in PEERS:  # side by side, so that a busy moment meets all alike
                times[approach.name].append(measure(approach, root, url))
                print(f"run {number + 1} of {runs}: {approach.name}", file=sys.stderr)
    middle = {name: statistics.median(m.seconds for m in found) for name, found in times.items()}
    print(f"{episodes} episodes × {blocks} blocks, medians of {runs} whole commands\n")
    print(f"{'':38}{'seconds':>9}{'/ nbmake':>10}{'/ python':>10}{'MB':>8}  compares output")
    for approach in PEERS:
        seconds = middle[approach.name]
        megabytes = max(m.megabytes for m in times[approach.name])
        print(
            f"{approach.name:38}{seconds:9.2f}{seconds / middle[NBMAKE.name]:10.2f}"
            f"{seconds / middle[PLAIN.name]:10.2f}{megabytes:8.0f}  {approach.checks}"
        )


def grow(blocks: int, runs: int) -> None:
    print(f"{'':38}{'episodes':>9}{'seconds':>9}{'s/episode':>11}{'MB':>8}")
    for approach in (OURS, OURS_2, COMMAND):
        before: tuple[int, float] | None = None
        for episodes in (8, 80, 320):
            with lesson_of(episodes, blocks) as root, local_server() as url:
                found = [measure(approach, root, url) for _ in range(runs)]
            seconds = statistics.median(m.seconds for m in found)
            each = (seconds - before[1]) / (episodes - before[0]) if before else seconds / episodes
            megabytes = max(m.megabytes for m in found)
            print(f"{approach.name:38}{episodes:9}{seconds:9.2f}{each:11.3f}{megabytes:8.0f}")
            before = (episodes, seconds)


@contextmanager
def lesson_of(episodes: int, blocks: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lesson"
        write_lesson(root, episodes, blocks)
        yield root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="8, 80 and 320 episodes, ours alone")
    options = parser.parse_args()
    if options.growth:
        grow(options.blocks, options.runs)
    else:
        compare(options.episodes, options.blocks, options.runs)


if __name__ == "__main__":
    main()
