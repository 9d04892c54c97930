"""``/embeddings`` and the vectors behind it."""

import base64
import math
import struct

import pytest

from mock_proxy.answers import vectors

MODEL = "text-embedding-ada-002"


def likeness(one: str, other: str) -> float:
    """The cosine of the angle between two texts."""
    pairs = zip(vectors.embed(one, 1536), vectors.embed(other, 1536), strict=True)
    return sum(a * b for a, b in pairs)


def test_vector_has_the_models_size_and_length_1(client):
    body = client.post("/embeddings", json={"model": MODEL, "input": "Heat waves"}).json()
    vector = body["data"][0]["embedding"]
    assert len(vector) == 1536
    assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-6)
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] == 2


def test_each_text_gets_its_vector_in_order(client):
    texts = ["Heat waves", "Solar panels"]
    both = client.post("/embeddings", json={"model": MODEL, "input": texts}).json()["data"]
    for index, text in enumerate(texts):
        one = client.post("/embeddings", json={"model": MODEL, "input": text}).json()["data"][0]
        assert both[index] == {**one, "index": index}


def test_base64_holds_the_same_numbers(client):
    body = {"model": MODEL, "input": "Heat waves"}
    plain = client.post("/embeddings", json=body).json()["data"][0]["embedding"]
    packed = client.post("/embeddings", json={**body, "encoding_format": "base64"}).json()
    unpacked = struct.unpack("<1536f", base64.b64decode(packed["data"][0]["embedding"]))
    assert unpacked == pytest.approx(plain, abs=1e-7)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("Solar panels on school roofs", "A solar panel on a roof", "Medieval manuscripts"),
        ("Teaching children to read", "A teacher teaches reading", "Carbon emissions of ships"),
        ("Hospital nurses", "Doctors and their patients", "Sea-level rise in deltas"),
        ("Voting in elections", "Who votes in an election?", "Protein folding"),
    ],
)
def test_texts_with_shared_words_or_topics_lie_closer(text, near, far):
    assert likeness(text, near) > likeness(text, far) + 0.1


def test_texts_that_share_nothing_are_still_a_little_alike():
    assert 0 < likeness("Protein folding", "Medieval manuscripts") < 0.6


def test_case_and_marks_change_nothing():
    assert likeness("Heat waves!", "HEAT WAVES") == pytest.approx(1)


def test_model_without_the_parameter_refuses_dimensions(client):
    response = client.post("/embeddings", json={"model": MODEL, "input": "a", "dimensions": 5})
    assert response.status_code == 400
    assert "Setting dimensions is not supported" in response.json()["error"]["message"]


def test_missing_input_is_told(client):
    response = client.post("/embeddings", json={"model": MODEL})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input"
