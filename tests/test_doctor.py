"""`lesson doctor`: each thing that can be wrong is named, with a way out, and the key never is."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lesson import doctor
from lesson.main import main
from mock_proxy import RunningProxy, load, running

ROOT = Path(__file__).resolve().parents[1]
HTTR2 = doctor.R_PACKAGES["httr2"]


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with running() as proxy:
        yield proxy


def report(
    url: str, key: str, language: str | None = "python", model: str = "gpt-4o-mini"
) -> list[tuple[str, str, str]]:
    """What the doctor says of these variables, after its lines on Python."""
    environment = {"LITELLM_BASE_URL": url, "LITELLM_API_KEY": key, "LITELLM_MODEL": model}
    findings = list(doctor.examine(environment, language))
    lines = "\n".join(map(doctor.line_of, findings))
    assert len(key) < 4 or key not in lines
    assert all(finding.todo for finding in findings if finding.state != "ok")
    return [(f.state, f.what, f.todo) for f in findings if not f.what.startswith("Python")]


def last(found: list[tuple[str, str, str]]) -> tuple[str, str]:
    return found[-1][:2]


def test_all_is_well(proxy: RunningProxy) -> None:
    key = proxy.new_key(max_budget=0.5, duration="3d")

    found = report(proxy.url, key)

    assert [state for state, _, _ in found] == ["ok"] * 6
    assert last(found)[1].startswith("Your key has 0.5000 of 0.5000 USD left, valid until 20")


def test_the_model_has_to_be_one_that_the_key_has(proxy: RunningProxy) -> None:
    key = proxy.new_key(models=["gpt-4"])
    assert ("ok", "LITELLM_MODEL is gpt-4", "") in report(proxy.url, key, model="gpt-4")
    wrong = "LITELLM_MODEL is gpt-5, which your key has not"
    todo = "Set it to one that your key has: gpt-4"
    assert ("no", wrong, todo) in report(proxy.url, key, model="gpt-5")
    assert ("no", "LITELLM_MODEL is not set", todo) in report(proxy.url, key, model="")


def test_the_practice_key_has_no_limit(proxy: RunningProxy) -> None:
    assert "no limit of its own" in last(report(proxy.url, proxy.master_key))[1]


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("", "sk-secret", "LITELLM_BASE_URL is not set"),
        ('"http://127.0.0.1:4000"', "sk-secret", "LITELLM_BASE_URL is not an address"),
        ("127.0.0.1:4000", "sk-secret", "LITELLM_BASE_URL is not an address"),
        ("http://127.0.0.1:4000/", "sk-secret", "LITELLM_BASE_URL ends with a slash"),
        ("http://127.0.0.1:1", "sk-secret", "Nothing answers at http://127.0.0.1:1"),
        ("http://127.0.0.1:40x0", "sk-secret", "Nothing answers"),
        ("http://127.0.0.1:1", "", "LITELLM_API_KEY is not set"),
        ("http://127.0.0.1:1", '"sk-secret"', "LITELLM_API_KEY holds a quotation mark"),
        ("http://127.0.0.1:1", "sk-sec\nret", "LITELLM_API_KEY holds a quotation mark or a blank"),
        ("http://127.0.0.1:1", "secret-key", "LITELLM_API_KEY does not begin with sk-"),
    ],
)
def test_faults_of_the_variables_are_named(url: str, key: str, expected: str) -> None:
    failed = [what for state, what, _ in report(url, key) if state == "no"]

    assert any(what.startswith(expected) for what in failed)


def test_an_address_of_something_else_is_told(proxy: RunningProxy) -> None:
    assert last(report(proxy.url + "/v1", "sk-secret")) == (
        "no",
        f"What answers at {proxy.url}/v1 is no LiteLLM proxy (404)",
    )


def test_https_for_the_practice_proxy_is_told(proxy: RunningProxy) -> None:
    found = report(proxy.url.replace("http:", "https:"), "sk-secret")

    assert "begins with http://" in found[-1][2]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_budget": 0.0}, ("no", "The budget of your key is used up")),
        ({"duration": "0s"}, ("no", "Your key has reached its end date")),
        ({"blocked": True}, ("no", "The proxy does not accept your key (401 auth_error)")),
    ],
)
def test_keys_that_do_not_work_are_told(
    proxy: RunningProxy, limits: dict[str, object], expected: tuple[str, str]
) -> None:
    assert last(report(proxy.url, proxy.new_key(**limits))) == expected


def test_an_unknown_key_is_told(proxy: RunningProxy) -> None:
    assert last(report(proxy.url, "sk-unknown-0123456789")) == (
        "no",
        "The proxy does not accept your key (401 token_not_found_in_db)",
    )


def test_models_that_a_key_lacks_are_told_with_those_it_has(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "model_list:\n  - {model_name: our-model, litellm_params: {model: openai/gpt-4}}\n"
    )
    with running(load(tmp_path / "config.yaml", {})) as proxy:
        found = report(proxy.url, proxy.new_key())

    assert found[-2] == (
        "no",
        "LITELLM_MODEL is gpt-4o-mini, which your key has not",
        "Set it to one that your key has: our-model",
    )


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("requests", "no_such_package"))

    finding = list(doctor.check_python())[-1]

    assert (finding.state, finding.what) == (
        "no",
        "Python packages that are missing: no_such_package",
    )
    assert "pip install no_such_package" in finding.todo


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 2))

    assert next(doctor.check_python()).what == "Python 3.9.2 is too old"


def fake_rscript(folder: Path, answer: str) -> str:
    file = folder / "Rscript"
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.skipif(sys.platform == "win32", reason="the fake Rscript is a shell script")
@pytest.mark.parametrize(("language", "state"), [("r", "no"), ("both", "no"), (None, "note")])
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("jsonlite 1.8.4 ", "httr2 is missing"),
        ("httr2 0.2.2 \njsonlite 1.8.4 ", "httr2 0.2.2 is older than 1.1.1"),
        ("httr2 1.1.0 \njsonlite 1.8.4 ", "httr2 1.1.0 is older than 1.1.1"),
    ],
)
def test_r_packages_that_are_missing_or_too_old_are_named(
    tmp_path: Path, language: str | None, state: str, answer: str, problem: str
) -> None:
    rscript = fake_rscript(tmp_path, f"4.2.2 \n{answer}")

    old, packages = doctor.check_r(rscript, language)

    assert (old.state, old.what) == ("ok", "R 4.2.2")
    assert (packages.state, packages.what) == (state, f"R packages: {problem}")
    assert packages.todo.startswith('In R: install.packages(c("httr2"))')


@pytest.mark.skipif(sys.platform == "win32", reason="the fake Rscript is a shell script")
@pytest.mark.parametrize("version", ["1.1.1", "1.1.1.9000", "1.1.10", "1.3.0"])
def test_r_packages_that_are_new_enough_are_told_with_their_versions(
    tmp_path: Path, version: str
) -> None:
    rscript = fake_rscript(tmp_path, f"4.2.2 \nhttr2 {version} \njsonlite 1.8.4 ")
    *_, packages = doctor.check_r(rscript, "r")
    assert (packages.state, packages.what) == ("ok", f"R packages: httr2 {version}, jsonlite 1.8.4")


@pytest.mark.skipif(sys.platform == "win32", reason="the fake Rscript is a shell script")
def test_an_old_r_and_one_that_does_not_start_are_told(tmp_path: Path) -> None:
    old = fake_rscript(tmp_path, "4.0.5 \nhttr2 1.1.1 \njsonlite 1.8.4 ")
    assert next(doctor.check_r(old, "r")).what == "R 4.0.5 is too old"
    broken = fake_rscript(tmp_path, "Segmentation fault")
    assert next(doctor.check_r(broken, "r")).what == "R does not start"
    assert next(doctor.check_r(None, "r")).what == "R is not found"


@pytest.mark.skipif(sys.platform == "win32", reason="the fake Rscript is a shell script")
def test_the_variables_may_stand_in_renviron(
    tmp_path: Path, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_rscript(tmp_path, f"{proxy.url}\n{proxy.master_key}")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    found = [f.what for f in doctor.examine({}, "r")]

    assert f"LITELLM_BASE_URL is {proxy.url}" in found
    assert "The proxy accepts your key" in found


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_r_itself_is_asked() -> None:
    """Also where httr2 is as old as Debian 12's: the doctor says the version that R says."""
    rscript = shutil.which("Rscript") or ""
    version = doctor.ask_r(rscript, 'cat(format(packageVersion("httr2")))')
    r, packages = doctor.check_r(rscript, "r")
    assert r.state == "ok"
    assert f"httr2 {version}" in packages.what
    is_new = doctor.ask_r(rscript, f'cat("{version}" >= numeric_version("{HTTR2}"))') == "TRUE"
    assert packages.state == ("ok" if is_new else "no")


def test_the_file_alone_runs_with_the_standard_library(tmp_path: Path, proxy: RunningProxy) -> None:
    file = tmp_path / "doctor.py"
    file.write_text((ROOT / "lesson" / "doctor.py").read_text(encoding="utf-8"))
    environment = {"LITELLM_BASE_URL": proxy.url, "LITELLM_API_KEY": proxy.master_key}
    environment["LITELLM_MODEL"] = "gpt-4"

    # -I and -S: nothing of this project or of its packages can be imported.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(file), "--language", "python"],
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "Python packages that are missing: requests, jsonschema" in done.stdout
    assert "ok    The proxy accepts your key" in done.stdout
    assert "Not ready yet: 1 of 8 checks failed." in done.stdout
    assert proxy.master_key not in done.stdout + done.stderr


def test_the_command_ends_with_0_if_all_is_well(
    proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LITELLM_BASE_URL", proxy.url)
    monkeypatch.setenv("LITELLM_API_KEY", proxy.master_key)
    monkeypatch.setenv("LITELLM_MODEL", "gpt-4")

    assert main(["doctor", "--language", "python"]) == 0
    assert capsys.readouterr().out.endswith("\nYou are ready.\n")
