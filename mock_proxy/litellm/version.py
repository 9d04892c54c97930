"""The versions of LiteLLM that the mock stands for, and in what they differ."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version of LiteLLM. The defaults are the newest one's."""

    number: str
    types_key_errors_by_status: bool = True
    """The type of an error about a key's settings follows from its status; else it is
    ``internal_server_error``, or ``auth_error`` where the key is there already."""
    refuses_negative_limits: bool = True
    """A key's limits are not below zero."""
    has_newer_router_settings: bool = True
    """A new key's settings name ``content_policy_fallbacks``, too."""


OLDER = Version(
    "1.106.2",
    types_key_errors_by_status=False,
    refuses_negative_limits=False,
    has_newer_router_settings=False,
)

_current: ContextVar[Version] = ContextVar("litellm version", default=OLDER)


def current() -> Version:
    """The version that answers this request."""
    return _current.get()
