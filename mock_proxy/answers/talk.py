"""From a conversation to an answer, by rules that are tried in order; the first that fits wins.

The same conversation gets the same answer. Nothing here knows a fact about the world: an
answer is made of what the messages hold, or says plainly that a practice proxy wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..litellm import tokens
from . import labels, schemas


@dataclass(frozen=True)
class Conversation:
    """What the messages of a request say: ``(role, text)`` in order."""

    turns: tuple[tuple[str, str], ...]
    nth: int = 1
    """Which answer this is, where answers may vary: the first, the second, …; else 1."""

    @cached_property
    def question(self) -> str:
        """The last thing the user said."""
        return next((text for role, text in reversed(self.turns) if role == "user"), "")

    @cached_property
    def instructions(self) -> str:
        """What the system messages say."""
        return "\n".join(text for role, text in self.turns if role in ("system", "developer"))

    @cached_property
    def told(self) -> list[str]:
        """Everything the user has said, oldest first."""
        return [text for role, text in self.turns if role == "user"]


def read(messages: Sequence[Any], nth: int = 1) -> Conversation:
    """The conversation in a request's ``messages``; entries that are no messages are left out."""
    return Conversation(
        tuple(
            (str(message.get("role")), tokens.text_of(message.get("content")))
            for message in messages
            if isinstance(message, Mapping)
        ),
        nth,
    )


def answer(conversation: Conversation) -> str:
    """The whole answer, before any limit on its length."""
    for rule in RULES:
        text = rule(conversation)
        if text is not None:
            return styled(text, conversation)
    raise AssertionError("the last rule answers everything")


def formatted(conversation: Conversation, response_format: Mapping[str, Any]) -> str | None:
    """The answer as JSON, as ``response_format`` asks; None where no rule makes it."""
    question = conversation.question
    own_text = labels.text_to_judge(question) if "\n" in question.strip() else question
    task = labels.read_task(conversation.instructions, question)
    text = task.text if task else labels.TEXT_MARK.sub("", own_text)
    if response_format.get("type") == "json_schema":
        wanted = response_format.get("json_schema")
        schema = wanted.get("schema", {}) if isinstance(wanted, Mapping) else {}
        return schemas.answer(schema, text, conversation.nth)
    chosen = labels.choose(task, conversation.nth) if task else None
    return schemas.free_answer(f"{conversation.instructions}\n{question}", text, chosen)


def cut(text: str, max_tokens: int | None, stop: Iterable[str] = ()) -> tuple[str, str]:
    """The text up to its limits, and why it ended: ``stop`` or ``length``."""
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    if ends:
        text = text[: min(ends)]
    if max_tokens is not None and max_tokens >= 1:
        pieces = tokens.split(text)
        if len(pieces) > max_tokens:
            return "".join(pieces[:max_tokens]), "length"
    return text, "stop"


# --- the rules --------------------------------------------------------------------------------


def label(conversation: Conversation) -> str | None:
    """The prompt offers labels: the one whose keywords the text holds most of."""
    task = labels.read_task(conversation.instructions, conversation.question)
    if task is None:
        return None
    chosen = labels.choose(task, conversation.nth)
    if task.wants_json:
        prompt = f"{conversation.instructions}\n{conversation.question}"
        return schemas.free_answer(prompt, task.text, chosen)
    if task.wants_label_only:
        return chosen
    found = labels.keywords_found(task, chosen)
    because = (
        f" It mentions: {', '.join(found)}." if found else " None of my keywords occurs in it."
    )
    return f"I would choose the label **{chosen}**.{because}"


def relay(conversation: Conversation) -> str | None:
    """A tool has answered: the answer hands on what it said."""
    if not conversation.turns or conversation.turns[-1][0] not in ("tool", "function"):
        return None
    return f"The tool answered: {_brief(conversation.turns[-1][1])}"


FACT = re.compile(
    r"\bmy (?P<what>[\w' -]{2,40}?) (?:is|are) (?P<value>[^.,;!?\n]{1,80}?)"
    r"(?=[.,;!?\n]|$| and (?:my|i)\b| but )",
    re.IGNORECASE,
)
CALLED = re.compile(
    r"\b(?:call me|i am called|i'm called) (?P<value>[^.,;!?\n]{1,40})", re.IGNORECASE
)
ASKED = re.compile(
    r"\b(?:what(?:'s| is| are| was)|who (?:is|are)|do you (?:remember|know)|tell me|repeat|recall)"
    r" (?:what )?my (?P<what>[\w' -]{2,40}?)(?: is| are)?\s*(?:[?.!]|$)",
    re.IGNORECASE,
)
WHO_AM_I = re.compile(
    r"\b(?:who am i|do you (?:remember|know) me|how am i called)\b", re.IGNORECASE
)


def remember(conversation: Conversation) -> str | None:
    """A question about what the user said ("What is my name?"): only the messages can tell."""
    asked = ASKED.search(conversation.question)
    if asked is None and not WHO_AM_I.search(conversation.question):
        return None
    what = asked["what"].strip().lower() if asked else "name"
    value = facts_told(conversation).get(what)
    if value is None:
        return (
            f"I do not know your {what}: the messages you sent me do not say it. "
            "I remember nothing but the messages of this request."
        )
    return f"Your {what} {'are' if _is_plural(what) else 'is'} {value}."


def facts_told(conversation: Conversation) -> dict[str, str]:
    """What the user said of themselves: ``{"name": "Ada"}``. The latest word counts."""
    facts = {}
    for text in conversation.told:
        for match in FACT.finditer(text):
            if not ASKED.search(match[0] + "?"):
                facts[match["what"].strip().lower()] = match["value"].strip()
        for match in CALLED.finditer(text):
            facts["name"] = match["value"].strip()
    return facts


def note(conversation: Conversation) -> str | None:
    """The user says something of themselves ("My name is Ada.")."""
    if "?" in conversation.question:
        return None
    facts = facts_told(Conversation((("user", conversation.question),)))
    if not facts:
        return None
    said = " and ".join(
        f"your {what} {'are' if _is_plural(what) else 'is'} {value}"
        for what, value in facts.items()
    )
    return f"Thank you, I have read that {said}."


SAY = re.compile(
    r"\b(?:say|reply with|respond with|answer with|repeat|write)"
    r"(?: exactly| only| just| the words?| the text| the sentence| after me)*:?\s+"
    r"(?:[\"“'‘](?P<quoted>[^\"”'’\n]{1,200})[\"”'’]|(?P<plain>\w+(?: \w+)?))\s*[.!]?\s*$",
    re.IGNORECASE,
)


def say(conversation: Conversation) -> str | None:
    """The user wants certain words back ("Say hello.")."""
    match = SAY.search(conversation.question)
    if match is None:
        return None
    if match["quoted"]:
        return match["quoted"]
    return match["plain"][0].upper() + match["plain"][1:] + "!"


SUM = re.compile(
    r"(?<![\w.])(-?\d{1,9}(?:\.\d{1,6})?)\s*([-+*/x×])\s*(-?\d{1,9}(?:\.\d{1,6})?)(?![\w.])"
)


def calculate(conversation: Conversation) -> str | None:
    """One sum of two numbers."""
    match = SUM.search(conversation.question)
    if match is None or not re.search(
        r"\b(what|how much|calculate|compute|=)", conversation.question, re.I
    ):
        return None
    a, b = float(match[1]), float(match[3])
    if match[2] == "/" and b == 0:
        return "A number cannot be divided by zero."
    result = {"+": a + b, "-": a - b, "/": a / b if b else 0.0}.get(match[2], a * b)
    return f"{match[0]} = {result:.10g}"


SUMMARISE = re.compile(r"\b(?:summari[sz]e|summary|shorten)\b", re.IGNORECASE)


def summarise(conversation: Conversation) -> str | None:
    """A summary: the first sentence of the text."""
    if not SUMMARISE.search(conversation.instructions + "\n" + conversation.question):
        return None
    text = labels.text_to_judge(conversation.question)
    if SUMMARISE.search(text) or len(text.split()) < 5:
        return None
    return re.split(r"(?<=[.!?])\s+", text.strip(), maxsplit=1)[0]


GREETING = re.compile(
    r"\s*(?:hi|hello|hey|hallo|good (?:morning|afternoon|evening))\b[\w ,]*[.!]?\s*", re.I
)


def greet(conversation: Conversation) -> str | None:
    if not GREETING.fullmatch(conversation.question):
        return None
    return "Hello! I am a practice proxy, not a language model: I answer by simple rules."


OPENINGS = (
    "This is the practice proxy, not a language model: it repeats what it was asked.",
    "A practice proxy wrote this answer by a simple rule: it repeats the question.",
    "No language model was asked: the practice proxy repeats the question instead.",
    "The practice proxy has no rule for this question, so it repeats the question.",
)


def repeat(conversation: Conversation) -> str | None:
    """Whatever no rule covers: says so, and what arrived."""
    parts = [OPENINGS[(conversation.nth - 1) % len(OPENINGS)]]
    if conversation.instructions.strip():
        parts.append(f"Your instructions were: “{_brief(conversation.instructions)}”")
    if conversation.question.strip():
        parts.append(f"You asked: “{_brief(conversation.question)}”")
    else:
        parts.append("Your messages hold no question.")
    return " ".join(parts)


Rule = Callable[[Conversation], str | None]
RULES: tuple[Rule, ...] = (relay, label, remember, note, say, calculate, summarise, greet, repeat)


# --- how an answer is said --------------------------------------------------------------------

STYLES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"\b(?:upper ?case|capital letters|capitals|all caps)\b", re.I), str.upper),
    (re.compile(r"\blower ?case\b", re.I), str.lower),
)
AT_MOST = re.compile(r"\b(?:at most|no more than|maximum(?: of)?|up to) (\d{1,3}) words\b", re.I)
_EVERY = r"(?:every|each|all|your) (?:answers?|repl(?:y|ies)|sentences?)"
_WORDS = r"[\"“']?([^\"”'\n]{1,40}?)[\"”']?[.]?(?:\n|$)"
START = re.compile(rf"\b(?:start|begin) {_EVERY} with {_WORDS}", re.IGNORECASE)
ENDING = re.compile(rf"\bend {_EVERY} with {_WORDS}", re.IGNORECASE)


def styled(text: str, conversation: Conversation) -> str:
    """The answer as the system message wants it: capitals, at most n words, an opening, an end."""
    wishes = conversation.instructions
    if not wishes:
        return text
    if match := AT_MOST.search(wishes):
        words = text.split()
        if len(words) > int(match[1]):
            text = " ".join(words[: int(match[1])])
    if match := START.search(wishes):
        text = f"{match[1]} {text}"
    if match := ENDING.search(wishes):
        text = f"{text} {match[1]}"
    for wish, style in STYLES:
        if wish.search(wishes):
            text = style(text)
    return text


def _brief(text: str, words: int = 60) -> str:
    """The text on one line, its end left out where it is long."""
    found = text.split()
    return " ".join(found[:words]) + (" …" if len(found) > words else "")


def _is_plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
