"""Requests with virtual keys, in their order: each server that is asked makes keys of its own.

Two recordings: stories of one key each, and ``more_keys.json``, one long story of many keys with
the answers of LiteLLM 1.106.2 and, where they differ, of 1.109.1. There, ``<name>`` stands for
the key that the step ``gen_name`` made, ``#name#`` for its hash. Recorded on 2026-11-24 with
PostgreSQL 15, 1.109.1 with the tables of litellm-proxy-extras 0.4.110.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from http.client import RemoteDisconnected
from typing import Any

import contract

Answer = dict[str, Any]

CASES = contract.recorded("virtual_keys")
CHAT = "budget_small_0"

STORIES: dict[str, list[str]] = {
    "student": [
        "admin_key_info",
        "admin_key_info_unknown",
        "student_key_info_self",
        "student_key_info_other",
        "student_chat_ok2",
        "student_emb_denied",
        "student_missing_model",
        "student_model_denied",
        "student_stream",
        "student_stream_model_denied",
        "student_token_counter",
        "student_unknown_model",
        "gen_dup_alias",
    ],
    "rpm2": ["rpm2_0", "rpm2_1", "rpm2_stream"],
    "tpm40": ["tpm40_1", "tpm40_1", "tpm40_2"],
    "model_rpm": ["(chat)", "model_rpm_1"],
    "limits": ["limits_headers"],
    "parallel1": ["parallel1_0"],
    "budget0": ["budget0_models"],
    "budget_small": [
        "budget_small_0",
        "budget_small_emb",
        "budget_small_key_info",
        "budget_small_late",
        "budget_small_models",
        "budget_small_stream",
    ],
    "budget_dur": ["budget_dur_0"],
    "expired": [],
    "blocked": ["admin_block", "blocked_chat"],
    "deleted": ["deleted_before", "admin_key_delete", "deleted_chat"],
    "routes": ["routes_chat_denied", "routes_models"],
    "nomodels": ["nomodels_chat", "key_update"],
}
"""What was done with each key, in order. In brackets: not in the recording, not compared."""

VERSIONS = ("1.106.2", "1.109.1")

STEPS: dict[str, Any] = json.loads((contract.DATA / "more_keys.json").read_text("utf-8"))

CUT = 20_000
"""Characters of a body that were recorded."""

LATE = {"tiny_2", "mtpm_b", "budget_small_emb"}
"""Answers that LiteLLM gives from what it settles a moment after the answer before."""

UNSETTLED_STORIES = {
    "tpm40": "Whether LiteLLM has settled the first call when the second comes is chance.",
}
"""Stories that are compared with their recording only, and why."""

MOMENT = 2.0
"""Seconds after which LiteLLM has settled."""


def substance(answer: Answer) -> dict[str, Any]:
    """What of an answer is compared.

    How much was spent differs in its last digits: LiteLLM adds and subtracts reservations. When a
    key was last used is entered with its spend, some ten seconds late. The version may be newer
    than the mock's.
    """
    compared = contract.substance(answer)
    if "x-litellm-version" in compared["headers"]:
        compared["headers"]["x-litellm-version"] = "…"
    body = contract.rounded_cost(compared["body"])
    compared["body"] = re.sub(r'(?<="last_active": )(null|"[^"]*")', "<late>", body)
    return compared


def differences(pairs: dict[str, tuple[Answer, Answer]]) -> list[str]:
    """Where the mock's answer is not the real one's, by the name of the step."""
    different = []
    for step, answers in pairs.items():
        mock, real = (substance(answer) for answer in answers)
        different += [
            f"{step}: {part}\n  mock: {mock[part]}\n  real: {real[part]}"
            for part in mock
            if mock[part] != real[part]
        ]
    return different


def told(url: str, story: str, *, wait: bool = False) -> list[tuple[str, Answer]]:
    """The answers to one story, in its order, that of making the key first."""
    made = CASES[f"key_generate_{story}"]
    answers = [(f"key_generate_{story}", contract.send(url, made["request"]))]
    old, new = (json.loads(r["body_text"])["key"] for r in (made["response"], answers[0][1]))
    for case in STORIES[story]:
        recorded = CASES[CHAT if case == "(chat)" else case]["request"]
        request = json.loads(json.dumps(recorded).replace(old, new))
        if case == "(chat)":
            request["headers"]["authorization"] = f"Bearer {new}"
        if wait and case in LATE:
            time.sleep(MOMENT)
        answers.append((case, _sent(url, request, again=wait)))
    return answers


def _sent(url: str, request: dict[str, Any], *, again: bool) -> Answer:
    """The answer. A LiteLLM on a busy machine may close a connection without one: it is asked
    `again`."""
    try:
        return contract.send(url, request)
    except RemoteDisconnected:
        if not again:
            raise
        return contract.send(url, request)


def recorded_step(step: str, version: str) -> Answer:
    """The answer of this version of LiteLLM: its status and body, the body cut at CUT."""
    answers = STEPS[step]
    return {**answers.get(version, answers["1.106.2"]), "headers": []}


def cut(answer: Answer, to: Answer) -> Answer:
    """The answer without its headers, and no longer than a recorded one that was cut."""
    text = answer["body_text"]
    if len(to["body_text"]) >= CUT:
        text = text[:CUT]
    return {**answer, "headers": [], "body_text": text}


def stepped(url: str, *, wait: bool = False) -> dict[str, Answer]:
    """The answers to all steps. A key that was not made goes by its name, as when recorded."""
    keys: dict[str, str] = {}

    def text_of(key: re.Match[str]) -> str:
        return keys.get(key[1], key[1])

    def hash_of(key: re.Match[str]) -> str:
        return hashlib.sha256(keys[key[1]].encode()).hexdigest()

    answers = {}
    for name, step in STEPS.items():
        request = re.sub(r"<(\w+)>", text_of, json.dumps(step["request"]))
        request = re.sub(r"#(\w+)#", hash_of, request)
        if wait and name in LATE:
            time.sleep(MOMENT)
        answers[name] = _sent(url, json.loads(request), again=wait)
        if name.startswith("gen_") and answers[name]["status"] == 200:
            keys[name[4:]] = json.loads(answers[name]["body_text"])["key"]
    return answers


NO_SUCH_ROUTE = "The mock has no such route: no page, learner or instructor asks for it."

DIFFERENT_STEPS = {
    "stud_get_user_info": NO_SUCH_ROUTE,
    "stud_get_health": "LiteLLM asks every model's provider; the mock has none to ask.",
    "stud_get_team_list": NO_SUCH_ROUTE,
    "stud_get_budget_list": NO_SUCH_ROUTE,
    "stud_get_global_spend": NO_SUCH_ROUTE,
    "stud_new_user": NO_SUCH_ROUTE,
}
"""Steps that the mock answers otherwise, and why."""
