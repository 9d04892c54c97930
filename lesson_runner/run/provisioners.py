"""Kernels that start and stop quickly, behind jupyter_client's extension point for starting them.

A *provisioner* is what a `KernelManager` asks for a process. `ForkedProvisioner` has it forked from
a process that is ready (`inside/fork_server.py`); `PromptProvisioner` starts a process as usual.
Both return from `kill` when the process is gone, so that nobody polls for it.
"""

import asyncio
import contextlib
import json
import os
import queue
import signal
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo, port_names
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode, default


class PromptProvisioner(LocalProvisioner):
    """Starts a kernel as usual, and waits for its end without long naps."""

    async def kill(self, restart: bool = False) -> None:
        await super().kill(restart)
        await self.wait()

    async def wait(self) -> int | None:
        # The process is dying of SIGKILL: polls of 100 ms would be most of the wait.
        while self.process is not None and self.process.poll() is None:
            await asyncio.sleep(0.002)
        return await super().wait()


def has_own_network(socket_path: str) -> bool:
    """Whether the fork server and its kernels are in a network of their own."""
    return Path(f"{socket_path}.own-network").exists()


class ForkedProvisioner(PromptProvisioner):
    """Has a kernel forked by the fork server that listens at `socket_path`."""

    socket_path = Unicode(config=True)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        log = options["stderr"].fileno()
        # The server may be importing: other notebooks go on meanwhile.
        with contextlib.ExitStack() as stack:
            descriptors = [log]
            if self.connection_info["transport"] == "tcp" and has_own_network(self.socket_path):
                info: dict[str, Any] = dict(self.connection_info)
                for name in port_names:
                    here = (info["ip"], info[name])
                    descriptors.append(stack.enter_context(socket.create_server(here)).fileno())
            process = await asyncio.to_thread(
                ForkedProcess, self.socket_path, cmd, options["env"], options["cwd"], descriptors
            )
        self.process = process  # type: ignore[assignment]
        self.pid = self.pgid = process.pid
        return self.connection_info


class ForkedProcess:
    """A kernel that the fork server forked, with the part of `Popen` that provisioners use."""

    stdin = stdout = stderr = None

    def __init__(
        self, path: str, cmd: list[str], env: Mapping[str, str], cwd: str, descriptors: list[int]
    ) -> None:
        self.returncode: int | None = None
        request = {"argv": cmd, "env": dict(env), "cwd": cwd}
        body = json.dumps(request).encode()
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.connection.connect(path)
            socket.send_fds(self.connection, [struct.pack("!I", len(body))], descriptors)
            self.connection.sendall(body)
            answer = self._receive()
            if not answer:
                raise RuntimeError("the fork server has ended")
        except (RuntimeError, OSError):
            self.connection.close()
            raise
        self.pid: int = struct.unpack("!i", answer)[0]
        self.connection.setblocking(False)

    def _receive(self) -> bytes:
        return self.connection.recv(4, socket.MSG_WAITALL)

    def poll(self) -> int | None:
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError):
                status = self._receive()
                # A server that is gone took its kernels with it, and reports nothing more.
                self.returncode = struct.unpack("!i", status)[0] if status else -signal.SIGKILL
                self.connection.close()
        if self.returncode is None and not _runs(self.pid):
            # The process is gone, but the server has not reported it yet.
            self.returncode = -signal.SIGKILL
            self.connection.close()
        return self.returncode

    def wait(self) -> int:
        while self.poll() is None:
            time.sleep(0.002)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _runs(pid: int) -> bool:
    """Whether there is such a process, other than one that waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class PromptClient(AsyncKernelClient):
    """A client that sees at once when its kernel is ready.

    jupyter_client's own waits 200 ms for silence on IOPub. An `idle` reply to any of our requests
    tells us the same, that IOPub is connected. Any of them counts, because kernels that start
    under load would otherwise never be found ready.
    """

    language_version = ""
    """What the kernel says of itself, such as `4.2.2` of R."""

    @default("context")
    def _of_the_manager(self) -> Any:
        assert self.parent is not None
        return self.parent.context

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout or float("inf"))
        asked: set[str] = set()
        patience = 0.05
        while not await self._is_ready(asked, patience):
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")
            patience = min(patience * 1.5, 1.0)

    async def _is_ready(self, asked: set[str], patience: float) -> bool:
        """Ask once more; true if a reply and an `idle` arrive within `patience` seconds."""
        asked.add(self.kernel_info())
        try:
            reply = await self.shell_channel.get_msg(timeout=patience)
            self._handle_kernel_info_reply(reply)
            language = reply["content"].get("language_info", {})
            self.language_version = str(language.get("version", ""))
            while True:
                status = await self.iopub_channel.get_msg(timeout=patience)
                is_ours = status["parent_header"].get("msg_id") in asked
                if is_ours and status["content"].get("execution_state") == "idle":
                    return True
        except queue.Empty:
            return False

    async def answers(self, patience: float) -> bool:
        """Whether a kernel that may still be busy replies within `patience` seconds.

        Earlier messages are dropped: they belong to a cell that was given up.
        """
        asked = self.kernel_info()
        deadline = time.monotonic() + patience
        for channel in (self.shell_channel, self.iopub_channel):
            while True:
                left = deadline - time.monotonic()
                try:
                    message = await channel.get_msg(timeout=max(left, 0))
                except queue.Empty:
                    return False
                is_reply = message["parent_header"].get("msg_id") == asked
                state = message["content"].get("execution_state", "idle")
                if is_reply and state == "idle":
                    break
        return True
