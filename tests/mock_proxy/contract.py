"""Comparing an answer with a recorded one of LiteLLM: what counts, and what may differ.

Whatever differs from one call to the next is replaced by the name of its rule, on both sides;
everything else must be equal, the order of a body's fields included.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

DATA = Path(__file__).parent.parent / "data" / "litellm"
MASTER_KEY = "sk-lesson-0123456789abcdef"

TEXT_RULES = {
    "response id": r"\b(resp|msg)_[\w=-]+",
    "call id": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "hash": r"\b[0-9a-f]{64}\b",
    "key": r"\bsk-(?!lesson|my-custom|doesnotexist|none|wrong|proj)[\w-]{22}\b",
    "key's end": r"sk-\.\.\.[\w-]{4}",
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z|[+]00:00)?",
    "port": r"(?<=127\.0\.0\.1:)\d+",
    "moment in an alias": r"(?<=[a-z]-)1795380951",
}
"""Parts of texts that differ from call to call, each replaced by the rule's name."""

VOLATILE_FIELDS = {"created", "created_at", "system_fingerprint", "spend", "total_spend"}
"""Fields of bodies that differ from call to call. LiteLLM writes spend to its database some ten
seconds late, the mock at once."""

VOLATILE_HEADERS = {
    "date",
    "content-length",  # follows from the body, which is compared
    "x-litellm-response-duration-ms",
    "x-litellm-overhead-duration-ms",
    "x-litellm-key-spend",  # late in LiteLLM, as above
}
"""Headers of which only the presence is compared."""

OWN_HEADER = "x-practice-proxy-answer"
"""A header that LiteLLM does not have: it says that no model was asked."""

PROVIDERS_HEADERS = re.compile(r"llm_provider-.*|request-id|x-ratelimit-(limit|remaining)-.*")
"""Headers that LiteLLM hands on from a provider; the mock has none."""


def recorded(name: str) -> dict[str, Any]:
    """The cases of one file: name → request and response."""
    cases = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return {name: case for name, case in cases.items() if "response" in case}


def send(url: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a recorded request as it was sent, and return the answer in the recording's form."""
    address = urlsplit(url)
    if "raw_http" in request:
        return _send_raw(address, request["raw_http"].encode())
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    body = request.get("body")
    if isinstance(body, dict) and "__b64__" in body:  # no text
        body = base64.b64decode(body["__b64__"])
    elif body is not None:
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    try:
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in (request.get("headers") or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        text = response.read().decode()
        return {
            "status": response.status,
            "headers": response.getheaders(),
            "body_text": text,
        }
    finally:
        connection.close()


def _send_raw(address: SplitResult, content: bytes) -> dict[str, Any]:
    """Send what no client would write, and read what comes until the connection ends."""
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(content)
        response = http.client.HTTPResponse(connection)
        response.begin()
        text = response.read().decode()
    return {"status": response.status, "headers": response.getheaders(), "body_text": text}


def substance(response: dict[str, Any], *, from_provider: bool = False) -> dict[str, Any]:
    """What of an answer is compared: status, headers and body, without what may differ."""
    headers = response["headers"]
    pairs = headers.items() if isinstance(headers, dict) else headers
    compared = {}
    for name, value in pairs:
        name = name.lower()
        if name == OWN_HEADER or (from_provider and PROVIDERS_HEADERS.fullmatch(name)):
            continue
        compared[name] = "…" if name in VOLATILE_HEADERS else _without(value)
    return {
        "status": response["status"],
        "headers": dict(sorted(compared.items())),
        "body": _body(response["body_text"] or ""),
    }


def _body(text: str) -> str:
    """A body as text; JSON, and the JSON in events, with volatile fields replaced."""
    if text.startswith(("data: ", "event: ")):
        lines = (line.partition("data: ") for line in text.split("\n"))
        return "\n".join(before + data + _body(rest) for before, data, rest in lines)
    try:
        content = json.loads(text)
    except ValueError:
        return _without(text)
    return _without(json.dumps(_normal(content), ensure_ascii=False))


def _normal(value: Any, name: str = "") -> Any:
    if name in VOLATILE_FIELDS and isinstance(value, (int, float, str)):
        return f"<{name}>"
    if isinstance(value, dict):
        return {key: _normal(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    return value


def _without(text: str) -> str:
    for name, pattern in TEXT_RULES.items():
        text = re.sub(pattern, f"<{name}>", text)
    return text


def rounded_cost(text: str) -> str:
    """The text with the amount after "Current cost:" to ten significant digits."""
    return re.sub(r"(?<=Current cost: )[\d.e-]+(?=,)", lambda cost: f"{float(cost[0]):.10g}", text)


def shape(body_text: str) -> str:
    """A body's fields in order with the kinds of their values: for answers whose text is free."""

    def kind(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kind(item) for key, item in value.items()}
        if isinstance(value, list):
            return [kind(item) for item in value]
        return type(value).__name__

    return json.dumps(kind(json.loads(body_text)))
