"""Python finds this on `PYTHONPATH` at its start: the process reaches nothing but this machine.

An audit hook sees every connection and look-up of the `socket` module and cannot be removed. It
keeps lesson code honest; it is no sandbox against code that means harm.
"""

import contextlib
import errno
import importlib.abc
import importlib.machinery
import importlib.util
import os
import socket
import sys

HERE = {"", "localhost", "::1", "0.0.0.0", "::", socket.gethostname()}
HOST_IN_ARGUMENT = {
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
}


WAY_OUT = "mark the block `<!-- not run: reason -->`"
if "LITELLM_BASE_URL" in os.environ:
    WAY_OUT = f"take the address from LITELLM_BASE_URL, or {WAY_OUT}"
else:
    WAY_OUT += ", or let `hosts:` in lesson.yaml name it"

addresses: set[str] = set()
"""Of hosts that may be reached: connections are made to these, and not to names."""


def allowed_hosts() -> list[str]:
    return [name for name in os.environ.get("LESSON_ALLOWED_HOSTS", "").split(",") if name]


def remember_addresses(host: str) -> None:
    if host not in looked_up:
        looked_up.add(host)  # first: this look-up comes here as well
        with contextlib.suppress(OSError):
            addresses.update(str(found[4][0]) for found in socket.getaddrinfo(host, None))


looked_up: set[str] = set()


def refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    position = HOST_IN_ARGUMENT.get(event)
    if position is None:
        return
    address = arguments[position]
    host: object = address[0] if isinstance(address, tuple) and address else address
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if event != "socket.getaddrinfo" and not isinstance(address, tuple) and "gethost" not in event:
        return  # the path of a socket on this machine's file system
    if not isinstance(host, str) or host in HERE or host.startswith("127."):
        return
    if host in allowed_hosts():
        remember_addresses(host)
        return
    if host in addresses:
        return
    raise OSError(
        errno.ENETUNREACH,
        f"lesson code reaches only this machine, not {host}: {WAY_OUT}",
    )


class RefuseToInstall(importlib.abc.MetaPathFinder):
    """pip imports the command that it is to run. `install` and `uninstall` would change the
    caller's environment; `pip list` and others may run."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in ("pip._internal.commands.install", "pip._internal.commands.uninstall"):
            raise SystemExit(
                "pip: lesson code installs nothing on this computer: "
                "mark the block `<!-- not run: reason -->`"
            )


def run_the_next_sitecustomize() -> None:
    """This file hides the one that the Python installation may have of its own."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if os.path.abspath(folder) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec and spec.loader:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, RefuseToInstall())
sys.addaudithook(refuse_other_hosts)
# The refusing proxy is for curl and R; Python clients would look for a SOCKS library first.
os.environ.pop("ALL_PROXY", None)
run_the_next_sitecustomize()
