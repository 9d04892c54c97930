"""The bash kernel of a page: one shell for all blocks, a failure for each line that fails.

The shell sources each block from a file that holds the author's text and nothing else. An ERR
trap, set around it, finds failing lines.
"""

import codecs
import json
import os
import queue
import re
import subprocess
import sys
import threading
import uuid
from typing import IO, Any

if __name__ == "__main__":
    sys.path[0] = ""

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel
from traitlets import Unicode

# The control pipe is standard input, so that this works where no other descriptor is inherited.
# Blocks see an empty standard input. After each block the shell ends both outputs with a mark.
# The trap is inherited by functions and subshells. A subshell leaves its line in a file, since its
# variables end with it. Status 141 is SIGPIPE: the reader of the pipe, such as `head`, had enough.
DRIVER = r"""
exec 3<&0 </dev/null 5>&1 6>&2
trap : INT
__lesson_failed() {
  local status=$1 line=$2 file=$3 each
  shift 3
  if ((status == 141)); then
    status=0
    for each; do ((each == 0 || each == 141)) || status=$each; done
    ((status)) || return 0
  fi
  ((${#BASH_SOURCE[@]} > 2)) || return 0 # the block has ended
  __lesson_status=$status
  if [[ $file == "$__lesson_file" && ! -s $file.failed ]]; then
    printf '%s %s\n' "$status" "$line" >"$file.failed"
  fi
  return 1
}
__lesson_end='if ((BASH_SUBSHELL)); then exit "$__lesson_status"; fi; return "$__lesson_status"'
__lesson_trap='__lesson_failed $? "$LINENO" "${BASH_SOURCE[0]}" "${PIPESTATUS[@]}" || {
'$__lesson_end'
}'
# `wait` alone succeeds whatever its jobs did. One that a signal ended was told to end.
wait() {
  local job code status=0
  (($# == 0 && BASH_SUBSHELL == 0)) || { builtin wait "$@"; return; }
  jobs -p >"$__lesson_file.jobs" # in $(...), bash forgets jobs that have ended
  while read -r job; do
    builtin wait "$job" || { code=$?; ((code > 128)) || status=$code; }
  done <"$__lesson_file.jobs"
  return "$status"
}
while IFS= read -r __lesson_file <&3; do
  set -o errtrace -o pipefail
  trap "$__lesson_trap" ERR
  __lesson_job=${!-}
  __lesson_set=$(trap -p ERR)
  source "$__lesson_file" </dev/null 3<&- 5>&- 6>&-
  __lesson_status=$?
  ((__lesson_status != 141)) || __lesson_status=0
  # A job that fails does so soon; a server goes on, and nobody waits for it.
  for ((__lesson_wait = 10; __lesson_wait; __lesson_wait--)); do
    [[ ${!-} != "$__lesson_job" && -n $(jobs -r) ]] || break
    sleep 0.02
  done
  LC_ALL=C jobs >"$__lesson_file.jobs" # the table forgets those that it has shown
  __lesson_line=0 __lesson_lost=0
  [[ $(trap -p ERR) == "$__lesson_set" ]] || __lesson_lost=1
  if [[ -s $__lesson_file.failed ]]; then
    read -r __lesson_first __lesson_line <"$__lesson_file.failed"
    ((__lesson_status)) || __lesson_status=$__lesson_first
  fi
  printf '\0%s %s %s %s\0' "$LESSON_MARK" "$__lesson_status" "$__lesson_line" "$__lesson_lost" >&5
  printf '\0%s 0 0 0\0' "$LESSON_MARK" >&6
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
    program = Unicode("bash", config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        page_file = os.environ["LESSON_PAGE"]
        with open(page_file, encoding="utf-8") as stream:
            page = json.load(stream)
        self.path = page["path"]
        self.blocks = page["blocks"]  # [line of the fence, source]
        # The runner removes it. With forward slashes, as bash names its files on Windows too.
        self.folder = os.path.dirname(page_file).replace(os.sep, "/")
        self.mark = uuid.uuid4().hex
        driver = f"{self.folder}/driver"
        with open(driver, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(DRIVER)
        self.bash = subprocess.Popen(
            [self.program, "--noprofile", "--norc", driver],
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
        """Pass on the text printed; (status, line, lost trap) after a block, None at the end."""
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
        # One file for each block: a function of another block has lines of its own.
        file = f"{self.folder}/block{self.execution_count}"
        with open(file, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(code + "\n")
        assert self.bash.stdin is not None
        self.stderr = ""
        try:
            self.bash.stdin.write(file.encode() + b"\n")
            self.bash.stdin.flush()
            status, failed_line, lost_trap = self.hand_on()
        except BrokenPipeError:
            status, failed_line, lost_trap = None, 0, 0
        except KeyboardInterrupt:
            return self.failure("KeyboardInterrupt", "", line)
        if status is None:
            return self.failure(
                "ShellExit", f"the block ended the shell with status {self.bash.wait()}", line
            )
        if status:
            in_page = line + failed_line if line and failed_line else 0
            return self.failure("ExitStatus", f"exit status {status}", in_page)
        if lost_trap:
            said = "the block sets a trap for ERR, so that failing lines pass unseen"
            return self.failure("LostTrap", said, line)
        with open(f"{file}.jobs", encoding="utf-8", errors="replace") as stream:
            job = re.search(r"^\[\d+\][-+]?\s+Exit (\d+)\s+(.*)", stream.read(), re.MULTILINE)
        if job:
            said = f"the background job `{job[2]}` ended with exit status {job[1]}"
            return self.failure("FailedJob", said, line)
        if unfinished := unfinished_line(code, self.stderr):
            return self.failure("Unfinished", "the block ends too early", line + unfinished)
        if leaves := re.search(r"^return\b", code, re.MULTILINE):
            returning = code.count("\n", 0, leaves.start()) + 1
            said = "`return` ends the block, and is an error in a terminal"
            return self.failure("Returned", said, line + returning)
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": [],
            "user_expressions": {},
        }

    def hand_on(self) -> tuple[int | None, int, int]:
        """Send what the block prints, and return its status, failing line and lost trap."""
        status: int | None = 0
        line, lost, open_outputs = 0, 0, {"stdout", "stderr"}
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in open_outputs}
        while open_outputs:
            name, piece = self.pieces.get()
            if piece is None:
                status = None
                open_outputs.discard(name)
            elif isinstance(piece, tuple):
                open_outputs.discard(name)
                if name == "stdout":
                    status, line, lost = piece
            elif piece:
                text = decoders[name].decode(piece)
                if name == "stderr":
                    # As a terminal says it, without the path of a file of ours.
                    text = re.sub(rf"{re.escape(self.folder)}/block\d+", "bash", text)
                    self.stderr += text
                self.send_response(self.iopub_socket, "stream", {"name": name, "text": text})
        return status, line, lost

    def failure(self, name: str, value: str, line: int) -> dict[str, Any]:
        place = [f"File {self.path}:{line}"] if line else []
        content = {"ename": name, "evalue": value, "traceback": [*place, f"{name}: {value}"]}
        self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        self.bash.kill()
        return {"status": "ok", "restart": restart}


def unfinished_line(code: str, stderr: str) -> int:
    """The line of a here-document without its end, or of a last line that goes on; 0 if none."""
    if warning := re.search(r"warning: here-document at line (\d+) delimited by end", stderr):
        return int(warning[1])
    lines = code.rstrip("\n").split("\n")
    backslashes = len(lines[-1]) - len(lines[-1].rstrip("\\"))
    goes_on = backslashes % 2 == 1 and not lines[-1].lstrip().startswith("#")
    return len(lines) if goes_on else 0


def main(arguments: list[str]) -> None:
    app = IPKernelApp.instance(kernel_class=PageKernel)
    app.initialize(arguments)
    app.start()


if __name__ == "__main__":
    main(sys.argv[1:])
