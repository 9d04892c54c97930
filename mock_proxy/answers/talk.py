"""From a conversation to an answer, by rules that are tried in order; the first that fits wins.

The same conversation gets the same answer. Nothing here knows a fact about the world: an
answer is made of what the messages hold, or says plainly that a practice proxy wrote it.
"""

from __future__ import annotations

import json
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


MOST_READ = 20_000
"""Characters of a message that the rules read, half of them at its end: everybody waits while they
do, and the time that a pattern takes may grow with the square of its text."""
BLANK = re.compile(r"\s{20,}")
"""White space that is worth no more than an empty line: most patterns allow any amount of it."""


def read(messages: Sequence[Any], nth: int = 1) -> Conversation:
    """The conversation in a request's ``messages``; entries that are no messages are left out."""
    return Conversation(
        tuple(
            (str(message.get("role")), _shortened(tokens.text_of(message.get("content"))))
            for message in messages
            if isinstance(message, Mapping)
        ),
        nth,
    )


def _shortened(text: str) -> str:
    half, text = MOST_READ // 2, BLANK.sub("\n\n", text)
    return text if len(text) <= MOST_READ else f"{text[:half]}\n{text[-half:]}"


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
    task = labels.read_task(conversation.instructions, question)
    text = task.text if task else labels.text_to_judge(question)
    chosen = labels.choose(task, conversation.nth) if task else None
    if response_format.get("type") == "json_schema":
        wanted = response_format.get("json_schema")
        schema = wanted.get("schema", {}) if isinstance(wanted, Mapping) else {}
        return schemas.answer(schema, text, conversation.nth, chosen)
    prompt = f"{conversation.instructions}\n{question}"
    made = schemas.free_answer(prompt, text, chosen)
    return made or json.dumps({"answer": answer(conversation)}, ensure_ascii=False)


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
    if task is None or {name.lower() for name in task.offered} <= {"yes", "no", "ja", "nee"}:
        return None
    chosen = labels.choose(task, conversation.nth)
    if task.wants_json:
        prompt = f"{conversation.instructions}\n{conversation.question}"
        return schemas.free_answer(prompt, task.text, chosen)
    if task.wants_label_only:
        return chosen
    found = labels.keywords_found(task, chosen)
    if not found and chosen.lower() not in labels.FALLBACKS:
        return (
            "I cannot choose a label: none of my keywords for these labels occurs in the text. A "
            "practice proxy only looks for keywords."
        )
    because = (
        f" It mentions: {', '.join(found)}." if found else " None of my keywords occurs in it."
    )
    return f"I would choose the label **{chosen}**.{because}"


def judge(conversation: Conversation) -> str | None:
    """A question that yes or no answers: "Is this title about health?"."""
    return labels.judge(conversation.instructions, conversation.question)


def as_json(conversation: Conversation) -> str | None:
    """The prompt wants JSON, and names its fields."""
    prompt = f"{conversation.instructions}\n{conversation.question}"
    if not re.search(r"\bJSON\b", prompt):
        return None
    return schemas.free_answer(prompt, labels.text_to_judge(conversation.question), None)


def relay(conversation: Conversation) -> str | None:
    """A tool has answered: the answer hands on what it said."""
    if not conversation.turns or conversation.turns[-1][0] not in ("tool", "function"):
        return None
    return f"The tool answered: {_brief(conversation.turns[-1][1])}"


_VALUE = r"(?P<value>[^.,;!?\n]{1,80}?)(?=[.,;!?\n]|$| and (?:my|i)\b| en (?:mijn|ik)\b| but )"
_AM = r"\b(?:i am|i'm|i’m|ik ben)"
_VERBS = {"woon": "live", "werk": "work", "studeer": "study", "kom": "come"}
_VERB = r"(?P<verb>live|work|study|come|teach|speak|like|love|prefer|woon|werk|studeer|kom)"
FACTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:my|mijn) (?P<what>[\w' -]{{2,40}}?) (?:is|are|zijn) {_VALUE}",
        rf"\b(?:call me|i am called|i'm called|ik heet|noem me) {_VALUE}",
        rf"{_AM} (?P<value>(?-i:[A-Z]\w+(?: [A-Z]\w+)?))(?=[.,;!?\n]|$| and )",
        rf"{_AM} (?P<am>(?:an?|een|\d+) [^.,;!?\n]{{1,80}}?)(?=[.,;!?\n]|$| and (?:my|i)\b)",
        rf"\b(?:i|ik) {_VERB} {_VALUE}",
    )
)
"""What users say of themselves: "My name is Ada", "I'm Ada", "I am a nurse", "I live in Delft"."""

_WHAT = r"(?P<what>[\w' -]{2,40}?)(?: is| are| called| about)?\s*(?:[?.!]|$)"
ASKED = tuple(
    (re.compile(pattern, re.IGNORECASE), topic)
    for pattern, topic in (
        (
            r"\b(?:what(?:'s| is| are| was)|who (?:is|are)|do you (?:remember|know)|tell me|repeat"
            rf"|recall) (?:what )?my {_WHAT}|\bwat (?:is|zijn) mijn {_WHAT.replace('what', 'wat')}",
            "",
        ),
        (
            r"\b(?:who am i|do you (?:remember|know) me|how am i called|hoe heet ik|wie ben ik)\b",
            "name",
        ),
        (r"\b(?:what am i|how old am i|wat ben ik|hoe oud ben ik)\s*\?", "am"),
        (rf"\b(?P<how>where|what|which \w+)(?: \w+)? (?:do|did) i {_VERB}\b", "verb"),
        (rf"\b(?P<how>waar|wat) {_VERB} ik\b", "verb"),
    )
)


def remember(conversation: Conversation) -> str | None:
    """A question about what the user said ("What is my name?"): only the messages can tell."""
    found = ((pattern.search(conversation.question), topic) for pattern, topic in ASKED)
    match, topic = next(((match, topic) for match, topic in found if match), (None, ""))
    if match is None:
        return None
    said = {name: text.strip().lower() for name, text in match.groupdict().items() if text}
    what = said.get("what") or said.get("wat") or topic
    unknown = f"your {what}"
    if topic == "verb":
        what = _VERBS.get(said["verb"], said["verb"])
        unknown = f"{DUTCH.get(said['how'], said['how'])} you {what}"
    elif topic == "am":
        unknown = "what you are"
    fact = facts_told(conversation.told).get(DUTCH.get(what, what))
    if fact is None:
        return (
            f"I do not know {unknown}: the messages you sent me do not say it. "
            "I remember nothing but the messages of this request."
        )
    return f"{fact[0].upper()}{fact[1:]}."


DUTCH = {"naam": "name", "stad": "city", "onderzoek": "research", "waar": "where", "wat": "what"}


RECALL = re.compile(
    r"\b(?:my|mijn) (?P<which>first|eerste|last|previous|laatste|vorige) "
    r"(?:message|question|bericht|vraag)\b"
    r"|\bwhat did i (?:just )?(?:ask|say|tell)\b|\bwat (?:vroeg|zei) ik\b",
    re.IGNORECASE,
)


def recall(conversation: Conversation) -> str | None:
    """A question about an earlier message: "What did I just ask you?"."""
    match = RECALL.search(conversation.question)
    if match is None:
        return None
    *before, _ = conversation.told
    if not before:
        return "This is the first message that you sent me. I remember nothing but this request."
    at = 0 if (match["which"] or "").lower() in ("first", "eerste") else -1
    return f"You said: “{_brief(before[at])}”"


def facts_told(texts: Sequence[str]) -> dict[str, str]:
    """What the user said: ``{"name": "your name is Ada"}``. The latest word counts."""
    facts = {}
    for text in texts:
        for pattern in FACTS:
            for match in pattern.finditer(text):
                if not any(asked.search(match[0] + "?") for asked, _ in ASKED):
                    topic, fact = _fact(match.groupdict())
                    facts[topic] = fact
    return facts


def _fact(said: Mapping[str, str | None]) -> tuple[str, str]:
    value = (said.get("value") or said.get("am") or "").strip()
    if said.get("am"):
        return "am", f"you are {value}"
    if verb := (said.get("verb") or "").lower():
        verb = _VERBS.get(verb, verb)
        return verb, f"you {verb} {value}"
    what = (said.get("what") or "name").strip().lower()
    what = DUTCH.get(what, what)
    return what, f"your {what} {'are' if _is_plural(what) else 'is'} {value}"


def note(conversation: Conversation) -> str | None:
    """The user says something of themselves ("My name is Ada."), and nothing else."""
    sentences = [
        sentence
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", conversation.question.strip())
        if not GREETING.fullmatch(sentence)
    ]
    if "?" in conversation.question or not all(facts_told([sentence]) for sentence in sentences):
        return None
    facts = facts_told(sentences)
    return f"Thank you, I have read that {' and '.join(facts.values())}." if facts else None


SAY = re.compile(
    r"\b(?:say|reply with|respond with|answer with|repeat|write|zeg)"
    r"(?: exactly| only| just| the words?| the text| the sentence| after me)*:?\s+"
    r"(?:[\"“'‘](?P<quoted>[^\"”'’\n]{1,200})[\"”'’]|"
    r"(?P<plain>(?!(?:a|an|the|one|two|only|yes|een)\b)\w+(?: \w+)?))[ \t]*[.!]?[ \t]*$",
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


_NUMBER = r"-?\d{1,9}(?:\.\d{1,6})?"
OPERATORS = {
    "+": ("+", "plus"),
    "-": ("-", "−", "minus", "min"),
    "*": ("*", "x", "×", "times", "multiplied by", "keer", "maal"),
    "/": ("/", "÷", "divided by", "gedeeld door"),
}
_OPERATOR = {word: sign for sign, words in OPERATORS.items() for word in words}
_OPS = "|".join(re.escape(word) for word in sorted(_OPERATOR, key=len, reverse=True))
SUM = re.compile(
    rf"(?<![\w.(]){_NUMBER}(?:\s*(?:{_OPS})\s*{_NUMBER})+(?![\w.)]*[\w)])", re.IGNORECASE
)


def calculate(conversation: Conversation) -> str | None:
    """A sum, from left to right, with multiplications and divisions first."""
    question = conversation.question
    match = SUM.search(question)
    if match is None or not (
        match[0] == question.strip()
        or re.search(
            r"\b(?:what|how much|calculate|compute|hoeveel|wat|(?:be)?reken)\b|=", question, re.I
        )
    ):
        return None
    try:
        result = _result(match[0].lower())
    except ZeroDivisionError:
        return "A number cannot be divided by zero."
    return f"{match[0]} = {result:.10g}"


def _result(expression: str) -> float:
    terms = [0.0]
    operator = "+"
    for part in re.finditer(rf"\s*(?P<number>{_NUMBER})\s*(?P<operator>{_OPS})?", expression):
        number = float(part["number"])
        if operator == "*":
            terms[-1] *= number
        elif operator == "/":
            terms[-1] /= number
        else:
            terms.append(number if operator == "+" else -number)
        operator = _OPERATOR[part["operator"]] if part["operator"] else "+"
    return sum(terms)


SUMMARISE = re.compile(
    r"\b(?:summari[sz]e|summary|shorten|tl;?dr|what\b[^?.\n]{0,60}\babout\s*\?"
    r"|(?:key|main|most important) (?:findings?|points?|messages?|results?)"
    r"|vat\b[^.\n]{0,80}\bsamen|samenvatting|waar gaat\b[^?.\n]{0,60}\bover\s*\?)",
    re.IGNORECASE,
)
HOW_MANY = re.compile(
    r"\b(?P<n>\d{1,2}|one|two|three|four|five|een|één|twee|drie|vier|vijf)(?: \w+)?"
    r" (?:sentences?|bullets?|points?|findings?|zin|zinnen|punten)\b",
    re.IGNORECASE,
)
_COUNTS = ("one", "two", "three", "four", "five"), ("een", "twee", "drie", "vier", "vijf")
HEADING = re.compile(
    r"(?:background|introduction|objectives?|aims?|methods?|results?|findings|conclusions?"
    r"|achtergrond|doel|methoden?|resultaten|conclusies?):\s+",
    re.IGNORECASE,
)
FOUND = re.compile(
    r"\b(?:find|found|finding|show|result|conclu|suggest|reveal|should|blijk|toon)", re.IGNORECASE
)


def summarise(conversation: Conversation) -> str | None:
    """A summary: the text's first sentences, or those on what was found, as many as are wanted."""
    prompt = f"{conversation.instructions}\n{conversation.question}"
    wish = SUMMARISE.search(prompt)
    if wish is None:
        return None
    text = conversation.question
    if SUMMARISE.search(text):
        text = labels.text_to_judge(text)
    sentences = [
        HEADING.sub("", sentence, count=1)
        for sentence in re.split(r"(?<=[.!?])\s+", text.strip())
        if not SUMMARISE.search(sentence)
    ]
    if sum(len(sentence.split()) for sentence in sentences) < 3:
        return None
    if re.search(r"finding|result|conclu", wish[0], re.IGNORECASE):
        sentences = [s for s in sentences if FOUND.search(s)] or sentences
    wanted = sentences[: _how_many(prompt)]
    if re.search(r"\bbullets?|punten\b", prompt, re.IGNORECASE):
        return "\n".join(f"- {sentence}" for sentence in wanted)
    return _at_most(" ".join(wanted), conversation.question)


def _how_many(prompt: str) -> int:
    match = HOW_MANY.search(prompt)
    if match is None:
        return 3 if re.search(r"\bbullets?|punten\b", prompt, re.IGNORECASE) else 1
    word = match["n"].lower().replace("é", "e")
    counts = {word: at for words in _COUNTS for at, word in enumerate(words, 1)}
    return counts[word] if word in counts else max(1, int(word))


_HOW = r"(?:how are you|hoe gaat het)[^?.\n]{0,20}\?"
GREETING = re.compile(
    r"\s*(?:(?:hi|hello|hey|hallo|hoi|dag|goede(?:morgen|middag)"
    rf"|good (?:morning|afternoon|evening))\b(?:[\w ,]*[.!]?|[\w ,.!]*{_HOW})|{_HOW})\s*",
    re.IGNORECASE,
)
THANKS = re.compile(r"\s*(?:thanks?|bedankt|dank (?:je|u)|goodbye|bye|doei)\b[\w ,.!]{0,60}", re.I)
WHO_ARE_YOU = re.compile(
    r"\b(?:(?:who|what|which \w+) are you|what(?: is|'s) your name|who made you|what can you do"
    r"|are you (?:an?|the|real|chatgpt|gpt)|(?:wie|wat) ben (?:je|jij)|hoe heet (?:je|jij)"
    r"|wat k[au]n (?:je|jij))\b",
    re.IGNORECASE,
)
WHAT_I_CAN = (
    "It can choose one of the labels you offer, say yes or no to a topic, summarise, calculate, "
    "fill in JSON, and remember what you tell it of yourself."
)


def greet(conversation: Conversation) -> str | None:
    if WHO_ARE_YOU.search(conversation.question):
        return f"I am a practice proxy, not a language model. {_as_i(WHAT_I_CAN)}"
    if THANKS.fullmatch(conversation.question):
        return "You are welcome."
    if not GREETING.fullmatch(conversation.question):
        return None
    return "Hello! I am a practice proxy, not a language model: I answer by simple rules."


def _as_i(text: str) -> str:
    return text.replace("It can", "I can").replace("tell it", "tell me")


OPENINGS = (
    "This is the practice proxy, not a language model: it has no rule for {asked}.",
    "The practice proxy has no rule for {asked}: it is not a language model.",
    "No language model was asked: the practice proxy has no rule for {asked}.",
    "A language model could answer {asked}, a practice proxy has no rule for it.",
)


def cannot(conversation: Conversation) -> str:
    """Whatever no rule covers: says so, and what the rules can do."""
    brief = _brief(conversation.question, 8)
    opening = OPENINGS[(conversation.nth - 1) % len(OPENINGS)]
    return f"{opening.format(asked=f'“{brief}”' if brief else 'an empty question')} {WHAT_I_CAN}"


Rule = Callable[[Conversation], str | None]
RULES: tuple[Rule, ...] = (
    relay,
    label,
    judge,
    as_json,
    recall,
    remember,
    note,
    say,
    calculate,
    summarise,
    greet,
    cannot,
)


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
    text = _at_most(text, wishes)
    if match := START.search(wishes):
        text = f"{match[1]} {text}"
    if match := ENDING.search(wishes):
        text = f"{text} {match[1]}"
    for wish, style in STYLES:
        if wish.search(wishes):
            text = style(text)
    return text


def _at_most(text: str, wishes: str) -> str:
    match = AT_MOST.search(wishes)
    words = text.split()
    if match is None or len(words) <= int(match[1]):
        return text
    return " ".join(words[: int(match[1])])


def _brief(text: str, words: int = 60) -> str:
    """The text on one line, its end left out where it is long."""
    found = text.split()
    return " ".join(found[:words]) + (" …" if len(found) > words else "")


def _is_plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
