"""What was asked, when, and what it cost, with the columns of LiteLLM's database."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..config import Model
from ..keys.store import Key
from . import wire

REMEMBERED_CALLS = 5_000
"""The latest calls of all keys together; LiteLLM keeps all of them in its database."""

CALL_TYPES = {
    "/chat/completions": "acompletion",
    "/completions": "atext_completion",
    "/embeddings": "aembedding",
    "/responses": "aresponses",
    "/v1/messages": "anthropic_messages",
}


@dataclass(frozen=True)
class Entry:
    """One call that was answered."""

    id: str
    call_id: str
    route: str
    key: Key
    model: Model
    group: str
    prompt_tokens: int
    completion_tokens: int
    spend: float
    """USD"""
    ended: datetime
    seconds: float

    def body(self) -> dict[str, Any]:
        """The entry with the columns, in their order, of LiteLLM 1.106.2's database."""
        provider, _, name = self.model.target.rpartition("/")
        start, end = (
            wire.isoformat(moment, zulu=True)
            for moment in (self.ended - timedelta(seconds=self.seconds), self.ended)
        )
        return {
            "request_id": self.id,
            "call_type": CALL_TYPES.get(self.route, self.route),
            "api_key": self.key.token,
            "spend": self.spend,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "startTime": start,
            "endTime": end,
            "request_duration_ms": round(self.seconds * 1000),
            "completionStartTime": end,
            "model": name,
            "model_id": self.model.id,
            "model_group": self.group,
            "custom_llm_provider": provider,
            "api_base": self.model.api_base,
            "user": self.user,
            "metadata": {
                "user_api_key": self.key.token,
                "user_api_key_alias": self.key.key_alias,
                "user_api_key_team_id": self.key.other.get("team_id"),
                "user_api_key_user_id": self.key.other.get("user_id"),
                "status": "success",
            },
            "cache_hit": "None",
            "cache_key": "Cache OFF",
            "request_tags": [],
            "team_id": self.key.other.get("team_id"),
            "organization_id": None,
            "end_user": "",
            "requester_ip_address": None,
            "messages": {},
            "response": {},
            "session_id": self.call_id,
            "status": "success",
            "mcp_namespaced_tool_name": None,
            "billing_agent_id": None,
            "agent_id": None,
            "proxy_server_request": {},
            "litellm_call_id": self.call_id,
            "created_at": end,
            "updated_at": end,
        }

    @property
    def user(self) -> str:
        return str(self.key.other.get("user_id") or "")


@dataclass(frozen=True)
class SpendLog:
    """The latest calls, in memory: they end with the proxy."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CALLS))

    def newest_first(self) -> Iterator[Entry]:
        return reversed(list(self.entries))
