"""Client libraries that people use work unchanged.

Those that are not installed are skipped, but not where LITELLM_COMMAND asks for the whole contract:
`make contract` installs them.
"""

import importlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from contract import DATA

from mock_proxy.config import load
from mock_proxy.server.run import running

HELLO = [{"role": "user", "content": "Say hello."}]
LITELLM_COMMAND = os.environ.get("LITELLM_COMMAND")


def library(name: str) -> ModuleType:
    if LITELLM_COMMAND is not None:
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: see `make contract`")


@pytest.fixture(scope="module")
def failing_proxy():
    """The proxy of the recording, whose models fail on demand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", "sk-lesson-0123456789abcdef")
        config = load(DATA / "config.yaml")
    with running(config) as proxy:
        yield proxy


# --- openai -----------------------------------------------------------------------------------


@pytest.fixture
def openai():
    return library("openai")


@pytest.fixture
def ask(openai, proxy):
    with openai.OpenAI(base_url=proxy.url, api_key=proxy.new_key(), max_retries=0) as client:
        yield client


def test_openai_lists_models(ask):
    assert "gpt-4o-mini" in [model.id for model in ask.models.list()]


def test_openai_chats(ask):
    answer = ask.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert answer.choices[0].message.content == "Hello!"
    assert answer.usage.total_tokens == 12


def test_openai_streams(ask):
    chunks = ask.chat.completions.create(
        model="gpt-4o-mini",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    pieces, usage = [], None
    for chunk in chunks:
        pieces += [choice.delta.content or "" for choice in chunk.choices]
        usage = chunk.usage or usage
    assert "".join(pieces) == "Hello!"
    assert usage.total_tokens == 12


def test_openai_embeds(ask):
    """The client asks for base64 unless told otherwise."""
    answer = ask.embeddings.create(model="text-embedding-ada-002", input=["Heat", "Waves"])
    assert [len(one.embedding) for one in answer.data] == [1536, 1536]
    assert math.isclose(math.hypot(*answer.data[0].embedding), 1, rel_tol=1e-5)


def test_openai_parses_into_pydantic(ask):
    import typing

    import pydantic

    class Label(pydantic.BaseModel):
        label: typing.Literal["health", "energy", "none"]
        confidence: float

    answer = ask.chat.completions.parse(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Solar panels on roofs"}],
        response_format=Label,
    )
    assert answer.choices[0].message.parsed == Label(label="energy", confidence=0.75)


def test_openai_responds(ask):
    assert ask.responses.create(model="gpt-4o-mini", input="Say hello.").output_text == "Hello!"
    with ask.responses.stream(model="gpt-4o-mini", input="Say hello.") as events:
        assert events.get_final_response().output_text == "Hello!"


RECORDED = json.loads((DATA / "openai_client_errors.json").read_text(encoding="utf-8"))
FAILURES = {
    "err unknown model": {"model": "nope"},
    "err no messages": {"extra_body": {"messages": None}},
    "err wrong key": {"key": "sk-wrong-key-12345678"},
    "err no sk": {"key": "abc"},
    "err model denied": {"limits": {"models": ["gpt-4o-mini"]}},
    "err rpm": {"limits": {"rpm_limit": 0}},
    "err budget": {"limits": {"max_budget": 0.0}},
    "err expired": {"limits": {"duration": "0s"}},
    "err mock-429": {"model": "mock-429"},
}


@pytest.mark.parametrize("case", FAILURES)
def test_openai_raises_the_recorded_class(openai, failing_proxy, case):
    failure = FAILURES[case]
    key = failure.get("key") or failing_proxy.new_key(**failure.get("limits", {}))
    with (
        openai.OpenAI(base_url=failing_proxy.url, api_key=key, max_retries=0) as client,
        pytest.raises(openai.APIError) as raised,
    ):
        client.chat.completions.create(
            model=failure.get("model", "gpt-4"),
            messages=HELLO,
            extra_body=failure.get("extra_body"),
        )
    assert f"openai.{type(raised.value).__name__}" == RECORDED[case]["class"]
    assert raised.value.type == RECORDED[case]["type"]
    assert raised.value.code == RECORDED[case]["code"]


# --- anthropic --------------------------------------------------------------------------------


@pytest.fixture
def anthropic():
    return library("anthropic")


def test_anthropic_asks_and_streams(anthropic, proxy):
    with anthropic.Anthropic(base_url=proxy.url, api_key=proxy.new_key()) as client:
        wanted = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": HELLO}
        assert client.messages.create(**wanted).content[0].text == "Hello!"
        with client.messages.stream(**wanted) as events:
            assert events.get_final_text() == "Hello!"


def test_anthropic_raises_on_an_unknown_model(anthropic, proxy):
    with (
        anthropic.Anthropic(base_url=proxy.url, api_key=proxy.new_key(), max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError),
    ):
        client.messages.create(model="nope", max_tokens=5, messages=HELLO)


# --- llm, the command -------------------------------------------------------------------------


def test_llm_command_prompts(proxy, tmp_path):
    library("llm")
    models = [
        {
            "model_id": "practice",
            "model_name": "gpt-4o-mini",
            "api_base": proxy.url,
            "api_key_name": "practice",
        }
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models), encoding="utf-8")
    command = [sys.executable, "-m", "llm", "-m", "practice", "--key", proxy.new_key()]
    done = subprocess.run(
        [*command, "Say hello."],
        capture_output=True,
        text=True,
        env={**os.environ, "LLM_USER_PATH": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("Hello!", 0), done.stderr


# --- curl -------------------------------------------------------------------------------------


def test_curl_asks(proxy):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = json.dumps({"model": "gpt-4o-mini", "messages": HELLO})
    key = f"Authorization: Bearer {proxy.new_key()}"
    address = f"{proxy.url}/chat/completions"
    json_type = "Content-Type: application/json"
    command = [curl, "-s", "--compressed", address, "-H", key, "-H", json_type, "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Hello!"


# --- litellm as a client ----------------------------------------------------------------------

LITELLM_AS_CLIENT = """\
import json, sys
import litellm

url, key = sys.argv[1:]
hello = [{"role": "user", "content": "Say hello."}]
one = {"api_base": url, "api_key": key}
answer = litellm.completion("litellm_proxy/gpt-4o-mini", hello, **one)
stream = litellm.completion("litellm_proxy/gpt-4o-mini", hello, stream=True, **one)
pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
vectors = litellm.embedding("litellm_proxy/text-embedding-ada-002", ["Heat"], **one)
try:
    litellm.completion("litellm_proxy/nope", hello, num_retries=0, **one)
except litellm.BadRequestError as error:
    refused = type(error).__name__
said = [answer.choices[0].message.content, "".join(pieces), len(vectors.data[0]["embedding"])]
print(json.dumps([*said, refused]))
"""


def test_litellm_is_a_client_too(proxy):
    """With the LiteLLM that the mock is compared with: too heavy to install for this alone."""
    if LITELLM_COMMAND is None:
        pytest.skip("LITELLM_COMMAND names no LiteLLM: see `make contract`")
    python = Path(LITELLM_COMMAND).with_name("python")
    done = subprocess.run(
        [python, "-c", LITELLM_AS_CLIENT, proxy.url, proxy.new_key()],
        capture_output=True,
        text=True,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == ["Hello!", "Hello!", 1536, "BadRequestError"]


# --- httr2, from R ----------------------------------------------------------------------------

HTTR2 = """\
library(httr2)

ask <- function(path, body, key) {
  request(Sys.getenv("LITELLM_BASE_URL")) |>
    req_url_path_append(path) |>
    req_auth_bearer_token(key) |>
    req_body_json(body, auto_unbox = TRUE) |>
    req_error(body = function(response) resp_body_json(response)$error$message)
}
key <- Sys.getenv("LITELLM_API_KEY")
hello <- list(model = "gpt-4o-mini", messages = list(list(role = "user", content = "Say hello.")))

answer <- ask("chat/completions", hello, key) |> req_perform()
cat(resp_body_json(answer)$choices[[1]]$message$content, "\n")
cat(resp_header(answer, "x-litellm-response-cost") > 0, "\n")

texts <- list(model = "text-embedding-ada-002", input = list("Heat", "Waves"))
vectors <- ask("embeddings", texts, key) |> req_perform() |> resp_body_json()
cat(length(vectors$data), length(vectors$data[[1]]$embedding), "\n")

pieces <- character()
keep <- function(bytes) {
  pieces <<- c(pieces, rawToChar(bytes))
  TRUE
}
streamed <- ask("chat/completions", c(hello, stream = TRUE), key)
if (packageVersion("httr2") < "1.1.1") {
  req_stream(streamed, keep)  # which httr2 1.2.0 has no longer
} else {
  connection <- req_perform_connection(streamed)
  while (!resp_stream_is_complete(connection)) {
    pieces <- c(pieces, resp_stream_sse(connection)$data)
  }
  close(connection)
}
cat(grepl("[DONE]", paste(pieces, collapse = ""), fixed = TRUE), "\n")

tryCatch(
  ask("chat/completions", hello, "sk-unknown") |> req_perform(),
  httr2_http_401 = function(error) cat(conditionMessage(error), "\n")
)
"""


def test_httr2_asks_embeds_streams_and_tells_errors(proxy, tmp_path, pytestconfig):
    required = "r" in pytestconfig.getoption("--require-languages")
    rscript = shutil.which("Rscript")
    has_httr2 = (
        rscript
        and not subprocess.run(
            [rscript, "-e", "quit(status = !requireNamespace('httr2', quietly = TRUE))"],
            capture_output=True,
            timeout=60,
            check=False,
        ).returncode
    )
    if not has_httr2:
        assert not required, "R with httr2 is required and not installed"
        pytest.skip("R with httr2 is not installed")
    file = tmp_path / "ask.R"
    file.write_text(HTTR2, encoding="utf-8")
    done = subprocess.run(
        [str(rscript), str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "LITELLM_BASE_URL": proxy.url, "LITELLM_API_KEY": proxy.new_key()},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [line.strip() for line in done.stdout.splitlines()]
    assert said[:4] == ["Hello!", "TRUE", "2 1536", "TRUE"]
    assert "Invalid API key provided" in " ".join(said[4:])
