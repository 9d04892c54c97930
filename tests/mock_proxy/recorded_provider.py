"""The provider that stood behind LiteLLM as the cases of group C were recorded.

Written after what LiteLLM handed on of it: its answers, its errors, its headers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from other_server import DONE, streaming
from starlette.responses import JSONResponse, Response

TEXT = "Hello from provider"
USAGE = {
    "completion_tokens": 3,
    "prompt_tokens": 9,
    "total_tokens": 12,
    "completion_tokens_details": {
        "accepted_prediction_tokens": 0,
        "audio_tokens": 0,
        "reasoning_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
    "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
}
VECTORS = {
    "a": [0.292157, 0.092157, 0.005882, -0.429412, 0.292157, -0.394118, 0.241176, 0.292157],
    "b": [-0.256863, -0.362745, 0.409804, -0.413725, -0.5, -0.276471, -0.15098, -0.209804],
}
ERRORS: dict[str, tuple[int, str, str | None]] = {
    "prov-429": (
        429,
        "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1. Please try again in 20s.",
        None,
    ),
    "prov-quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        None,
    ),
    "prov-500": (
        500,
        "The server had an error while processing your request. Sorry about that!",
        None,
    ),
    "prov-503": (503, "The engine is currently overloaded, please try again later", None),
    "prov-401": (401, "Incorrect API key provided: fake.", None),
    "prov-403": (403, "You are not allowed to sample from this model", None),
    "prov-413": (413, "Request too large", None),
    "prov-422": (422, "Unprocessable", None),
    "prov-529": (529, "Overloaded", None),
    "prov-filter": (
        400,
        "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy. Please modify your prompt and retry.",
        "prompt",
    ),
    "prov-badparam": (
        400,
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, "
        "but got 5 instead.",
        "temperature",
    ),
}
TYPES = {"prov-429": ("requests", "rate_limit_exceeded")}
MODELS = (
    *("prov-ok", "prov-refusal", "prov-embed", "prov-html502", "prov-midstream", "prov-slow"),
    *ERRORS,
)


async def answer(body: dict[str, Any]) -> Response:
    """What it says to a chat, or to texts to embed."""
    model = body["model"]
    if model in ERRORS:
        status, message, param = ERRORS[model]
        kind, code = TYPES.get(model, ("server_error", None))
        error = {"message": message, "type": kind, "param": param, "code": code}
        # With spaces, as Python's json writes it: LiteLLM repeats it in some of its errors.
        return Response(json.dumps({"error": error}), status, media_type="application/json")
    if model == "prov-html502":
        return Response("<html>Bad gateway</html>", 502, media_type="text/html")
    if model == "prov-slow":
        with contextlib.suppress(asyncio.CancelledError):  # nobody waits for it
            await asyncio.sleep(5)
    if "input" in body:
        return JSONResponse(embedded(body["input"]))
    if body.get("stream"):
        return streaming(*pieces(body))
    return JSONResponse(completion(body))


def embedded(texts: list[str]) -> dict[str, Any]:
    data = [
        {"embedding": VECTORS[t], "index": i, "object": "embedding"} for i, t in enumerate(texts)
    ]
    used = 3 * len(texts)
    return {"data": data, "usage": {"prompt_tokens": used, "total_tokens": used}}


def base(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-prov1",
        "object": kind,
        "created": 1_700_000_000,
        "model": f"{body['model']}-2024-07-18",
        "system_fingerprint": "fp_prov",
        "service_tier": "default",
    }


def completion(body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": TEXT,
        "refusal": None,
        "annotations": [],
    }
    reason = "stop"
    if body["model"] == "prov-refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    elif body.get("max_tokens") == 1:
        message["content"], reason = "Hello", "length"
    elif body.get("tools") and body["messages"][-1]["role"] == "user":
        reason = "tool_calls"
        message |= {
            "content": None,
            "tool_calls": [call("1", "get_weather"), call("2", "get_time")],
        }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {**base(body, "chat.completion"), "choices": [choice], "usage": USAGE}


def call(number: str, name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": '{"city": "Paris"}'}
    return {"id": f"call_{number}abcdefgh", "type": "function", "function": function}


def pieces(body: dict[str, Any]) -> Iterator[bytes]:
    def piece(delta: dict[str, Any], reason: str | None = None, word: str = "") -> bytes:
        one = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        if word and body.get("logprobs"):
            told = {"token": word.strip(), "logprob": -0.1, "bytes": None, "top_logprobs": []}
            one["logprobs"] = {"content": [told], "refusal": None}
        return event({**base(body, "chat.completion.chunk"), "choices": [one]})

    yield piece({"role": "assistant", "content": "", "refusal": None})
    if body["model"] == "prov-refusal":
        yield piece({"refusal": "I cannot help with that."})
        yield piece({}, "stop")
    elif body["model"] == "prov-midstream":
        yield piece({"content": "Hello"})
        message = "The server had an error processing your request."
        yield event({"error": {"message": message, "type": "server_error", "code": None}})
        return
    elif body.get("max_tokens") == 1:
        yield piece({"content": "Hello"}, word="Hello")
        yield piece({}, "length")
    else:
        for word in ("Hello", " from", " provider"):
            yield piece({"content": word}, word=word)
        yield piece({}, "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield event({**base(body, "chat.completion.chunk"), "choices": [], "usage": USAGE})
    yield DONE


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
