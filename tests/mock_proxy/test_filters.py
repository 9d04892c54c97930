"""The practice model whose provider filters content, as Azure OpenAI does."""

import json

import pytest
from proxy_client import Client

from mock_proxy.config import ConfigError, load
from mock_proxy.server.run import running

LABELS = "Choose one of: health, climate. Answer with the label only. Title: "
REFUSED = "Barriers to suicide prevention in schools"
CUT = "How extremist groups recruit online"


@pytest.mark.parametrize(
    ("title", "category"),
    [
        (REFUSED, "self_harm"),
        ("ZELFDODING onder jongeren", "self_harm"),
        ("Shelters after domestic violence", "violence"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refused_prompt_gets_azures_400(client, title, category, stream):
    response = client.ask(LABELS + title, model="practice-filtered", stream=stream)
    assert response.status_code == 400
    error = response.json()["error"]
    assert "ContentPolicyViolationError: The response was filtered" in error["message"]
    told = error["provider_specific_fields"]["azure_error"]
    assert told["code"] == "content_filter"
    found = told["innererror"]["content_filter_result"]
    assert [name for name, result in found.items() if result["filtered"]] == [category]


def test_refused_prompt_costs_nothing(client):
    client.ask(LABELS + REFUSED, model="practice-filtered")
    assert client.get("/key/info").json()["info"]["spend"] == 0


def test_answer_that_is_withheld_is_paid_for(client):
    response = client.ask(LABELS + CUT, model="practice-filtered")
    (choice,) = response.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "content_filter")
    found = choice["provider_specific_fields"]["content_filter_results"]
    assert found["violence"] == {"filtered": True, "severity": "medium"}
    assert response.json()["usage"]["completion_tokens"] > 0
    assert float(response.headers["x-litellm-response-cost-output"]) > 0


def test_stream_is_cut_off(client):
    text = client.ask(f"Summarise: {CUT}, and why.", model="practice-filtered", stream=True).text
    chunks = [json.loads(line[6:]) for line in text.split("\n\n") if line and "[DONE]" not in line]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    said = "".join(choice["delta"].get("content", "") for choice in choices)
    whole = client.answer(f"Summarise: {CUT}, and why.")
    assert said
    assert whole.startswith(said)
    assert said != whole
    assert choices[-1]["finish_reason"] == "content_filter"


def test_other_titles_pass(client):
    response = client.ask(LABELS + "Nurses in hospitals", model="practice-filtered")
    (choice,) = response.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("health", "stop")
    prompt = response.json()["prompt_filter_results"][0]["content_filter_results"]
    assert not any(result["filtered"] for result in prompt.values())


def test_other_models_have_no_filter(client):
    answer = client.ask(LABELS + REFUSED).json()
    assert "prompt_filter_results" not in answer
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_anthropics_form_says_refusal(client):
    body = {"model": "practice-filtered", "max_tokens": 50}
    for title, status in ((CUT, 200), (REFUSED, 400)):
        messages = [{"role": "user", "content": title}]
        response = client.post("/v1/messages", json={**body, "messages": messages})
        assert response.status_code == status
        if status == 200:
            assert response.json()["stop_reason"] == "refusal"


def test_other_refusals_are_azures_too(client):
    error = client.ask("Hello", model="practice-filtered", temperature=3).json()["error"]
    assert error["message"].startswith("litellm.BadRequestError: AzureException")
    assert " - Invalid 'temperature': decimal above maximum value." in error["message"]


@pytest.mark.parametrize(
    "wrong",
    [["suicid"], {"refuse": ["suicid"]}, {"refuse": {"selfharm": ["suicid"]}}, {"drop": {}}],
)
def test_filter_that_would_filter_nothing_is_refused(tmp_path, wrong):
    file = tmp_path / "config.yaml"
    model = {"model_name": "m", "litellm_params": {"model": "azure/m"}}
    model["model_info"] = {"filter": wrong}
    file.write_text(json.dumps({"model_list": [model]}))
    with pytest.raises(ConfigError, match="'filter' of the model 'm' names no words"):
        load(file)


def test_any_configuration_may_have_one(tmp_path):
    file = tmp_path / "config.yaml"
    model = {
        "model_name": "m",
        "litellm_params": {"model": "azure/gpt-4.1", "api_base": "https://example.org"},
        "model_info": {"filter": {"refuse": {"sexual": ["a+b"]}}},
    }
    file.write_text(json.dumps({"model_list": [model]}))
    with running(load(file)) as proxy, Client(proxy.url, proxy.new_key()) as client:
        statuses = [client.ask(text, model="m").status_code for text in ("aab", "a+b", "Hello")]
    assert statuses == [200, 400, 200]
