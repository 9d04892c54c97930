"""JupyterLab in this process, for a class: what its kernels and terminals see, and how it ends.

It runs in this process, so it ends when this process does, even by a kill.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lesson_runner.page.places import LessonError
from mock_proxy import addresses, is_loopback

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

GRACE = 30.0
"""Seconds that kernels have to end; a busy one is killed after five."""

OF_THE_PROXY = re.compile(rb"\s*LITELLM_(BASE_URL|API_KEY)\s*=")
"""A line of `.Renviron` that sets one of the two variables."""


# Before it starts


def require_jupyterlab() -> None:
    if importlib.util.find_spec("jupyterlab") is None:
        raise LessonError(
            "JupyterLab is not installed in this Python. Switch the virtual environment of the "
            "lesson on. If it is on: python -m pip install jupyterlab"
        )


def require_address(host: str, port: int | None) -> None:
    """LessonError where JupyterLab could not listen; it would only log so, and end."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number, way_out in (
        (0, "--host 127.0.0.1 is for this computer alone, --host 0.0.0.0 also for others"),
        (port or 0, "name another --port, or none to take a free one"),
    ):
        try:
            socket.create_server((host, number), family=family).close()
        except OSError as error:
            where = f"{host}:{number}" if number else host
            raise LessonError(
                f"JupyterLab cannot listen on {where} ({error.strerror}): {way_out}"
            ) from error


# What kernels and terminals see: this process's environment


def set_environment(url: str, key: str, model: str, private: Path) -> None:
    """For every process that this one starts. `private` is a folder that nobody else can read."""
    # The master key makes keys, and printing the environment in class would show it.
    os.environ.pop("LITELLM_MASTER_KEY", None)
    os.environ.update({"LITELLM_BASE_URL": url, "LITELLM_API_KEY": key, "LITELLM_MODEL": model})
    # Terminals find `lesson` and `python`, also where the virtual environment is not switched on.
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
    os.environ.update(own_host_without_web_proxy(url, os.environ))
    os.environ.update(own_renviron(os.environ, private))
    os.environ.update(without_announcements(os.environ, private))


def own_host_without_web_proxy(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Where an institution sends all requests through a web proxy: not those to this computer.

    Without such a proxy nothing is set: NO_PROXY alone would make Python overlook the settings of
    Windows and macOS.
    """
    names = {name.lower() for name, value in environment.items() if value}
    has_web_proxy = names & {"http_proxy", "https_proxy", "all_proxy"}
    if not has_web_proxy or not is_loopback(urlsplit(url).hostname or ""):
        return {}
    others = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    hosts = ",".join(filter(None, [others, "127.0.0.1,localhost"]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def own_renviron(environment: Mapping[str, str], private: Path) -> dict[str, str]:
    """R takes a variable from the user's `.Renviron` even where the environment has it.

    The setup page puts the two variables there. If so, R gets a copy of the file without them.
    """
    given = environment.get("R_ENVIRON_USER")
    # R's home folder on Windows is the one of documents.
    home = Path.home() / "Documents" if os.name == "nt" else Path.home()
    file = Path(given) if given else home / ".Renviron"
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except OSError:
        return {}
    kept = [line for line in lines if not OF_THE_PROXY.match(line)]
    if len(kept) == len(lines):
        return {}
    copy = private / "Renviron"
    copy.touch(mode=0o600)
    copy.write_bytes(b"".join(kept))
    print(f"R overlooks the LITELLM_ lines of {file} here: this class has its own.")
    return {"R_ENVIRON_USER": str(copy)}


def without_announcements(environment: Mapping[str, str], private: Path) -> dict[str, str]:
    """Do not ask about news or look for updates; the user's other settings apply."""
    file = private / "labconfig" / "page_config.json"
    file.parent.mkdir()
    file.write_text(
        '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    )
    folders = filter(None, [str(private), environment.get("JUPYTER_CONFIG_PATH")])
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(folders)}


# JupyterLab


def jupyterlab(folder: Path, host: str, port: int | None, has_browser: bool) -> ServerApp:
    """JupyterLab in the folder. It listens as soon as its loop runs, and opens the browser."""
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    arguments = [
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.ip={host}",
        f"--ServerApp.open_browser={has_browser}",
        "--ServerApp.allow_root=True",  # containers have no other user
        "--ServerApp.answer_yes=True",  # to the question whether Ctrl-C is meant
        # This is the call of a function: nothing of it is in the list of processes.
        f"--IdentityProvider.token={secrets.token_hex(24)}",
        # The open tabs of this class, apart from the user's own.
        f"--LabApp.workspaces_dir={folder / '.jupyterlab' / 'workspaces'}",
        "--Application.log_level=ERROR",
        # Starts R to look for one, and tells of it when Ctrl-C comes in between.
        "--LanguageServerManager.autodetect=False",
        # Without it ipykernel warns in the terminal that others might listen.
        "--KernelManager.transport_encryption=auto",
    ]
    if os.name == "posix":
        # Away from a terminal JupyterLab takes a login shell, which may set PATH anew.
        shell = shlex.quote(os.environ.get("SHELL") or "sh")
        arguments.append(f"--ServerApp.terminado_settings=shell_command={shell}")
    if port:
        arguments += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    app: ServerApp = LabApp.initialize_server(argv=arguments)
    stop_when_told(app)
    return app


def stop_when_told(app: ServerApp) -> None:
    """By Ctrl-C, a signal to end, or a closed terminal; so does JupyterLab's own menu."""
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        if not stopping:  # a second Ctrl-C would cut off the end of kernels, which takes seconds
            stopping = True
            app.stop(from_signal=True)
            # An error while it stops would leave JupyterLab running, without a port.
            app.io_loop.add_callback_from_signal(app.io_loop.call_later, GRACE, app.io_loop.stop)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


def addresses_of(app: ServerApp, host: str) -> list[str]:
    """Where to open it, with the token: here, and then from other computers."""
    scheme = urlsplit(app.connection_url).scheme
    path = f"{app.base_url}lab?token={app.identity_provider.token}"
    return [f"{scheme}://{bracketed(address)}:{app.port}{path}" for address in addresses(host)]


def bracketed(address: str) -> str:
    """A host as URLs have it."""
    return f"[{address}]" if ":" in address else address
