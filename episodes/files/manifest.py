"""Summarise the log of a run in a small file, the run manifest.

The episode "Reproduce and report" explains what is in it. Nothing here sends a request.
"""

import json
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version

import pandas as pd
from files.labelling import fingerprint, read_log, read_prompt
from files.llm import API_KEY

HEADERS = ["model-name", "model-id", "version"]


def write_manifest(log, failures, titles, files, response, path="manifest.json"):
    """Write the manifest of a run, and return it as a dictionary.

    log, failures and titles are the paths of the run's files, files a list of others to
    fingerprint, response one response, whose headers say what the proxy calls the model. If the
    key is in one of these files, this raises ValueError with the file's name.
    """
    lines = read_log(log)
    files = [log, titles, *files]
    manifest = {
        "models": different(line["model"] for line in lines),
        "settings": different(line["settings"] for line in lines),
        "prompts": different(line["prompt_sha256"] for line in lines),
        "first": min(line["time"] for line in lines),
        "last": max(line["time"] for line in lines),
        "titles": len(pd.read_csv(titles)),
        "labels": len(lines),
        "failures": len(read_log(failures)),
        "prompt_tokens": sum(line["prompt_tokens"] for line in lines),
        "completion_tokens": sum(line["completion_tokens"] for line in lines),
        "cost": sum_if_known([line["cost"] for line in lines]),
        "files": {name: fingerprint(read_prompt(name)) for name in files},
        # From here on it is how things are now, and not how they were during the run.
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": {"python": platform.python_version(), "requests": version("requests")},
        "proxy": {name: response.headers.get(f"x-litellm-{name}") for name in HEADERS},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, ensure_ascii=False)
    for name in [*files, path]:
        if API_KEY in read_prompt(name):
            raise ValueError(f"your key is in {name}: remove it before you publish anything")
    return manifest


def different(values):
    """Each value once. Two models, prompts or settings mean that the log mixes two runs."""
    found = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def sum_if_known(costs):
    """The sum, in US dollars. One unknown cost makes it unknown instead of too small."""
    return None if None in costs else round(sum(costs), 6)


def commit():
    """The state of your scripts in Git, with "-dirty" if they have changed since, or None."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
        )
    except OSError:  # no Git here
        return None
    return said.stdout.strip() or None
