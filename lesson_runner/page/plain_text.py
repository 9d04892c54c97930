"""Text as a person sees it: what pages show and programs print is compared in this form."""

import re

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


ERASED = re.compile(r"\r\x1b\[[02]?K|\x1b\[2K\r")
"""Back to the start of the line, and all that stood there is gone."""


def plain(text: str) -> str:
    """Text as a person sees it: no colours, nothing that a progress bar wrote over."""
    return "\n".join(map(_as_seen, text.replace("\r\n", "\n").split("\n")))


def _as_seen(line: str) -> str:
    """The line at the end. After a carriage return, only as much is overwritten as was written."""
    first, *later = ANSI.sub("", ERASED.split(line)[-1]).split("\r")
    characters = list(first)
    for text in later:
        characters[: len(text)] = text
    return "".join(characters)


def normal(text: str) -> str:
    """Text without trailing blanks and empty lines at its end; empty, or ends with a line break."""
    lines = [line.rstrip() for line in plain(text).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def lines_of(text: str) -> list[str]:
    """The lines of the normal text. Unlike `str.splitlines`, a form feed or U+2028 ends none."""
    return normal(text).split("\n")[:-1]


def binary_character(text: str) -> str | None:
    """The first character that no text has: NUL or the like, or the mark of an invalid byte."""
    match = re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]", text)
    return match[0] if match else None
