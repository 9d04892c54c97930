"""The practice proxy in a notebook whose Python runs in the browser: JupyterLite with Pyodide."""

from __future__ import annotations

import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from getpass import getpass
from typing import Any

from IPython import get_ipython
from pyodide.code import run_js
from pyodide.ffi import to_js
from starlette.types import Receive, Scope, Send

from ..config import PRACTICE_KEY, practice
from ..keys.store import KeyStore
from .app import create_app
from .inside import URL, connect


def start(base_url: str | None = None, model: str | None = None) -> None:
    """The practice proxy, for this notebook; or the proxy at ``base_url``, whose key is asked for.

    The key stays in the memory of this page.
    """
    config = practice()
    keys = KeyStore(PRACTICE_KEY)
    keys.master.is_practice = True
    connect(create_app(config, keys), elsewhere=elsewhere)
    ThreadPoolExecutor.submit = at_once  # type: ignore[assignment,method-assign]
    shell = get_ipython()
    shell.Completer.use_jedi = False  # `lesson link` leaves it out
    go_on_after_errors_that_are_meant(shell.kernel)
    os.environ["LITELLM_BASE_URL"] = base_url or URL
    os.environ["LITELLM_API_KEY"] = getpass("Key: ") if base_url else keys.master_key
    os.environ["LITELLM_MODEL"] = model or config.names()[0]
    where = base_url or f"The practice proxy, inside this page, at {URL}"
    print(f"Ready: {where}")


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Have the browser ask another server. The answer comes as a whole, even a stream."""
    host, port = scope["server"]
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    path = (scope["raw_path"] + query).decode()
    asks = run_js("new XMLHttpRequest()")
    try:
        asks.open(scope["method"], f"{scope['scheme']}://{host}:{port}{path}", False)
        asks.responseType = "arraybuffer"
        for name, text in scope["headers"]:
            if name not in BROWSERS_OWN:
                asks.setRequestHeader(name.decode(), text.decode("latin-1"))
        asks.send(to_js((await receive())["body"]))
    except Exception as error:
        problem = f"{host} does not answer, or lets no web page ask it (CORS): {error}"
        raise ConnectionError(problem) from error
    lines = asks.getAllResponseHeaders().strip().split("\r\n")
    told = [line.lower().partition(": ")[0].encode() for line in lines if line]
    headers = [(name, asks.getResponseHeader(name.decode()).encode("latin-1")) for name in told]
    headers = [(name, text) for name, text in headers if name not in UNPACKED]
    await send({"type": "http.response.start", "status": asks.status, "headers": headers})
    await send({"type": "http.response.body", "body": asks.response.to_bytes()})


BROWSERS_OWN = {b"host", b"connection", b"content-length", b"user-agent", b"expect"}
"""Headers of a request that a browser sets itself."""

UNPACKED = {b"content-encoding", b"content-length", b"transfer-encoding", b"connection", b"date"}
"""Headers of an answer that no longer hold when a browser has read it."""


def at_once(self: ThreadPoolExecutor, task: Any, /, *given: Any, **more: Any) -> Future[Any]:
    """Where there are no threads, a task runs when it is handed in."""
    done: Future[Any] = Future()
    try:
        done.set_result(task(*given, **more))
    except Exception as error:
        done.set_exception(error)
    return done


def go_on_after_errors_that_are_meant(kernel: Any) -> None:
    """Have "Run All Cells" reach the end, as in JupyterLab.

    JupyterLite 0.8 drops the cells after an error, also where it was told not to
    (``stop_on_error``): so it is shown the error, and then told that all is well.
    """
    run = kernel.run

    async def run_and_go_on(code: str) -> Any:
        result = await run(code)
        if result["status"] == "error":
            result["ename"] = re.sub(r"<class '(?:.*\.)?(.*)'>", r"\1", result["ename"])
            if not kernel._parent_header["content"].get("stop_on_error", True):
                return first_an_error(to_js(result, dict_converter=run_js("Object.fromEntries")))
        return result

    kernel.run = run_and_go_on


first_an_error = run_js(
    """(result) => {
      let said = 0;
      const get = () => said++ ? "ok" : "error";
      return Object.defineProperty(result, "status", {get, enumerable: true});
    }"""
)
