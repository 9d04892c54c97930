"""What a block makes that later blocks may need, by the words of its code. Pure."""

import re

from lesson_runner.page.episode import Block

WORD = re.compile(r"[^\W\d][\w.]*")
FILE = re.compile(r"[\"']([^\"'\n]*\.\w+)[\"']")

MADE = {
    "python": re.compile(
        r"^\s*(?:(?:def|class|for)\s+(\w+)|with\b.*\bas\s+(\w+)"
        r"|(\w+)(?:\[[^\]\n]*\])*\s*[-+*/]?=(?!=))",
        re.MULTILINE,
    ),
    "r": re.compile(
        r"([\w.]+)(?:[$\[][^<\n]*)?\s*<-|->\s*([\w.]+)|^\s*([\w.]+)\s*=(?!=)", re.MULTILINE
    ),
}
"""Names that code defines or changes."""
IMPORTS = re.compile(r"^\s*(?:from\s+\S+\s+)?import\s+(.+)", re.MULTILINE)

CHANGES_FILES = re.compile(
    r"(?:^|[;&|(]|\bdo\b)\s*(?:cd|pushd|mkdir|touch|cp|mv|rm|ln|tar|unzip|git|source|export|nano"
    r"|bash|sh|python3?|Rscript|make|pip|conda)\b|>|^\s*\w+=",
    re.MULTILINE,
)
THE_SHELL = "$"
"""Stands for the state of the shell and of its folder, which all of its blocks use."""


def makes(block: Block) -> set[str]:
    """The names that the block defines, imports or changes, and the files that it names."""
    if block.language == "bash":
        return {THE_SHELL} if CHANGES_FILES.search(block.source) else set()
    made = {name for names in MADE[block.language].findall(block.source) for name in names}
    if block.language == "python":
        parts = ",".join(IMPORTS.findall(block.source)).split(",")
        made |= {part.split()[-1].split(".")[0] for part in parts if part.strip(" ()")}
    return (made | {*FILE.findall(block.source)}) - {""}


def uses(block: Block) -> set[str]:
    """The words of the block, and the files that it names."""
    if block.language == "bash":
        return {THE_SHELL}
    words = WORD.findall(block.source)
    return {*words, *(word.split(".")[0] for word in words), *FILE.findall(block.source)}
