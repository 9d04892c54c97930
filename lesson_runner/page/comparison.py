"""How exactly an output is compared: what a directive or `lesson.yaml` says of it. Pure."""

import re
from dataclasses import dataclass, replace

FORMS = "`any blanks`, `any order` or a number of digits such as `6 digits`"


@dataclass(frozen=True)
class Comparison:
    """By default, everything counts but blanks at the end of a line.

    Only the first `digits` digits of a number with a decimal point count, if they are given.
    """

    blanks: bool = True
    order: bool = True
    digits: int | None = None


EXACT = Comparison()


def read_comparison(text: str, start: Comparison = EXACT) -> Comparison:
    """`any blanks, 6 digits` → `Comparison`. Raises `ValueError` with the words that mean nothing.

    >>> read_comparison("any blanks, 6 digits")
    Comparison(blanks=False, order=True, digits=6)
    """
    made = start
    for part in (part.strip() for part in text.split(",")):
        if part == "any blanks":
            made = replace(made, blanks=False)
        elif part == "any order":
            made = replace(made, order=False)
        elif digits := re.fullmatch(r"([1-9]|1[0-5]) digits?", part):
            made = replace(made, digits=int(digits[1]))
        else:
            raise ValueError(f"`compare: {part}` is none of {FORMS}")
    return made
