"""Choosing a label for a text: the one whose keywords the text holds most of.

The mistakes are those of keywords: "free energy" in molecular dynamics counts for energy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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

FIELDS: Mapping[str, str] = {
    "astronomy": "astronom star galax planet telescope solar-system cosm orbit",
    "geology": "geolog rock earthquake volcan sediment mineral tectonic fossil",
    "linguistics": "linguist language verb noun grammar syntax dialect phon semantic frisian",
    "history": "histor century medieval archive war ancient colonial manuscript",
    "law": "law legal court judge crime contract rights regulation",
    "art": "art paint sculpt museum drawing artist gallery",
    "music": "music song opera orchestra melod composer piano jazz",
    "psychology": "psycholog emotion cognit memory personality behavio anxiety motivation",
    "biology": "biolog species cell gene protein evolution plant animal",
}
"""More labels, apart: the vectors of texts are made of the topics above."""

DUTCH: Mapping[str, str] = {
    "gezondheid": "health",
    "klimaat": "climate",
    "energie": "energy",
    "onderwijs": "education",
    "gelijkheid": "equality",
    "positief": "positive",
    "negatief": "negative",
    "economie": "economy",
    "politiek": "politics",
    "wetenschap": "science",
    "cultuur": "culture",
    "technologie": "technology",
    "taalkunde": "linguistics",
    "geschiedenis": "history",
    "recht": "law",
}
"""Dutch labels, by the English one that has their keywords."""

FALLBACKS = (
    "none",
    "none of these",
    "other",
    "unclear",
    "unknown",
    "neutral",
    "n/a",
    "not sure",
    "geen",
    "anders",
    "neutraal",
    "no",
    "nee",
)
"""Labels for texts that fit no other, in the order in which one is taken if offered."""

WORD = r"[^\W\d_][\w'/-]*(?: [\w'/-]+){0,3}"

_CHOOSE = r"one of|choose (?:from|between|among)|either|(?:een|één) van|kies (?:uit|tussen)"
_NAMED = r"labels?|categor(?:y|ies|ieën|ie)|topics?|classes|options?|onderwerp(?:en)?"
_NAME = r"[\"'“‘`]?[\w/-]+[\"'”’`]?"
_ABOUT = r"(?:about |over )?"
_OR = r"(?:or|and)"
_OF = r"(?:of|en)"

OFFER = re.compile(
    rf"\b(?:{_CHOOSE}|{_NAMED})\b[^:\n(\[]{{0,60}}?(?::|\(|\[|\s(?=[\"'“‘`]))[ \t]*"
    r"(?P<list>[^\n)\].;?!]+)",
    re.IGNORECASE,
)
"""A list of labels after a colon, in brackets or in quotes: "labels: health, climate"."""

_SAY = (
    r"(?P<answer>(?:answer|reply|respond|antwoord)(?: only| alleen)?(?: with| met)?(?: either)?)"
    r"|is (?:this|it)(?: \w+){0,2}?|(?:classif\w+|label|code|mark|rate)"
    r"(?: \w+){0,4}? (?:as|als|into|in)"
)
_COUNTED = r"(?:words?|sentences?|paragraphs?|lines?|examples?|times|woorden|zinnen)"


def _within_sentence(lead: str, conjunction: str) -> re.Pattern[str]:
    return re.compile(
        rf"\b(?:{lead})\s+(?P<list>(?:{_NAME},\s*)*{_NAME},? {conjunction} {_ABOUT}{_NAME})"
        rf"(?!\s+{_COUNTED}\b)\b",
        re.IGNORECASE,
    )


WITHIN_SENTENCE = (
    _within_sentence(rf"{_SAY}|(?:{_NAMED}),?", "or"),
    _within_sentence(_CHOOSE, _OR),
    _within_sentence(
        r"(?P<answer>antwoord(?: alleen)?(?: met)?)|is (?:dit|deze)(?: \w+){0,2}?", "of"
    ),
    _within_sentence(r"(?:een|één) van|kies (?:uit|tussen)", _OF),
    re.compile(
        rf"(?:^|[.:!?–—-] )[ \t]*(?P<list>(?:{_NAME}, ?)*{_NAME},? (?:or|of) {_NAME})\?",
        re.IGNORECASE | re.MULTILINE,
    ),
)
"""A list of labels within a sentence: "label it as positive or negative", "answer yes or no"."""

BULLET = re.compile(
    rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]+[\"'“‘`*]*(?P<label>{WORD})[\"'”’`*]*"
    r"[ \t]*(?:[:–—-][ \t]*(?P<about>.+))?$",
    re.MULTILINE,
)
ANNOUNCES_BULLETS = re.compile(rf"\b(?:{_NAMED}|one of)\b[^\n]{{0,200}}:[ \t]*$", re.I | re.M)
TEXT_MARK = re.compile(
    r"(?:^[ \t]*|(?<=[.!?] ))(?:the )?"
    r"(?:title|text|abstract|sentence|document|review|comment|answer|response"
    r"|input|titel|tekst)(?: to (?:label|classify))?[ \t]*:\s*",
    re.IGNORECASE | re.MULTILINE,
)
INSTRUCTS = re.compile(
    r"(?:answer|reply|respond|choose|pick|antwoord|kies|tl;?dr)\b|.*[?:]$"
    r"|(?:one|een|één) (?:word|woord)\.?$",
    re.IGNORECASE,
)
"""A line that is no text to judge."""

ONLY = re.compile(
    r"\b(?:only|just the label|nothing else|(?:one|single|a|een|één) (?:word|woord)"
    r"|no explanation|exactly one|alleen|niets anders)\b",
    re.IGNORECASE,
)
QUOTES = "\"'“”‘’`* "


@dataclass(frozen=True)
class Offer:
    """Labels that a prompt offers, as it spells them."""

    names: tuple[str, ...]
    start: int
    end: int
    """Where in the prompt they stand."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What the prompt says of a label, where it says anything."""
    is_answer: bool = False
    """Whether the answer is to be one of them: "answer yes or no"."""


@dataclass(frozen=True)
class Task:
    """A text and the labels offered for it."""

    text: str
    offered: tuple[str, ...]
    wants_label_only: bool = True
    wants_json: bool = False
    about: Mapping[str, str] = field(default_factory=dict)


def read_task(instructions: str, question: str) -> Task | None:
    """The labelling task in a prompt, or None where the prompt offers no labels."""
    given = next(offers(instructions), None)
    own = next((offer for offer in offers(question) if _leaves_text(question, offer)), None)
    text = text_to_judge(without(question, own)) if own else TEXT_MARK.sub("", question)
    offer = given or own
    if offer is None:
        return None
    prompt = f"{instructions}\n{question}"
    return Task(
        text=text,
        offered=offer.names,
        wants_label_only=offer.is_answer or bool(ONLY.search(prompt)),
        wants_json=bool(re.search(r"\bJSON\b", prompt)),
        about=offer.about,
    )


def _leaves_text(question: str, offer: Offer) -> bool:
    """Or is the list the text: "Which topic is this: heat and drought"?"""
    rest = without(question, offer)
    return bool(TEXT_MARK.search(rest)) or len(rest.split()) > 1


def offers(prompt: str) -> Iterator[Offer]:
    """The labels that a prompt offers: in a list, or what may be a list, the first first."""
    announced = ANNOUNCES_BULLETS.search(prompt)
    bullets = list(BULLET.finditer(prompt)) if announced else []
    if announced and len(bullets) >= 2:
        names = [match["label"].strip(QUOTES) for match in bullets]
        about = {n: m["about"] for n, m in zip(names, bullets, strict=True) if m["about"]}
        start = min(announced.start(), bullets[0].start())
        yield Offer(tuple(dict.fromkeys(names)), start, bullets[-1].end(), about)
    found = []
    for pattern in (*WITHIN_SENTENCE, OFFER):
        for match in pattern.finditer(prompt):
            names = _split_list(match["list"])
            if len(names) >= 2:
                is_answer = bool(match.groupdict().get("answer"))
                found.append(Offer(tuple(names), *match.span(), is_answer=is_answer))
                break
    yield from sorted(found, key=lambda offer: (prompt[offer.end - 1] != "?", offer.end))


def without(prompt: str, offer: Offer) -> str:
    """The prompt without its labels, which are no part of the text to judge."""
    return f"{prompt[: offer.start]}{prompt[offer.end :].lstrip(' .;:?!)]')}".strip()


def _split_list(text: str) -> list[str]:
    quoted = re.findall(r"[\"“‘'`]([^\"”’'`]{1,40})[\"”’'`]", text)
    if len(quoted) >= 2:
        return list(dict.fromkeys(quoted))
    text = re.sub(r"\s+only\s*$", "", text)
    last = f"{_OR}" if re.search(r"\b(?:or|and)\b", text) else f"{_OF}"
    parts = re.split(rf",\s*(?:{last} )?|\s+{last}\s+{_ABOUT}|\s*[|/]\s*", text)
    names = [part.strip(QUOTES) for part in parts]
    if any(len(name.split()) > 4 for name in names):
        return []
    return list(dict.fromkeys(name for name in names if name))


def text_to_judge(question: str) -> str:
    """The text in a message that also holds the task: after "Title:", or the last paragraph."""
    marks = list(TEXT_MARK.finditer(question))
    if marks:
        return question[marks[-1].end() :].strip(QUOTES + "\n")
    for parts in (re.split(r"\n[ \t]*\n", question.strip()), question.strip().splitlines()):
        parts = [part.strip() for part in parts if part.strip()]
        if len(parts) > 1:
            texts = [part for part in parts if not INSTRUCTS.match(part)]
            return (texts or parts)[-1].strip(QUOTES)
    quoted = re.findall(r"[\"“‘](.{12,}?)[\"”’]", question)
    head, _, rest = question.partition(": ")
    if quoted:
        return str(quoted[-1])
    return rest if len(rest.split()) > 2 and not re.search(r"[.!?]\s", head) else question


YES_OR_NO = re.compile(
    r"[^.?!\n:]{0,40}\b(?:yes or no|yes/no|ja of nee|ja/nee)\b[.:]?", re.IGNORECASE
)
ASKS_OF_TEXT = re.compile(
    r"(?:^|(?<=[.!?:/] ))(?:is|are|does|do|gaat|heeft) (?:this|the|it|dit|deze|de|het)\b"
    r"[^?.\n]{1,200}\?",
    re.IGNORECASE | re.MULTILINE,
)
OF_TEXT = re.compile(
    r"\b(?:title|text|abstract|paper|article|study|sentence|review|titel|tekst|artikel|"
    r"samenvatting|about|over)\b",
    re.IGNORECASE,
)
_NO_TOPIC = """is are does do this the it a an of to in on at or and about with for any
    title text abstract paper article study sentence review following deal mention mentions
    concern concerns relate related relevant talk discuss discusses answer yes no
    dit deze de het een van over gaat heeft titel tekst artikel"""
NO_TOPIC = frozenset(_NO_TOPIC.split())
"""Words of a question that name no topic."""


def judge(instructions: str, question: str) -> str | None:
    """Yes or no, by the topic that a question names: does the text hold a keyword of it?

    None where nothing of the kind is asked, or no text is there to judge.
    """
    prompt = f"{instructions}\n{question}"
    wanted = YES_OR_NO.search(prompt)
    asked = next(
        (m[0] for m in ASKS_OF_TEXT.finditer(prompt) if wanted or OF_TEXT.search(m[0])), None
    )
    if asked is None:
        return None
    rest = YES_OR_NO.sub("\n", question.replace(asked, "\n"))
    text = text_to_judge(rest).strip(QUOTES + "\n/")
    if not text:
        return None
    topics = [word for word in re.findall(r"[^\W\d_]+", asked.lower()) if word not in NO_TOPIC]
    found = mentioned(text, tuple(begin for word in topics for begin in stems_of(word)))
    yes, no = ("ja", "nee") if re.match(r"(?:gaat|heeft|is d)", asked, re.I) else ("yes", "no")
    if wanted:
        return yes if found else no
    if found:
        return f"{yes.capitalize()}. It mentions: {', '.join(found)}."
    return f"{no.capitalize()}. None of my keywords for this occurs in it."


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
    return mentioned(task.text, _stems(label, task.about.get(label, "")))


def mentioned(text: str, stems: tuple[str, ...]) -> list[str]:
    """The words of the text that begin with one of the stems, each once.

    After a stem of up to three letters at most two follow: "art" is not in "article". "sea level"
    counts as "sea-level" where nothing else does.
    """
    long = tuple(stem for stem in stems if len(stem) > 3)
    short = tuple(stem for stem in stems if len(stem) <= 3)
    lowered = text.lower()
    found = [
        word
        for word in re.findall(r"[\w-]+", lowered)
        if word.startswith(long)
        or any(word.startswith(stem) and len(word) <= len(stem) + 2 for stem in short)
    ]
    pairs = [stem for stem in stems if "-" in stem and stem.replace("-", " ") in lowered]
    return list(dict.fromkeys(found or pairs))


def _score(task: Task, label: str) -> tuple[int, int]:
    """How many keywords the text holds, and where the first stands."""
    found = keywords_found(task, label)
    return len(found), task.text.lower().find(found[0]) if found else len(task.text)


def _stems(label: str, about: str) -> tuple[str, ...]:
    """Beginnings of words that count for a label: its own, listed ones, and its description's."""
    name = label.lower()
    if name in FALLBACKS:
        return ()
    own = [begin for word in re.findall(r"\w{3,}", name) for begin in stems_of(word)]
    described = [stem(word) for word in re.findall(r"[a-zà-ÿ]{5,}", about.lower())]
    return tuple(dict.fromkeys([*own, *described]))


def stems_of(word: str) -> list[str]:
    """Beginnings of words that count for this one: its own, and those listed for it."""
    own = stem(DUTCH.get(word, word))
    listed = [words for key, words in {**FIELDS, **KEYWORDS}.items() if stem(key) == own]
    return [stem(word), *(listed[0].split() if listed else [])]


def stem(word: str) -> str:
    """The word without a common ending, so that other forms of it begin alike."""
    for ending in ("ies", "ing", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _fallback(offered: tuple[str, ...]) -> str:
    lowered = {label.lower(): label for label in offered}
    return next((lowered[name] for name in FALLBACKS if name in lowered), offered[0])
