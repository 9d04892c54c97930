"""Imports that nothing here needs, and that every start would wait for.

Where `rfc3987_syntax` is installed (jupyter_server brings it), jsonschema imports it, and it
builds a grammar as it is imported: 0.94 s, for the format `iri`, which no notebook has. A stand-in
imports the real one when somebody first uses it; nothing is lost. jupytext brings a Jupyter server.
"""

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME = "rfc3987_syntax"


def defer_iri_grammar() -> None:
    """Cheap, and good for as long as jsonschema has not been imported."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the stand-in before Python finds the module, where there is one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != NAME or PathFinder.find_spec(NAME) is None:
            return None
        return ModuleSpec(NAME, _Loader())


class _Loader(Loader):
    def exec_module(self, module: ModuleType) -> None:
        module.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
        module.__getattr__ = _of_the_real_one  # type: ignore[method-assign]


def _of_the_real_one(name: str) -> Any:
    if name.startswith("__"):  # the import itself asks for `__path__`
        raise AttributeError(name)
    return getattr(_real(), name)


def _is_valid_syntax(term: str, value: str) -> bool:
    return bool(_real().is_valid_syntax(term, value))


def _real() -> ModuleType:
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Finder)]
    if isinstance(getattr(sys.modules.get(NAME), "__loader__", None), _Loader):
        del sys.modules[NAME]
    return importlib.import_module(NAME)


@cache
def jupytext() -> ModuleType:
    """The package jupytext, without the Jupyter server that it imports for its own extension.

    Where jupyter_server is missing jupytext does without, and so it is missing for this import. The
    modules are ours alone: an `import jupytext` elsewhere in this process is complete.
    """
    if "jupytext" in sys.modules:
        return sys.modules["jupytext"]
    hidden = sys.modules.get("jupyter_server")
    sys.modules["jupyter_server"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("jupytext")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "jupytext"]:
            del sys.modules[name]
        del sys.modules["jupyter_server"]
        if hidden is not None:
            sys.modules["jupyter_server"] = hidden
