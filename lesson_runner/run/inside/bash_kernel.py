"""The bash kernel of a page: one shell for all blocks, a failure for each line that fails.

The shell sources each block from a file with empty lines in front, so that its messages and the
line numbers are the page's. An ERR trap ends the block at the first line that fails.
"""

import codecs
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from typing import IO, Any

if __name__ == "__main__":
    sys.path[0] = ""

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

# The control pipe is standard input, so that this works where no other descriptor is inherited.
# Blocks see an empty standard input. After each block the shell ends both outputs with a mark.
# A sourced file does not inherit the ERR trap, so each block sets it on a line before its first
# and removes it before the driver sees its status.
TRAP = "trap '__lesson_status=$? __lesson_line=$LINENO; trap - ERR; return $__lesson_status' ERR"
END_TRAP = "__lesson_status=$?; trap - ERR; return $__lesson_status"
DRIVER = r"""
exec 3<&0 </dev/null 5>&1 6>&2
trap : INT
while IFS= read -r __lesson_file <&3; do
  __lesson_line=0
  source "$__lesson_file" </dev/null 3<&- 5>&- 6>&-
  __lesson_status=$?
  printf '\0%s %s %s\0' "$LESSON_MARK" "$__lesson_status" "$__lesson_line" >&5
  printf '\0%s 0 0\0' "$LESSON_MARK" >&6
done
"""


class PageKernel(Kernel):
    implementation = "lesson-bash"
    implementation_version = "1"
    banner = "bash"
    language_info = {  # noqa: RUF012 - declared so by ipykernel
        "name": "bash",
        "mimetype": "text/x-sh",
        "file_extension": ".sh",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        with open(os.environ["LESSON_PAGE"], encoding="utf-8") as stream:
            page = json.load(stream)
        self.path = page["path"]
        self.blocks = page["blocks"]  # [line of the fence, source]
        self.folder = tempfile.mkdtemp()
        self.mark = uuid.uuid4().hex
        driver = os.path.join(self.folder, "driver")
        with open(driver, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(DRIVER)
        self.bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", driver],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"LESSON_MARK": self.mark},
        )
        self.pieces: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        for name in ("stdout", "stderr"):
            stream = getattr(self.bash, name)
            threading.Thread(target=self.read, args=(name, stream), daemon=True).start()

    def read(self, name: str, stream: IO[bytes]) -> None:
        """Hand on what the shell prints; ("end", status, line) after a block, None at its end."""
        pending = b""
        mark = b"\0" + self.mark.encode() + b" "
        while piece := os.read(stream.fileno(), 65536):
            pending += piece
            while mark in pending:
                text, _, rest = pending.partition(mark)
                if b"\0" not in rest:
                    break
                record, _, pending = rest.partition(b"\0")
                self.pieces.put((name, text))
                self.pieces.put((name, tuple(map(int, record.split()))))
            if mark not in pending:
                keep = max(pending.rfind(b"\0"), pending.rfind(b"\n") + 1)
                if len(pending) - keep > 65536:
                    keep = len(pending) - len(mark) - 64  # a mark may have begun
                self.pieces.put((name, pending[:keep]))
                pending = pending[keep:]
        self.pieces.put((name, pending))
        self.pieces.put((name, None))

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: Any = None,
        allow_stdin: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        line = next(
            (line for line, source in self.blocks if source.strip("\n") == code.strip("\n")), 0
        )
        if line:
            self.blocks = [block for block in self.blocks if block[0] > line]
        file = os.path.join(self.folder, "block")
        with open(file, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(TRAP + "\n" * max(line, 1) + code + "\n" + END_TRAP + "\n")
        assert self.bash.stdin is not None
        try:
            self.bash.stdin.write(file.encode() + b"\n")
            self.bash.stdin.flush()
            status, failed_line = self.hand_on(file)
        except BrokenPipeError:
            status, failed_line = self.bash.wait(), 0
        except KeyboardInterrupt:
            return self.failure("KeyboardInterrupt", "", line)
        if status is None:
            return self.failure(
                "ShellExit", f"the block ended the shell with status {self.bash.wait()}", line
            )
        if status:
            return self.failure("ExitStatus", f"exit status {status}", failed_line)
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": [],
            "user_expressions": {},
        }

    def hand_on(self, file: str) -> tuple[int | None, int]:
        """Send what the block prints until both outputs ended; its exit status and failing line."""
        status: int | None = 0
        line, open_outputs = 0, {"stdout", "stderr"}
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in open_outputs}
        while open_outputs:
            name, piece = self.pieces.get()
            if piece is None:
                status = None
                open_outputs.discard(name)
            elif isinstance(piece, tuple):
                open_outputs.discard(name)
                if name == "stdout":
                    status, line = piece
            elif piece:
                text = decoders[name].decode(piece)
                if name == "stderr":
                    text = text.replace(file, self.path)
                self.send_response(self.iopub_socket, "stream", {"name": name, "text": text})
        return status, line

    def failure(self, name: str, value: str, line: int) -> dict[str, Any]:
        place = [f"File {self.path}:{line}"] if line else []
        content = {"ename": name, "evalue": value, "traceback": [*place, f"{name}: {value}"]}
        self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        self.bash.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        return {"status": "ok", "restart": restart}


def main(arguments: list[str]) -> None:
    app = IPKernelApp.instance(kernel_class=PageKernel)
    app.initialize(arguments)
    app.start()


if __name__ == "__main__":
    main(sys.argv[1:])
