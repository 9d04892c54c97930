"""Which tool a model would call, and with what arguments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..litellm import tokens
from . import labels, schemas, talk


def call_for(
    conversation: talk.Conversation, tools: Sequence[Any], choice: Any, *, always: bool = False
) -> dict[str, Any] | None:
    """The call of a tool that answers the conversation, as ``tool_calls`` holds it.

    None where ``tool_choice`` says none, after a tool has answered, and where no tool shares a
    word with the question, unless one is required. Of several tools the one whose name,
    description and parameters share most words is called. The arguments fit the tool's schema,
    filled from the question.
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
    must = always or choice == "required" or isinstance(choice, Mapping)
    function = _wanted(functions, choice, conversation.question, must=must)
    if function is None:
        return None
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


def _wanted(functions: list[Any], choice: Any, question: str, *, must: bool) -> Any:
    if isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        functions = [f for f in functions if f["name"] == name] or functions
    asked = _stems(question)
    if talk.SUM.search(question):
        asked |= {"add", "calculat", "comput", "sum", "number"}

    def shared(function: Mapping[str, Any]) -> int:
        parameters = function.get("parameters")
        names = parameters.get("properties") if isinstance(parameters, Mapping) else None
        words = [function["name"], str(function.get("description") or "")]
        return len(asked & _stems(" ".join([*words, *map(str, names or ())])))

    best = max(functions, key=shared)
    return best if must or shared(best) else None


COMMON = (
    tokens.ENGLISH | tokens.OTHER | {"what", "who", "how", "get", "can", "from", "about", "tool"}
)


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{3,}", text.lower().replace("_", " "))
    return {labels.stem(word) for word in words if word not in COMMON}
