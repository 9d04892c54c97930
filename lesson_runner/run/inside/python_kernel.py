"""The Python kernel of a page: ipykernel, with errors where IPython would pass over them.

Each block is compiled as itself, so that no text of an error depends on what stands above it. Its
tracebacks name the page and the number of the block; the runner finds the page's line.
"""

import ast
import contextlib
import faulthandler
import io
import json
import linecache
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

if __name__ == "__main__":
    # Python put the folder of this file first; a notebook imports from its working folder.
    sys.path[0] = ""

from ipykernel.compiler import XCachingCompiler
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.utils import process
from IPython.utils.text import LSString, SList
from traitlets import Type


class Page:
    """The page whose blocks come one after the other. Read from the file LESSON_PAGE."""

    def __init__(self, file: str) -> None:
        with open(file, encoding="utf-8") as stream:
            page = json.load(stream)
        self.path = page["path"]
        self.blocks = [source for _, source in page["blocks"]]
        self.next = 0

    def number(self, source: str) -> int:
        """The number of this block in the page, from 1, or 0 if it is not one of its blocks."""
        for number, block in enumerate(self.blocks[self.next :], start=self.next + 1):
            if block.strip("\n") == source.strip("\n"):
                self.next = number
                return number
        return 0


class PageCompiler(XCachingCompiler):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page(os.environ["LESSON_PAGE"])
        self.name = ""
        self.blank = 0

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        block = self.page.number(raw_code)
        self.name = f"{self.page.path} block {block}" if block else ""
        # IPython drops empty lines at the beginning of a cell.
        self.blank = len(raw_code) - len(raw_code.lstrip("\n"))
        return self.name or super().get_code_name(raw_code, transformed_code, number)

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name = super().cache(transformed_code, number, raw_code)
        if name == self.name:
            self._filename_map.pop(name, None)  # so that tracebacks say "File", not "Cell In[3]"
            lines = (raw_code or transformed_code).splitlines(keepends=True)
            linecache.cache[name] = (1, None, lines, name)
        return name

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        if filename == self.name:
            source = "\n" * self.blank + source
        return super().ast_parse(source, filename, symbol)


SHELL_OPTIONS = {"bash": "-e -o pipefail", "sh": "-e"}
BASH = shutil.which("bash") if os.name == "posix" else None
STRICT = [BASH, "-o", "pipefail", "-c"] if BASH else []


@contextlib.contextmanager
def pipes_may_break() -> Iterator[None]:
    """Commands started here end at SIGPIPE, as programs do; Python ignores it."""
    if os.name != "posix":
        yield
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)


def check_status(status: int, command: str) -> None:
    if status not in (0, 141, -13):  # SIGPIPE: the reader of the pipe, such as `head`, had enough
        raise subprocess.CalledProcessError(status, command)


class PageShell(ZMQInteractiveShell):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.compile = PageCompiler()  # ipykernel insists on its own class for `compiler_class`

    def system(self, cmd: str) -> None:
        """`!command` fails where the command, or a part of its pipe, does."""
        if cmd.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")  # IPython's own words
        # Expanded before it is quoted: IPython leaves a `$name` in single quotes alone.
        command = self.var_expand(cmd, depth=1)
        with pipes_may_break():
            run = process.system  # type: ignore[attr-defined]
            status = run(shlex.join([*STRICT, command]) if STRICT else command)
        self.user_ns["_exit_code"] = status
        check_status(status or 0, command)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> SList | LSString:
        """`lines = !command` fails where the command does."""
        command = self.var_expand(cmd, depth=depth + 1)
        done = subprocess.run(
            [*STRICT, command] if STRICT else command,
            shell=not STRICT,
            check=False,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        check_status(done.returncode, command)
        output = done.stdout
        return SList(output.splitlines()) if split else LSString(output)

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """`%cd` prints the error that it meets; here it raises it."""
        if magic_name != "cd":
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            result = super().run_line_magic(magic_name, line, _stack_depth + 1)
        printed = said.getvalue()
        if printed.startswith(("[Errno ", "The requested directory", "No matching entry")):
            raise OSError(printed.strip())
        print(printed, end="")
        return result

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """A failing line in the middle of `%%bash` fails the block, unless the page says not to."""
        if "--no-raise-error" not in line:
            if magic_name in SHELL_OPTIONS:
                line = f"{SHELL_OPTIONS[magic_name]} {line}".strip()
            elif magic_name == "script":
                shell = re.compile(r"(?<!\S)(?:\S*/)?(bash|sh)(?!\S)")
                line = shell.sub(lambda m: f"{m[0]} {SHELL_OPTIONS[m[1]]}", line, count=1)
        return super().run_cell_magic(magic_name, line, cell)

    def ask_exit(self) -> None:
        """`quit()` and `exit()` would end a learner's notebook; here they would pass unseen."""
        raise SystemExit("this ends the session of the person who runs it")


class PageKernel(IPythonKernel):
    shell_class = Type(PageShell)


def main(arguments: list[str]) -> None:
    # The refusing proxy is for curl and R; Python clients would look for a SOCKS library first.
    os.environ.pop("ALL_PROXY", None)
    log = os.dup(2)  # ipykernel is about to send descriptor 2 to the notebook
    app = IPKernelApp.instance(kernel_class=PageKernel)
    # No history, which would open a database.
    app.initialize([*arguments, "--HistoryManager.enabled=False"])
    faulthandler.enable(file=log, all_threads=False)
    app.start()


if __name__ == "__main__":
    main(sys.argv[1:])
