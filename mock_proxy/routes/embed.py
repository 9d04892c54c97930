"""``/embeddings``: texts to vectors."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..answers import vectors
from ..call import Call, Proxy, Reply, Route, answering
from ..litellm import tokens, wire
from .auth import Caller
from .chat import whole

ROUTE = Route("/embeddings", needs=("input",), names_version=True)
DEFAULT_DIMENSIONS = 1536
MOST_DIMENSIONS = 4096
MOST_TEXTS = 2048
"""OpenAI's limit on the texts of one request."""


async def embeddings(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The vectors of the request's texts, or ProxyError."""
    async with answering(request, proxy, caller, ROUTE) as call:
        if call.model.mock_response is not None:
            # LiteLLM hands a canned answer on as one embedding, whatever it is.
            reply = Reply((), prompt_tokens=10, completion_tokens=0)
            return whole(call, reply, body_of(call, [call.model.mock_response], 10, 0))
        relayed = await call.relay.embed(call) if call.relay is not None else None
        if relayed is not None:
            reply, used = relayed.reply, relayed.reply.prompt_tokens
            return whole(call, reply, body_of(call, relayed.vectors, used, used))
        texts = texts_of(caller.body["input"])
        if len(texts) > MOST_TEXTS:
            message = (
                "litellm.BadRequestError: OpenAIException - Invalid 'input': array too long. "
                f"Expected at most {MOST_TEXTS} texts, but got {len(texts)} instead."
            )
            raise wire.failed(400, message, call.group, "invalid_request_error", "input")
        size = dimensions_of(call)
        packed = caller.body.get("encoding_format") == "base64"
        data: list[Any] = []
        for text in texts:
            vector = vectors.embed(text, size)
            data.append(vectors.as_base64(vector) if packed else vector)
            await asyncio.sleep(0)  # others are not to wait for two thousand texts
        used = count(caller.body["input"])
        reply = Reply((), prompt_tokens=used, completion_tokens=0)
        return whole(call, reply, body_of(call, data, used, used))


def dimensions_of(call: Call) -> int:
    """How many numbers a vector has: the model's, unless the request says and the model can."""
    facts = tokens.facts(call.model.target, call.model.info)
    size = int(facts.get("output_vector_size") or DEFAULT_DIMENSIONS)
    wanted = call.body.get("dimensions")
    if wanted is None:
        return size
    if "text-embedding-3" not in call.model.target:
        message = (
            "litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI "
            "`text-embedding-3` and later models. To drop it from the call, set "
            "`litellm.drop_params = True`."
        )
        raise wire.failed(400, message, call.group, "invalid_request_error")
    if not isinstance(wanted, int) or not 1 <= wanted <= min(size, MOST_DIMENSIONS):
        message = (
            "litellm.BadRequestError: OpenAIException - Invalid value for 'dimensions' = "
            f"{wanted}. Must be between 1 and {size}."
        )
        raise wire.failed(400, message, call.group, "invalid_request_error", "dimensions")
    return wanted


def body_of(call: Call, data: list[Any], prompt: int, total: int) -> dict[str, Any]:
    return {
        "model": call.group,
        "data": [
            {"embedding": vector, "index": index, "object": "embedding"}
            for index, vector in enumerate(data)
        ],
        "object": "list",
        "usage": {
            "completion_tokens": 0,
            "prompt_tokens": prompt,
            "total_tokens": total,
            "completion_tokens_details": None,
            "prompt_tokens_details": None,
        },
    }


def texts_of(given: Any) -> list[str]:
    """The texts to embed. A list of numbers is one text, given as tokens."""
    return [" ".join(map(str, item)) if _is_tokens(item) else str(item) for item in _items(given)]


def count(given: Any) -> int:
    """The tokens of the texts to embed."""
    return sum(map(_count, _items(given)))


def _items(given: Any) -> list[Any]:
    return given if isinstance(given, list) and not _is_tokens(given) else [given]


def _is_tokens(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and all(isinstance(n, int) for n in item)


def _count(item: Any) -> int:
    return len(item) if _is_tokens(item) else tokens.count(str(item))
