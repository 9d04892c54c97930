"""The proxy inside this interpreter: no port, no thread, no other process.

Python in a browser has none of them. A client opens its connection with `create_connection`, and
gets an `Inside`, which it takes for a socket. What it sends there is read by h11 and answered by
the application, which runs while the client waits. So `requests`, `httpx`, `openai` and `urllib3`
do all of their own work, with their own timeouts and errors.
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
import sys
import time
from email.utils import formatdate
from functools import cache
from http.client import responses
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import h11
import urllib3.util.connection
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message
from urllib3 import connectionpool

from ..litellm.wire import NoMapping
from .listener import is_loopback

URL = "http://127.0.0.1:4000"
"""Where a practice proxy answers that has a port."""

Bytes = bytes | bytearray | memoryview

blocking_sleep = getattr(time.sleep, "__wrapped__", time.sleep)
"""Pyodide's own lets the page's loop run meanwhile, in the place of ours."""

LEAVING = 0.1
"""Seconds in which the application can end a request that its client has left."""


class Loop(asyncio.BaseEventLoop):
    """An event loop without sockets. It runs while somebody waits, also below another loop."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self

    def select(self, seconds: float | None) -> list[Any]:
        if seconds:
            blocking_sleep(seconds)
        return []

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def waits(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Run until the event; False if it takes longer."""
        outer = asyncio._get_running_loop()
        swap = getattr(asyncio.tasks, "_swap_current_task", None)  # Python 3.12 and newer
        task = swap(outer, None) if swap and outer else None
        asyncio._set_running_loop(None)
        try:
            self.run_until_complete(asyncio.wait_for(event.wait(), seconds))
        except asyncio.TimeoutError:
            return False
        finally:
            asyncio._set_running_loop(outer)
            if task is not None and swap:
                swap(outer, task)
        return True


class Inside:
    """What a client takes for a socket: one request over HTTP/1.1, and the answer to it."""

    def __init__(self, app: ASGIApp, loop: Loop, address: tuple[str, int]) -> None:
        self._app, self._loop, self._address = app, loop, address
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=1024 * 1024)
        self._request: h11.Request | None = None
        self._body: bytearray | None = bytearray()
        self._answer = bytearray()
        self._answered, self._left, self._ended = (asyncio.Event() for _ in range(3))
        self._problem: OSError | None = None
        self._seconds: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed, self._files = False, 0
        self.scheme = "http"

    # What clients call

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds

    def setsockopt(self, *_: object) -> None: ...

    def fileno(self) -> int:
        """Of a file that can always be read: so no client takes the connection a second time."""
        return _nothing()

    def sendall(self, data: Bytes) -> None:
        try:
            self._http.receive_data(bytes(data))
            while not self._task and (event := self._http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request):
                    self._request = event
                elif isinstance(event, h11.Data) and self._body is not None:
                    self._body += event.data
                else:
                    self._task = self._loop.create_task(self._serve())
        except h11.RemoteProtocolError as error:
            raise ConnectionAbortedError(f"no HTTP request: {error}") from error

    def send(self, data: Bytes) -> int:
        self.sendall(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        while not self._answer:
            if self._problem:
                raise self._problem
            if self._ended.is_set():
                return b""
            self._answered.clear()
            if not self._loop.waits(self._answered, self._seconds):
                raise TimeoutError("timed out")
        data = bytes(self._answer[:size])
        del self._answer[:size]
        return data

    def recv_into(self, buffer: Bytes) -> int:
        data = self.recv(len(buffer))
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        self._files += 1
        return io.BufferedReader(socket.SocketIO(cast(socket.socket, self), "r"))

    def _decref_socketios(self) -> None:
        self._files -= 1
        self.close(self._is_closed)

    def close(self, is_closed: bool = True) -> None:
        """A client that leaves an answer half-way pays for it: the application has to know."""
        self._is_closed = is_closed
        if is_closed and self._files <= 0 and not self._left.is_set():
            self._left.set()
            if self._task and not self._ended.is_set():
                self._loop.waits(self._ended, LEAVING)

    # The server's side

    async def _serve(self) -> None:
        assert self._request is not None
        path, _, query = self._request.target.partition(b"?")
        scope = {
            **{"type": "http", "http_version": "1.1", "scheme": self.scheme},
            **{"method": self._request.method.decode(), "server": self._address},
            **{"path": unquote(path.decode("ascii")), "raw_path": path, "query_string": query},
            # Compressing costs time, and saves nothing here.
            "headers": [one for one in self._request.headers if one[0] != b"accept-encoding"],
        }
        try:
            await self._app(scope, self._receive, self._send)
        except OSError as error:
            self._problem = error
        except (NoMapping, ClientDisconnect):  # as in ``run.py``: nothing is wrong here
            pass
        except Exception as error:  # the caller got a 500, as from a proxy with a port
            print(f"A request failed here: {error!r}. Please report this.", file=sys.stderr)
        finally:
            self._ended.set()
            self._answered.set()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = bytes(self._body), None
            return {"type": "http.request", "body": body}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        assert self._request is not None
        if message["type"] == "http.response.start":
            status = message["status"]
            reason = responses.get(status, "").encode()
            headers = [("date", formatdate(usegmt=True)), *message["headers"]]
            self._write(h11.Response(status_code=status, headers=headers, reason=reason))
            return
        if message.get("body") and self._request.method != b"HEAD":
            self._write(h11.Data(data=message["body"]))
        if not message.get("more_body"):
            self._write(h11.EndOfMessage())

    def _write(self, event: h11.Event) -> None:
        self._answer += self._http.send(event) or b""
        self._answered.set()


@cache
def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY)


# Clients


def connect(app: ASGIApp, url: str = URL, elsewhere: ASGIApp | None = None) -> Loop:
    """Have clients in this interpreter reach the application at ``url``.

    ``elsewhere`` answers for all other addresses; without it, none of them does. What is returned
    has to be closed by those who have an end.
    """
    loop, ours = Loop(), urlsplit(url)

    def create_connection(address: tuple[str, int], timeout: Any = None, *_: Any, **__: Any) -> Any:
        host, port = address
        asked = app if is_loopback(host) and port == ours.port else elsewhere
        if asked is None:
            raise ConnectionRefusedError(111, "Connection refused")
        made = Inside(asked, loop, address)
        made.settimeout(timeout if isinstance(timeout, (int, float)) else None)
        return made

    wrap = ssl.SSLContext.wrap_socket

    def wrap_socket(context: Any, sock: Any, *given: Any, **more: Any) -> Any:
        if not isinstance(sock, Inside):
            return wrap(context, sock, *given, **more)
        sock.scheme = "https"
        return sock

    replaced: Any = (socket, urllib3.util.connection, ssl.SSLContext, connectionpool)
    sockets, urllib3s, contexts, pools = replaced
    sockets.create_connection = urllib3s.create_connection = create_connection
    contexts.wrap_socket = wrap_socket
    # In a browser, urllib3 would leave all of this to the browser, which knows no such address.
    pools.HTTPConnectionPool.ConnectionCls = pools.HTTPConnection
    pools.HTTPSConnectionPool.ConnectionCls = pools.HTTPSConnection
    return loop
