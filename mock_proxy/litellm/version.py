"""The versions of LiteLLM that the mock stands for, and in what they differ.

Found by sending the same requests to both; the answers are in ``tests/data/litellm``.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version of LiteLLM. The defaults are the newest one's."""

    number: str

    # Costs and counts
    says_unknown_cost_as_zero: bool = True
    """Without a known price, the cost header says ``0.0``; else there is no header."""
    usage_chunk_has_choice: bool = False
    """A stream's last chunk, with the usage, keeps an empty choice; OpenAI's has none."""
    counts_all_streamed_answers: bool = True
    """A canned stream's usage counts every one of several answers, not only the first."""
    text_chunks_have_usage: bool = False
    """Each chunk of a streamed text completion has an empty count."""
    canned_message_has_price: bool = True
    """The headers of a canned answer in Anthropic's form name its cost."""
    counts_prompt_beside_messages: bool = False
    """``/utils/token_counter`` takes a prompt and messages together."""

    # Answers
    has_refusal_in_message: bool = True
    """``message.refusal`` and ``logprobs`` are there, null too; else the refusal stands in
    ``provider_specific_fields``."""
    compresses: bool = False
    """Answers of 500 bytes and more are compressed for clients that take that."""
    reads_gzip: bool = True
    """A request's body may be compressed."""
    ends_broken_stream: bool = True
    """A stream with an error in it ends as others do, with ``[DONE]``."""

    more_prompt_details: tuple[str, ...] = (
        *("image_tokens", "text_tokens", "video_tokens"),
        "initial_prompt_tokens",
    )
    """What a text completion's usage names beside the provider's details of the prompt; nothing
    stands for the same as of the answer."""
    names_async_calls: bool = True
    """A function call in OpenAI's newer form has ``async``, null."""

    # Errors
    key_error_param: str | None = None
    """``param`` of errors about keys: null, or the text ``None``."""
    names_hash_of_unknown_key: bool = False
    refuses_models_over_budget: bool = False
    """A key that has spent its budget gets no list of models."""
    refuses_no_object: bool = True
    """JSON that is no object is a 400; else LiteLLM stumbles over it (500)."""
    names_model_in_errors: bool = True
    """Errors of a chosen model carry ``x-litellm-model-id`` and ``x-litellm-model-name``."""
    types_every_error: bool = True
    """The type of an error that LiteLLM has no class for is ``internal_server_error``, not null."""
    types_key_errors_by_status: bool = True
    """The type of an error about a key's settings follows from its status; else it is
    ``internal_server_error``, or ``auth_error`` where the key is there already."""
    refuses_negative_limits: bool = True
    """A key's limits are not below zero."""
    has_newer_fields: bool = True
    """A new key's router settings, a model and a group of models have some fields more."""
    rewords_provider_errors: bool = True
    """Statuses and texts of some provider errors; see ``provider`` and ``azure``."""

    # Models that reason, asked in Anthropic's form
    refuses_stop_sequences: bool = True
    """They lack ``stop``; else LiteLLM drops it."""
    message_has_reasoning_cost: bool = True
    """The headers name what the reasoning cost."""


VERSIONS = {
    version.number: version
    for version in (
        Version(
            "1.106.2",
            says_unknown_cost_as_zero=False,
            usage_chunk_has_choice=True,
            counts_all_streamed_answers=False,
            text_chunks_have_usage=True,
            canned_message_has_price=False,
            counts_prompt_beside_messages=True,
            has_refusal_in_message=False,
            compresses=True,
            reads_gzip=False,
            ends_broken_stream=False,
            more_prompt_details=(),
            names_async_calls=False,
            key_error_param="None",
            names_hash_of_unknown_key=True,
            refuses_models_over_budget=True,
            refuses_no_object=False,
            names_model_in_errors=False,
            types_every_error=False,
            types_key_errors_by_status=False,
            refuses_negative_limits=False,
            has_newer_fields=False,
            rewords_provider_errors=False,
            refuses_stop_sequences=False,
            message_has_reasoning_cost=False,
        ),
        Version("1.109.1"),
    )
}
"""Oldest first."""

NEWEST = VERSIONS["1.109.1"]

_current: ContextVar[Version] = ContextVar("litellm version", default=NEWEST)


class UnknownVersion(ValueError):
    """No version that the mock knows."""


def of(number: str | None) -> Version:
    """The version of this number; the newest where none is named. Raises UnknownVersion."""
    if number is None:
        return NEWEST
    if number not in VERSIONS:
        known = " and ".join(VERSIONS)
        raise UnknownVersion(f"the practice proxy knows LiteLLM {known}, not {number}")
    return VERSIONS[number]


def current() -> Version:
    """The version that answers this request."""
    return _current.get()


def use(version: Version) -> None:
    """Answer this request as this version does."""
    _current.set(version)
