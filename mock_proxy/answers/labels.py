"""Choosing a label for a text: the one whose keywords the text holds most of.

The mistakes are those of keywords: "free energy" in molecular dynamics counts for energy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

KEYWORDS: Mapping[str, str] = {
    "health": """health healthy hospital patient disease illness clinic nurse doctor medical
        medicine mental therapy treatment virus vaccin cancer diabetes depress asthma pandemic
        epidemi care admission mortality
        gezondheid ziek patiënt zorg arts huisarts ziekte""",
    "climate": """climate warming greenhouse carbon emission drought flood sea-level glacier
        adaptation heatwave heat weather rainfall coral biodivers temperature
        klimaat overstroming droogte opwarming uitstoot zeespiegel""",
    "energy": """energy solar wind electric power grid battery heating fuel nuclear hydrogen
        photovoltaic turbine renewable gas insulation
        energie zonnepanel windmolen stroom warmtepomp waterstof""",
    "education": """education school teach teacher pupil student classroom learning curriculum
        university exam literacy homework lesson kindergarten course
        onderwijs school leraar leerling docent universiteit lezen klas""",
    "equality": """equal inequal gender women discriminat minorit migrant wage pay gap inclusion
        diversity disabilit poverty ethnic racism feminis justice
        gelijkheid ongelijkheid vrouw discriminatie armoede loonkloof""",
    "positive": """good great excellent love happy wonderful helpful enjoy best amazing like pleased
        recommend friendly perfect clear goed mooi fijn""",
    "negative": """bad terrible awful hate sad poor worst disappoint boring broken slow annoy
        useless rude problem fail unclear slecht""",
    "economy": "econom market trade price inflation income job labour employment tax finance bank",
    "politics": "politic election vote party parliament government policy democra minister law",
    "science": "science research experiment theory physics chemistry biology data laboratory",
    "sports": "sport football match team player league tournament athlete olympic coach",
    "culture": "culture art music film novel museum heritage theatre literature manuscript",
    "technology": "technolog computer software internet robot digital algorithm data machine",
}
"""For labels that researchers often use: the beginnings of words that count for them."""

FALLBACKS = ("none", "none of these", "other", "unclear", "unknown", "neutral", "n/a", "not sure")
"""Labels for texts that fit no other, in the order in which one is taken if offered."""

WORD = r"[^\W\d_][\w'/-]*(?: [\w'/-]+){0,3}"

_CHOOSE = r"one of|choose (?:from|between|among)|either"
_NAMED = r"labels?|categor(?:y|ies)|topics?|classes|options?"
_NAME = r"[\"'“‘`]?[\w/-]+[\"'”’`]?"

OFFER = re.compile(
    rf"\b(?:{_CHOOSE}|{_NAMED})\b[^:\n(\[]{{0,60}}?(?::|\(|\[|\s(?=[\"'“‘`]))\s*"
    r"(?P<list>[^\n)\].;?!]+)(?P<said>(?!))?",
    re.IGNORECASE,
)
"""A list of labels after a colon, in brackets or in quotes: "labels: health, climate"."""

_SAY = (
    r"(?:answer|reply|respond)(?: only)?(?: with)?(?: either)?|is (?:this|it)(?: \w+)?"
    r"|(?:classif\w+|label|code|mark|rate)(?: \w+){0,4}? as"
)
_COUNTED = r"(?:words?|sentences?|paragraphs?|lines?|examples?|times)"

PLAIN_OFFER = re.compile(
    rf"\b(?:(?:{_CHOOSE})\s+(?P<list>(?:{_NAME},\s*)*{_NAME},? (?:or|and) {_NAME})"
    rf"|(?:{_SAY})\s+(?P<said>(?:{_NAME},\s*)*{_NAME},? or {_NAME}))(?!\s+{_COUNTED}\b)\b",
    re.IGNORECASE,
)
"""A list of labels within a sentence: "label it as positive or negative", "answer yes or no"."""

BULLET = re.compile(
    rf"^\s*(?:[-*•]|\d+[.)])\s+[\"'“‘`*]*(?P<label>{WORD})[\"'”’`*]*\s*(?:[:–—-]\s*(?P<about>.+))?$",
    re.MULTILINE,
)
ANNOUNCES_BULLETS = re.compile(
    r"\b(?:labels?|categor\w+|topics?|classes|options|one of)\b[^\n]*:\s*$", re.I | re.M
)
TEXT_MARK = re.compile(
    r"^\s*(?:the )?(?:title|text|abstract|sentence|document|review|comment|answer|response|input"
    r"|titel|tekst)"
    r"(?: to (?:label|classify))?\s*:\s*",
    re.IGNORECASE | re.MULTILINE,
)
ONLY = re.compile(
    r"\b(?:only|just the label|nothing else|(?:one|single|a) word|no explanation|exactly one)\b",
    re.I,
)
QUOTES = "\"'“”‘’`* "


@dataclass(frozen=True)
class Task:
    """A text and the labels offered for it."""

    text: str
    offered: tuple[str, ...]
    wants_label_only: bool = True
    wants_json: bool = False
    about: Mapping[str, str] = field(default_factory=dict)
    """What the prompt says of a label, where it says anything."""


def read_task(instructions: str, question: str) -> Task | None:
    """The labelling task in a prompt, or None where the prompt offers no labels."""
    prompt = f"{instructions}\n{question}"
    offered, about = read_offer(prompt)
    if len(offered) < 2:
        return None
    text = text_to_judge(question) if read_offer(question)[0] else TEXT_MARK.sub("", question)
    return Task(
        text=text,
        offered=tuple(offered),
        wants_label_only=bool(ONLY.search(prompt)),
        wants_json=bool(re.search(r"\bJSON\b", prompt)),
        about=about,
    )


def read_offer(prompt: str) -> tuple[list[str], dict[str, str]]:
    """The labels a prompt offers, as it spells them, and what it says of each."""
    if ANNOUNCES_BULLETS.search(prompt):
        bullets = list(BULLET.finditer(prompt))
        if len(bullets) >= 2:
            names = [match["label"].strip(QUOTES) for match in bullets]
            about = {n: m["about"] for n, m in zip(names, bullets, strict=True) if m["about"]}
            return list(dict.fromkeys(names)), about
    for pattern in (OFFER, PLAIN_OFFER):
        for match in pattern.finditer(prompt):
            names = _split_list(match["list"] or match["said"])
            if len(names) >= 2:
                return names, {}
    return [], {}


def _split_list(text: str) -> list[str]:
    quoted = re.findall(r"[\"“‘'`]([^\"”’'`]{1,40})[\"”’'`]", text)
    if len(quoted) >= 2:
        return list(dict.fromkeys(quoted))
    text = re.sub(r"\s+only\s*$", "", text)
    parts = re.split(r",\s*(?:or |and )?|\s+(?:or|and)\s+|\s*[|/]\s*", text)
    names = [part.strip(QUOTES) for part in parts]
    if any(len(name.split()) > 4 for name in names):
        return []
    return list(dict.fromkeys(name for name in names if name))


def text_to_judge(question: str) -> str:
    """The text in a message that also holds the task: after "Title:", or the last paragraph."""
    marks = list(TEXT_MARK.finditer(question))
    if marks:
        return question[marks[-1].end() :].strip(QUOTES + "\n")
    paragraphs = [part for part in re.split(r"\n\s*\n", question.strip()) if part.strip()]
    if len(paragraphs) > 1:
        return paragraphs[-1].strip(QUOTES + "\n")
    lines = question.strip().splitlines()
    if len(lines) > 1:
        return lines[-1].strip(QUOTES)
    _, colon, rest = question.rpartition(": ")
    quoted = re.findall(r"[\"“‘](.{12,}?)[\"”’]", question)
    return quoted[-1] if quoted else rest if colon and len(rest.split()) > 2 else question


def choose(task: Task, nth: int = 1) -> str:
    """The label for the text.

    Of the labels with as many keywords the one whose keyword comes first in the text, or
    "unclear" if that is offered. Where
    answers may vary (``nth`` above 1), labels within one keyword of the best take turns, the
    best one twice as often.
    """
    scores = {label: _score(task, label) for label in task.offered}
    ranked = sorted(task.offered, key=lambda label: (-scores[label][0], scores[label][1]))
    best = scores[ranked[0]][0]
    unclear = next((label for label in task.offered if label.lower() == "unclear"), None)
    if unclear and best and sum(score == best for score, _ in scores.values()) > 1:
        return unclear
    if best == 0:
        fallback = _fallback(task.offered)
        ranked.remove(fallback)
        ranked.insert(0, fallback)
        return ranked[0]
    close = [label for label in ranked[1:] if scores[label][0] >= max(1, best - 1)]
    turns = [ranked[0], ranked[0], *close] if close else [ranked[0]]
    return turns[(nth - 1) % len(turns)]


def keywords_found(task: Task, label: str) -> list[str]:
    """The words of the text that count for the label, each once, in order."""
    stems = _stems(label, task.about.get(label, ""))
    found = [word for word in re.findall(r"[\w-]+", task.text.lower()) if word.startswith(stems)]
    return list(dict.fromkeys(found))


def _score(task: Task, label: str) -> tuple[int, int]:
    """How many keywords the text holds, and where the first stands."""
    found = keywords_found(task, label)
    return len(found), task.text.lower().find(found[0]) if found else len(task.text)


def _stems(label: str, about: str) -> tuple[str, ...]:
    """Beginnings of words that count for a label: its own, listed ones, and its description's."""
    name = label.lower()
    own = [stem(word) for word in re.findall(r"\w{3,}", name)]
    listed = next((words for key, words in KEYWORDS.items() if stem(key) in own), "").split()
    described = [stem(word) for word in re.findall(r"[a-zà-ÿ]{5,}", about.lower())]
    if name in FALLBACKS:
        return ("\0",)
    return tuple(dict.fromkeys([*own, *listed, *described])) or ("\0",)


def stem(word: str) -> str:
    """The word without a common ending, so that other forms of it begin alike."""
    for ending in ("ies", "ing", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _fallback(offered: tuple[str, ...]) -> str:
    lowered = {label.lower(): label for label in offered}
    return next((lowered[name] for name in FALLBACKS if name in lowered), offered[0])
