"""Check that this computer is ready for the lesson, and say what to do if it is not.

This file needs nothing but Python: learners can download it alone, and run `python doctor.py`.
It never prints the key.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Iterator, Mapping  # noqa: UP035  (an old Python is to get as far as its line)

EXAMPLE = "lesson doctor --language r"

PACKAGES = ("requests", "jsonschema", "matplotlib", "numpy", "openai", "pandas", "tqdm")
R_PACKAGES = {"httr2": "1.1.1", "jsonlite": ""}
"""Each with the oldest version that does all that the lesson does, where an old one does not."""
VARIABLES = ("LITELLM_BASE_URL", "LITELLM_API_KEY", "LITELLM_MODEL")
NEEDED = VARIABLES[:2]
PRACTICE_URL = "http://127.0.0.1:4000"
TIMEOUT = 15
"""Seconds for each question to the proxy."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `state`: ok, note (it works, but read this) or no."""

    state: str
    what: str
    todo: str = ""


NO_ANSWER = (OSError, ValueError, http.client.HTTPException)
"""The errors urllib raises when nothing answers in HTTP, or the address is not a URL."""


class Refused(Exception):
    """The proxy answered, but not with what was asked for."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(f"{status} {kind}".strip())
        self.status = status
        self.kind = kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language",
        choices=("python", "r", "both"),
        help="what you follow the lesson in; if left out, R is looked at where it is installed",
    )


def run(options: argparse.Namespace) -> int:
    findings = []
    for finding in examine(os.environ, options.language):
        print(line_of(finding), flush=True)
        findings.append(finding)
    failed = sum(finding.state == "no" for finding in findings)
    if failed:
        print(f"\nNot ready yet: {failed} of {len(findings)} checks failed.")
        return 1
    print("\nYou are ready.")
    return 0


def line_of(finding: Finding) -> str:
    text = f"  {finding.state:<5} {finding.what}"
    return text + (f"\n        To do: {finding.todo}" if finding.todo else "")


def examine(environment: Mapping[str, str], language: str | None) -> Iterator[Finding]:
    """Each check in turn. One that the next ones stand on ends them when it fails."""
    if language != "r":
        yield from check_python()
    rscript = shutil.which("Rscript")
    if language in ("r", "both") or (language is None and rscript):
        yield from check_r(rscript, language)
    settings = {name: environment.get(name, "") for name in VARIABLES}
    if not all(settings[name] for name in NEEDED) and rscript and language != "python":
        settings = settings_of_r(rscript) if not any(settings.values()) else settings
    url, key, model = (settings[name] for name in VARIABLES)
    url_finding, key_finding = check_url(url), check_key(key)
    yield url_finding
    yield key_finding
    if url_finding.state != "no":
        yield from check_proxy(url, key if key_finding.state != "no" else "", model)


# What is installed


def check_python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 10):  # noqa: UP036  (the file alone runs on any)
        yield Finding(
            "no",
            f"Python {version} is too old",
            "Install Python 3.10 or newer from https://www.python.org/downloads/",
        )
    else:
        yield Finding("ok", f"Python {version}")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "no",
            f"Python packages that are missing: {', '.join(missing)}",
            "Switch the virtual environment of the lesson on. If it is on: "
            f"python -m pip install {' '.join(missing)}",
        )
    else:
        yield Finding("ok", f"Python packages: {', '.join(PACKAGES)}")


def check_r(rscript: str | None, language: str | None) -> Iterator[Finding]:
    if rscript is None:
        yield Finding(
            "no",
            "R is not found",
            "Install R 4.1 or newer from https://www.r-project.org/. If you have it: "
            "the terminal does not find Rscript. Check in RStudio instead, with the setup page",
        )
        return
    wanted = ", ".join(f'"{name}"' for name in R_PACKAGES)
    script = (
        'cat(format(getRversion()), "\\n");'
        f"for (p in c({wanted})) if (requireNamespace(p, quietly = TRUE)) "
        "cat(p, format(packageVersion(p)), '\\n')"
    )
    try:
        lines = ask_r(rscript, script).splitlines()
        version = lines[0].strip()
        is_old = tuple(int(part) for part in version.split(".")[:2]) < (4, 1)
        found = dict(line.split()[:2] for line in lines[1:])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        yield Finding("no", "R does not start", "Start R once by itself, and read what it says")
        return
    if is_old:
        yield Finding(
            "no",
            f"R {version} is too old",
            "Install R 4.1 or newer from https://www.r-project.org/",
        )
    else:
        yield Finding("ok", f"R {version}")
    missing = [name for name in R_PACKAGES if name not in found]
    old = [name for name in found if numbers(found[name]) < numbers(R_PACKAGES[name])]
    problems = [
        *[f"{name} is missing" for name in missing],
        *[f"{name} {found[name]} is older than {R_PACKAGES[name]}" for name in old],
    ]
    if not problems:
        yield Finding("ok", f"R packages: {', '.join(map(' '.join, found.items()))}")
        return
    names = ", ".join(f'"{name}"' for name in [*missing, *old])
    yield Finding(
        "no" if language else "note",
        f"R packages: {', '.join(problems)}",
        f"In R: install.packages(c({names})). On Linux, the setup page says what that needs"
        + ("" if language else ". Not needed if you follow the lesson in Python"),
    )


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def ask_r(rscript: str, script: str) -> str:
    done = subprocess.run(
        [rscript, "-e", script], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def settings_of_r(rscript: str) -> dict[str, str]:
    """The variables as R sees them: RStudio's users keep them in the file .Renviron."""
    names = ", ".join(f'"{name}"' for name in VARIABLES)
    try:
        lines = ask_r(rscript, f'writeLines(Sys.getenv(c({names}), ""))').splitlines()
    except (OSError, subprocess.SubprocessError):
        lines = []
    return dict(zip(VARIABLES, [*lines, "", "", ""]))  # noqa: B905  (an old Python knows no strict)


# The variables


def check_url(url: str) -> Finding:
    name = "LITELLM_BASE_URL"
    if not url:
        return Finding(
            "no",
            f"{name} is not set",
            f"Set it in this window, as on the setup page. For the practice proxy: {PRACTICE_URL}",
        )
    if url != url.strip() or url[0] in "\"'" or not url.startswith(("http://", "https://")):
        return Finding(
            "no",
            f"{name} is not an address",
            f"Set it without quotation marks or blanks, in this form: {PRACTICE_URL}",
        )
    if url.endswith("/"):
        return Finding("no", f"{name} ends with a slash: {url}", f"Set it to {url.rstrip('/')}")
    return Finding("ok", f"{name} is {url}")


def check_key(key: str) -> Finding:
    """Whether the key can be one. Says nothing of the key itself."""
    name = "LITELLM_API_KEY"
    if not key:
        return Finding(
            "no",
            f"{name} is not set",
            "Set it in this window, as on the setup page. For the practice proxy: sk-practice-key",
        )
    if key[0] in "\"'" or key.split() != [key] or not key.isascii():
        return Finding(
            "no", f"{name} holds a quotation mark or a blank", "Set it again, the key and no more"
        )
    if not key.startswith("sk-"):
        return Finding(
            "no",
            f"{name} does not begin with sk-, as keys of LiteLLM do",
            "Compare it with the key that you were given",
        )
    return Finding("ok", f"{name} is set")


# The proxy


def check_proxy(url: str, key: str, model: str = "") -> Iterator[Finding]:
    try:
        ask(url + "/health/liveliness")
    except Refused as refused:
        yield Finding(
            "no",
            f"What answers at {url} is no LiteLLM proxy ({refused})",
            "Compare LITELLM_BASE_URL with the address that you were given: no path behind it",
        )
        return
    except NO_ANSWER as error:
        yield Finding("no", f"Nothing answers at {url}", way_out(url, error))
        return
    yield Finding("ok", "The proxy answers")
    if not key:
        return
    try:
        listed = ask(url + "/models", key)
        available = [str(model["id"]) for model in listed["data"]]
    except Refused as refused:
        yield refused_key(refused)
        return
    except (*NO_ANSWER, KeyError, TypeError):
        yield Finding("no", "The list of models cannot be read", "Ask who runs the proxy")
        return
    yield Finding("ok", "The proxy accepts your key")
    yield check_model(model, available)
    yield check_budget(url, key)


def ask(url: str, key: str = "") -> Any:
    """The JSON at an address. Raises Refused, or one of NO_ANSWER."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        try:
            kind = str(json.load(error)["error"]["type"])
        except (OSError, ValueError, KeyError, TypeError):
            kind = ""
        raise Refused(error.code, kind) from None
    except json.JSONDecodeError:
        raise Refused(200, "an answer that is not JSON") from None


def way_out(url: str, error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLError):
        return "If this is the practice proxy, its address begins with http://, not https://"
    if url == PRACTICE_URL or "//127.0.0.1" in url or "//localhost" in url:
        return "Start the practice proxy in another window, with `lesson proxy`, and leave it open"
    return f"Are you online, and is the address right? ({type(reason).__name__})"


def refused_key(refused: Refused) -> Finding:
    if refused.kind == "budget_exceeded":
        return Finding("no", "The budget of your key is used up", "Ask for a higher budget")
    if refused.kind == "expired_key":
        return Finding("no", "Your key has reached its end date", "Ask for a new key")
    if refused.status in (400, 401, 403):
        return Finding(
            "no",
            f"The proxy does not accept your key ({refused})",
            "Compare it with the key that you were given, character by character. Else ask for one",
        )
    return Finding("no", f"The proxy refuses the list of models ({refused})", "Ask who runs it")


def check_model(model: str, available: list[str]) -> Finding:
    """Whether the key may use the model that the lesson's code asks."""
    if model in available:
        return Finding("ok", f"LITELLM_MODEL is {model}")
    return Finding(
        "no",
        f"LITELLM_MODEL is {model}, which your key has not"
        if model
        else "LITELLM_MODEL is not set",
        f"Set it to one that your key has: {', '.join(available) or 'none'}",
    )


def check_budget(url: str, key: str) -> Finding:
    try:
        info = ask(url + "/key/info", key)["info"]
        spend, budget = float(info.get("spend") or 0), info.get("max_budget")
        until = str(info["expires"])[:10] if info.get("expires") else ""
    except (Refused, *NO_ANSWER, KeyError, TypeError, AttributeError):
        return Finding("note", "The proxy does not tell your key's budget", "Ask who runs it")
    end = f", valid until {until}" if until else ""
    if budget is None:
        return Finding(
            "ok", f"Your key has no limit of its own, and has spent {spend:.4f} USD{end}"
        )
    left = float(budget) - spend
    if left <= 0:
        return Finding("no", "The budget of your key is used up", "Ask for a higher budget")
    return Finding("ok", f"Your key has {left:.4f} of {float(budget):.4f} USD left{end}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
