"""Start and stop the proxy: in the foreground, or inside a test session."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from . import keys
from .app import create_app
from .config import PRACTICE_CONFIG, PRACTICE_KEY, ProxyConfig, load
from .wire import NoMapping


@dataclass(frozen=True)
class RunningProxy:
    """A proxy that answers at ``url`` (``http://127.0.0.1:PORT``)."""

    url: str
    master_key: str
    keys: keys.KeyStore

    def new_key(self, alias: str | None = None, **limits: Any) -> str:
        """Make a virtual key with counters of its own, and return its text.

        Limits are Key's fields, such as ``max_budget`` (USD), ``rpm_limit`` (requests a
        minute), ``models``; ``duration`` (``"7d"``) says how long the key is valid.
        """
        if "duration" in limits:
            limits["expires"] = keys.now() + keys.duration(limits.pop("duration"))
        text, _ = self.keys.add(key_alias=alias, **limits)
        return text


@contextlib.contextmanager
def running(
    config: ProxyConfig | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[RunningProxy]:
    """A proxy in a thread of this process; port 0 takes a free one."""
    config = config or load(PRACTICE_CONFIG)
    store = key_store(config, host)
    with _listen(host, port) as listener:
        server = _Server(_settings(config, store))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the practice proxy stopped while it started")
                time.sleep(0.001)
            address = f"[{host}]" if ":" in host else host
            url = f"http://{address}:{listener.getsockname()[1]}"
            yield RunningProxy(url, store.master_key, store)
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """Uvicorn looks every 100 ms whether to stop, and then waits; this one stops at once."""

    async def main_loop(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        for tick in itertools.count():
            if await self.on_tick(tick % 864_000):
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, whatever they are about; uvicorn's own waits 100 ms more."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0.001)  # connections close in the loop's next rounds

    def stop(self) -> None:
        """Stop, from another thread, without waiting for clients that stay connected."""
        self.should_exit = self.force_exit = True
        with contextlib.suppress(AttributeError, RuntimeError):  # it has not started, or has ended
            self._loop.call_soon_threadsafe(self._stopped.set)


def serve(config: ProxyConfig, host: str, port: int, state: Path | None = None) -> int:
    """Serve in the foreground until Ctrl-C; the exit status, not 0 if the port is taken.

    ``state`` names a file that keeps the virtual keys and their spend beyond this run.
    """
    from .state import State, StateError  # SQLite is not for those who keep no keys

    with contextlib.ExitStack() as stack:
        try:
            keeper = stack.enter_context(contextlib.closing(State(state))) if state else None
            listener = stack.enter_context(_listen(host, port))
        except StateError as error:
            print(error, file=sys.stderr)
            return 1
        except OSError as error:
            print(
                f"Cannot listen on {host}:{port} ({error.strerror}). "
                "Is another proxy still running? Stop it, or name another --port.",
                file=sys.stderr,
            )
            return 1
        store = key_store(config, host, keeper)
        address = f"[{host}]" if ":" in host else host
        url = f"http://{address}:{listener.getsockname()[1]}"
        print(f"The practice proxy answers at {url}")
        print(f"  key:         {store.master_key}")
        print(f"  Swagger UI:  {url}/")
        print("Press Ctrl-C to stop it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(_settings(config, store)).run([listener])
    return 0


def key_store(config: ProxyConfig, host: str, keeper: keys.Keeper | None = None) -> keys.KeyStore:
    """The keys of a proxy that listens on ``host``, and its master key."""
    store = keys.KeyStore(master_key_for(config, host), keeper)
    store.master.is_practice = store.master_key == PRACTICE_KEY
    return store


def master_key_for(config: ProxyConfig, host: str) -> str:
    """The configured master key; without one a known key on this machine, else a random one.

    A key that everyone can read would let strangers in wherever others reach the proxy.
    """
    if config.master_key is not None:
        return config.master_key
    return PRACTICE_KEY if is_loopback(host) else "sk-" + secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _settings(config: ProxyConfig, store: keys.KeyStore) -> uvicorn.Config:
    app = create_app(config, store)

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette answers such a body with a 500, outside of all middleware, as LiteLLM's
        # does, and raises the error again for the log; but nothing is wrong here.
        with contextlib.suppress(NoMapping):
            await app(scope, receive, send)

    return uvicorn.Config(
        quiet,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, or OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming the protocol lets asyncio switch off Nagle's algorithm, which costs 40 ms a request.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            # Reuses a port that was left a moment ago. On Windows the option means
            # something else: it would let two proxies share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
