"""Prompts as learners type them, and what the rules make of them."""

import json

import pytest

from mock_proxy.answers import schemas, talk, tools

CANNOT = "not a language model"
ABSTRACT = (
    "Background: Heat waves are becoming more common. Methods: We linked 120 hospitals in 2019. "
    "Results: We found that admissions rise on hot days. "
    "Conclusion: Heat plans should target people over 75."
)
FIRST = "Heat waves are becoming more common."
MANUSCRIPTS = "A catalogue of medieval manuscripts"
WAVES = "I would choose the label **climate**. It mentions: heat."
NOT_KNOWN = (
    "the messages you sent me do not say it. I remember nothing but the messages of this request."
)


def answer(*texts, system=None):
    """The answer to the last text; those before it are the user's and the assistant's in turn."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)
    ]
    return talk.answer(talk.read(messages))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        # labels
        (
            "Label this title: Sea level rise in the Wadden Sea. Labels: health, climate, energy",
            "I would choose the label **climate**. It mentions: sea-level.",
        ),
        (
            "Labels: health, climate, energy. Answer with one word. Title: Solar panels on flats",
            "energy",
        ),
        ("Which label, climate or energy? One word.\nSolar power and storage", "energy"),
        (
            "Give one label, climate or energy, for this title: Solar power and storage",
            "I would choose the label **energy**. It mentions: solar, power.",
        ),
        ("Patients and their doctors\n\nLabels: health, climate. One word.", "health"),
        ("Answer health or climate: Patients and their doctors", "health"),
        (
            "Label as astronomy, geology or linguistics. One word.\nVerbs in Old Frisian",
            "linguistics",
        ),
        (
            "Label as astronomy, geology or linguistics. One word.\nDust around young stars",
            "astronomy",
        ),
        (
            "One of: art, music, law, none\nArticles about partial hearts",
            "I would choose the label **none**. None of my keywords occurs in it.",
        ),
        (
            "Kies een label: gezondheid, klimaat, energie. Antwoord met één woord.\n"
            "Zonnepanelen op school",
            "energie",
        ),
        ("Antwoord gezondheid of klimaat: Wachttijden bij de huisarts", "gezondheid"),
        (
            "Label as JSON with one of these labels: health, energy. Text: Wind turbines at sea",
            '{"label": "energy"}',
        ),
        ("Classify into health, climate or energy: Heat waves in Rotterdam", WAVES),
        ("Sort into one of the categories health, climate, or none: Heat waves at sea", WAVES),
        (
            "Label this: Heat waves and droughts\nhealth or climate?",
            WAVES[:-1] + ", droughts.",
        ),
        (
            "Choose one of: art, music, law.\nArticles about partial hearts",
            "I cannot choose a label: none of my keywords for these labels occurs in the text. A "
            "practice proxy only looks for keywords.",
        ),
        # yes or no
        (f"Is this title about health? Answer yes or no.\n{MANUSCRIPTS}", "no"),
        ("Is this title about health? Answer yes or no.\nPatients' trust in doctors", "yes"),
        (
            "Is this title about health?\nPatients' trust in doctors",
            "Yes. It mentions: patients, doctors.",
        ),
        (
            f"Is this title about health? {MANUSCRIPTS}",
            "No. None of my keywords for this occurs in it.",
        ),
        (f"{MANUSCRIPTS}\n\nDoes this title mention manuscripts? yes/no", "yes"),
        (f"Gaat deze titel over gezondheid? Antwoord ja of nee.\n{MANUSCRIPTS}", "nee"),
        ("Gaat deze titel over gezondheid? Antwoord ja of nee.\nZieke patiënten", "ja"),
        # sums
        ("What is 2 + 3 * 4?", "2 + 3 * 4 = 14"),
        ("What is 12 times 7?", "12 times 7 = 84"),
        ("What is 3 plus 4?", "3 plus 4 = 7"),
        ("17 * 23 = ?", "17 * 23 = 391"),
        ("What is 10 - 4 - 3?", "10 - 4 - 3 = 3"),
        ("How much is 20 divided by 8 plus 1?", "20 divided by 8 plus 1 = 3.5"),
        ("Hoeveel is 12 keer 7?", "12 keer 7 = 84"),
        ("6 * 7", "6 * 7 = 42"),
        ("What is 4 / 0 + 1?", "A number cannot be divided by zero."),
        # summaries
        (f"Summarise this abstract: {ABSTRACT}", FIRST),
        (f"Summarise this abstract in one sentence:\n{ABSTRACT}", FIRST),
        (
            f"Summarize in 3 bullet points:\n\n{ABSTRACT}",
            f"- {FIRST}\n- We linked 120 hospitals in 2019.\n"
            "- We found that admissions rise on hot days.",
        ),
        (
            f"Summarise in two sentences: {ABSTRACT}",
            f"{FIRST} We linked 120 hospitals in 2019.",
        ),
        (f"{ABSTRACT}\n\nTL;DR", FIRST),
        (f"TL;DR: {ABSTRACT}", FIRST),
        (f"What is this abstract about? {ABSTRACT}", FIRST),
        (f"Give the key findings. {ABSTRACT}", "We found that admissions rise on hot days."),
        (f"Vat dit samen: {ABSTRACT}", FIRST),
        (f"Summarise in at most 3 words: {ABSTRACT}", "Heat waves are"),
        # JSON without a schema
        (
            "Extract the year and the city as JSON: In 2019 we asked 120 pupils in Utrecht.",
            '{"year": 2019, "city": "Utrecht"}',
        ),
        (
            'Return JSON with the keys "year" and "city".\n\nA survey in Delft, 2021',
            '{"year": 2021, "city": "Delft"}',
        ),
        (
            "Return the year and n as JSON: A survey of 120 pupils in 2019",
            '{"year": 2019, "n": 120}',
        ),
        (
            "Give me JSON with name and city: We met Ada Jones in Delft.",
            '{"name": "Ada Jones", "city": "Delft"}',
        ),
        (
            "Return a JSON object with the fields name and city. Noor lives in Delft.",
            '{"name": "Noor", "city": "Delft"}',
        ),
        (
            "Geef JSON met naam en stad: Noor woont in Delft",
            '{"naam": "Noor", "stad": "Delft"}',
        ),
        (
            "Output JSON with keys topic and confidence for: Nurses under pressure",
            '{"topic": "Nurses under pressure", "confidence": 0.75}',
        ),
        (
            "Nurses under pressure (2019). Return as JSON with title and year.",
            '{"title": "Nurses under pressure (2019).", "year": 2019}',
        ),
        # a question that offers labels
        (
            "Positive or negative? The coffee was awful.",
            "I would choose the label **negative**. It mentions: awful.",
        ),
        (
            "Nurses under pressure - health, climate or energy?",
            "I would choose the label **health**. It mentions: nurses.",
        ),
        (
            "Droogte in Spanje. Gezondheid of klimaat?",
            "I would choose the label **klimaat**. It mentions: droogte.",
        ),
        (
            "Is this paper about nurses or about climate? Drought in Spain",
            "I would choose the label **climate**. It mentions: drought.",
        ),
        (
            "Is deze titel over gezondheid of klimaat? Droogte in Spanje",
            "I would choose the label **klimaat**. It mentions: droogte.",
        ),
        ("Reken uit: 8 / 2", "8 / 2 = 4"),
        # what users say of themselves
        ("I live in Utrecht.", "Thank you, I have read that you live in Utrecht."),
        ("Hi, I'm Ada.", "Thank you, I have read that your name is Ada."),
        (
            "I am a nurse. I study sleep.",
            "Thank you, I have read that you are a nurse and you study sleep.",
        ),
        ("Mijn naam is Noor.", "Thank you, I have read that your name is Noor."),
        ("Where do I live?", f"I do not know where you live: {NOT_KNOWN}"),
        # small talk
        (
            "Hi there, how are you?",
            f"Hello! I am a practice proxy, {CANNOT}: I answer by simple rules.",
        ),
        ("Hallo", f"Hello! I am a practice proxy, {CANNOT}: I answer by simple rules."),
        ("Hoe gaat het?", f"Hello! I am a practice proxy, {CANNOT}: I answer by simple rules."),
        ("Thanks!", "You are welcome."),
        (
            "What did I just ask you?",
            "This is the first message that you sent me. I remember nothing but this request.",
        ),
    ],
)
def test_natural_prompt(prompt, expected):
    assert answer(prompt) == expected


@pytest.mark.parametrize(
    ("told", "question", "expected"),
    [
        ("I live in Utrecht.", "Where do I live?", "You live in Utrecht."),
        ("I study sleep at school.", "What do I study?", "You study sleep at school."),
        ("I am a nurse", "What am I?", "You are a nurse."),
        ("I'm 34 years old.", "How old am I?", "You are 34 years old."),
        ("Hi, I'm Ada", "What is my name?", "Your name is Ada."),
        ("Ik woon in Utrecht.", "Waar woon ik?", "You live in Utrecht."),
        ("Ik heet Noor.", "Wat is mijn naam?", "Your name is Noor."),
        ("Ik ben een leraar.", "Wat ben ik?", "You are een leraar."),
        ("My dog is called Rex.", "What is my dog called?", "Your dog is called Rex."),
        ("Which is longest?", "What was my first question?", "You said: “Which is longest?”"),
        ("Wat is 2 + 2?", "Wat vroeg ik net?", "You said: “Wat is 2 + 2?”"),
    ],
)
def test_what_users_say_of_themselves_is_remembered(told, question, expected):
    assert answer(told, "Thank you.", question) == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "Rewrite this politely. My paper is late, send it now.",
        "Write an abstract about my research. My topic is sleep.",
        "Translate to Dutch: The weather is nice today.",
        "Vertaal naar het Engels: Het weer is mooi.",
        "What is the capital of France?",
        "Is Paris the capital of France? Answer yes or no.",
        "What is (2 + 3) * 4?",
        "Write a poem about spring.",
        "Tea or coffee?",
        "Give me a JSON object with name and age",
        "Give me this as JSON: Noor, 23, Delft",
        "Which topic is this: Heat waves and hospital admissions",
    ],
)
def test_what_no_rule_can_do_is_said_in_two_sentences(prompt):
    said = answer(prompt)
    assert CANNOT in said
    assert "It can choose one of the labels you offer" in said
    assert len(said) < 320


def test_question_who_it_is_gets_a_plain_answer():
    english = ("Who are you?", "Are you ChatGPT?", "What can you do?", "Which model are you?")
    for question in (*english, "What's your name?", "Wie ben je?", "Hoe heet jij?", "Wat kun je?"):
        assert answer(question).startswith("I am a practice proxy, not a language model. I can")


def fill(properties, text):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return json.loads(schemas.answer(schema, text))


STRING, NUMBER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}


@pytest.mark.parametrize(
    ("properties", "text", "expected"),
    [
        ({"year": NUMBER, "n": NUMBER}, "120 pupils in 2019", {"year": 2019, "n": 120}),
        ({"participants": NUMBER}, "In 2019 we asked 1,204 people", {"participants": 1204}),
        ({"a": NUMBER, "b": NUMBER}, "What is 3 plus 4?", {"a": 3, "b": 4}),
        (
            {"name": STRING, "birthplace": STRING},
            "Marie Curie was born in Warsaw.",
            {"name": "Marie Curie", "birthplace": "Warsaw"},
        ),
        (
            {"about_health": BOOLEAN, "is_health": BOOLEAN, "health": BOOLEAN, "energy": BOOLEAN},
            "Heat waves and hospital admissions",
            {"about_health": True, "is_health": True, "health": True, "energy": False},
        ),
        (
            {"keywords": {"type": "array", "items": STRING, "minItems": 3, "maxItems": 3}},
            "Heat waves and hospital admissions",
            {"keywords": ["heat", "waves", "hospital"]},
        ),
        ({"date": {"type": "string", "format": "date"}}, "On 2024-05-01.", {"date": "2024-05-01"}),
        (
            {"code": {"type": "string", "pattern": "^(yes|no)$"}},
            "Heat waves",
            {"code": "yes"},
        ),
    ],
)
def test_fields_are_filled_by_their_names(properties, text, expected):
    assert fill(properties, text) == expected


def test_openais_linked_list_ends():
    """The examples of recursion in OpenAI's documentation of structured outputs."""
    node = {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            "next": {"anyOf": [{"$ref": "#/$defs/linked_list_node"}, {"type": "null"}]},
        },
        "required": ["next", "value"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"linked_list": {"$ref": "#/$defs/linked_list_node"}},
        "$defs": {"linked_list_node": node},
        "required": ["linked_list"],
        "additionalProperties": False,
    }
    assert schemas.fault(schema, strict=True) is None
    assert json.loads(schemas.answer(schema, "1 and 2")) == {
        "linked_list": {"value": 1, "next": {"value": 2, "next": None}}
    }


def test_openais_tree_of_a_page_ends():
    attribute = {
        "type": "object",
        "properties": {"name": STRING, "value": STRING},
        "required": ["name", "value"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["div", "button", "header"]},
            "label": STRING,
            "children": {"type": "array", "items": {"$ref": "#"}},
            "attributes": {"type": "array", "items": attribute},
        },
        "required": ["type", "label", "children", "attributes"],
        "additionalProperties": False,
    }
    made = json.loads(schemas.answer(schema, "A button to send"))
    assert made["type"] == "button"
    assert made["children"][0]["children"] == []


def tool(name, description, *parameters):
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [tool("get_weather", "The weather in a city", "city"), tool("add", "Add numbers", "a", "b")]


@pytest.mark.parametrize(
    ("question", "choice", "name"),
    [
        ("What is the weather in Utrecht?", "auto", "get_weather"),
        ("What is 3 plus 4?", "auto", "add"),
        ("Hello, who are you?", "auto", None),
        ("Thanks, goodbye", None, None),
        ("Thanks, goodbye", "required", "get_weather"),
        ("Hello", {"type": "function", "function": {"name": "add"}}, "add"),
    ],
)
def test_tool_is_called_where_it_shares_a_word_with_the_question(question, choice, name):
    conversation = talk.read([{"role": "user", "content": question}])
    made = tools.call_for(conversation, TOOLS, choice)
    assert (made and made["function"]["name"]) == name
