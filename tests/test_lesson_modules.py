"""The modules that learners build and import, in Python and R, against a misbehaving proxy."""

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

EPISODES = Path(__file__).resolve().parents[1] / "episodes"

PRICE = "x-litellm-response-cost"

SLOW = 1.5
"""Seconds after which the proxy leaves without an answer."""


class Proxy(BaseHTTPRequestHandler):
    """Answers by what the last message says; `asked` holds all that came."""

    protocol_version = "HTTP/1.1"
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(body)
        text = body["messages"][-1]["content"]
        earlier = sum(other["messages"] == body["messages"] for other in self.asked) - 1
        if "refused" in text:
            self.answer(400, {"error": {"message": "content_filter", "code": "400"}})
        elif "spent" in text:
            error = {"message": "Budget has been exceeded!", "type": "budget_exceeded"}
            self.answer(int(text.split()[-1]), {"error": error})
        elif "who are you" in text:
            self.answer(401, {"error": {"message": "Authentication Error", "code": "401"}})
        elif "busy" in text and earlier < 2:
            self.answer(429, {"error": {"message": "busy", "code": "429"}}, {"retry-after": "0"})
        elif "slow" in text:
            time.sleep(SLOW)
            self.close_connection = True
        elif "gateway" in text:
            self.answer(403, "<html>Forbidden</html>")
        else:
            self.answer(
                200,
                reply(self.content(text), "length" if "long" in text else "stop"),
                self.price(text),
            )

    @staticmethod
    def content(text: str) -> str:
        fences = {"fence": '```json\n{"label": "health"}\n```', "list": '{"label": "sports"}'}
        return next((c for word, c in fences.items() if word in text), '{"label": "health"}')

    @staticmethod
    def price(text: str) -> dict[str, str]:
        return {} if "no price" in text else {PRICE: "0.0" if "zero" in text else "0.00002"}

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        kind = "text/html" if isinstance(body, str) else "application/json"
        for name, value in {
            "content-type": kind,
            "content-length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def reply(content: str, finish_reason: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "model": "small",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Proxy]]:
    """The proxy, with the environment and the folder that a learner has."""
    handler = type("Handler", (Proxy,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LITELLM_BASE_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("LITELLM_API_KEY", "sk-1234")
    monkeypatch.setenv("LITELLM_MODEL", "small")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EPISODES / "files", tmp_path / "files")
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def modules(
    proxy: type[Proxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module anew, as a fresh kernel does in this folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget() -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] == "files"]:
            del sys.modules[name]

    forget()
    yield importlib.import_module
    forget()


def asks(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def llm(modules: Callable[[str], ModuleType]) -> ModuleType:
    return modules("files.llm")


@pytest.fixture
def labelling(modules: Callable[[str], ModuleType]) -> ModuleType:
    return modules("files.labelling")


def test_chat_sends_the_key_the_model_and_the_settings(llm: ModuleType, proxy: type[Proxy]) -> None:
    answer = llm.chat(asks("hello"), max_tokens=5)
    assert llm.text_of(answer) == '{"label": "health"}'
    assert proxy.asked == [{"model": "small", "messages": asks("hello"), "max_tokens": 5}]
    assert llm.session.headers["Authorization"] == "Bearer sk-1234"


@pytest.mark.parametrize(("text", "cost"), [("hello", 0.00002), ("no price", None), ("zero", None)])
def test_a_cost_that_nobody_knows_is_none(llm: ModuleType, text: str, cost: float | None) -> None:
    assert llm.chat(asks(text))["cost"] == cost


def test_a_refusal_says_what_the_proxy_said(llm: ModuleType, proxy: type[Proxy]) -> None:
    with pytest.raises(requests.HTTPError, match="400: content_filter") as caught:
        llm.chat(asks("refused"))
    assert caught.value.response.status_code == 400
    assert len(proxy.asked) == 1
    with pytest.raises(requests.HTTPError, match="403: <html>Forbidden"):
        llm.chat(asks("gateway"))


def test_a_busy_proxy_is_asked_again(llm: ModuleType, proxy: type[Proxy]) -> None:
    assert llm.text_of(llm.chat(asks("busy")))
    assert len(proxy.asked) == 3


def test_a_read_timeout_is_not_asked_again(llm: ModuleType) -> None:
    """The model may have answered: asking again would pay twice."""
    assert llm.again.read == 0


def test_a_rule_that_answers_for_a_model_is_told(
    llm: ModuleType, proxy: type[Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "price", lambda *_: {"x-practice-proxy-answer": "rules"})
    with pytest.warns(UserWarning, match="No model answered"):
        llm.chat(asks("hello"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fence", "not an object with a label: ```json"),
        ("list", "not on the list: sports"),
        ("long", "finish_reason is length"),
    ],
)
def test_a_reply_without_a_usable_label_says_why(
    labelling: ModuleType, text: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        labelling.label_title({"id": "T1", "title": text}, "{title}")


def titles(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"T{n}", "title": text} for n, text in enumerate(texts, 1)]


def test_a_run_goes_on_after_titles_that_fail_and_resumes(
    labelling: ModuleType, proxy: type[Proxy]
) -> None:
    wanted = titles("one", "refused", "list", "four")
    labelling.run(wanted[:3], "{title}")
    labelling.run(wanted, "{title}")
    assert [record["id"] for record in labelling.read_log("labels.jsonl")] == ["T1", "T4"]
    failures = labelling.read_log("failures.jsonl")
    assert [record["id"] for record in failures] == ["T2", "T3"]
    assert failures[0]["problem"] == "400: content_filter"
    assert len(proxy.asked) == 4


@pytest.mark.parametrize(
    "failing",
    [
        ("refused 1", "refused 2", "refused 3"),
        ("list", "long", "fence"),
        ("refused", "list", "refused again"),
    ],
)
def test_three_failures_in_a_row_stop_a_run_and_are_asked_again(
    labelling: ModuleType, proxy: type[Proxy], failing: tuple[str, ...]
) -> None:
    wanted = titles("one", *failing, "five")
    with pytest.raises(RuntimeError, match=r"Failures in a row:\nT2: .*\nT3: .*\nT4: "):
        labelling.run(wanted, "{title}")
    assert len(proxy.asked) == 4
    assert labelling.read_log("failures.jsonl") == []

    repaired = titles("one", "two", "three", "four", "five")
    labelling.run(repaired, "{title}")
    ids = [record["id"] for record in labelling.read_log("labels.jsonl")]
    assert ids == ["T1", "T2", "T3", "T4", "T5"]


def test_a_run_may_allow_more_failures_in_a_row(labelling: ModuleType) -> None:
    labelling.run(titles("refused 1", "list", "long", "refused 4"), "{title}", in_a_row=5)
    failures = labelling.read_log("failures.jsonl")
    assert [record["id"] for record in failures] == ["T1", "T2", "T3", "T4"]


def test_a_label_in_between_ends_a_row_of_failures(labelling: ModuleType) -> None:
    wanted = titles("refused 1", "list", "three", "refused 2", "long", "six")
    labelling.run(wanted, "{title}")
    assert len(labelling.read_log("failures.jsonl")) == 4


def test_an_answer_that_does_not_come_in_time_is_noted_and_not_asked_again(
    labelling: ModuleType, proxy: type[Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sys.modules["files.llm"].session
    post = session.post
    monkeypatch.setattr(session, "post", lambda *a, **b: post(*a, **{**b, "timeout": 0.3}))
    wanted = titles("one", "slow", "three")
    labelling.run(wanted, "{title}")
    labelling.run(wanted, "{title}")
    assert [r["id"] for r in labelling.read_log("labels.jsonl")] == ["T1", "T3"]
    (failure,) = labelling.read_log("failures.jsonl")
    assert failure["id"] == "T2"
    assert "timed out" in failure["problem"]
    assert len(proxy.asked) == 3


def test_a_run_without_a_connection_stops_at_once(
    labelling: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_connection(*_: object, **__: object) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(sys.modules["files.llm"].session, "post", no_connection)
    with pytest.raises(requests.ConnectTimeout):
        labelling.run(titles("one", "two"), "{title}")
    assert labelling.read_log("failures.jsonl") == []


def test_a_log_is_read_by_lines_and_not_at_other_breaks(labelling: ModuleType) -> None:
    """JSON leaves U+2028 as it is, and Python's splitlines() breaks there."""
    labelling.append_line("log.jsonl", {"id": "one\u2028two\x85three"})
    assert labelling.read_log("log.jsonl") == [{"id": "one\u2028two\x85three"}]


def test_what_is_wrong_for_every_title_stops_a_run_at_once(
    labelling: ModuleType, proxy: type[Proxy]
) -> None:
    with pytest.raises(requests.HTTPError, match="401"):
        labelling.run(titles("one", "who are you", "three"), "{title}")
    assert len(proxy.asked) == 2
    assert labelling.read_log("failures.jsonl") == []


@pytest.mark.parametrize("status", [400, 422])
def test_a_spent_budget_stops_a_run_at_once_whatever_its_status(
    labelling: ModuleType, proxy: type[Proxy], status: int
) -> None:
    """LiteLLM 1.106.2 and 1.109.1 answer 422, other versions 400 or 429."""
    with pytest.raises(requests.HTTPError, match=f"{status}: Budget has been exceeded!"):
        labelling.run(titles("one", "refused", f"spent {status}", "four"), "{title}")
    assert len(proxy.asked) == 3
    assert labelling.read_log("failures.jsonl") == []

    labelling.run(titles("one", "refused", "three", "four"), "{title}")
    assert [r["id"] for r in labelling.read_log("labels.jsonl")] == ["T1", "T3", "T4"]
    assert [r["id"] for r in labelling.read_log("failures.jsonl")] == ["T2"]


R_CODE = r"""
source("files/llm.R"); source("files/labelling.R")
ask <- function(text) chat(list(list(role = "user", content = text)))
message_from <- function(code) tryCatch(code, error = conditionMessage)
stopifnot(
  text_of(ask("hello")) == '{"label": "health"}', isTRUE(all.equal(ask("hello")$cost, 2e-5)),
  is.na(ask("no price")$cost), is.na(ask("zero")$cost),
  grepl("content_filter", message_from(ask("refused"))),
  grepl("Forbidden", message_from(ask("gateway"))),
  text_of(ask("busy")) == '{"label": "health"}'
)
rows <- function(...) data.frame(id = paste0("T", seq_along(c(...))), title = c(...))
problem <- function(text) message_from(label_title(rows(text), "{title}"))
stopifnot(
  grepl("not an object with a label", problem("fence")),
  problem("list") == "not on the list: sports",
  problem("long") == "finish_reason is length"
)
wanted <- rows("one", "refused", "list", "four")
run(wanted[1:3, ], "{title}")
run(wanted, "{title}")
stopifnot(
  identical(ids_in("labels.jsonl"), c("T1", "T4")),
  identical(ids_in("failures.jsonl"), c("T2", "T3")),
  grepl('"problem":"400: content_filter"}', readLines("failures.jsonl")[1], fixed = TRUE)
)
again <- function(...) message_from(run(rows(...), "{title}", log = "l", failures = "f"))
stop_words <- "Failures in a row:\nT1: 400: content_filter\nT2: not on the list"
stopifnot(startsWith(again("refused 1", "list", "long", "four"), stop_words))
stopifnot(!file.exists("f"), !file.exists("l"))
again("one", "two", "three", "four")
stopifnot(identical(ids_in("l"), c("T1", "T2", "T3", "T4")), !file.exists("f"))
unlink("l")
run(rows("refused 1", "list", "long", "refused 4"), "{title}", "l", "f", in_a_row = 5)
stopifnot(length(ids_in("f")) == 4, !file.exists("l"))
unlink("f")
stopifnot(
  grepl("Budget has been exceeded!", again("one", "refused", "spent 400", "four")),
  identical(ids_in("l"), "T1"), !file.exists("f")
)
stopifnot(grepl("Budget has been exceeded!", again("one", "spent 422", "three")))
unlink("l")
again("refused 1", "list", "three", "refused 2", "long", "six")
stopifnot(length(ids_in("f")) == 4, identical(ids_in("l"), c("T3", "T6")))
unlink(c("l", "f"))
stopifnot(grepl("Authentication", again("one", "who are you", "three")), !file.exists("f"))
# Without req_retry(): httr2 0.2.2 asks again after a timeout.
proxy <- request(base_url) |> req_auth_bearer_token(api_key) |> req_timeout(1)
again("one", "slow", "three")
again("one", "slow", "three")
stopifnot(identical(ids_in("f"), "T2"), identical(ids_in("l"), c("T1", "T3")))
stopifnot(grepl('"problem":"Timeout was reached', readLines("f"), fixed = TRUE))
unlink(c("l", "f"))
refused <- function(...) stop("Connection timed out after 1001 milliseconds")
chat <- refused
stopifnot(grepl("Connection", again("one", "two")), !file.exists("f"))
"""


@pytest.mark.skipif(not shutil.which("Rscript"), reason="needs R")
def test_the_modules_of_r_do_the_same(proxy: type[Proxy], tmp_path: Path) -> None:
    (tmp_path / "test.R").write_text(R_CODE)
    environment = {**os.environ, "R_CLI_NUM_COLORS": "256"}  # as in RStudio
    done = subprocess.run(
        ["Rscript", "test.R"], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("Rscript"), reason="needs R")
def test_the_log_is_the_same_in_both_languages(
    labelling: ModuleType, proxy: type[Proxy], tmp_path: Path
) -> None:
    with (EPISODES / "data" / "titles.csv").open(encoding="utf-8", newline="") as file:
        wanted = list(csv.DictReader(file))[4:6]  # one of them in Dutch
    prompt = labelling.read_prompt()
    labelling.run(wanted, prompt)
    (tmp_path / "run.R").write_text(
        'source("files/llm.R"); source("files/labelling.R")\n'
        f'titles <- read.csv("{EPISODES}/data/titles.csv", fileEncoding = "UTF-8")\n'
        'run(titles[5:6, ], read_prompt(), log = "labels-r.jsonl")\n'
    )
    subprocess.run(["Rscript", "run.R"], check=True, capture_output=True, timeout=120)
    own, other = (
        [{**r, "time": 0} for r in labelling.read_log(n)]
        for n in ("labels.jsonl", "labels-r.jsonl")
    )
    assert own == other
    assert proxy.asked[:2] == proxy.asked[2:]
