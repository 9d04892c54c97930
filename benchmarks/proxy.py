"""How quick the practice proxy is beside the real LiteLLM, on one machine in one run.

    make contract-environment
    LITELLM_COMMAND=.venv-litellm/bin/litellm .venv/bin/python benchmarks/proxy.py

Both serve the same configuration file, whose models have canned answers, with one worker each and
one after the other, so that each has the machine for itself. Measured: the time from the command
to the first answered completion, resident memory, and for completions, streams and `/models` the
requests per second with their p50 and p99. The load is made by this process: where the practice
proxy is measured, it takes a core of its own and is itself near its limit, so that the ratios are
rather too small. Only ratios within one run mean anything. Without LITELLM_COMMAND the practice
proxy is measured alone; `--memory` sends it 50,000 requests and prints its memory on the way.
"""

import argparse
import asyncio
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "tests" / "data" / "litellm" / "config.yaml"
KEY = "sk-lesson-0123456789abcdef"

CHAT: dict[str, object] = {
    "model": "gpt-4",
    "messages": [{"role": "user", "content": "Say hello."}],
}
LOADS: list[tuple[str, str, dict[str, object] | None, int]] = [
    ("completions", "/chat/completions", CHAT, 1),
    ("completions", "/chat/completions", CHAT, 8),
    ("completions", "/chat/completions", CHAT, 64),
    ("streams", "/chat/completions", {**CHAT, "stream": True}, 8),
    ("streams", "/chat/completions", {**CHAT, "stream": True}, 64),
    ("models", "/models", None, 8),
]
"""The requests, and over how many connections."""


# --- the load ---------------------------------------------------------------------------------


def request(path: str, body: dict[str, object] | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = [
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {KEY}",
        "content-type: application/json",
        f"content-length: {len(content)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered; it remembers how long each took."""

    def __init__(self, message: bytes, goes_on: Callable[[], bool]) -> None:
        self.message, self.goes_on = message, goes_on
        self.seconds: list[float] = []
        self.received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not is_whole(self.received):
            return
        if not self.received.startswith(b"HTTP/1.1 200"):
            self.finished.set_exception(RuntimeError(self.received[:500].decode()))
            return
        self.seconds.append(time.perf_counter() - self.began)
        self.received = b""
        if self.goes_on():
            self.ask()
        elif not self.finished.done():
            self.finished.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionError("the server closed the connection"))


def is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    if not blank:
        return False
    at = head.find(b"content-length: ")
    if at < 0:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head[at + 16 :].partition(b"\r\n")[0])


@dataclass(frozen=True)
class Load:
    """The load a server took: requests per second, and milliseconds for an answer."""

    rate: float
    p50: float
    p99: float


async def load(
    port: int, message: bytes, connections: int, seconds: float = 1e9, requests: float = 1e12
) -> Load:
    """Ask for so long, or so often; an answer other than 200 is an error."""
    began, left = time.perf_counter(), requests

    def goes_on() -> bool:
        nonlocal left
        left -= 1
        return left >= connections and time.perf_counter() - began < seconds

    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(message, goes_on), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.finished for client in clients))
    passed = time.perf_counter() - began
    times = [second * 1000 for client in clients for second in client.seconds]
    for client in clients:
        client.transport.close()
    percent = quantiles(times, n=100, method="inclusive")
    return Load(len(times) / passed, percent[49], percent[98])


# --- the servers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]
    first_answer: float
    """Seconds from the command to the first answered completion."""

    def resident(self) -> float:
        """Megabytes (of 1,000,000 bytes) in memory, of the process and those it started."""
        pids, total = [self.process.pid], 0
        while pids:
            folder = Path(f"/proc/{pids.pop()}")
            fields = folder.joinpath("statm").read_text().split()
            total += int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
            for children in folder.glob("task/*/children"):
                pids += map(int, children.read_text().split())
        return total / 1e6


@contextmanager
def started(command: list[str]) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    command = [*command, "--config", str(CONFIG), "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            while not answers(port):
                if process.poll() is not None:
                    log.seek(0)
                    sys.exit(f"{shlex.join(command)} stopped:\n{log.read().decode()}")
                time.sleep(0.01)
            yield Server(port, process, time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    try:
        asyncio.run(load(port, request("/chat/completions", CHAT), 1, requests=2))
    except (OSError, RuntimeError):
        return False
    return True


# --- the comparison ---------------------------------------------------------------------------


def measure(command: list[str], seconds: float) -> dict[str, float]:
    """Every figure of one server, by its name."""
    with started(command) as server:
        figures = {"first answer, s": server.first_answer, "resident at first, MB": 0.0}
        figures["resident at first, MB"] = server.resident()
        for name, path, body, connections in LOADS:
            message = request(path, body)
            asyncio.run(load(server.port, message, connections, seconds=seconds / 4))  # warm up
            result = asyncio.run(load(server.port, message, connections, seconds=seconds))
            title = f"{name} at {connections}"
            figures[f"{title}, requests/s"] = result.rate
            figures[f"{title}, p50 ms"] = result.p50
            figures[f"{title}, p99 ms"] = result.p99
        figures["resident after, MB"] = server.resident()
    return figures


def compare(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """One line for each figure: ours, LiteLLM's, and how many times better ours is."""
    print(f"{'':34}{'mock':>10}{'LiteLLM':>10}{'better by':>11}")
    for name, mine in ours.items():
        line = f"{name:34}{mine:10.2f}"
        if name in theirs:
            other = theirs[name]
            ratio = mine / other if name.endswith("requests/s") else other / mine
            line += f"{other:10.2f}{ratio:10.1f}×"
        print(line)


def memory(command: list[str]) -> None:
    """Memory while requests go on: streams and completions in turn, at 64 connections."""
    with started(command) as server:
        done, at_5000 = 0, 0.0
        for total in range(2_500, 50_001, 2_500):
            stream = {**CHAT, "stream": total % 5_000 == 0}
            message = request("/chat/completions", stream)
            asyncio.run(load(server.port, message, 64, requests=total - done))
            done = total
            at_5000 = server.resident() if total == 5_000 else at_5000
            if total % 5_000 == 0:
                print(f"{total:6} requests: {server.resident():6.1f} MB")
        print(f"50,000 beside 5,000: {(server.resident() / at_5000 - 1) * 100:+.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=8, help="of each load")
    parser.add_argument("--memory", action="store_true", help="50,000 requests, memory alone")
    options = parser.parse_args()
    ours = [str(Path(sys.executable).with_name("lesson")), "proxy"]
    if options.memory:
        memory(ours)
        return
    figures = measure(ours, options.seconds)
    litellm = os.environ.get("LITELLM_COMMAND")
    theirs = measure([litellm, "--telemetry", "False"], options.seconds) if litellm else {}
    compare(figures, theirs)


if __name__ == "__main__":
    main()
