"""JSON whose numbers keep all of their digits: `0.1` and `0.10000000000000001` differ."""

import json
import re
from decimal import Decimal
from typing import Any

MOST_DIGITS = 4000
"""Python reads no longer integers."""

MARK = "\ue000"  # from the private use area
MARKED = re.compile(f'"{MARK}([^"{MARK}]*){MARK}"')


def loads(text: str | bytes, **options: Any) -> Any:
    """Integers are `int`, unless they are too long; all other numbers are `Decimal`."""
    return json.loads(text, parse_float=Decimal, parse_int=_integer, **options)


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < MOST_DIGITS else Decimal(digits)


def dumps(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=_marked)
    return MARKED.sub(r"\1", text)


def _marked(number: Decimal) -> str:
    return f"{MARK}{number}{MARK}"
