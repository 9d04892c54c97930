"""The cost of the classroom's page: 300 learners at 5 requests a second together, and a full load.

    .venv/bin/python benchmarks/classroom.py

The practice proxy runs without `--classroom`, then with it and one page that is open and reads its
events. Measured at 5 requests a second, each of another learner, every fifth with an error: the
share of one core that the proxy takes, and the time to an answer; then the requests per second
that 64 connections get, and their p99. With the page also: how long after the answer to a refused
key the page has heard of it, and how much the page has to read. Linux only.
"""

import argparse
import asyncio
import itertools
import json
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from proxy import CHAT, KEY, Server, load, request, started

LEARNERS, RATE = 300, 5
WRONG_KEY = "sk-wrong-0123456789abcdef"


def make_keys(port: int) -> list[str]:
    keys = []
    for number in range(LEARNERS):
        body = json.dumps({"key_alias": f"learner-{number:03}", "max_budget": 100}).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/key/generate", body, {"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(asked) as answer:
            keys.append(json.load(answer)["key"])
    return keys


def seconds_of_cpu(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Page(threading.Thread):
    """Reads the events, as the instructor's page does, and notes when each came."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/classroom/events"
        self.events: list[tuple[float, bytes]] = []
        self.start()

    def run(self) -> None:
        asked = urllib.request.Request(self.url, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(asked) as lines:
            for line in lines:
                if line.startswith(b"data: "):
                    self.events.append((time.perf_counter(), line))

    def heard_of(self, sign: bytes) -> float:
        """When the first event came that holds this."""
        for number in itertools.count():
            while number >= len(self.events):
                time.sleep(0.001)
            if sign in self.events[number][1]:
                return self.events[number][0]
        raise AssertionError


async def answer_to(port: int, message: bytes) -> float:
    """Milliseconds for one request on a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    await reader.readuntil(b"\r\n\r\n")
    passed = (time.perf_counter() - began) * 1000
    writer.close()
    return passed


async def classroom(port: int, messages: Iterator[bytes], seconds: float) -> list[float]:
    """Send requests at their times, however long the answers take."""
    began, tasks = time.perf_counter(), []
    for number in range(round(seconds * RATE)):
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        tasks.append(asyncio.create_task(answer_to(port, next(messages))))
    return list(await asyncio.gather(*tasks))


def measure(command: list[str], seconds: float, *, is_open: bool) -> dict[str, float]:
    with started(command) as server:
        keys = make_keys(server.port)
        good, bad = (request("/chat/completions", {**CHAT, **m}) for m in ({}, {"model": "nix"}))
        messages = itertools.cycle(
            (bad if number % 5 == 4 else good).replace(KEY.encode(), key.encode())
            for number, key in enumerate(keys)
        )
        page = Page(server.port) if is_open else None
        asyncio.run(classroom(server.port, messages, 2))  # warm up
        before = len(page.events) if page else 0
        cpu = seconds_of_cpu(server)
        times = asyncio.run(classroom(server.port, messages, seconds))
        percent = quantiles(times, n=100, method="inclusive")
        figures = {
            "5 requests/s: CPU, % of a core": (seconds_of_cpu(server) - cpu) / seconds * 100,
            "5 requests/s: p50 ms": percent[49],
            "5 requests/s: p99 ms": percent[98],
        }
        if page:
            events = [event for _, event in page.events[before:]]
            figures["events/s"] = len(events) / seconds
            figures["kB an event"] = median(map(len, events)) / 1000
            delays = []
            for number in range(10):
                message = request(f"/try/{number}", CHAT).replace(KEY.encode(), WRONG_KEY.encode())
                asyncio.run(answer_to(server.port, message))
                ended = time.perf_counter()
                delays.append(page.heard_of(b'"/try/%d"' % number) - ended)
            figures["refused key to its event, median s"] = median(delays)
            figures["refused key to its event, longest s"] = max(delays)
        message = good.replace(KEY.encode(), keys[0].encode())
        full = asyncio.run(load(server.port, message, 64, seconds=seconds / 2))
        figures["64 connections: requests/s"] = full.rate
        figures["64 connections: p99 ms"] = full.p99
        figures["resident after, MB"] = server.resident()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20, help="at 5 requests a second")
    options = parser.parse_args()
    command = [str(Path(sys.executable).with_name("lesson")), "proxy"]
    plain = measure(command, options.seconds, is_open=False)
    watched = measure([*command, "--classroom"], options.seconds, is_open=True)
    print(f"{'':38}{'without':>10}{'with page':>12}")
    for name, value in watched.items():
        without = f"{plain[name]:10.2f}" if name in plain else f"{'':10}"
        print(f"{name:38}{without}{value:12.2f}")


if __name__ == "__main__":
    main()
