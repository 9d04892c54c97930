"""Text as a person sees it: what pages show and programs print is compared in this form."""

import re

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def plain(text: str) -> str:
    """Text as a person sees it: no colours, nothing that a progress bar wrote over."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


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
    """The first character that no text has, such as NUL, or what a byte that is no UTF-8 became."""
    match = re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]", text)
    return match[0] if match else None
