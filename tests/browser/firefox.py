"""A headless Firefox, driven with its own Marionette: Playwright knows no Firefox but its own."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60_000
"""Milliseconds that a script may take."""


def find_firefox() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._answers = connection, connection.makefile("rb")
        self._read()
        timeouts = {"script": PATIENCE, "pageLoad": PATIENCE}
        self._ask("WebDriver:NewSession", capabilities={"alwaysMatch": {"timeouts": timeouts}})

    def open(self, url: str) -> None:
        self._ask("WebDriver:Navigate", url=url)

    def run(self, script: str) -> Any:
        """What the body of an asynchronous function returns."""
        body = f"(async () => {{ {script} }})().then(arguments[0])"
        return self._ask("WebDriver:ExecuteAsyncScript", script=body, args=[])["value"]

    def _ask(self, command: str, **arguments: Any) -> Any:
        message = json.dumps([0, 1, command, arguments]).encode()
        self._connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._read()
        assert error is None, f"{command}: {error}"
        return result

    def _read(self) -> Any:
        size = b"".join(iter(lambda: self._answers.read(1), b":"))
        return json.loads(self._answers.read(int(size)))


@contextlib.contextmanager
def running_firefox(program: str) -> Iterator[Firefox]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        Path(profile, "user.js").write_text('user_pref("marionette.port", 0);\n')
        call = [program, "--headless", "--marionette", "--no-remote", "--profile", profile]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                port = next(
                    int(found[1])
                    for line in process.stdout
                    if (found := re.search(r"Marionette\s+INFO\s+Listening on port (\d+)", line))
                )
                with socket.create_connection(("127.0.0.1", port), PATIENCE / 1000) as connection:
                    yield Firefox(connection)
            finally:
                process.terminate()
