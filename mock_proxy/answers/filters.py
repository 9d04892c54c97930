"""A provider's content filter, as ``model_info`` describes it.

``filter: {refuse: {CATEGORY: [WORD, …]}, cut: {CATEGORY: [WORD, …]}}``: a prompt that holds one of
the words under ``refuse`` is refused with Azure's 400; where it holds one under ``cut``, the answer
is withheld. The categories are Azure's (hate, self_harm, sexual, violence), the words beginnings of
words in any case. A real filter is a model that judges the text, and the answer too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..call import Call, Choice, Piece, Ready, Reply, Stream
from ..litellm import azure, tokens


def check(call: Call) -> None:
    """Raise Azure's 400 where the prompt is refused."""
    category = _found(call, "refuse")
    if category is not None:
        raise azure.refused(category, call.group, call.route)


def filtered(call: Call, choices: Iterable[Choice], *, is_stream: bool) -> Iterator[Choice]:
    """The answers with the filter's results, and without their texts where these are withheld.

    A stream goes on until the filter sees what it withholds: here, to the middle. Azure charges for
    the whole answer.
    """
    category = _found(call, "cut")
    told = {"content_filter_results": azure.results(category)} if _has_one(call) else {}
    for choice in choices:
        if category is None:
            yield replace(choice, told=told)
            continue
        pieces = tokens.split(choice.text or "")
        text = "".join(pieces[: len(pieces) // 2]) if is_stream else ""
        yield Choice(text, "content_filter", told=told)


def told(call: Call) -> dict[str, Any]:
    """What Azure says of the prompt, in the body of the answer."""
    return {"prompt_filter_results": azure.prompt_results()} if _has_one(call) else {}


def _has_one(call: Call) -> bool:
    return "filter" in call.model.info


def _found(call: Call, what: str) -> str | None:
    """The category of the first word that the prompt holds."""
    words = call.model.info["filter"].get(what) if _has_one(call) else None
    if not words:
        return None
    texts = [tokens.text_of(m.get("content")) for m in call.body["messages"] if isinstance(m, dict)]
    prompt = "\n".join(texts)
    for category, beginnings in words.items():
        if any(re.search(rf"\b{re.escape(str(word))}", prompt, re.I) for word in beginnings):
            return str(category)
    return None


class Filtered:
    """A stream with the filter's results in its pieces, in Azure's form as LiteLLM hands it on."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def pieces(self) -> AsyncIterator[Piece | Ready]:
        yield []  # Azure begins with what it found in the prompt, of which LiteLLM leaves nothing
        async for piece in self._stream.pieces():
            yield piece if isinstance(piece, Ready) else [_with_results(part) for part in piece]

    def reply(self) -> Reply:
        return self._stream.reply()

    async def close(self) -> None:
        await self._stream.close()


def _with_results(part: dict[str, Any]) -> dict[str, Any]:
    if "finish_reason" in part:
        return part
    found = azure.results() if part["delta"].get("content") else {}
    return {"content_filter_results": found, **part}


def stream(call: Call, made: Stream) -> Stream:
    return Filtered(made) if _has_one(call) else made
