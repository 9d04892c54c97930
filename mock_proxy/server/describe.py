"""What Swagger UI shows: descriptions, examples that work, and how to authorize.

The examples are those of the OpenAPI description, so that pressing Execute works as it is.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

PROXY = """\
A practice proxy for learning. It answers as the LiteLLM proxy of your institution does, with the
same routes, headers and errors, but no language model stands behind it: **answers are made by
simple rules**, and nothing that you send leaves this machine.

1. Press **Authorize**, enter your key (it starts with `sk-`) as *APIKeyHeader*, press *Authorize*.
2. Open a route, press **Try it out**, then **Execute**.
"""

SWAGGER_UI = {"tagsSorter": "alpha"}
"""What LiteLLM 1.106.2 sets; so Try it out must be pressed, as there."""

TAGS = [
    {"name": "health", "description": "Does the proxy run? No key is needed."},
    {"name": "model management", "description": "Which models may this key use?"},
    {"name": "chat/completions", "description": "Ask a model."},
    {"name": "embeddings", "description": "Texts as vectors, to compare them."},
    {"name": "responses", "description": "OpenAI's newer form of asking."},
    {"name": "[beta] Anthropic `/v1/messages`", "description": "Anthropic's form of asking."},
    {"name": "completions", "description": "The older form of asking, with one text."},
    {"name": "key management", "description": "What a key may do, and what it has spent."},
    {"name": "Budget & Spend Tracking", "description": "What each call has cost."},
    {"name": "llm utils", "description": "Count before you ask."},
]

SECURITY: list[dict[str, list[str]]] = [{"APIKeyHeader": []}]
SECURITY_SCHEMES = {
    "APIKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "x-litellm-api-key",
        "description": "Your key. It starts with `sk-`; here no `Bearer` is needed before it.",
    }
}

Route = dict[str, Any]


def _json(example: Any) -> dict[str, Any]:
    return {"application/json": {"example": example}}


def _error(description: str, **error: Any) -> dict[str, Any]:
    return {"description": description, "content": _json({"error": error})}


UNAUTHORIZED = _error(
    "The key is missing, malformed or unknown.",
    message="Authentication Error, No api key passed in.",
    type="auth_error",
    param="None",
    code="401",
)
INVALID = _error(
    "The request lacks something, or the model does not exist.",
    message="/chat/completions: Missing required parameter: 'messages'.",
    type="invalid_request_error",
    param="messages",
    code="400",
)
DENIED = _error(
    "The key may not use this model.",
    message=(
        "The requested model 'gpt-4' is not available for this API key, or the model name is "
        "invalid. Check the models available to you and try again."
    ),
    type="key_model_access_denied",
    param="model",
    code="403",
)
OVER_BUDGET = _error(
    "The key's budget is spent.",
    message="Budget has been exceeded! Key=key (sk-...5678) Current cost: 1.0, Max budget: 1.0",
    type="budget_exceeded",
    param=None,
    code="422",
)
TOO_MANY = _error(
    "Too many requests or tokens in this minute; the header `retry-after` says how long to wait.",
    message="Rate limit exceeded for api_key: 146382c3. Limit type: requests. Current limit: 2",
    type="throttling_error",
    param=None,
    code="429",
)

LIVELINESS: Route = {
    "tags": ["health"],
    "summary": "Is the proxy alive?",
    "description": "Answers `I'm alive!` without a key.",
    "responses": {200: {"description": "It is.", "content": _json("I'm alive!")}},
}
READINESS: Route = {
    "tags": ["health"],
    "summary": "Is the proxy ready?",
    "description": "Says whether the proxy and its database of keys are ready. No key is needed.",
    "responses": {
        200: {
            "description": "It is.",
            "content": _json({"status": "healthy", "db": "connected"}),
        }
    },
}
MODELS: Route = {
    "tags": ["model management"],
    "summary": "List the models",
    "description": "The models that your key may use. Their `id` is what a request calls `model`.",
    "openapi_extra": {"security": SECURITY},
    "responses": {
        200: {
            "description": "The models.",
            "content": _json(
                {
                    "data": [
                        {
                            "id": "gpt-4o-mini",
                            "object": "model",
                            "created": 1677610602,
                            "owned_by": "openai",
                            "mode": "chat",
                            "max_input_tokens": 128000,
                            "max_output_tokens": 16384,
                        }
                    ],
                    "object": "list",
                }
            ),
        },
        401: UNAUTHORIZED,
    },
}
MODEL: Route = {
    "tags": ["model management"],
    "summary": "One model",
    "description": "One of the models that your key may use.",
    "openapi_extra": {
        "security": SECURITY,
        "parameters": [
            {
                "name": "model_id",
                "in": "path",
                "required": True,
                "description": "The model's `id`, as the list has it.",
                "schema": {"type": "string"},
                "example": "gpt-4o-mini",
            }
        ],
    },
    "responses": {
        200: {"description": "The model.", "content": _json({"id": "gpt-4o-mini"})},
        401: UNAUTHORIZED,
        404: {
            "description": "Your key has no such model.",
            "content": _json({"detail": "The model `nope` does not exist or is not accessible"}),
        },
    },
}
MODEL_INFO: Route = {
    "tags": ["model management"],
    "summary": "What is known of the models",
    "description": "Prices in USD a token, limits and abilities of each model of your key.",
    "openapi_extra": {"security": SECURITY},
    "responses": {
        200: {
            "description": "The models.",
            "content": _json(
                {
                    "data": [
                        {
                            "model_name": "gpt-4o-mini",
                            "litellm_params": {"model": "openai/gpt-4o-mini"},
                            "model_info": {"input_cost_per_token": 1.5e-07},
                        }
                    ]
                }
            ),
        },
        401: UNAUTHORIZED,
    },
}


def _body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """A request body with named examples; Swagger UI fills in the first."""
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


CHAT_SCHEMA = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "description": "A model's `id` from `/models`."},
        "messages": {
            "type": "array",
            "description": "The conversation so far; the model remembers nothing else.",
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"type": "string", "enum": ["system", "user", "assistant"]},
                    "content": {"type": "string"},
                },
            },
        },
        "temperature": {
            "type": "number",
            "minimum": 0,
            "maximum": 2,
            "description": "Above 0, the same request may get other answers.",
        },
        "max_tokens": {
            "type": "integer",
            "minimum": 1,
            "description": "The longest answer, in tokens; a longer one is cut off there.",
        },
        "n": {"type": "integer", "minimum": 1, "description": "How many answers."},
        "stop": {"type": "string", "description": "The answer ends before this text."},
        "seed": {"type": "integer", "description": "The same seed, the same answer."},
        "stream": {"type": "boolean", "description": "Whether the answer comes in pieces."},
    },
}


def _chat(**body: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", **body}


CHAT: Route = {
    "tags": ["chat/completions"],
    "summary": "Ask a model",
    "description": (
        "Send the messages of a conversation, get the model's next message. "
        "The answer stands in `choices[0].message.content`."
    ),
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            CHAT_SCHEMA,
            {
                "A question": {
                    "value": _chat(messages=[{"role": "user", "content": "Say hello."}])
                },
                "A label": {
                    "value": _chat(
                        messages=[
                            {
                                "role": "system",
                                "content": "Choose one of: health, climate, energy, none. "
                                "Answer with the label only.",
                            },
                            {"role": "user", "content": "Solar panels on school roofs"},
                        ],
                        temperature=0,
                    )
                },
                "A conversation": {
                    "value": _chat(
                        messages=[
                            {"role": "user", "content": "My name is Ada."},
                            {"role": "assistant", "content": "Hello, Ada."},
                            {"role": "user", "content": "What is my name?"},
                        ]
                    )
                },
            },
        ),
    },
    "responses": {
        200: {
            "description": "The answer.",
            "content": _json(
                {
                    "id": "chatcmpl-91b4bcdd",
                    "object": "chat.completion",
                    "created": 1795381882,
                    "model": "gpt-4o-mini",
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "message": {"role": "assistant", "content": "Hello!"},
                        }
                    ],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
                }
            ),
        },
        400: INVALID,
        401: UNAUTHORIZED,
        403: DENIED,
        422: OVER_BUDGET,
        429: TOO_MANY,
    },
}

EMBEDDINGS: Route = {
    "tags": ["embeddings"],
    "summary": "Texts as vectors",
    "description": "One vector for each text of `input`; texts with shared words lie closer.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "required": ["model", "input"],
                "properties": {
                    "model": {"type": "string", "description": "An embedding model's `id`."},
                    "input": {
                        "anyOf": [
                            {"type": "string"},
                            {"type": "array", "items": {"type": "string"}},
                        ]
                    },
                    "encoding_format": {"type": "string", "enum": ["float", "base64"]},
                },
            },
            {
                "Two texts": {
                    "value": {
                        "model": "text-embedding-ada-002",
                        "input": ["Solar panels on school roofs", "A roof with a solar panel"],
                    }
                }
            },
        ),
    },
    "responses": {
        200: {
            "description": "The vectors, in the order of the texts.",
            "content": _json(
                {
                    "model": "text-embedding-ada-002",
                    "data": [{"embedding": [0.01, -0.02], "index": 0, "object": "embedding"}],
                    "object": "list",
                    "usage": {"prompt_tokens": 5, "total_tokens": 5},
                }
            ),
        },
        400: INVALID,
        401: UNAUTHORIZED,
        422: OVER_BUDGET,
        429: TOO_MANY,
    },
}
COMPLETION: Route = {
    "tags": ["completions"],
    "summary": "Continue a text",
    "description": "The older form of a request. Prefer `/chat/completions`.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "required": ["model", "prompt"],
                "properties": {
                    "model": {"type": "string"},
                    "prompt": {"type": "string"},
                    "max_tokens": {"type": "integer", "minimum": 1},
                },
            },
            {"A text": {"value": {"model": "gpt-4o-mini", "prompt": "Say hello."}}},
        ),
    },
    "responses": {
        200: {
            "description": "The continuation.",
            "content": _json(
                {
                    "object": "text_completion",
                    "choices": [{"finish_reason": "stop", "index": 0, "text": "Hello!"}],
                }
            ),
        },
        400: INVALID,
        401: UNAUTHORIZED,
    },
}
TOKEN_COUNTER: Route = {
    "tags": ["llm utils"],
    "summary": "Count tokens",
    "description": "How many tokens a `prompt`, or `messages`, would be. Costs nothing.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "required": ["model"],
                "properties": {
                    "model": {"type": "string"},
                    "prompt": {"type": "string"},
                    "messages": {"type": "array", "items": {"type": "object"}},
                },
            },
            {"A text": {"value": {"model": "gpt-4o-mini", "prompt": "Hello world"}}},
        ),
    },
    "responses": {
        200: {"description": "The count.", "content": _json({"total_tokens": 2})},
        401: UNAUTHORIZED,
    },
}

KEY_INFO: Route = {
    "tags": ["key management"],
    "summary": "What is known of your key",
    "description": (
        "Its models, budget (`max_budget`, USD), `spend`, limits and expiry. "
        "With the master key, `key` may name any other."
    ),
    "openapi_extra": {
        "security": SECURITY,
        "parameters": [
            {
                "name": "key",
                "in": "query",
                "required": False,
                "description": "A key, or its SHA-256; your own if left empty.",
                "schema": {"type": "string"},
            }
        ],
    },
    "responses": {
        200: {
            "description": "The key.",
            "content": _json({"key": "d4ee22ec", "info": {"spend": 0.0, "max_budget": 1.0}}),
        },
        401: UNAUTHORIZED,
        404: _error(
            "There is no such key.",
            message="Key not found in database",
            type="not_found_error",
            param="key",
            code="404",
        ),
    },
}
SPEND_LOGS: Route = {
    "tags": ["Budget & Spend Tracking"],
    "summary": "The calls of your key, and what each cost",
    "description": (
        "The newest first, `spend` in USD. With the master key, those of all keys. "
        "With `start_date` and `end_date` (both at midnight, UTC) the sums of days."
    ),
    "openapi_extra": {
        "security": SECURITY,
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": kind}}
            for name, kind in (
                ("api_key", "string"),
                ("user_id", "string"),
                ("request_id", "string"),
                ("start_date", "string"),
                ("end_date", "string"),
                ("summarize", "boolean"),
            )
        ],
    },
    "responses": {
        200: {
            "description": "The calls.",
            "content": _json(
                [
                    {
                        "request_id": "chatcmpl-91b4bcdd",
                        "call_type": "acompletion",
                        "spend": 1.5e-06,
                        "total_tokens": 12,
                        "model": "gpt-4o-mini",
                        "status": "success",
                    }
                ]
            ),
        },
        401: UNAUTHORIZED,
    },
}
KEY_LIST: Route = {
    "tags": ["key management"],
    "summary": "List all keys",
    "description": "Needs the master key. The newest first, in pages of `size`.",
    "openapi_extra": {
        "security": SECURITY,
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": kind}}
            for name, kind in (
                ("page", "integer"),
                ("size", "integer"),
                ("return_full_object", "boolean"),
            )
        ],
    },
    "responses": {
        200: {
            "description": "One page of the keys.",
            "content": _json(
                {"keys": ["d4ee22ec"], "total_count": 1, "current_page": 1, "total_pages": 1}
            ),
        },
        401: UNAUTHORIZED,
    },
}
KEY_GENERATE: Route = {
    "tags": ["key management"],
    "summary": "Make a key",
    "description": "Needs the master key. Every limit may be left out.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "properties": {
                    "models": {"type": "array", "items": {"type": "string"}},
                    "max_budget": {"type": "number", "description": "USD"},
                    "duration": {"type": "string", "description": "Valid for: 1h, 7d, …"},
                    "rpm_limit": {"type": "integer", "description": "Requests a minute"},
                    "tpm_limit": {"type": "integer", "description": "Tokens a minute"},
                    "key_alias": {"type": "string"},
                    "metadata": {"type": "object"},
                },
            },
            {
                "A learner's key": {
                    "value": {"models": ["gpt-4o-mini"], "max_budget": 1, "duration": "7d"}
                }
            },
        ),
    },
    "responses": {
        200: {"description": "The key.", "content": _json({"key": "sk-…", "max_budget": 1.0})},
        401: UNAUTHORIZED,
    },
}

RESPONSES: Route = {
    "tags": ["responses"],
    "summary": "Ask a model, in OpenAI's newer form",
    "description": "The answer stands in `output[0].content[0].text`.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "required": ["model", "input"],
                "properties": {
                    "model": {"type": "string"},
                    "input": {"type": "string"},
                    "instructions": {"type": "string"},
                    "max_output_tokens": {"type": "integer", "minimum": 1},
                },
            },
            {"A question": {"value": {"model": "gpt-4o-mini", "input": "Say hello."}}},
        ),
    },
    "responses": {
        200: {
            "description": "The answer.",
            "content": _json({"object": "response", "status": "completed", "output": []}),
        },
        400: INVALID,
        401: UNAUTHORIZED,
    },
}
MESSAGES: Route = {
    "tags": ["[beta] Anthropic `/v1/messages`"],
    "summary": "Ask a model, in Anthropic's form",
    "description": "The answer stands in `content[0].text`.",
    "openapi_extra": {
        "security": SECURITY,
        "requestBody": _body(
            {
                "type": "object",
                "required": ["model", "max_tokens", "messages"],
                "properties": {
                    "model": {"type": "string"},
                    "max_tokens": {"type": "integer", "minimum": 1},
                    "messages": {"type": "array", "items": {"type": "object"}},
                },
            },
            {
                "A question": {
                    "value": {
                        "model": "gpt-4o-mini",
                        "max_tokens": 100,
                        "messages": [{"role": "user", "content": "Say hello."}],
                    }
                }
            },
        ),
    },
    "responses": {
        200: {
            "description": "The answer.",
            "content": _json({"type": "message", "content": [{"type": "text", "text": "Hello!"}]}),
        },
        400: {
            "description": "The request lacks something, or the model does not exist.",
            "content": _json({"type": "error", "error": {"type": "invalid_request_error"}}),
        },
        401: UNAUTHORIZED,
    },
}


def add_security(app: FastAPI) -> None:
    """Let Authorize send ``x-litellm-api-key``, as LiteLLM's Swagger UI does."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        schema = described()
        schema.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
