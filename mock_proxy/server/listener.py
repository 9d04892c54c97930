"""Where a proxy listens. Light to import: requests may wait here while the rest is imported."""

from __future__ import annotations

import socket
import sys


def listen(host: str, port: int) -> socket.socket:
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


def url(host: str, port: int) -> str:
    """The address of a proxy that listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
