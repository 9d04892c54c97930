"""``/models``: what a key may use."""

import json
import re

import httpx
import pytest
from proxy_client import Client

from mock_proxy.config import load
from mock_proxy.server.run import running

GPT_4 = {
    "id": "gpt-4",
    "object": "model",
    "created": 1677610602,
    "owned_by": "openai",
    "mode": "chat",
    "max_input_tokens": 8192,
    "max_output_tokens": 4096,
}


def test_models_are_listed_in_the_files_order(client):
    answer = client.get("/models").json()
    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == [
        "qwen2.5-coder-1.5b-instruct",
        "all-minilm-l6-v2",
        "gpt-4",
        "gpt-4.1",
        "gpt-4o-mini",
        "Llama-3.3-70B-Instruct",
        "text-embedding-ada-002",
        "practice-reasoning",
    ]
    assert answer["data"][2] == GPT_4


def test_model_that_the_price_table_lacks_is_listed_plainly(client):
    listed = {model["id"]: model for model in client.get("/models").json()["data"]}
    assert list(listed["Llama-3.3-70B-Instruct"]) == ["id", "object", "created", "owned_by"]


def test_v1_lists_the_same(client):
    assert client.get("/v1/models").json() == client.get("/models").json()


def test_one_model(proxy):
    assert Client(proxy.url, proxy.master_key).get("/v1/models/gpt-4").json() == GPT_4


@pytest.mark.parametrize("path", ["/models/gpt-4", "/v1/models/gpt-4", "/v1/models/nope"])
def test_key_without_a_user_is_told_of_no_single_model(client, path):
    response = client.get(path)
    assert response.status_code == 401
    assert f"Route={path}. Your role=unknown" in response.json()["error"]["message"]


def test_unknown_model_is_not_found(proxy):
    response = Client(proxy.url, proxy.master_key).get("/v1/models/nope")
    assert response.status_code == 404
    assert response.json() == {"detail": "The model `nope` does not exist or is not accessible"}


def test_restricted_key_sees_its_models_only(proxy, client):
    key = proxy.new_key(models=["gpt-4"], other={"user_id": "ann"})
    client.headers["Authorization"] = "Bearer " + key
    assert client.get("/models").json()["data"] == [GPT_4]
    assert client.get("/v1/models/gpt-4.1").status_code == 404


def test_restricted_key_lists_its_models_in_its_own_order(proxy, client):
    own = ["gpt-4o-mini", "gpt-4", "not-there", "no-default-models"]
    client.headers["Authorization"] = "Bearer " + proxy.new_key(models=own)
    listed = [model["id"] for model in client.get("/models").json()["data"]]
    assert listed == ["gpt-4o-mini", "gpt-4", "not-there"]
    groups = client.get("/model_group/info").json()["data"]
    assert [group["model_group"] for group in groups] == ["gpt-4", "gpt-4o-mini"]


def test_key_may_name_models_by_a_pattern(proxy, client):
    client.headers["Authorization"] = "Bearer " + proxy.new_key(models=["gpt-4o*"])
    assert client.ask("Hello").status_code == 200
    assert client.ask("Hello", model="gpt-4").status_code == 403


def test_metadata_is_added_on_request(client):
    listed = client.get("/models", params={"include_metadata": "true"}).json()["data"]
    assert listed[2] == {**GPT_4, "metadata": {"fallbacks": []}}


def test_info_names_prices_and_no_secrets(client):
    listed = {m["model_name"]: m for m in client.get("/model/info").json()["data"]}
    model = listed["gpt-4o-mini"]
    assert model["model_info"]["input_cost_per_token"] == 1.5e-07
    assert model["model_info"]["key"] == "gpt-4o-mini"
    assert model["litellm_params"]["model"] == "openai/gpt-4o-mini"
    assert "api_key" not in model["litellm_params"]
    assert len(model["model_info"]) == 193  # as many as LiteLLM 1.109.1 shows
    unknown = listed["Llama-3.3-70B-Instruct"]["model_info"]
    assert unknown["input_cost_per_token"] is None
    reasoning = listed["practice-reasoning"]["model_info"]
    assert (reasoning["key"], reasoning["supports_reasoning"]) == ("gpt-5-mini", True)
    assert reasoning["output_cost_per_token"] == 2e-06


def test_info_hides_what_an_institution_keeps_in_its_file(tmp_path):
    hidden = {
        "client_secret": "S1",
        "azure_ad_token": "S2",
        "azure_password": "S3",
        "aws_session_token": "S4",
        "vertex_ai_credentials": "S5",
        "extra_headers": {"Authorization": "Bearer S6"},
        "some_new_thing": "S7",
    }
    params = {"model": "openai/gpt-4", "rpm": 60, "api_base": "https://example.org", **hidden}
    own = {"api_key": "S8", "contact": {"room": "B2", "password": "S9"}, "notes": [{"auth": "S10"}]}
    model = {"model_name": "m", "litellm_params": params, "model_info": own}
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"model_list": [model]}))
    with running(load(file)) as proxy:
        headers = {"Authorization": f"Bearer {proxy.new_key()}"}
        answer = httpx.get(f"{proxy.url}/model/info", headers=headers)
    (model,) = answer.json()["data"]
    assert not re.search(r"S\d", answer.text)
    assert model["litellm_params"]["rpm"] == 60
    assert model["model_info"]["contact"] == {"room": "B2"}


def test_info_of_one_model(client):
    wanted = client.get("/model/info").json()["data"][1]
    by_id = {"litellm_model_id": wanted["model_info"]["id"]}
    assert client.get("/v1/model/info", params=by_id).json()["data"] == [wanted]
    response = client.get("/model/info", params={"litellm_model_id": "x"})
    assert (response.status_code, response.json()) == (
        400,
        {"detail": {"error": "Model id = x not found on litellm proxy"}},
    )


def test_groups_are_told_one_by_one(client):
    answer = client.get("/model_group/info", params={"model_group": "gpt-4"}).json()["data"]
    assert [group["model_group"] for group in answer] == ["gpt-4"]
    assert answer[0]["max_input_tokens"] == 8192.0
    assert client.get("/model_group/info", params={"model_group": "x"}).json() == {"data": []}


def test_parameters_that_a_model_takes(proxy, client):
    path = "/utils/supported_openai_params"
    assert client.get(path, params={"model": "gpt-4"}).status_code == 401
    master = Client(proxy.url, proxy.master_key)

    def supported(model):
        response = master.get(path, params={"model": model})
        return response.json().get("supported_openai_params")

    assert "response_format" not in supported("gpt-4")
    assert "response_format" in supported("gpt-4o-mini")
    assert "reasoning_effort" not in supported("gpt-4o-mini")
    assert supported("nope") is None
