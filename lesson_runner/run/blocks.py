"""Notebook, environment → what happened in each block. The edge to nbclient and the kernels."""

import asyncio
import base64
import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.plain_text import plain
from lesson_runner.page.settings import NOTHING_SAID, Needs
from lesson_runner.run.fork_server import INSIDE
from lesson_runner.run.happened import Before, Execution, Failure, Limits, Run
from lesson_runner.run.kernels import Kernel, kernel_environment, kernel_manager, prepare_folder
from lesson_runner.run.network import Gate, is_this_machine, open_gate
from lesson_runner.run.notebook import notebook_to_run
from lesson_runner.run.provisioners import PromptClient

TIME_IS_UP = "TimeIsUp"
PATIENCE = 2.0
"""Seconds after an interrupt in which a kernel has to stop."""


class _PageClient(NotebookClient):
    """Stops a block that prints without end; keeps each reply of the kernel."""

    def __init__(self, notebook: NotebookNode, limits: Limits, **options: Any) -> None:
        super().__init__(notebook, on_cell_executed=self.keep_reply, **options)
        self.limits = limits
        self.start_next_cell()

    end_of_flood: "asyncio.Future[None] | None" = None

    def start_next_cell(self) -> None:
        self.characters = 0
        self.flooded = False
        self.reply: dict[str, Any] = {}

    def keep_reply(self, cell: NotebookNode, cell_index: int, execute_reply: Any) -> None:
        self.reply = execute_reply["content"] if execute_reply else {}

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        if msg["msg_type"] == "stream" and not self.flooded:
            self.characters += len(msg["content"]["text"])
            if self.characters > self.limits.characters:
                self.flooded = True
                assert isinstance(self.km, AsyncKernelManager)
                self.end_of_flood = asyncio.ensure_future(self.stop_flood())
        if self.flooded and msg["msg_type"] == "stream":
            return None
        return super().process_message(msg, cell, cell_index)

    async def stop_flood(self) -> None:
        """Interrupt the kernel; end it if it goes on: R prints on for a long time."""
        assert isinstance(self.km, AsyncKernelManager)
        await self.km.interrupt_kernel()
        await asyncio.sleep(PATIENCE)
        if self.flooded and not self.reply and self.km.provisioner:
            await self.km.provisioner.kill()


async def execute(
    episode: Episode,
    kernel: Kernel,
    root: Path,
    environment: Mapping[str, str],
    limits: Limits,
    base: Path,
    context: zmq.asyncio.Context,
    fork_socket: str = "",
    needs: Needs = NOTHING_SAID,
    before: Before | None = None,
) -> Run:
    """Run the blocks of one page and language in a fresh kernel, in a new folder in `base`.

    What comes `before` runs unseen.
    """
    started = time.perf_counter()
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        async with open_gate() as gate:
            work = prepare_folder(folder, root, needs)
            language = kernel.language
            env = kernel_environment(folder, episode, language, environment, gate.port, needs.hosts)
            if not all(map(is_this_machine, env["LESSON_ALLOWED_HOSTS"].split(","))):
                fork_socket = ""  # there, no other machine could be reached
            if language == "python" and kernel.argv[0] != sys.executable:
                fork_socket = ""  # it forks this Python
            manager = kernel_manager(kernel, folder, context, fork_socket)
            run = await _execute_in(
                folder, work, env, episode, language, manager, limits, gate, before
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(run, seconds=time.perf_counter() - started)


async def _execute_in(
    folder: Path,
    work: Path,
    env: dict[str, str],
    episode: Episode,
    language: str,
    manager: AsyncKernelManager,
    limits: Limits,
    gate: Gate,
    before: Before | None,
) -> Run:
    # In a thread: the loop serves other pages' kernels, and this one starts meanwhile.
    converting = asyncio.ensure_future(asyncio.to_thread(notebook_to_run, episode, language))
    client = _PageClient(
        NotebookNode(),
        limits,
        km=manager,
        timeout=limits.seconds,
        startup_timeout=limits.start,
        allow_errors=True,
        interrupt_on_timeout=True,
        error_on_timeout={"ename": TIME_IS_UP, "evalue": "", "traceback": []},
        coalesce_streams=False,  # it moves printed text before values
        record_timing=False,
        store_widget_state=False,
    )
    log = folder / "kernel.log"
    with log.open("wb") as log_stream:
        try:
            problem = await _start(client, language, work, env, log_stream)
            client.nb = await converting
            if before and not problem:
                problem = await _run_before(client, before)
            if problem:
                report = f"the {language} kernel did not start: {problem}\n{_tail(log)}"
                return Run((), report.strip())
            found = [e async for e in _executions(client, episode, language, gate, log)]
            assert isinstance(client.kc, PromptClient)
            return Run(tuple(found), version=client.kc.language_version)
        finally:
            await _stop(client, manager)


async def _start(
    client: _PageClient, language: str, work: Path, env: dict[str, str], log: IO[bytes]
) -> str:
    """Start the kernel; empty, or why it did not."""
    try:
        await client.async_start_new_kernel(cwd=str(work), env=env, stdout=log, stderr=log)
        await client.async_start_new_kernel_client()
        await _prepare(client, language)
    except (RuntimeError, OSError, DeadKernelError) as error:
        return str(error) or type(error).__name__
    return ""


async def _prepare(client: _PageClient, language: str) -> None:
    if language == "r":
        assert isinstance(client.kc, AsyncKernelClient)
        code = (INSIDE / "prepare.R").read_text(encoding="utf-8")
        await client.kc.execute_interactive(
            code, silent=True, store_history=False, allow_stdin=False, output_hook=lambda _: None
        )


async def _run_before(client: _PageClient, before: Before) -> str:
    """Run what comes before the page; empty, or what is wrong with the lesson's own set-up."""
    page = client.nb
    # A blank makes it another source than a block of the page that may say the same.
    cells = [new_code_cell(f"{source}\n ") for source in (*before.pages, before.setup) if source]
    client.nb = new_notebook(cells=cells)
    for index, cell in enumerate(cells):
        client.start_next_cell()
        try:
            await client.async_execute_cell(cell, index)
        except DeadKernelError:
            return "the kernel died in what runs before the page"
    client.nb = page
    if before.setup and client.reply.get("status") == "error":
        return f"`setup` in lesson.yaml: {client.reply['ename']}: {client.reply['evalue']}"
    return ""


async def _stop(client: _PageClient, manager: AsyncKernelManager) -> None:
    """End the kernel and its process group, without asking."""
    if client.kc is not None:
        client.kc.stop_channels()
    if manager.has_kernel:
        await manager.shutdown_kernel(now=True)
    else:
        await manager.cleanup_resources()


async def _executions(
    client: _PageClient, episode: Episode, language: str, gate: Gate, log: Path
) -> Any:
    """Run cell after cell; end only after a block from which no kernel comes back."""
    cells = zip(episode.to_run(language), client.nb.cells, strict=True)
    for index, (block, cell) in enumerate(cells):
        client.start_next_cell()
        gate.refused.clear()
        started = time.perf_counter()
        ended = ""
        try:
            await client.async_execute_cell(cell, index)
        except DeadKernelError:
            ended = f"the kernel died\n{_tail(log)}".rstrip()
        except (RuntimeError, OSError) as error:
            ended = f"the kernel cannot be reached: {error}\n{_tail(log)}".rstrip()
        limit = client.limits.characters
        if client.flooded:
            ended = f"printed more than {limit:,} characters: interrupted"
        elif sum(len(o.get("data", {}).get("text/plain", "")) for o in cell["outputs"]) > limit:
            ended = f"shows a value of more than {limit:,} characters"
        elif client.reply.get("ename") == TIME_IS_UP:
            ended = f"still running after {client.limits.seconds} s: interrupted"
        seconds = time.perf_counter() - started
        if client.end_of_flood:
            client.end_of_flood.cancel()
        refused = tuple(gate.refused)
        failed_line = log.parent / "failed-line"
        execution = _execution(block, cell, client.reply, ended, seconds, refused, failed_line)
        yield execution
        if client.limits.exit_first and (ended or (execution.failure and not block.must_raise)):
            return
        if ended and not await _answers(client):
            return


async def _answers(client: _PageClient) -> bool:
    """Whether the kernel takes another block, after one that was interrupted or was too much."""
    assert isinstance(client.kc, PromptClient)
    with contextlib.suppress(RuntimeError, OSError, DeadKernelError):
        return await client.kc.is_alive() and await client.kc.answers(PATIENCE)
    return False


def _execution(
    block: Block,
    cell: NotebookNode,
    reply: dict[str, Any],
    ended: str,
    seconds: float,
    refused: tuple[str, ...],
    failed_line: Path,
) -> Execution:
    text = _Text()
    images: list[bytes] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            text.add_stream(output["name"], output["text"])
        elif output["output_type"] in ("execute_result", "display_data"):
            image = output["data"].get("image/png")
            if image:
                images.append(base64.b64decode(image))
            elif "text/plain" in output["data"]:
                text.add_value(output["data"]["text/plain"])
    failure = None if ended else _failure(block, cell, reply, failed_line)
    return Execution(
        block,
        text.output,
        text.printed,
        failure,
        tuple(images),
        seconds,
        ended,
        _crash_line(block, ended),
        refused,
        tuple(cell["outputs"]),
    )


@dataclass
class _Text:
    """Printed text as it grows. A value stands on lines of its own, as in a notebook."""

    output: str = ""
    printed: str = ""

    def add_stream(self, name: str, text: str) -> None:
        self.printed += text
        if name == "stdout":
            self.output += text

    def add_value(self, value: str) -> None:
        line = value if value.endswith("\n") else f"{value}\n"
        self.output += line if self.output.endswith("\n") or not self.output else f"\n{line}"
        self.printed += line


def _failure(
    block: Block, cell: NotebookNode, reply: dict[str, Any], failed_line: Path
) -> Failure | None:
    error = next((o for o in cell["outputs"] if o["output_type"] == "error"), None)
    if error is None and reply.get("status") == "error":
        error = reply
    if error is None:
        return None
    name, value = error["ename"], plain(error["evalue"]).strip("\n")
    traceback = plain("\n".join(error.get("traceback", [])))
    if block.language == "python":
        if name in ("SyntaxError", "IndentationError", "TabError"):  # `line` says where
            value = re.sub(r" \([^()]*, line \d+\)$", "", value)
        text = f"{name}: {value}" if value else name
        # IPython prints the traceback of an exception group itself.
        raised_at = _python_line(block, traceback) or _crash_line(block, _stderr(cell))
        return Failure(name, text, raised_at)
    if block.language == "r":
        return Failure(name, value, _r_line(block, value, failed_line))
    stderr = _stderr(cell).strip("\n")
    line = re.search(r":(\d+)$", traceback.split("\n", 1)[0])
    if line and name != "ShellExit":
        return Failure(name, stderr or value, int(line[1]), value)
    # A syntax error, or a shell that ended: only the shell itself names the line.
    said = re.findall(r"^bash: line (\d+): ", stderr, re.MULTILINE)
    last = block.line + block.source.count("\n")
    return Failure(
        name, stderr or value, min(block.line + int(said[-1]), last) if said else 0, value
    )


def _stderr(cell: NotebookNode) -> str:
    streams = [o for o in cell["outputs"] if o["output_type"] == "stream"]
    return plain("".join(o["text"] for o in streams if o["name"] == "stderr"))


def _python_line(block: Block, traceback: str) -> int:
    """The deepest line of this block in the traceback.

    `%%time` and `%%capture` give their cell a name of its own, and lines that count from there.
    """
    magic = re.match(r"\s*%%.*\n", block.source)
    within = re.findall(r"(?:<timed (?:exec|eval)>:|Cell In\[\d+\], line )(\d+)", traceback)
    if magic and within:
        return block.line + magic[0].count("\n") + int(within[-1])
    return _last_place(block, rf"File {re.escape(block.path)} block (\d+):(\d+)", traceback)


def _crash_line(block: Block, report: str) -> int:
    return _last_place(block, rf'File "{re.escape(block.path)} block (\d+)", line (\d+)', report)


def _last_place(block: Block, pattern: str, report: str) -> int:
    """Of the blocks named in a report, this one is the last: the others ran before it."""
    places = [(int(number), int(line)) for number, line in re.findall(pattern, report)]
    this = max((number for number, _ in places), default=0)
    lines = [line for number, line in places if number == this]
    if not lines:
        return 0
    return block.line + min(lines[-1], block.source.count("\n"))


def _r_line(block: Block, value: str, failed_line: Path) -> int:
    """The line of a syntax error, or the one that failed, as `prepare.R` noted it."""
    if syntax := re.search(r"<text>:(\d+):\d+:", value):
        return block.line + int(syntax[1])
    try:
        return block.line + int(failed_line.read_text())
    except (OSError, ValueError):
        return 0


def _tail(log: Path, lines: int = 8) -> str:
    """The last lines that a kernel wrote to its own terminal, such as a crash report."""
    text = log.read_bytes().decode("utf-8", "replace")
    kept = [line for line in text.splitlines() if line.strip() and "[IPKernelApp]" not in line]
    crash = next((n for n, line in enumerate(kept) if line.startswith("Fatal Python error")), None)
    return "\n".join(kept[-lines:] if crash is None else kept[crash : crash + lines])
