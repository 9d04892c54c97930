"""How long a model reasons before it answers, by a rule: nobody sees the reasoning, all pay for it.

A model reasons if the price table or its ``model_info`` says ``supports_reasoning: true``. The
reasoning is so many tokens for each 64 of the prompt begun, a multiple of 64 as with OpenAI's
models: 64 with ``reasoning_effort`` low, 256 with medium (which is what they do unasked), 768 with
high; with minimal none. A prompt that labels one title has some 40 to 120 tokens. The text of the
answer is that of the other models, whatever the effort and the ``verbosity``.
"""

from __future__ import annotations

from ..call import Call
from ..litellm import tokens

EFFORTS = {"minimal": 0, "low": 64, "medium": 256, "high": 768}
"""Tokens of reasoning for each 64 tokens of the prompt."""

STEP = 64


def reasons(call: Call) -> bool:
    facts = tokens.facts(call.model.target, call.model.info)
    return facts.get("supports_reasoning") is True


def efforts(call: Call) -> list[str]:
    """The efforts that OpenAI's models take: minimal only where the price table says so."""
    facts = tokens.facts(call.model.target, call.model.info)
    return [
        effort
        for effort in EFFORTS
        if effort != "minimal" or facts.get("supports_minimal_reasoning_effort") is True
    ]


def length(call: Call) -> int:
    """Tokens of reasoning for one answer, before any limit."""
    if not reasons(call):
        return 0
    effort = EFFORTS.get(str(call.body.get("reasoning_effort") or "medium"), 0)
    return effort * -(-call.prompt_tokens // STEP)
