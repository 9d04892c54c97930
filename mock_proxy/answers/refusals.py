"""What a provider refuses before any model is asked, in LiteLLM's wrapping.

LiteLLM checks little itself, so whoever misspells a role learns of it from the provider. The rules
stand for OpenAI here, with the texts of its API; each says where it comes from: "recorded"
(tests/data/litellm), or the error that OpenAI or Azure OpenAI document. A model with an
``api_base`` of its own stands for another server, which was recorded as taking nearly anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..call import Call
from ..litellm import azure, provider, reasoning, tokens
from ..litellm.wire import ProxyError
from . import schemas, thinking

MOST_ANSWERS = 128
"""OpenAI's limit on ``n``."""

MOST_TEXTS = 2048
"""OpenAI's limit on the texts of one request."""

MOST_TOOLS = 128
"""OpenAI's limit on ``tools``."""

ROLES = ("system", "assistant", "user", "function", "tool", "developer")

NUMBERS: Mapping[str, tuple[str, float, float]] = {
    "temperature": ("decimal", 0, 2),
    "top_p": ("decimal", 0, 1),
    "presence_penalty": ("decimal", -2, 2),
    "frequency_penalty": ("decimal", -2, 2),
    "max_tokens": ("integer", 1, math.inf),
    "max_completion_tokens": ("integer", 1, math.inf),
    "n": ("integer", 1, MOST_ANSWERS),
    "top_logprobs": ("integer", 0, 20),
    "seed": ("integer", -math.inf, math.inf),
}

LEAST_OUTPUT = 16
"""OpenAI's least ``max_output_tokens``, in its newer form only."""

_PARAMETERS = """
    model messages audio frequency_penalty function_call functions logit_bias logprobs
    max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction
    presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort response_format
    safety_identifier seed service_tier stop store stream stream_options temperature tool_choice
    tools top_logprobs top_p user verbosity web_search_options
"""
PARAMETERS = frozenset(_PARAMETERS.split())
"""Of OpenAI's reference of chat completions."""

_LITELLMS_OWN = """
    additional_drop_params allowed_openai_params api_base api_key api_version base_url cache
    caching context_window_fallbacks content_policy_fallbacks custom_llm_provider drop_params
    extra_body extra_headers fallbacks guardrails headers max_retries mock_delay mock_response
    mock_timeout mock_tool_calls no-log num_retries prompt_id prompt_variables request_timeout
    tags thinking timeout ttl
"""
LITELLMS_OWN = frozenset(_LITELLMS_OWN.split())
"""What LiteLLM takes out of a request before it asks the provider."""

KINDS = {str: "string", bool: "boolean", list: "array", dict: "object", type(None): "null"}


def of_chat(call: Call) -> None:
    """Raise what OpenAI answers to a chat that it refuses."""
    too_many_answers(call)
    _schemas(call)
    if not is_openais(call):
        return
    _kind(call, "chatCompletion")
    _numbers(call)
    if call.route == "/chat/completions":
        _names(call)
        _messages(call)
    _json_mode(call)
    _length(call)
    _efforts(call)


def of_embedding(call: Call) -> None:
    texts = tokens.texts_of(call.body["input"])
    if len(texts) > MOST_TEXTS:
        _refuse(
            call,
            f"Invalid 'input': array too long. Expected at most {MOST_TEXTS} texts, "
            f"but got {len(texts)} instead.",
            "input",
        )
    if not is_openais(call):
        return
    _kind(call, "embeddings")
    limit = _facts(call).get("max_input_tokens")
    longest = max(map(tokens.count, texts), default=0)
    if limit and longest > limit:  # OpenAI's text, seen with text-embedding-ada-002
        _refuse(
            call,
            f"This model's maximum context length is {limit} tokens, however you requested "
            f"{longest} tokens ({longest} in your prompt; 0 for the completion). Please reduce "
            "your prompt; or completion length.",
        )


def too_many_answers(call: Call) -> None:
    """Recorded; for canned answers too, since they are all made here."""
    n = call.body.get("n")
    if isinstance(n, int) and n > MOST_ANSWERS:
        _refuse(call, _above("n", "integer", MOST_ANSWERS, n), "n")


def _kind(call: Call, operation: str) -> None:
    """An embedding model does not chat. OpenAI says so with 403 or 404, Azure OpenAI with this."""
    mode = _facts(call).get("mode")
    if mode is not None and (mode == "embedding") != (operation == "embeddings"):
        name = call.model.target.rpartition("/")[2]
        _refuse(
            call,
            f"The {operation} operation does not work with the specified model, {name}. Please "
            "choose different model and try again. You can learn more about which models can be "
            "used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993.",
        )


def _numbers(call: Call) -> None:
    """The text on a number that is too large is recorded; the others follow it in OpenAI's API."""
    for name, (kind, low, high) in NUMBERS.items():
        value = call.body.get(name)
        if value is None:
            continue
        if name == "max_tokens" and call.route == "/responses":
            name, low = "max_output_tokens", LEAST_OUTPUT
        given = KINDS.get(type(value), "decimal" if isinstance(value, float) else "")
        article = "an" if kind == "integer" else "a"
        if given not in ("", "decimal") or (given and kind == "integer" and value % 1):
            other = "an" if given[0] in "aio" else "a"
            told = f"expected {article} {kind}, but got {other} {given} instead."
            _refuse(call, f"Invalid type for '{name}': {told}", name)
        if value > high:
            _refuse(call, _above(name, kind, high, value), name)
        if value < low:
            told = f"Expected a value >= {low}, but got {value} instead."
            _refuse(call, f"Invalid '{name}': {kind} below minimum value. {told}", name)


def _above(name: str, kind: str, high: float, value: Any) -> str:
    return (
        f"Invalid '{name}': {kind} above maximum value. "
        f"Expected a value <= {high}, but got {value} instead."
    )


def _names(call: Call) -> None:
    """Fields that nobody knows. The text is OpenAI's, as its forum has it."""
    unknown = [
        name
        for name in call.body
        if name not in PARAMETERS | LITELLMS_OWN and not name.startswith("litellm_")
    ]
    if unknown:
        several = "s" if len(unknown) > 1 else ""
        _refuse(call, f"Unrecognized request argument{several} supplied: {', '.join(unknown)}")


def _messages(call: Call) -> None:
    """OpenAI's texts, as its forum and the issues of its Python client have them."""
    messages = call.body["messages"]
    if not messages:
        _refuse(
            call,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            "messages",
        )
    for at, message in enumerate(messages):
        if not isinstance(message, Mapping):
            continue
        for field in ("role", "content"):
            if field not in message and not (field == "content" and _calls(message)):
                param = f"messages[{at}].{field}"
                _refuse(call, f"Missing required parameter: '{param}'.", param)
        role, content = message["role"], message.get("content")
        if role not in ROLES:
            _refuse(
                call,
                f"Invalid value: '{role}'. Supported values are: {_list(ROLES)}.",
                f"messages[{at}].role",
            )
        if not isinstance(content, (str, list)) and not _calls(message):
            given = KINDS.get(type(content), "number")
            _refuse(
                call,
                f"Invalid value for 'content': expected a string, got {given}.",
                f"messages.[{at}].content",
            )


def _calls(message: Mapping[str, Any]) -> bool:
    """Whether the message calls tools, and so needs no text."""
    return message.get("role") == "assistant" and any(
        message.get(word) for word in ("tool_calls", "function_call", "refusal")
    )


def _efforts(call: Call) -> None:
    """OpenAI's texts, as the issues of several clients have them."""
    every = ["none", *thinking.EFFORTS, "xhigh"]
    known = {"reasoning_effort": every, "verbosity": ["low", "medium", "high"]}
    for name, values in known.items():
        value = call.body.get(name)
        if value is not None and value not in values:
            _refuse(call, f"Invalid value: '{value}'. Supported values are: {_list(values)}.", name)
    target = call.model.target.rpartition("/")[2]
    for name in reasoning.lacks(target):  # LiteLLM was told to let it pass
        if call.body.get(name) is not None:
            _refuse(
                call, f"Unsupported parameter: '{name}' is not supported with this model.", name
            )
    effort = call.body.get("reasoning_effort")
    if effort is not None and thinking.reasons(call) and effort not in thinking.efforts(call):
        _refuse(
            call,
            f"Unsupported value: '{effort}' is not supported with the '{target}' model. Supported "
            f"values are: {_list(thinking.efforts(call))}.",
            "reasoning_effort",
        )


def _list(values: Sequence[str]) -> str:
    *most, last = values
    return ", ".join(f"'{value}'" for value in most) + f", and '{last}'"


def _json_mode(call: Call) -> None:
    """OpenAI's text, and its documented rule: else a model may write white space for ever."""
    wanted = call.body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_object":
        return
    if not any("json" in text.lower() for text in _texts(call)):
        _refuse(
            call,
            "'messages' must contain the word 'json' in some form, to use 'response_format' "
            "of type 'json_object'.",
            "messages",
        )


def _texts(call: Call) -> Iterator[str]:
    for message in call.body["messages"]:
        if isinstance(message, Mapping):
            yield tokens.text_of(message.get("content"))


def _length(call: Call) -> None:
    """The first text is recorded, the second OpenAI's for an answer that no model can give."""
    facts = _facts(call)
    limit, most = facts.get("max_input_tokens"), facts.get("max_output_tokens")
    if limit and call.prompt_tokens > limit:
        _refuse(
            call,
            f"This model's maximum context length is {limit} tokens. However, your messages "
            f"resulted in {call.prompt_tokens} tokens. Please reduce the length of the messages.",
            "messages",
        )
    for name in ("max_tokens", "max_completion_tokens"):
        asked = call.body.get(name)
        if most and isinstance(asked, int) and asked > most:
            _refuse(
                call,
                f"{name} is too large: {asked}. This model supports at most {most} completion "
                f"tokens, whereas you provided {asked}.",
                name,
            )


def _schemas(call: Call) -> None:
    """Refuse strict schemas that leave something open.

    OpenAI's documentation of structured outputs demands `additionalProperties: false` and every
    property in `required`. Not recorded: the texts are written after OpenAI's.
    """
    wanted = call.body.get("response_format")
    asked = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if isinstance(asked, Mapping) and wanted and wanted.get("type") == "json_schema":
        problem = schemas.fault(asked.get("schema"), strict=asked.get("strict") is True)
        if problem is not None:
            name = asked.get("name", "")
            _refuse(
                call, f"Invalid schema for response_format '{name}': {problem}", "response_format"
            )
    offered = call.body.get("tools")
    tools = offered if isinstance(offered, list) else []
    if len(tools) > MOST_TOOLS:
        _refuse(
            call,
            f"Invalid 'tools': array too long. Expected an array with maximum length {MOST_TOOLS}, "
            f"but got an array with length {len(tools)} instead.",
            "tools",
        )
    for at, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and function.get("strict") is True:
            problem = schemas.fault(function.get("parameters"), strict=True)
            if problem is not None:
                name, param = function.get("name"), f"tools[{at}].function.parameters"
                _refuse(call, f"Invalid schema for function '{name}': {problem}", param)


def is_openais(call: Call) -> bool:
    """Or Azure's, whose models need an ``api_base`` and are OpenAI's all the same. What was
    recorded is no longer asked of the server that it names."""
    is_elsewhere = call.model.params.get("api_base") and call.model.recording is None
    return is_azures(call) or not is_elsewhere


def is_azures(call: Call) -> bool:
    return call.model.target.startswith("azure/")


def _facts(call: Call) -> dict[str, Any]:
    return tokens.facts(call.model.target, call.model.info)


def _refuse(call: Call, message: str, param: str | None = None) -> None:
    if is_azures(call):
        raise azure.bad_request(message, param, call.group)
    raise refusal(message, call.group, param)


def refusal(message: str, group: str, param: str | None = None) -> ProxyError:
    """A provider's 400 as LiteLLM hands it on."""
    return provider.failure(
        400, json.dumps({"error": {"message": message, "param": param}}), {}, group
    )
