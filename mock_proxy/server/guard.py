"""Who may ask a proxy that has something to lose: money at an upstream, or kept keys."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..litellm.wire import JSON, ProxyError
from .listener import EVERYWHERE, addresses, is_loopback


class Guard:
    """Refuse requests that other sites' pages send from a user's browser.

    A page may name its own site as the origin, or have its own name lead to this machine (DNS
    rebinding); then ``Host`` holds that name. ``host`` is the address the proxy listens on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self._everywhere = app, host in EVERYWHERE
        self._names = {name.lower() for name in addresses(host)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refused(Headers(scope=scope)) if scope["type"] == "http" else None
        if refused is None:
            await self.app(scope, receive, send)
        else:
            await JSON(refused.body, refused.status)(scope, receive, send)

    def _refused(self, headers: Headers) -> ProxyError | None:
        host, origin = _hostname("//" + headers.get("host", "")), headers.get("origin")
        if not self._is_ours(host):
            return ProxyError(400, WRONG_HOST, "invalid_request_error", "host")
        if origin is None or (sender := _hostname(origin)) == host or is_loopback(sender):
            return None
        return ProxyError(403, WRONG_ORIGIN, "permission_error", "origin")

    def _is_ours(self, host: str) -> bool:
        if is_loopback(host) or host in self._names:
            return True
        # No page can have its name lead here where the address itself was asked.
        return self._everywhere and _is_address(host)


WRONG_HOST = (
    "The Host header names another server. Use the address that this proxy printed when it "
    "started, or have it started with --host and the name that you use."
)
WRONG_ORIGIN = (
    "Pages of other sites may not use this proxy, because its keys or its answers cost something."
)


def _hostname(url: str) -> str:
    """In lower case and without a port; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
