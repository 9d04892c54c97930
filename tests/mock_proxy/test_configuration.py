"""LiteLLM's configuration format, and what is said of files that cannot be used."""

from pathlib import Path

import pytest
from proxy_client import Client

from mock_proxy.config import PRACTICE_CONFIG, PRACTICE_KEY, ConfigError, load, practice
from mock_proxy.server.run import running

GOOD = """\
model_list:
  - model_name: gpt-4
    litellm_params:
      model: openai/gpt-4
      api_key: os.environ/SOME_KEY
      mock_response: Hello
general_settings:
  master_key: sk-ours
"""


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch):
    monkeypatch.delenv("LITELLM_MASTER_KEY", raising=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_models_and_key_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    config = load(write(tmp_path, GOOD))
    assert config.master_key == "sk-ours"
    assert config.names() == ["gpt-4"]
    assert config.models[0].params["api_key"] == "secret"
    assert config.models[0].mock_response == "Hello"


def test_variable_that_is_not_set_counts_as_not_given(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert load(write(tmp_path, GOOD)).models[0].params["api_key"] is None


def test_master_key_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-from-environment")
    text = GOOD.replace("sk-ours", "os.environ/LITELLM_MASTER_KEY")
    assert load(write(tmp_path, text)).master_key == "sk-from-environment"
    without = GOOD.partition("general_settings")[0]
    assert load(write(tmp_path, without)).master_key == "sk-from-environment"


def test_who_gave_the_master_key_is_told_where_it_stands(tmp_path, monkeypatch):
    file = write(tmp_path, GOOD)
    assert load(file).master_key_from == f"'master_key' in {file}"
    monkeypatch.setenv("COURSE_KEY", "sk-course")
    config = load(write(tmp_path, GOOD.replace("sk-ours", "os.environ/COURSE_KEY")))
    assert config.master_key == "sk-course"
    assert config.master_key_from == "the environment variable COURSE_KEY"
    monkeypatch.setenv("LITELLM_MASTER_KEY", "foo")
    with pytest.raises(ConfigError, match=r"from the environment variable LITELLM_MASTER_KEY\) do"):
        load(PRACTICE_CONFIG)


def test_practice_configuration_names_no_key():
    assert load(PRACTICE_CONFIG).master_key is None


@pytest.mark.parametrize("key", ["foo", "sk-real"])
def test_pages_run_without_the_callers_master_key(monkeypatch, key):
    monkeypatch.setenv("LITELLM_MASTER_KEY", key)
    assert practice().master_key is None
    with running() as proxy:
        assert proxy.master_key == PRACTICE_KEY


def test_model_id_is_litellms(tmp_path):
    """LiteLLM 1.106.2 gave this id to this entry."""
    entry = "{model: openai/gpt-4, api_key: fake, mock_response: Hello from mock}"
    text = f"model_list:\n  - model_name: gpt-4\n    litellm_params: {entry}\n"
    assert load(write(tmp_path, text)).models[0].id == (
        "80c630576eb2f5b486f0e87f7f09541578c386e377ebd6a5d747081e969955b4"
    )


def test_model_answers_to_its_providers_name_and_to_patterns(tmp_path):
    text = "model_list:\n"
    for name, target in (("small", "openai/gpt-4o-mini"), ("local/*", "openai/*")):
        text += f"  - {{model_name: {name}, litellm_params: {{model: {target}}}}}\n"
    config = load(write(tmp_path, text))
    found = {name: config.find(name) for name in ("small", "openai/gpt-4o-mini", "local/x", "x")}
    assert {name: model and model.name for name, model in found.items()} == {
        "small": "small",
        "openai/gpt-4o-mini": "small",
        "local/x": "local/*",
        "x": None,
    }
    assert config.names() == ["small"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "not a mapping"),
        ("- gpt-4\n", 1, "not a mapping"),
        ("models: []\n", 1, "'model_list' names no models"),
        ("litellm_settings: {}\nmodel_list: []\n", 2, "'model_list' names no models"),
        ("model_list:\n  - gpt-4\n", 2, "this model is not a mapping"),
        ("model_list:\n  - model: gpt-4\n", 2, "no 'model_name'"),
        ("model_list:\n  - model_name: gpt-4\n", 2, "no 'litellm_params' with a 'model'"),
        (
            "model_list:\n  - model_name: gpt-4\n    litellm_params:\n      api_key: x\n",
            3,
            "no 'litellm_params' with a 'model'",
        ),
        (GOOD.replace("sk-ours", "ours"), 8, "does not start with 'sk-'"),
        (GOOD.replace("  master_key: sk-ours", "  - sk-ours"), 7, "not a mapping"),
        ("model_list:\n  - model_name: [\n", 3, "not YAML"),
        ("model_list:\n\t- x\n", 2, "not YAML"),
    ],
)
def test_bad_configuration_is_told_with_its_line(tmp_path, text, line, says):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as problem:
        load(path)
    assert str(problem.value).startswith(f"{path}:{line}: ")
    assert says in str(problem.value)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read .* Check the path after --config"):
        load(tmp_path / "nowhere.yaml")


def test_version_of_litellm_may_stand_in_the_file(tmp_path):
    config = load(write(tmp_path, GOOD + '  litellm_version: "1.106.2"\n'))
    with running(config) as proxy, Client(proxy.url, "sk-ours") as client:
        assert client.ask("Hello", model="gpt-4").headers["x-litellm-version"] == "1.106.2"
        assert client.get("/openapi.json").json()["info"]["version"] == "1.106.2"
    with running(config, litellm_version="1.109.1") as proxy:
        answer = Client(proxy.url, "sk-ours").ask("Hello", model="gpt-4")
        assert answer.headers["x-litellm-version"] == "1.109.1"


def test_version_that_is_a_number_is_told(tmp_path):
    with pytest.raises(ConfigError, match="yaml:9: 'litellm_version' is not a text"):
        load(write(tmp_path, GOOD + "  litellm_version: 1.1\n"))
