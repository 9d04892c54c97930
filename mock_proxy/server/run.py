"""Start and stop the proxy: in the foreground, or inside a test session."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..classroom import watch
from ..classroom.board import Classroom
from ..config import PRACTICE_KEY, ProxyConfig, practice
from ..keys import store
from ..litellm.wire import NoMapping
from .app import create_app
from .listener import addresses, is_loopback, listen
from .listener import url as url_of

if TYPE_CHECKING:  # httpx is not for those who relay nothing
    from ..answers.recording import Recording
    from ..upstream.relay import Relay

LOG = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds left to answers on their way when the proxy in the foreground stops."""

LARGEST_HEAD = 1024 * 1024
"""Bytes of a request's first line and headers, or of small requests sent together."""

TOO_LARGE_HEAD = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class RunningProxy:
    """A proxy that answers at ``url`` (``http://127.0.0.1:PORT``)."""

    url: str
    master_key: str
    keys: store.KeyStore

    def new_key(self, alias: str | None = None, **limits: Any) -> str:
        """Make a virtual key with counters of its own, and return its text.

        Limits are Key's fields, such as ``max_budget`` (USD), ``rpm_limit`` (requests a
        minute), ``models``; ``duration`` (``"7d"``) says how long the key is valid.
        """
        if "duration" in limits:
            limits["expires"] = store.now() + store.duration(limits.pop("duration"))
        text, _ = self.keys.add(key_alias=alias, **limits)
        return text


@contextlib.contextmanager
def running(
    config: ProxyConfig | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    classroom: bool = False,
    relay: Relay | None = None,
    keys: store.KeyStore | None = None,
    listener: socket.socket | None = None,
    kept: Mapping[str, Recording] | None = None,
    only_recorded: bool = False,
    litellm_version: str | None = None,
) -> Iterator[RunningProxy]:
    """A proxy in a thread of this process; port 0 takes a free one.

    ``relay`` gets answers from another server; the proxy closes it. Answers of the models in
    ``kept`` are kept in these recordings. With ``only_recorded``, a request that a model's
    recording does not answer is a 404, and not left to the rules. ``keys`` and ``listener`` may be
    made beforehand; the listener is closed at the end.

    ``litellm_version`` goes before the configuration's.

    Without a configuration it serves the lesson's own, and reads no key from the environment.
    """
    config = config or practice()
    if litellm_version is not None:
        config = replace(config, litellm_version=litellm_version)
    is_guarded = has_something_to_lose(relay)
    if keys is None:
        keys = key_store(config, host, is_guarded=is_guarded)
    guarded = host if is_guarded else None
    with listener or listen(host, port) as listener:
        server = _Server(
            _settings(
                config,
                keys,
                guarded,
                classroom=classroom,
                relay=relay,
                kept=kept,
                only_recorded=only_recorded,
            )
        )
        server.relay = relay
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the practice proxy stopped while it started")
                time.sleep(0.001)
            url = url_of(host, listener.getsockname()[1])
            yield RunningProxy(url, keys.master_key, keys)
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """Uvicorn checks every 100 ms whether to stop, and then waits; this one stops at once.

    It also says nothing about requests that it cuts off as it stops: nothing is wrong.
    """

    announce: Callable[[], None] | None = None
    """Called as soon as the server answers and can be stopped with Ctrl-C."""

    relay: Relay | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.announce is not None:
            self.announce()

    async def main_loop(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        for tick in itertools.count():
            if await self.on_tick(tick % 864_000):
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections; in the foreground, answers on their way get a moment longer."""
        for server in self.servers:
            server.close()
        state, deadline = self.server_state, time.monotonic() + GRACE
        for connection in list(state.connections):
            connection.shutdown()
        while state.tasks and not self.force_exit and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(0.001)  # connections close in the loop's next rounds
        if self.relay is not None:
            await self.relay.close()

    def stop(self) -> None:
        """Stop, from another thread, without waiting for clients that stay connected."""
        self.should_exit = self.force_exit = True
        with contextlib.suppress(AttributeError, RuntimeError):  # it has not started, or has ended
            self._loop.call_soon_threadsafe(self._stopped.set)


def serve(
    config: ProxyConfig,
    host: str,
    port: int,
    state: Path | None = None,
    *,
    classroom: bool = False,
    relay: Relay | None = None,
    answers_from: str | None = None,
) -> int:
    """Serve in the foreground until Ctrl-C; the exit status, not 0 if the port is taken.

    ``state`` names a file that keeps the virtual keys and their spend beyond this run;
    ``classroom`` adds the page that shows the instructor who is stuck. ``relay`` gets answers
    from another server, and ``answers_from`` says in words from where.
    """
    from ..keys.state import State, StateError  # SQLite is not for those who keep no keys

    with contextlib.ExitStack() as stack:
        try:
            keeper = stack.enter_context(contextlib.closing(State(state))) if state else None
            listener = stack.enter_context(listen(host, port))
        except StateError as error:
            print(error, file=sys.stderr)
            return 1
        except OSError as error:
            problem = f"Cannot listen on {host}:{port} ({error.strerror})."
            print(problem, _way_out(error), file=sys.stderr)
            return 1
        is_guarded = has_something_to_lose(relay, keeper)
        keys = key_store(config, host, keeper, is_guarded=is_guarded)
        guarded = host if is_guarded else None
        server = _Server(_settings(config, keys, guarded, classroom=classroom, relay=relay))
        server.relay = relay
        server.announce = lambda: _announce(
            config,
            keys,
            host,
            listener.getsockname()[1],
            classroom=classroom,
            answers_from=answers_from,
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
    return 0


def _announce(
    config: ProxyConfig,
    keys: store.KeyStore,
    host: str,
    port: int,
    *,
    classroom: bool,
    answers_from: str | None,
) -> None:
    """Print the address and the key; a key that somebody configured is named, not shown."""
    url, *others = [url_of(address, port) for address in addresses(host)]
    given, key_from = config.master_key is not None, config.master_key_from
    print(f"The practice proxy answers at {url}")
    if others:
        print(f"  for others:  {'  or  '.join(others)}")
    print(f"  key:         {f'yours, from {key_from}' if given else keys.master_key}")
    print(f"  Swagger UI:  {url}/")
    if classroom:
        print(f"  classroom:   {url}{watch.PAGE}  (asks for the key)")
    if answers_from is not None:
        print(f"  answers:     {answers_from}")
    print("Press Ctrl-C to stop it.", flush=True)


def _way_out(error: OSError) -> str:
    """What to do about an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return "Is another proxy still running? Stop it, or name another --port."
    if error.errno == errno.EACCES:
        return "Name another --port: those below 1024 are for administrators."
    return (
        "Is this an address of this machine? --host 127.0.0.1 is for this machine alone, "
        "--host 0.0.0.0 for others, too."
    )


def key_store(
    config: ProxyConfig,
    host: str,
    keeper: store.Keeper | None = None,
    *,
    is_guarded: bool = False,
) -> store.KeyStore:
    """The keys of a proxy that listens on ``host``, and its master key."""
    keys = store.KeyStore(master_key_for(config, host, is_guarded=is_guarded), keeper)
    is_own = config.master_key in (None, PRACTICE_KEY) and is_loopback(host)
    keys.master.is_practice = is_own or keys.master_key == PRACTICE_KEY
    return keys


def master_key_for(config: ProxyConfig, host: str, *, is_guarded: bool = False) -> str:
    """The configured master key; without one a known key on this machine, else a random one.

    A key that everyone can read would let strangers in wherever others reach the proxy. Where it
    ``is_guarded``, it would let any program, and any page in the browser, spend the money.
    """
    if config.master_key is not None:
        return config.master_key
    is_public = is_loopback(host) and not is_guarded
    return PRACTICE_KEY if is_public else "sk-" + secrets.token_urlsafe(24)


def has_something_to_lose(relay: Relay | None, keeper: store.Keeper | None = None) -> bool:
    """Whether answers cost money elsewhere, or keys outlive the proxy."""
    return keeper is not None or (relay is not None and relay.asks_others)


def _settings(
    config: ProxyConfig,
    keys: store.KeyStore,
    guarded: str | None,
    *,
    classroom: bool,
    relay: Relay | None,
    kept: Mapping[str, Recording] | None = None,
    only_recorded: bool = False,
) -> uvicorn.Config:
    board = Classroom(keys) if classroom else None
    app = create_app(config, keys, board, relay, kept, only_recorded=only_recorded, guarded=guarded)

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette answers NoMapping with a 500, outside all middleware, as LiteLLM's does, and
        # raises it again for the log; but nothing is wrong here. Nor is anything wrong when a
        # client leaves before its request is complete, or when the proxy stops.
        try:
            with contextlib.suppress(NoMapping, ClientDisconnect, asyncio.CancelledError):
                await app(scope, receive, send)
        except Exception as error:  # a fault of ours: the caller got a 500, if nothing else
            LOG.error("A request failed here: %s. Please report this.", _in_a_line(error))

    return uvicorn.Config(
        quiet,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http=_Protocol,
    )


def _in_a_line(error: Exception) -> str:
    """What went wrong and where; a traceback would push all else off the instructor's screen."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno} ({str(error)[:200]!r})"


class _Protocol(HttpToolsProtocol):
    """Uvicorn's, with a limit: its own parser accepts headers of any length."""

    _head: int | None = 0
    """Bytes of the next request's head so far; None while its body is awaited."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self.transport.write(TOO_LARGE_HEAD)
                self.transport.close()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()
