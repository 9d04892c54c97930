"""Put off an import that nothing here needs, and that every start would wait a second for.

Where `rfc3987_syntax` is installed (jupyter_server brings it), jsonschema imports it, and it
builds a grammar as it is imported: 0.94 s, for the format `iri`, which no notebook has. A stand-in
imports the real one when somebody first uses it; nothing is lost.
"""

import importlib
import sys
from collections.abc import Sequence
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
