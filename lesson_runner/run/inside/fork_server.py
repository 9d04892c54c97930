"""A process that has imported what every kernel imports, and forks one kernel for each request.

It starts no threads and no sockets of ZMQ, so that a fork is as fresh as a new process: no name, no
module's state, no random seed of one kernel is seen by another. (Numpy's OpenBLAS starts threads,
and stops them around a fork.) Kernels of other languages are executed after the fork, so that they
are children of this process as well.

A request is a length, a JSON object (`argv`, `env`, `cwd`) and, beside it, a descriptor for the
kernel's own messages. Where this process has a network of its own (`own_network.py`), descriptors
of sockets that listen for the kernel in the runner's network may follow. The answer is the process
id; when the kernel ends, its exit status follows on the same connection. Processes that
a kernel leaves behind are ended with it. The server ends, with all its kernels and their folder,
when its standard input is closed, so even if the runner is killed.
"""

import builtins
import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.abspath(__file__))
    import own_network

    outside = own_network.enter()  # first of all: a process with threads could not
    # Nobody debugs these kernels: without debugpy, ipykernel starts in half the time.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    import ipykernel.debugger  # noqa: F401

    del sys.modules["debugpy"]

# What every kernel imports as it starts.
import unicodedata  # noqa: F401

import bash_kernel
import IPython.core.completerlib
import IPython.core.debugger
import IPython.core.logger
import IPython.core.oinspect
import IPython.extensions.storemagic  # noqa: F401
import own_network
import psutil  # noqa: F401
import python_kernel
import tornado.platform.asyncio  # noqa: F401

HEAVY = {
    "jsonschema": ("jsonschema",),
    "matplotlib": ("matplotlib",),
    "pyplot": ("matplotlib.figure", "matplotlib.backends.backend_agg"),
    "numpy": ("numpy",),
    "openai": ("openai",),
    "pandas": ("pandas",),
    "requests": ("requests",),
}
"""A name that a page imports → the modules that the server imports when the first page asks for it.
They take long to import and start nothing: a block finds them as after an import of its own. Of
pyplot, only the part that does not depend on how the kernel shows plots."""

BROUGHT: dict[str, list[str]] = {}
"""The modules that came into this process with each name of `HEAVY`."""

REQUEST_SECONDS = 5
"""How long a client may take to send its request, which it has ready."""

PR_SET_CHILD_SUBREAPER = 36  # prctl(2), Linux 3.4
KERNELS = {"python_kernel.py": python_kernel.main, "bash_kernel.py": bash_kernel.main}


def serve(path: str, outside: own_network.Outside | None) -> None:
    bring("requests")  # a page that calls a proxy wants it
    if outside:
        with open(f"{path}.own-network", "w"):
            pass  # tells the runner
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)  # once the path exists, it accepts connections
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Processes that a kernel leaves behind become children of this one.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    running: dict[int, Kernel] = {}
    gc.collect()
    gc.freeze()  # objects of the server are never looked at again, so their pages stay shared
    while True:
        ready, _, _ = select.select([listener, wake_read, sys.stdin.fileno()], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            report_ended(running)
            if outside:
                outside.close_all_but({port for one in running.values() for port in one.ports})
        if listener in ready:
            connection, _ = listener.accept()
            try:
                start(connection, listener, running, outside)
            except (OSError, ValueError, KeyError, struct.error):
                connection.close()  # a client that vanished harms no other
        if sys.stdin.fileno() in ready:
            break
    for pid, kernel in running.items():
        kill_group(pid)
        kill_left_behind(kernel)
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


class Kernel:
    """The connection on which its end is reported, the processes that are its own, its ports."""

    def __init__(self, connection: socket.socket, page: str, carrier: int, ports: set[int]) -> None:
        self.connection = connection
        self.carrier = carrier
        self.ports = ports
        self.mark = f"LESSON_PAGE={page}".encode()


def report_ended(running: dict[int, Kernel]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in running:
                kernel = running.pop(pid)
                kill_group(pid)
                kill_left_behind(kernel)
                with contextlib.suppress(OSError):  # nobody may wait for it any more
                    code = os.waitstatus_to_exitcode(status)
                    kernel.connection.sendall(struct.pack("!i", code))
                kernel.connection.close()


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_left_behind(kernel: Kernel) -> None:
    """Processes that the kernel put into groups of their own. They have its environment."""
    if kernel.carrier:
        kill_group(kernel.carrier)
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children") as children:
        pids = [int(pid) for pid in children.read().split()]
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as environ:
                is_its_own = kernel.mark in environ.read().split(b"\0")
            if is_its_own:
                os.kill(pid, signal.SIGKILL)


def start(
    connection: socket.socket,
    listener: socket.socket,
    running: dict[int, Kernel],
    outside: own_network.Outside | None,
) -> None:
    connection.settimeout(REQUEST_SECONDS)
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 16)
    try:
        length = struct.unpack("!I", head)[0]
        body = b""
        while len(body) < length:
            piece = connection.recv(length - len(body))
            if not piece:
                raise ConnectionError("the client has gone")
            body += piece
        connection.settimeout(None)
        log, *ports = descriptors
        fork(json.loads(body), log, ports, connection, listener, running, outside)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def fork(
    request: dict[str, Any],
    log: int,
    ports: list[int],
    connection: socket.socket,
    listener: socket.socket,
    running: dict[int, Kernel],
    outside: own_network.Outside | None,
) -> None:
    if os.path.basename(request["argv"][1]) == "python_kernel.py":
        import_for(request["env"]["LESSON_PAGE"])
    let_out = outside.let_out(request["env"]) if outside else set()
    listeners = [socket.socket(fileno=os.dup(port)) for port in ports]
    carrier = own_network.carry_in(listeners) if listeners else 0
    for one in listeners:
        one.close()
    pid = os.fork()
    if pid == 0:
        others = [kernel.connection for kernel in running.values()]
        become_kernel(request, log, [listener, connection, *others])
    running[pid] = Kernel(connection, request["env"]["LESSON_PAGE"], carrier, let_out)
    connection.sendall(struct.pack("!i", pid))


class InNotebook:
    """The one thing that libraries ask of IPython's shell: whether a kernel is behind it."""

    kernel = True


def import_for(page: str) -> None:
    """Import what the page imports, if it is heavy, so that no further kernel waits for it."""
    with open(page, encoding="utf-8") as file:
        sources = [source for _, source in json.load(file)["blocks"]]
    for name in [name for name in HEAVY if name not in BROUGHT]:
        wanted = re.compile(rf"^\s*(?:import|from)\s(?:.*\b)?{name}\b", re.MULTILINE)
        if any(wanted.search(source) for source in sources):
            bring(name)


def bring(name: str) -> None:
    before = set(sys.modules)
    # matplotlib reads this when it is imported; ipykernel sets it in every kernel.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # pandas asks when it is imported whether it is in a notebook, as here it will be.
    builtins.get_ipython = lambda: InNotebook  # type: ignore[attr-defined]
    for module in HEAVY[name]:
        # A block that imports it gets the error; with threads, a fork would not be safe.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    del os.environ["MPLBACKEND"], builtins.get_ipython  # type: ignore[attr-defined]
    BROUGHT[name] = [module for module in sys.modules if module not in before]
    gc.freeze()


class HiddenModules:
    """Modules imported ahead: not there until a block, or what it imports, imports one of them.

    Otherwise `import matplotlib` would do where a learner needs `import matplotlib.figure`.
    """

    def __init__(self, names: list[str]) -> None:
        self.hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        self.attributes = [
            (sys.modules[package], attribute, module)
            for name, module in self.hidden.items()
            for package, _, attribute in [name.rpartition(".")]
            if package in sys.modules and vars(sys.modules[package]).get(attribute) is module
        ]
        for parent, attribute, _ in self.attributes:
            delattr(parent, attribute)
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Show them all again, since they came together; the import then finds this one."""
        if name not in self.hidden:
            return None
        sys.meta_path.remove(self)
        for parent, attribute, module in self.attributes:
            setattr(parent, attribute, module)
        found = self.hidden.pop(name)  # Python would load a module again that is there by now
        sys.modules.update(self.hidden)
        return ModuleSpec(name, Shown(found))


class Shown(Loader):
    """Loads a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def become_kernel(request: dict[str, Any], log: int, sockets: list[socket.socket]) -> NoReturn:
    """The forked process, from here to its end."""
    os.setsid()  # a process group of its own: an interrupt reaches what the kernel started
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for one in sockets:
        one.detach()
    os.closerange(3, 65536)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    program, script, *arguments = request["argv"]
    status = 1
    try:
        if os.path.basename(script) not in KERNELS:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, programs expect it
            os.execvp(program, request["argv"])
        time.tzset()
        random.seed()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        for names in reversed(BROUGHT.values()):
            HiddenModules(names)
        sys.path[0] = ""
        sys.argv = [script, *arguments]
        for name in ("bash_kernel", "own_network", "python_kernel"):
            del sys.modules[name]  # nothing that a page could import
        KERNELS[os.path.basename(script)](arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1], outside)
