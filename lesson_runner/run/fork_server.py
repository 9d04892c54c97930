"""The runner's side of the fork server. Light to import, so that the server starts first and gets
ready while everything else is imported."""

import atexit
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"
PROGRAM = INSIDE / "fork_server.py"

CAN_FORK = sys.platform == "linux"
"""macOS has `fork`, but its system libraries may crash in a process that was forked so."""

LONGEST_SOCKET_PATH = 100
"""Bytes that every system allows for the path of a socket, with some to spare for its end."""

# Variables with which programs start, and find their libraries, certificates and locale. Everything
# else in the caller's environment stays outside: no list of the names of secrets is complete.
PASSED_ON = {
    *("PATH", "USER", "USERNAME", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
    *("TMPDIR", "TMP", "TEMP"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
    *("REQUESTS_CA_BUNDLE", "R_HOME", "R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "R_PROFILE"),
    *("R_ENVIRON", "R_SHARE_DIR", "R_INCLUDE_DIR", "R_DOC_DIR", "FONTCONFIG_PATH"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA"),
    *("PROGRAMFILES", "PROGRAMFILES(X86)", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OS"),
}


def passed_on() -> dict[str, str]:
    """The part of the caller's environment that every kernel sees."""
    return {k: v for k, v in os.environ.items() if k.upper() in PASSED_ON or k.startswith("LC_")}


def home_in(folder: Path) -> dict[str, str]:
    """Variables that put the home folder, and the folders that programs keep in it, into `folder`.

    The user's own Python packages stay where they are, and can be imported.
    """
    home = folder / "home"
    places = {
        **({"APPDATA": home / "AppData" / "Roaming"} if os.name == "nt" else {}),
        **({"LOCALAPPDATA": home / "AppData" / "Local"} if os.name == "nt" else {}),
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "XDG_CACHE_HOME": home / ".cache",
    }
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    drive, path = os.path.splitdrive(home)
    return {
        **{name: str(home) for name in ("HOME", "USERPROFILE", "R_USER")},
        **({"HOMEDRIVE": drive, "HOMEPATH": path} if drive else {}),
        **{name: str(place) for name, place in places.items()},
        **({"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}),
    }


def fonts_in(folder: Path) -> dict[str, str]:
    """Where matplotlib keeps its list of fonts: made once, as it takes seconds with many fonts."""
    return {"MPLCONFIGDIR": str(folder / "matplotlib")}


def offline_python() -> dict[str, str]:
    """Keeps every Python process on this machine: see `inside/offline/sitecustomize.py`."""
    return {"PYTHONPATH": str(INSIDE / "offline")}


class ForkServer:
    """The process that forks kernels, and the folder in which kernels have their files.

    It ends when the runner does, even if that is killed, and removes the folder. Where nothing can
    fork, there is the folder alone.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lesson-"))
        self.path = str(self.folder / "forks")
        can_fork = CAN_FORK and len(self.path) <= LONGEST_SOCKET_PATH
        self.process = self._launched() if can_fork else None

    def _launched(self) -> subprocess.Popen[bytes]:
        with (self.folder / "fork_server.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, str(PROGRAM), self.path],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=passed_on() | home_in(self.folder) | fonts_in(self.folder) | offline_python(),
                start_new_session=True,  # Ctrl-C is for the runner
            )

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it accepts requests at `path`."""
        return self.runs and Path(self.path).exists()

    def close(self) -> None:
        if self.process is not None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait()
        remove(self.folder)


def remove(folder: Path, attempts: int = 10) -> None:
    """Windows removes no file that a process still has open, even one that is about to end."""
    for _ in range(attempts):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


_early: list[ForkServer] = []


def start_early() -> None:
    """Start a server for the next `take`."""
    if CAN_FORK and not _early:
        _early.append(ForkServer())


def take() -> ForkServer:
    return _early.pop() if _early else ForkServer()


@atexit.register
def _close_what_nobody_took() -> None:
    for server in _early:
        server.close()
