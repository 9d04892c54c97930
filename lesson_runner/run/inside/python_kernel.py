"""The Python kernel of a page: ipykernel, with errors where IPython would pass over them.

Its tracebacks name the page and the page's lines.
"""

import ast
import faulthandler
import json
import linecache
import os
import subprocess
import sys
from typing import Any

if __name__ == "__main__":
    # Python put the folder of this file first; a notebook imports from its working folder.
    sys.path[0] = ""

from ipykernel.compiler import XCachingCompiler
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.utils.text import LSString, SList
from traitlets import Type


class Page:
    """The page whose blocks come one after the other. Read from the file LESSON_PAGE."""

    def __init__(self, file: str) -> None:
        with open(file, encoding="utf-8") as stream:
            page = json.load(stream)
        self.path = page["path"]
        self.lines = [line + "\n" for line in page["lines"]]
        self.blocks = page["blocks"]  # [line of the fence, source]

    def offset(self, source: str) -> int | None:
        """How many lines stand before this source in the page, or None if it is no block."""
        for position, (line, block) in enumerate(self.blocks):
            if block.strip("\n") == source.strip("\n"):
                del self.blocks[: position + 1]
                # IPython drops empty lines at the beginning of a cell.
                return line + len(source) - len(source.lstrip("\n"))
        return None


class PageCompiler(XCachingCompiler):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page(os.environ["LESSON_PAGE"])
        self.offset: int | None = None

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        self.offset = self.page.offset(raw_code)
        if self.offset is None:
            return super().get_code_name(raw_code, transformed_code, number)
        return self.page.path

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name = super().cache(transformed_code, number, raw_code)
        if self.offset is not None:
            self._filename_map.pop(name, None)  # so that tracebacks say "File", not "Cell In[3]"
            linecache.cache[name] = (1, None, self.page.lines, name)
        return name

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        if filename == self.page.path and self.offset is not None:
            source = "\n" * self.offset + source
        return super().ast_parse(source, filename, symbol)


class PageShell(ZMQInteractiveShell):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.compile = PageCompiler()  # ipykernel insists on its own class for `compiler_class`

    def system(self, cmd: str) -> None:
        """`!command` fails where the command does."""
        super().system_piped(cmd)
        status = self.user_ns.get("_exit_code")
        if status:
            raise subprocess.CalledProcessError(status, cmd)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> SList | LSString:
        """`lines = !command` fails where the command does."""
        command = self.var_expand(cmd, depth=depth + 1)
        output = subprocess.run(
            command,
            shell=True,
            check=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ).stdout
        return SList(output.splitlines()) if split else LSString(output)

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """A failing line in the middle of `%%bash` fails the block."""
        if magic_name in ("bash", "sh"):
            cell = "set -e\n" + cell
        return super().run_cell_magic(magic_name, line, cell)

    def ask_exit(self) -> None:
        """`quit()` and `exit()` would end a learner's notebook; here they would pass unseen."""
        raise SystemExit("this ends the session of whoever runs it")


class PageKernel(IPythonKernel):
    shell_class = Type(PageShell)


def main(arguments: list[str]) -> None:
    # The refusing proxy is for curl and R; Python clients would look for a SOCKS library first.
    os.environ.pop("ALL_PROXY", None)
    log = os.dup(2)  # ipykernel is about to send descriptor 2 to the notebook
    app = IPKernelApp.instance(kernel_class=PageKernel)
    # Nobody looks for yesterday's blocks: no database is opened for them.
    app.initialize([*arguments, "--HistoryManager.enabled=False"])
    faulthandler.enable(file=log, all_threads=False)
    app.start()


if __name__ == "__main__":
    main(sys.argv[1:])
