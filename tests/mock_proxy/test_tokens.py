"""Counting tokens by a rule."""

import pytest

from mock_proxy.litellm import tokens

# Counts by tiktoken 0.14 with cl100k_base.
COUNTED = {
    "Hello": 1,
    "Hello world": 2,
    "": 0,
    '{"label": "health", "score": 0.93}': 14,
    "3.14159 2026-11-22 1,234,567": 17,
    "Heat waves and hospital admissions of older adults in coastal cities": 11,
    "Free energy landscapes of protein folding from molecular dynamics": 9,
    "What is the capital of the Netherlands?": 8,
    "Explain in one sentence what an application programming interface is.": 11,
    "It's raining, isn't it? Don't forget your umbrella!": 15,
}


@pytest.mark.parametrize(("text", "count"), COUNTED.items())
def test_count_is_near_tiktokens(text, count):
    assert abs(tokens.count(text) - count) <= max(1, count // 10)


@pytest.mark.parametrize(
    "text",
    [
        *COUNTED,
        "De onderzoekers verzamelden gegevens.",
        "热浪",
        "a\r\n\n  b\t",
        "_x_ 🎈",
        "ﬁ\u200b",
    ],
)
def test_pieces_joined_are_the_text(text):
    assert "".join(tokens.split(text)) == text
    assert len(tokens.split(text)) == tokens.count(text)


def test_other_languages_take_more_tokens_a_word():
    english = tokens.count("The researchers gathered data about the health of children")
    dutch = tokens.count("De onderzoekers verzamelden gegevens over de gezondheid van kinderen")
    assert dutch > 1.5 * english


def test_messages_add_what_the_chat_form_adds():
    """LiteLLM 1.106.2 counts 8 for one "Hello" of a user."""
    assert tokens.count_messages([{"role": "user", "content": "Hello"}]) == 8


def test_price_is_litellms():
    """LiteLLM 1.106.2 charged this for 10 and 20 tokens of gpt-4."""
    facts = tokens.facts("openai/gpt-4", {})
    assert tokens.cost(facts, 10, 20) == (0.00030000000000000003, 0.0012000000000000001)


def test_configuration_may_set_the_price():
    facts = tokens.facts("openai/ours", {"input_cost_per_token": 1e-6})
    assert tokens.cost(facts, 10, 20) == (pytest.approx(1e-5), 0.0)


def test_unknown_model_has_no_price():
    assert tokens.cost(tokens.facts("openai/ours", {}), 10, 20) is None


def test_tools_are_counted_nearly_as_litellm_counts_them():
    """LiteLLM counts 44 for "Hello" of a user with this tool, of which 8 are the message's."""
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Weather of a city", "parameters": city}
    tools = [{"type": "function", "function": function}]
    assert abs(tokens.count_tools(tools, has_system=False) - 36) <= 1
    assert abs(tokens.count_tools(tools, has_system=True) - 32) <= 1


def test_tools_of_every_kind_are_counted():
    kinds = {"a": {"enum": ["x", "y"]}, "b": {"type": "array"}, "c": {"type": "object"}, "d": 5}
    tool = {"function": {"name": "f", "parameters": {"properties": kinds}}}
    assert tokens.count_tools([tool, 5, {}, {"function": {"name": "g"}}], has_system=False) > 30
