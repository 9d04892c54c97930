"""Which tool a model would call, and with what arguments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import labels, schemas, talk


def call_for(
    conversation: talk.Conversation, tools: Sequence[Any], choice: Any
) -> dict[str, Any] | None:
    """The call of a tool that answers the conversation, as ``tool_calls`` holds it.

    None where ``tool_choice`` says none, and after a tool has answered. Of several tools the
    one whose name and description share most words with the question is called. The arguments
    fit the tool's schema, filled from the question.
    """
    functions = [
        tool["function"]
        for tool in tools
        if isinstance(tool, Mapping)
        and isinstance(tool.get("function"), Mapping)
        and isinstance(tool["function"].get("name"), str)
    ]
    if not functions or choice == "none" or _is_answered(conversation):
        return None
    function = _wanted(functions, choice, conversation.question)
    arguments = schemas.answer(
        function.get("parameters") or {"type": "object"}, conversation.question, conversation.nth
    )
    seed = f"{function['name']} {arguments} {conversation.turns}"
    return {
        "id": "call_" + hashlib.sha256(seed.encode()).hexdigest()[:24],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments or "{}"},
    }


def _is_answered(conversation: talk.Conversation) -> bool:
    return bool(conversation.turns) and conversation.turns[-1][0] in ("tool", "function")


def _wanted(functions: list[Any], choice: Any, question: str) -> Any:
    if isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        functions = [f for f in functions if f["name"] == name] or functions
    asked = _stems(question)

    def shared(function: Mapping[str, Any]) -> int:
        return len(asked & _stems(f"{function['name']} {function.get('description') or ''}"))

    return max(functions, key=shared)


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{3,}", text.lower().replace("_", " "))
    return {labels.stem(word) for word in words}
