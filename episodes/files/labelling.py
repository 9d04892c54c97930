"""Label titles with a codebook, and keep a log of each answer.

The episode "Structured output" builds the first half of this file, "Classify a dataset" the second.
"""

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path

import requests
from files.llm import MODEL, chat, text_of
from tqdm import tqdm

TOPICS = ["health", "climate", "energy", "education", "equality", "none"]

# A model that thinks first refuses a temperature: give it {"reasoning_effort": "low"} instead.
SETTINGS = {"temperature": 0}


def read_prompt(path="files/prompts/label-title.txt"):
    """The text of a prompt, in which {title} marks the place of the title."""
    return Path(path).read_text(encoding="utf-8")


def label_format(labels):
    """A response_format: the answer is an object with one field, a label from the list."""
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "title_label", "strict": True, "schema": schema},
    }


def read_label(reply, labels):
    """The label in a reply. A reply without a usable one raises ValueError, which says why."""
    reason = reply["choices"][0]["finish_reason"]
    if reason != "stop":
        raise ValueError(f"finish_reason is {reason}")
    return label_in(text_of(reply), labels)


def label_in(text, labels):
    """The label in the text of a reply, which must be an object with a label from the list."""
    try:
        label = json.loads(text)["label"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"not an object with a label: {text}") from None
    if label not in labels:
        raise ValueError(f"not on the list: {label}")
    return label


def label_title(row, prompt, labels=TOPICS, model=MODEL, settings=SETTINGS):
    """Ask for the label of one title, and return a record of the question and the answer.

    row has the fields id and title. The record is a dictionary, ready for the log.
    """
    message = {"role": "user", "content": prompt.replace("{title}", row["title"])}
    reply = chat([message], model=model, response_format=label_format(labels), **settings)
    return {
        "id": row["id"],
        "title": row["title"],
        "label": read_label(reply, labels),
        "labels": labels,
        "prompt_sha256": fingerprint(prompt),
        "model": reply["model"],
        "settings": settings,
        "reply": text_of(reply),
        "prompt_tokens": reply["usage"]["prompt_tokens"],
        "completion_tokens": reply["usage"]["completion_tokens"],
        "cost": reply["cost"],
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def fingerprint(text):
    """The SHA-256 of a text: 64 characters that change with every change of the text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def append_line(path, record):
    """Append a record to a log, one JSON object on a line, and close the file."""
    with open(path, "a", encoding="utf-8") as log:
        log.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_log(path):
    """The records of a log; an empty list if there is no file yet."""
    if not Path(path).exists():
        return []
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log]


def run(titles, prompt, log="labels.jsonl", failures="failures.jsonl", in_a_row=3, **options):
    """Label the titles that are in neither file yet, each with one line in one of them.

    A title that the proxy or its provider refuses (400), a reply without a label, and an answer
    that does not come in time are failures of one title: the run goes on, and notes them once
    another title works. Three of them in a row stop it, because then it is not the titles, and
    every other error stops it at once. Call it again to resume: what failed just before a stop is
    not noted, so it is asked again.
    """
    done = {record["id"] for record in read_log(log) + read_log(failures)}
    failed = []
    for row in tqdm([row for row in titles if row["id"] not in done]):
        try:
            record = label_title(row, prompt, **options)
        except (requests.HTTPError, requests.ReadTimeout, ValueError) as error:
            if not concerns_one_title(error):
                raise
            failed.append({"id": row["id"], "problem": str(error)})
            if len(failed) == in_a_row:
                words = [f"{one['id']}: {one['problem']}" for one in failed]
                raise RuntimeError("\n".join(["Failures in a row:", *words])) from None
        else:
            append_lines(failures, failed)
            append_line(log, record)
            failed = []
    append_lines(failures, failed)


def append_lines(path, records):
    for record in records:
        append_line(path, record)


def concerns_one_title(error):
    """Whether the next title may work. (Some versions of LiteLLM send 400 for a spent budget.)"""
    if not isinstance(error, requests.HTTPError):
        return True
    response = error.response
    return response.status_code == 400 and '"budget_exceeded"' not in response.text
