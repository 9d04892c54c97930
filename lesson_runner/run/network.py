"""A proxy that refuses every host and remembers which, for curl, R, wget and git.

They are pointed at it by `ALL_PROXY` and the like and reach this machine without it (`NO_PROXY`).
A SOCKS proxy is refused before any look-up of a name, so that no request leaves the machine, and
curl's own message names the host. Python has a guard of its own: `inside/offline/sitecustomize.py`.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

SOCKS5 = 5
NOT_ALLOWED = 2


class Gate:
    """`refused` names the hosts that were asked for, in order; its reader may clear it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.refused: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError
        ):
            first = (await reader.readexactly(1))[0]
            if first == SOCKS5:
                await self.answer_socks(reader, writer)
            else:
                await self.answer_http(bytes([first]), reader, writer)
        writer.close()

    async def answer_socks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """RFC 1928: greeting, then the request, whose address may be a name."""
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(bytes([SOCKS5, 0]))
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode("idna")
        else:
            address = await reader.readexactly(4 if kind == 1 else 16)
            host = ".".join(map(str, address)) if kind == 1 else address.hex(":", 2)
        await reader.readexactly(2)
        self.refused.append(host)
        writer.write(bytes([SOCKS5, NOT_ALLOWED, 0, 1]) + struct.pack("!IH", 0, 0))
        await writer.drain()

    async def answer_http(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """`CONNECT host:443 HTTP/1.1` or `GET http://host/path HTTP/1.1`."""
        request = (first + await reader.readline()).decode("ascii", "replace").split()
        await reader.readuntil(b"\r\n\r\n")
        target = request[1] if len(request) > 1 else ""
        host = target.split("://")[-1].split("/")[0].rsplit(":", 1)[0]
        self.refused.append(host)
        reason = f"lesson code reaches only this machine, not {host}"
        writer.write(
            f"HTTP/1.1 403 {reason}\r\nContent-Length: 0\r\n\r\n".encode("ascii", "replace")
        )
        await writer.drain()


def is_this_machine(host: str) -> bool:
    return host in ("", "localhost") or host.startswith("127.")


@contextlib.asynccontextmanager
async def open_gate() -> AsyncIterator[Gate]:
    """A gate on a free port of this machine."""
    gate = Gate(0)
    server = await asyncio.start_server(gate.answer, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
