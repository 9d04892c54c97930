"""``/embeddings``: texts to vectors."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Proxy, Reply
from .asking import Form, ask


async def embeddings(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The vectors of the request's texts."""
    return await ask(request, proxy, caller, FORM)


def read(body: Body, group: str) -> Body:
    return body


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    return {
        "model": call.group,
        "data": [
            {"embedding": vector, "index": index, "object": "embedding"}
            for index, vector in enumerate(reply.vectors)
        ],
        "object": "list",
        "usage": {
            "completion_tokens": 0,
            "prompt_tokens": reply.prompt_tokens,
            "total_tokens": reply.prompt_tokens,
            "completion_tokens_details": None,
            "prompt_tokens_details": None,
        },
    }


async def make(call: Call) -> Reply:
    return await call.maker.vectors(call)


FORM = Form("/embeddings", needs=("input",), read=read, body=body_of, make=make, names_version=True)
