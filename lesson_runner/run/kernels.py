"""Kernels for Python, R and bash: which are here, and how one is started for a page.

A kernel sees its own temporary working folder, the environment that it is given and little of
the caller's, and no network beyond this machine.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from lesson_runner.page.episode import Episode
from lesson_runner.page.published import EDITORS
from lesson_runner.page.settings import HOME, NOTHING_SAID, Needs
from lesson_runner.run.fork_server import (
    INSIDE,
    LONGEST_SOCKET_PATH,
    fonts_in,
    home_in,
    offline_python,
    passed_on,
)
from lesson_runner.run.provisioners import ForkedProvisioner, PromptClient, PromptProvisioner

HOW_TO_INSTALL = {
    "r": 'install R, then in R `install.packages("IRkernel")` and `IRkernel::installspec()`',
    "bash": "install bash (on Windows it comes with Git)",
}


REFUSED = (
    *("ssh", "scp", "sftp", "nc", "ncat", "telnet"),
    *("apt", "apt-get", "aptitude", "dnf", "yum", "brew", "conda", "mamba", "micromamba"),
    *("uv", "pipx", "sudo", "su", "doas"),
)
"""Programs that `inside/refuse.sh` stands in for, if they are here."""

R_LIBRARIES = (
    "R/%p-library/%v",
    "Library/R/arm64/%v/library",
    "Library/R/x86_64/%v/library",
    "Library/R/%v/library",
)
"""Where R's packages of a user lie by default, below the home folder."""

OF_HOME = re.compile(r"(?<![^=:;'\"])~(?=/)|\$HOME\b|\$\{HOME\}")


@dataclass(frozen=True)
class Kernel:
    """How to start the kernel of a language; `missing` says why it cannot be started."""

    language: str
    argv: tuple[str, ...] = ()
    missing: str = ""


def find_kernel(language: str, wanted: str = "", root: Path = Path()) -> Kernel:
    """The kernel of `python`, `r` or `bash` on this machine.

    `wanted` is what the lesson asks for: a Python such as `.venv/bin/python`, below `root` or on
    the path, or the name of a kernel of R.
    """
    if language == "python" and wanted:
        program = shutil.which(root / wanted) or shutil.which(wanted)
        if program is None:
            return Kernel(language, missing=f"lesson.yaml asks for `{wanted}`, which is not here")
        return Kernel(language, (str(program), *_own_kernel("python_kernel.py")[1:]))
    if language == "python":
        # Always the Python that runs the check: its environment has the lesson's packages.
        return Kernel(language, _own_kernel("python_kernel.py"))
    if language == "bash":
        if bash := find_bash(os.environ.get("PATH", os.defpath), windows=os.name == "nt"):
            argv = (*_own_kernel("bash_kernel.py"), f"--PageKernel.program={bash}")
            return Kernel(language, argv)
        return _missing(language, "no bash on this machine")
    specs = KernelSpecManager().get_all_specs()
    found = next(
        (
            s["spec"]
            for name, s in specs.items()
            if s["spec"]["language"].lower() == language and wanted in ("", name)
        ),
        None,
    )
    if found is None and wanted:
        return Kernel(language, missing=f"lesson.yaml asks for the kernel `{wanted}`: not here")
    if found is None:
        return _missing(language, "no R kernel on this machine")
    if shutil.which(found["argv"][0]) is None:
        return _missing(language, f"the R kernel wants `{found['argv'][0]}`, which is not here")
    return Kernel(language, tuple(found["argv"]))


def find_bash(path: str, *, windows: bool) -> str | None:
    """The bash to run. Windows has launchers of WSL with this name, which know no path of ours."""
    if not windows:
        return shutil.which("bash", path=path)
    folders = [
        folder
        for folder in path.split(os.pathsep)
        if not {"system32", "sysnative", "windowsapps"} & set(re.split(r"[\\/]", folder.lower()))
    ]
    if git := shutil.which("git", path=path):  # `Git/cmd/git.exe`, and `Git/bin/bash.exe`
        folders = [*(str(parent / "bin") for parent in Path(git).parents[:3]), *folders]
    return shutil.which("bash", path=os.pathsep.join(folders))


def _own_kernel(file: str) -> tuple[str, ...]:
    return (sys.executable, str(INSIDE / file), "-f", "{connection_file}")


def _missing(language: str, what: str) -> Kernel:
    return Kernel(language, missing=f"{what}: {HOW_TO_INSTALL[language]}")


def prepare_folder(folder: Path, root: Path, needs: Needs = NOTHING_SAID) -> Path:
    """The folder that a page's code starts in: copies of what learners have, `data` and `files`
    unless the lesson says otherwise. Raises `OSError` or an error of the archive."""
    home = folder / "home"
    work = home / "Desktop"  # where learners are told to put what they download
    work.mkdir(parents=True, exist_ok=True)
    for name in needs.folders:
        _copy(root / name.removesuffix("/*"), work, inside=name.endswith("/*"))
    for name in needs.unpack:
        shutil.unpack_archive(root / name, work, **_safely(name))
    if needs.start == HOME:
        return home
    start = work / needs.start
    if not start.resolve().is_relative_to(work.resolve()) or not start.is_dir():
        raise NotADirectoryError(f"lesson.yaml: no folder `{needs.start}` to start in")
    return start


def _copy(source: Path, work: Path, *, inside: bool) -> None:
    """Copies a file or folder under its name, or what is inside a folder. One may be missing."""
    if inside and source.is_dir():
        for item in source.iterdir():
            _copy(item, work, inside=False)
    elif source.is_dir():
        shutil.copytree(source, work / source.name, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copy2(source, work)


def _safely(archive: str) -> dict[str, Any]:
    """Python's own guard against archives that write elsewhere, where it has one. ZIP files have
    none and need none: `shutil` passes over what leads out."""
    has_filter = hasattr(tarfile, "data_filter") and not archive.endswith(".zip")
    return {"filter": "data"} if has_filter else {}


def kernel_environment(
    folder: Path,
    episode: Episode,
    language: str,
    given: Mapping[str, str],
    gate_port: int,
    hosts: Sequence[str] = (),
) -> dict[str, str]:
    """The environment of one kernel; writes the files that it names into `folder`."""
    passed = passed_on()
    path = os.pathsep.join([str(Path(sys.executable).parent), passed.get("PATH", os.defpath)])
    page = folder / "page.json"
    blocks = [[block.line, block.source] for block in episode.to_run(language)]
    lines = episode.text.split("\n")
    page.write_text(
        json.dumps({"path": episode.path, "lines": lines, "blocks": blocks}), encoding="utf-8"
    )
    return {
        **passed,
        **home_in(folder),
        **fonts_in(folder.parent),
        **given,
        "LESSON_PAGE": str(page),
        "IPYTHONDIR": str(folder / "ipython"),
        "PATH": os.pathsep.join([str(_refusing(folder / "refusing", path)), path]),
        **_own_r_files(folder),
        **_no_network(folder, [_host_of(given.get("LITELLM_BASE_URL", "")), *hosts], gate_port),
    }


def _refusing(folder: Path, path: str) -> Path:
    """A folder of programs that stand before the real ones of the same names in `path`."""
    folder.mkdir()
    calls = {name: ["edit.sh"] for name in EDITORS}  # whether one is here or not
    for name in REFUSED:
        if real := shutil.which(name, path=path):
            calls[name] = ["refuse.sh", name, Path(real).as_posix()]
    for name, (script, *given) in calls.items():
        words = shlex.join([(INSIDE / script).as_posix(), *given])
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec sh {words} "$@"\n', encoding="utf-8", newline="\n")
        file.chmod(0o755)
    return folder


def _own_r_files(folder: Path) -> dict[str, str]:
    """R's files of the user stay outside: `.Renviron` may hold keys, and would override ours.

    Only the places of the user's packages are taken from there. A page installs elsewhere.
    """
    real = Path.home()
    documents = real / "Documents" if os.name == "nt" else real  # R's home folder
    lines: list[str] = []
    theirs = Path(os.environ.get("R_ENVIRON_USER") or documents / ".Renviron")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = theirs.read_text(encoding="utf-8").splitlines()
    library = folder / "R-library"
    library.mkdir()
    lines = [OF_HOME.sub(documents.as_posix(), line) for line in lines if line.startswith("R_LIBS")]
    # R reads the file after the environment. It fills in the version for `%v` and so on.
    lines.append(f"R_LIBS={library.as_posix()}{os.pathsep}${{R_LIBS}}")
    (folder / "Renviron").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (folder / "Rprofile").touch()
    packages = os.environ.get("R_LIBS_USER", "")
    if packages in ("", "%U"):
        local = os.environ.get("LOCALAPPDATA", "")
        packages = os.pathsep.join(
            [
                *(f"{real.as_posix()}/{path}" for path in R_LIBRARIES),
                *(f"{place}/R/win-library/%v" for place in (local, documents) if os.name == "nt"),
            ]
        )
    return {
        "R_ENVIRON_USER": str(folder / "Renviron"),
        "R_PROFILE_USER": str(folder / "Rprofile"),
        "R_LIBS_USER": OF_HOME.sub(documents.as_posix(), packages),
        # For R with `--vanilla`.
        "R_LIBS": os.pathsep.join(
            filter(
                None,
                [str(library), OF_HOME.sub(documents.as_posix(), os.environ.get("R_LIBS", ""))],
            )
        ),
    }


def _host_of(base_url: str) -> str:
    """This machine, unless the lesson is tried on an institution's proxy."""
    return urlsplit(base_url).hostname or ""


def _no_network(folder: Path, allowed: Sequence[str], gate_port: int) -> dict[str, str]:
    """Variables that point every client which reads them at the gate, but for some hosts."""
    here = ",".join(filter(None, ["127.0.0.1", "localhost", "::1", *allowed]))
    gate = f"socks5h://127.0.0.1:{gate_port}"
    (folder / ".curlrc").write_text(f'proxy = "{gate}"\nnoproxy = "{here}"\n', encoding="utf-8")
    web = f"http://127.0.0.1:{gate_port}"
    (folder / "wgetrc").write_text(
        f"http_proxy = {web}\nhttps_proxy = {web}\nno_proxy = {here}\n", encoding="utf-8"
    )
    return {
        "LESSON_ALLOWED_HOSTS": ",".join(filter(None, allowed)),
        **offline_python(),
        "CURL_HOME": str(folder),
        # A system's own settings may name a user, a credential helper or a proxy.
        **({"GIT_CONFIG_NOSYSTEM": "1"} if os.name == "posix" else {}),
        "WGETRC": str(folder / "wgetrc"),
        "ALL_PROXY": gate,
        "NO_PROXY": here,
        "no_proxy": here,
    }


def messaging() -> zmq.asyncio.Context:
    """The messaging context that all kernels of a process share."""
    context = zmq.asyncio.Context()
    # Clients connect before their kernel listens; by default ZMQ tries again after 100 ms.
    context.setsockopt(zmq.RECONNECT_IVL, 2)
    return context


def kernel_manager(
    kernel: Kernel, folder: Path, context: zmq.asyncio.Context, fork_socket: str = ""
) -> AsyncKernelManager:
    """A manager that will start this kernel; its files lie in `folder`.

    `fork_socket` is where a fork server listens, if there is one.
    """
    spec = KernelSpec(
        argv=list(kernel.argv), display_name=kernel.language, language=kernel.language
    )
    manager = AsyncKernelManager(
        kernel_name=kernel.language,
        kernel_id=str(uuid.uuid4()),
        kernel_spec_manager=_OneKernelSpec(spec),
        connection_file=str(folder / "kernel.json"),
        client_factory=PromptClient,
        context=context,
    )
    made: dict[str, Any] = {"kernel_id": manager.kernel_id, "kernel_spec": spec, "parent": manager}
    manager.provisioner = (
        ForkedProvisioner(socket_path=fork_socket, **made)
        if fork_socket
        else PromptProvisioner(**made)
    )
    path = str(folder / "k")
    # IRkernel knows TCP only. Elsewhere each kernel has a folder of its own: the default path is
    # shared by all managers of a process.
    if os.name == "posix" and kernel.language != "r" and len(path) < LONGEST_SOCKET_PATH:
        manager.transport = "ipc"
        manager.ip = path
    return manager


class _OneKernelSpec(KernelSpecManager):
    """Knows this one kernel and none of those that Jupyter has on this machine."""

    def __init__(self, spec: KernelSpec, **options: Any) -> None:
        super().__init__(**options)
        self.spec = spec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec
