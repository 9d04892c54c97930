"""Put off an import that nothing here needs, and that every start would wait a second for.

Where `rfc3987_syntax` is installed (jupyter_server brings it), jsonschema imports it, and it
builds a grammar as it is imported: 0.94 s, for the format `iri`, which no notebook has. A stand-in
imports the real one when somebody first checks an `iri`; nothing is lost.
"""

import importlib
import importlib.util
import sys
import types

NAME = "rfc3987_syntax"


def defer_iri_grammar() -> None:
    """To be called before jsonschema is imported; later it does nothing."""
    if NAME in sys.modules or "jsonschema" in sys.modules:
        return
    if importlib.util.find_spec(NAME) is None:
        return
    stand_in = types.ModuleType(NAME)
    stand_in.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[NAME] = stand_in
    try:
        importlib.import_module("jsonschema")
    finally:
        del sys.modules[NAME]


def _is_valid_syntax(term: str, value: str) -> bool:
    real = importlib.import_module(NAME)
    return bool(real.is_valid_syntax(term, value))
