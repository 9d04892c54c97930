"""The `json` fences that show a real answer: ask the proxy for it and compare."""

import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from lesson_runner.judge.compare import json_difference
from lesson_runner.judge.verdict import Result
from lesson_runner.page import exact_json
from lesson_runner.page.episode import Block
from lesson_runner.run.happened import Execution

EMPTY = "the fence is empty: lesson check --update writes the answer into it"


def check_response(
    block: Block, environment: Mapping[str, str], seconds: float, *, answers_vary: bool = False
) -> Result:
    """Send the request that the page names and compare the answer as JSON.

    Where answers vary, one that differs is no failure, unless one of both is an error.
    """
    started = time.perf_counter()
    try:
        answer = ask(block, environment, seconds)
    except (OSError, ValueError, KeyError, HTTPException) as error:
        return Result(block, "failed", _problem(error), seconds=time.perf_counter() - started)
    took = time.perf_counter() - started
    shown = exact_json.loads(block.source or "null")
    found = json_difference(shown, answer) if block.source.strip() else EMPTY
    execution = Execution(block, output=exact_json.dumps(answer, indent=2), seconds=took)
    if not found:
        return Result(block, "passed", seconds=took, execution=execution)
    if answers_vary and is_error(shown) == is_error(answer):
        return Result(block, "passed", seconds=took, execution=execution, difference=found)
    detail = f"the proxy answers:\n{execution.output}"
    return Result(block, "failed", found, 0, detail, took, execution)


def is_error(answer: Any) -> bool:
    """Whether an answer says what went wrong, in OpenAI's form or in FastAPI's."""
    return isinstance(answer, dict) and not {"error", "detail"}.isdisjoint(answer)


def ask(block: Block, environment: Mapping[str, str], seconds: float) -> Any:
    """The JSON of the answer, also of a refusal: pages show those as well."""
    assert block.request is not None
    url = environment["LITELLM_BASE_URL"].rstrip("/") + block.request.path
    headers = {"Content-Type": "application/json"}
    if block.request.with_key:
        headers["Authorization"] = f"Bearer {environment['LITELLM_API_KEY']}"
    body = block.request.body.encode() if block.request.body else None
    request = urllib.request.Request(url, body, headers, method=block.request.method)
    # No proxy of the caller's stands between; urllib reads no ~/.netrc.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as response:
            return exact_json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return exact_json.loads(refusal.read())


def _problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no proxy to ask: the environment has no {error.args[0]}"
    if isinstance(error, ValueError):
        return "the answer is not JSON"
    return f"no answer: {error}"
