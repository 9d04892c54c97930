"""``/completions`` and ``/utils/token_counter``."""

import pytest
from proxy_client import Client

TEXT = {"model": "gpt-4o-mini", "prompt": "Say hello."}


def test_text_is_continued(client):
    body = client.post("/completions", json=TEXT).json()
    assert body["object"] == "text_completion"
    assert body["choices"] == [
        {"finish_reason": "stop", "index": 0, "text": "Hello!", "logprobs": None}
    ]
    assert body["usage"]["total_tokens"] == 12


@pytest.mark.parametrize(
    "path",
    ["/v1/completions", "/engines/gpt-4/completions", "/openai/deployments/gpt-4/completions"],
)
def test_other_paths_to_the_same_answer(client, path):
    assert client.post(path, json=TEXT).json()["choices"][0]["text"] == "Hello!"


def test_longest_text_is_kept_to(client):
    body = client.post("/completions", json={**TEXT, "max_tokens": 1}).json()
    assert body["choices"][0]["finish_reason"] == "length"


def test_stream_holds_the_same_text(client):
    response = client.post("/completions", json={**TEXT, "stream": True})
    assert '"text":"Hello"' in response.text
    assert response.text.endswith("data: [DONE]\n\n")


def test_unknown_model_is_told_in_litellms_odd_form(client):
    response = client.post("/completions", json={**TEXT, "model": "nope"})
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "400: {'error': '/completions: Invalid model name passed in model=nope. "
        "Call `/v1/models` to view available models for your key.'}",
        "type": "invalid_request_error",
        "param": None,
        "code": "400",
    }


def test_prompt_that_is_no_text_is_told(client):
    response = client.post("/completions", json={**TEXT, "prompt": 5})
    assert response.status_code == 500
    assert "Unmapped prompt format" in response.json()["error"]["message"]


def test_tokens_are_counted_before_asking(client):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    counted = client.post("/utils/token_counter", json=body).json()
    assert counted["total_tokens"] == 8
    assert client.ask("Hello").json()["usage"]["prompt_tokens"] == 8


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"model": "gpt-4"}, 400, "prompt or messages or contents must be provided"),
        (
            {"prompt": "Hello"},
            422,
            [{"type": "missing", "loc": ["body", "model"], "msg": "Field required"}],
        ),
        (
            {"model": "gpt-4", "messages": "x"},
            422,
            [
                {
                    "type": "list_type",
                    "loc": ["body", "messages"],
                    "msg": "Input should be a valid list",
                }
            ],
        ),
    ],
)
def test_token_counter_says_what_it_lacks(client, body, status, detail):
    response = client.post("/utils/token_counter", json=body)
    assert (response.status_code, response.json()) == (status, {"detail": detail})


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], ["Say hello.", "Say hello."]])
def test_tokens_and_several_prompts_get_one_answer(client, prompt):
    answer = client.post("/completions", json={"model": "gpt-4o-mini", "prompt": prompt})
    assert len(answer.json()["choices"]) == 1


def test_prompt_that_is_partly_a_number_is_litellms_own_fault(client):
    response = client.post("/completions", json={"model": "gpt-4o-mini", "prompt": ["a", 5]})
    assert response.status_code == 500
    assert "'int' object is not iterable" in response.json()["error"]["message"]


def test_older_versions_type_these_errors_otherwise(client, older):
    bodies = [
        {"model": "gpt-4o-mini", "prompt": "a", "reasoning_effort": "low"},
        {"model": "nope", "prompt": "a"},
    ]
    for body in bodies:
        error = client.post("/completions", json=body).json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", None)
    before = Client(older.url, older.new_key())
    types = [before.post("/completions", json=body).json()["error"]["type"] for body in bodies]
    assert types == ["None", "None"]
