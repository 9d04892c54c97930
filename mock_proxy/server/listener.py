"""Where a proxy listens. Light to import: requests may wait here while the rest is imported."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys

EVERYWHERE = ("", "0.0.0.0", "::")
"""Addresses to listen on that mean all addresses of the machine."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming the protocol lets asyncio switch off Nagle's algorithm, which costs 40 ms a request.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            # Reuses a port that was freed a moment ago. On Windows the option means something
            # else: it would let two proxies share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def url(host: str, port: int) -> str:
    """The address of a proxy that listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def addresses(host: str) -> list[str]:
    """Where clients reach a proxy that listens on ``host``; this machine's own way first.

    ``0.0.0.0`` and ``::`` stand for all addresses of a machine; clients cannot use them.
    """
    if host not in EVERYWHERE:
        return [host]
    found = ["127.0.0.1", socket.gethostname()]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        # Sends nothing: finds the address that this machine would use to reach others
        # (192.0.2.1 is reserved for documentation, RFC 5737).
        route.connect(("192.0.2.1", 9))
        found.insert(1, route.getsockname()[0])
    return list(dict.fromkeys(found))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
