"""A network of its own for this process and its children, with nothing in it but 127.0.0.1.

A network namespace of Linux, which no program can leave, however it is started. Connections that
have to cross go from a port of 127.0.0.1 on one side to the same port on the other. A process on
that other side carries them.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

PORTS = "/proc/sys/net/ipv4/ip_local_port_range"

PORT_HERE = re.compile(r"(?:127\.0\.0\.1|localhost):(\d+)")


class Outside:
    """The process that carries connections out, to the network where the runner is."""

    def __init__(self) -> None:
        self.control, control = socket.socketpair()
        self.ports: set[int] = set()
        if os.fork() == 0:
            self.control.close()
            carry_as_told(control)
        control.close()

    def let_out(self, environment: Mapping[str, str]) -> set[int]:
        """Open the ports of this computer that a kernel's environment names, and return them."""
        named = {int(port) for value in environment.values() for port in PORT_HERE.findall(value)}
        for port in sorted(named - self.ports):
            # A port that is taken is one where a page listens.
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as here:
                socket.send_fds(self.control, [struct.pack("!H", port)], [here.fileno()])
                self.ports.add(port)
        return named

    def close_all_but(self, named: set[int]) -> None:
        """Close the ports that no kernel names any more: the next kernel may be given one."""
        for port in self.ports - named:
            self.control.sendall(struct.pack("!H", port))
        self.ports &= named


def enter() -> Outside | None:
    """Move this process into a network of its own; None where the system does not allow it."""
    attempt = os.fork()  # half of it may be allowed: this process goes only where it can arrive
    if attempt == 0:
        with contextlib.suppress(OSError):
            move()
            os._exit(0)
        os._exit(1)
    if os.waitpid(attempt, 0)[1] != 0:
        return None
    outside = Outside()
    move()
    return outside


def move() -> None:
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:  # only root may do this without a user namespace
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
        fcntl.ioctl(some, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    # The runner chooses ports that are free on its side. Connections on this side leave from other
    # ports, or one of them might sit on the one that a kernel is about to listen on.
    with contextlib.suppress(OSError), open(PORTS) as file:
        first = int(file.read().split()[0])
        with open(PORTS, "w") as file:
            file.write(f"{first // 2} {first - 1}")


def carry_as_told(control: socket.socket) -> NoReturn:
    """Carry from each listener that comes over `control`, until its port comes alone."""
    listeners: dict[int, socket.socket] = {}
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, 2, 1)
        if not head:
            os._exit(0)
        (port,) = struct.unpack("!H", head)
        if descriptors:
            listeners[port] = socket.socket(fileno=descriptors[0])
            in_background(carry, listeners[port], port, 0)
        else:
            listener = listeners.pop(port)
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
            listener.close()


def carry_in(listeners: Iterable[socket.socket]) -> int:
    """Start a process that carries from listeners of the other side to the same ports here.

    Returns its id. It waits for a kernel that has yet to listen, and ends with this process.
    """
    process = os.fork()
    if process == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for listener in listeners:
            in_background(carry, listener, listener.getsockname()[1], 60)
        while True:
            time.sleep(3600)
    return process


def carry(listener: socket.socket, port: int, patience: float) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            connection, _ = listener.accept()
            in_background(join, connection, port, patience)


def join(one: socket.socket, port: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            other = connected(port)
            break
        except OSError:
            if time.monotonic() > deadline:
                # A reset is the nearest to a refusal that is left.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
                return
            time.sleep(0.005)
    with one, other:
        for end in (one, other):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = in_background(copy, other, one)
        copy(one, other)
        back.join()


def connected(port: int) -> socket.socket:
    """A connection to the port; raises OSError if nothing listens there.

    A TCP socket that leaves from the port it asks for is connected with itself.
    """
    made = socket.create_connection(("127.0.0.1", port))
    if made.getsockname() == made.getpeername():
        made.close()
        raise ConnectionRefusedError
    return made


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def in_background(function: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
