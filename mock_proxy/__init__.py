"""A practice proxy that answers on the wire as LiteLLM does, by small readable rules.

What other packages use stands here. It is imported when it is asked for: that takes its time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import load, practice
    from .server.listener import addresses, is_loopback
    from .server.run import RunningProxy, key_store, running

__all__ = ["RunningProxy", "addresses", "is_loopback", "key_store", "load", "practice", "running"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(".config" if name in ("load", "practice") else ".server.run", __name__)
    return getattr(module, name)
