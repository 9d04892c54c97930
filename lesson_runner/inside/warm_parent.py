"""A process that has imported what every kernel imports, and forks one kernel for each request.

It has no threads and no sockets of ZMQ, so that a fork is as fresh as a new process: no name, no
module's state, no random seed of one kernel is seen by another. A request is a length, a JSON
object (`argv`, `env`, `cwd`) and, beside it, a descriptor for the kernel's own messages.
The answer is the process id; when the kernel ends, its exit status follows on the same connection.
The parent ends, with all its kernels, when its standard input does.
"""

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.abspath(__file__))
    # Nobody debugs these kernels: without debugpy, ipykernel starts in half the time.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    import ipykernel.debugger  # noqa: F401

    del sys.modules["debugpy"]

import bash_kernel
import python_kernel
import requests  # noqa: F401 - every page imports it

KERNELS = {"python_kernel.py": python_kernel.main, "bash_kernel.py": bash_kernel.main}


def serve(path: str) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)  # who sees the path can connect
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    gc.collect()
    gc.freeze()  # objects of the parent are never looked at again, so their pages stay shared
    while True:
        ready, _, _ = select.select([listener, wake_read, sys.stdin.fileno()], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            report_ended(running)
        if listener in ready:
            connection, _ = listener.accept()
            start(connection, listener, running)
        if sys.stdin.fileno() in ready:
            break
    for pid in running:
        os.killpg(pid, signal.SIGKILL)


def report_ended(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            connection = running.pop(pid)
            with contextlib.suppress(OSError):  # nobody may wait for it any more
                connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
            connection.close()


def start(
    connection: socket.socket, listener: socket.socket, running: dict[int, socket.socket]
) -> None:
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
    length = struct.unpack("!I", head)[0]
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    (log,) = descriptors
    pid = os.fork()
    if pid == 0:
        become_kernel(json.loads(body), log, [listener, connection, *running.values()])
    os.close(log)
    running[pid] = connection
    connection.sendall(struct.pack("!i", pid))


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
    time.tzset()
    os.chdir(request["cwd"])
    random.seed()
    sys.path[0] = ""
    sys.argv = request["argv"]
    for name in ("bash_kernel", "python_kernel"):
        del sys.modules[name]  # nothing that a page could import
    status = 1
    try:
        KERNELS[os.path.basename(sys.argv[0])](sys.argv[1:])
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
    serve(sys.argv[1])
