"""Who is let in, and what the others are told. Texts as LiteLLM answers them."""

import hashlib

import pytest
from proxy_client import Client

CHAT = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}
NO_KEY = {
    "error": {
        "message": "Authentication Error, No api key passed in.",
        "type": "auth_error",
        "param": None,
        "code": "401",
    }
}
MALFORMED = {
    "error": {
        "message": "Authentication Error, Malformed API Key passed in. "
        "Ensure Key has `Bearer ` prefix.",
        "type": "auth_error",
        "param": None,
        "code": "401",
    }
}


def error(response):
    return response.json()["error"]


def test_liveliness_needs_no_key(anonymous):
    response = anonymous.get("/health/liveliness")
    assert (response.status_code, response.text) == (200, '"I\'m alive!"')


def test_readiness_needs_no_key(anonymous):
    assert anonymous.get("/health/readiness").json() == {"status": "healthy", "db": "connected"}


def test_missing_key_is_told(anonymous):
    for response in (anonymous.get("/models"), anonymous.post("/chat/completions", json=CHAT)):
        assert (response.status_code, response.json()) == (401, NO_KEY)


@pytest.mark.parametrize("value", ["sk-practice-key", "Bearer", "Token sk-practice-key"])
def test_key_without_bearer_is_malformed(anonymous, value):
    response = anonymous.get("/models", headers={"Authorization": value})
    assert (response.status_code, response.json()) == (401, MALFORMED)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Bearer YOUR_API_KEY", "YOUR****_KEY"),
        ("Bearer {api_key}", "{api****key}"),
        ("Bearer abc", "****"),
        ("Basic dXNlcjpwYXNz", "dXNl****YXNz"),
        ('Bearer "sk-practice-key"', '"sk-****key"'),
    ],
)
def test_key_that_is_no_virtual_key_is_shown_masked(anonymous, sent, shown):
    response = anonymous.get("/models", headers={"Authorization": sent})
    assert response.status_code == 401
    assert error(response) == {
        "message": f"LiteLLM Virtual Key expected. Received={shown}, expected to start with 'sk-'.",
        "type": "auth_error",
        "param": None,
        "code": "401",
    }


@pytest.mark.parametrize("key", ["sk-wrong-key-12345678", "sk-1"])
def test_unknown_key_is_told(anonymous, key):
    response = anonymous.get("/models", headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 401
    assert error(response) == {
        "message": "Authentication Error, Invalid API key provided.",
        "type": "token_not_found_in_db",
        "param": "key",
        "code": "401",
    }


@pytest.mark.parametrize(
    ("key", "shown"), [("sk-wrong-key-12345678", "sk-...5678"), ("sk-1", "sk-...")]
)
def test_older_versions_name_an_unknown_key_by_its_hash(older, key, shown):
    response = Client(older.url, key).get("/models")
    token = hashlib.sha256(key.encode()).hexdigest()
    assert response.status_code == 401
    assert error(response) == {
        "message": "Authentication Error, Invalid proxy server token passed. Received API Key = "
        f"{shown}, Key Hash (Token) ={token}. Unable to find token in cache or "
        "`LiteLLM_VerificationTokenTable`",
        "type": "token_not_found_in_db",
        "param": "key",
        "code": "401",
    }


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("Authorization", "Bearer "),
        ("Authorization", "bearer "),
        ("Authorization", "Bearer Bearer "),
        ("x-litellm-api-key", ""),
        ("x-litellm-api-key", "Bearer "),
        ("x-api-key", ""),
        ("api-key", ""),
        ("x-goog-api-key", ""),
        ("Ocp-Apim-Subscription-Key", ""),
    ],
)
def test_key_is_found_in_any_of_litellms_headers(proxy, header, prefix):
    client = Client(proxy.url)
    response = client.get("/models", headers={header: prefix + proxy.new_key()})
    assert response.status_code == 200


def test_older_versions_have_the_text_none_for_no_parameter(older):
    assert error(Client(older.url).get("/models"))["param"] == "None"


def test_key_in_the_address_does_not_count(proxy, anonymous):
    response = anonymous.get("/models", params={"key": proxy.master_key})
    assert response.json() == NO_KEY


def test_authentication_errors_carry_no_litellm_headers(anonymous):
    headers = anonymous.get("/models").headers
    assert not [name for name in headers if name.startswith("x-litellm")]


def test_master_key_is_let_in(proxy):
    assert Client(proxy.url, proxy.master_key).get("/models").status_code == 200


def test_invalid_json_is_told_before_a_missing_key(anonymous):
    response = anonymous.post("/chat/completions", data="{bad")
    assert response.status_code == 400
    assert error(response)["param"] == "request_body"
    assert error(response)["message"].startswith("Invalid JSON payload: unexpected character")


def test_wrong_method_is_told_before_a_missing_key(anonymous):
    response = anonymous.post("/models", json=CHAT)
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
    assert response.headers["allow"] == "GET"


def test_unknown_path_is_told_before_a_missing_key(anonymous):
    response = anonymous.get("/nope")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
