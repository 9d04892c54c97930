"""What a block makes that later blocks may need, by the words of its code. Pure."""

import ast
import contextlib
import re
from collections.abc import Iterator

from lesson_runner.page.episode import Block

WORD = re.compile(r"[^\W\d][\w.]*")
FILE = re.compile(r"[\"']([^\"'\n]*\.\w+)[\"']")

MADE = {
    "python": re.compile(
        r"^[ \t]*(?:(?:with|from|import)\b.*\b(?:as|import)[ \t]+(\w+)"
        r"|(?:def|class|for|import)[ \t]+(\w+)"
        r"|(\w+)(?:\[[^\]\n]*\]|\.\w+)*[ \t]*[-+*/]?=(?!=))",
        re.MULTILINE,
    ),
    "r": re.compile(
        r"([\w.]+)(?:[$\[][^<\n]*)?[ \t]*<-|->[ \t]*([\w.]+)|^[ \t]*([\w.]+)[ \t]*=(?!=)",
        re.MULTILINE,
    ),
}
"""Names that code defines or changes, where it cannot be parsed."""

CHANGES_FILES = re.compile(
    r"(?:^|[;&|(]|\bdo\b)[ \t]*(?:cd|pushd|mkdir|touch|cp|mv|rm|ln|tar|unzip|git|source|export|nano"
    r"|bash|sh|python3?|Rscript|make|pip|conda)\b|>|^[ \t]*\w+=",
    re.MULTILINE,
)
THE_SHELL = "$"
"""Stands for the state of the shell and of its folder, which all of its blocks use."""


def makes(block: Block) -> set[str]:
    """The names that the block defines, imports or changes, and the files that it names."""
    if block.language == "bash":
        return {THE_SHELL} if CHANGES_FILES.search(block.source) else set()
    files = {*FILE.findall(block.source)}
    if block.language == "python":
        with contextlib.suppress(SyntaxError, ValueError):
            return files | {
                name for node in ast.walk(ast.parse(block.source)) for name in _made(node)
            }
    found = MADE[block.language].findall(block.source)
    return (files | {name for names in found for name in names}) - {""}


def _made(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.split(".")[0] for alias in names)
        case (
            ast.Subscript(value=inside, ctx=ast.Store())
            | ast.Attribute(value=inside, ctx=ast.Store())
        ):
            while isinstance(inside, ast.Subscript | ast.Attribute):
                inside = inside.value
            if isinstance(inside, ast.Name):
                yield inside.id


def uses(block: Block) -> set[str]:
    """The words of the block, and the files that it names."""
    if block.language == "bash":
        return {THE_SHELL}
    words = WORD.findall(block.source)
    return {*words, *(word.split(".")[0] for word in words), *FILE.findall(block.source)}
