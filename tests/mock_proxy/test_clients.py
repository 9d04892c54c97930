"""Client libraries that people use work unchanged. Those that are not installed are skipped."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
from contract import DATA

from mock_proxy.config import load
from mock_proxy.server import running

HELLO = [{"role": "user", "content": "Say hello."}]


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
    return pytest.importorskip("openai", reason="the openai client is not installed")


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
        pieces.append(chunk.choices[0].delta.content or "")
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
    return pytest.importorskip("anthropic", reason="the anthropic client is not installed")


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
    pytest.importorskip("llm", reason="the llm command is not installed")
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
