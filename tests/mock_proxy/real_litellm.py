"""A real LiteLLM on this machine; where PostgreSQL and Node are there, one with virtual keys.

LiteLLM keeps its keys in PostgreSQL, and speaks to it through Prisma, whose engine is a program
that Prisma downloads from a server of its own. ``real_keys/engine.mjs`` takes its place.
Nothing is written into LiteLLM's virtual environment: Prisma's client for LiteLLM's schema is made
in a temporary folder, which stands before the environment's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import contract
import pytest
import requests

from mock_proxy.config import load
from mock_proxy.litellm.version import VERSIONS
from mock_proxy.server.run import running

COMMANDS = ("LITELLM_COMMAND", "LITELLM_NEWEST_COMMAND")
"""Environment variables, each with the command of a LiteLLM, as `make contract` names them."""

ENGINE = Path(__file__).parent / "real_keys" / "engine.mjs"
PRISMA = ENGINE.parent / "node_modules" / "prisma" / "build" / "index.js"
DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian and Ubuntu keep PostgreSQL's programs, a folder for each version."""

PATIENCE = 240
"""Seconds until LiteLLM must answer: on a busy machine it starts in one."""


# Each LiteLLM is started by one process of pytest-xdist, however many there are.
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in COMMANDS]
"""Parameters of a fixture that starts one LiteLLM after the other."""


def command(variable: str) -> str:
    """The command that the variable names. The test is skipped if it names none."""
    if variable not in os.environ:
        pytest.skip(f"{variable} names no LiteLLM")
    return os.environ[variable]


@contextlib.contextmanager
def mock_of(url: str) -> Iterator[str]:
    """The address of a mock as this LiteLLM's version, or as the newest that it knows."""
    number = version_of(url)
    version = number if number in VERSIONS else None
    with running(load(contract.DATA / "config.yaml"), litellm_version=version) as proxy:
        yield proxy.url


def command_with_keys(variable: str) -> str:
    """The command that the variable names. The test is skipped if this machine has none that can
    have virtual keys, and fails if LITELLM_REQUIRE_KEYS is 1.
    """
    reason = missing(variable)
    if reason is None:
        return os.environ[variable]
    if os.environ.get("LITELLM_REQUIRE_KEYS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def missing(variable: str) -> str | None:
    """What a LiteLLM with virtual keys lacks on this machine, in words; None if nothing."""
    if variable not in os.environ:
        return f"{variable} names no LiteLLM"
    if postgresql() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if shutil.which("node") is None:
        return "Node is not installed (apt-get install nodejs npm)"
    if not PRISMA.is_file():
        return f"Prisma is not installed (npm ci --ignore-scripts --prefix {ENGINE.parent})"
    return None


def postgresql() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version that is there."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def version_of(url: str) -> str:
    """The version that a LiteLLM says it is."""
    description = requests.get(url + "/openapi.json", timeout=60).json()
    return str(description["info"]["version"])


@contextlib.contextmanager
def litellm(command: str, config: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a LiteLLM with this configuration, ready to answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--config", str(config), "--telemetry", "False"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [command, *options, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment},
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            if not _answers(url, process):
                log.seek(0)
                raise RuntimeError(f"LiteLLM did not start:\n{log.read()[-3000:]}")
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(url + "/health/liveliness", timeout=2).ok:
                return True
        except requests.RequestException:
            time.sleep(0.2)
    return False


@contextlib.contextmanager
def litellm_with_keys(command: str, config: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a LiteLLM that has a database of its own, which ends with it."""
    python = Path(command).parent / "python"
    with tempfile.TemporaryDirectory(prefix="litellm-keys-") as name, database() as url:
        folder = Path(name)
        _migrate(url, python)
        more = {**environment, **_prisma(folder, python), "DATABASE_URL": url}
        with litellm(command, config, more) as address:
            yield address


# --- PostgreSQL -------------------------------------------------------------------------------


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The address of an empty database, in a folder that ends with it.

    It is reached through a socket in a folder that only its owner enters, so no password is
    needed. PostgreSQL refuses to run as root: there it runs as its own user.
    """
    programs = postgresql()
    assert programs is not None
    user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # short: the path of a socket has at most 107 characters
        if user:
            shutil.chown(folder, user, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, "--pgdata", folder / "data", *arguments],
                user=user,
                group=user,
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "--no-sync", "--auth=trust", "--username=litellm", "--encoding=UTF8")
        # Nothing here outlives the tests, so nothing has to reach the disk.
        options = f"-c listen_addresses= -c fsync=off -k {folder}"
        run("pg_ctl", "start", "--wait", "--silent", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql://litellm@localhost/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")


def _migrate(url: str, python: Path) -> None:
    """Make LiteLLM's tables, by the migrations that its wheel brings."""
    programs = postgresql()
    assert programs is not None
    migrations = _folder_of("litellm_proxy_extras", python) / "migrations"
    files = sorted(migrations.glob("*/migration.sql"))
    arguments = [part for file in files for part in ("-f", str(file))]
    subprocess.run(
        [programs / "psql", "-d", url, "-q", "-v", "ON_ERROR_STOP=1", *arguments],
        env={**os.environ, "PGOPTIONS": "-c client_min_messages=error"},
        check=True,
        stdout=subprocess.DEVNULL,
    )


# --- Prisma -----------------------------------------------------------------------------------


def _prisma(folder: Path, python: Path) -> dict[str, str]:
    """Make Prisma's client for LiteLLM's schema; the environment in which LiteLLM finds it."""
    schema = (_folder_of("litellm", python) / "proxy" / "schema.prisma").read_text("utf-8")
    # Targets are native engines, to be downloaded.
    schema = re.sub(r"^\s*binaryTargets.*\n", f'  output = "{folder}/prisma"\n', schema, flags=re.M)
    (folder / "schema.prisma").write_text(schema, encoding="utf-8")
    # LiteLLM calls `prisma` to compare the tables with its schema, which only Prisma's other
    # native engine can.
    nothing = folder / "bin" / "prisma"
    nothing.parent.mkdir()
    nothing.write_text("#!/bin/sh\n", encoding="utf-8")
    nothing.chmod(0o755)
    environment = {
        "PATH": f"{nothing.parent}:{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "PRISMA_QUERY_ENGINE_BINARY": str(ENGINE),
        "PRISMA_SCHEMA_ENGINE_BINARY": str(ENGINE),
        "PRISMA_CLI_QUERY_ENGINE_TYPE": "binary",
        "DISABLE_SCHEMA_UPDATE": "true",
    }
    subprocess.run(
        ["node", PRISMA, "generate", "--schema", folder / "schema.prisma"],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return environment


def _folder_of(package: str, python: Path) -> Path:
    code = f"import importlib.util as u; print(u.find_spec('{package}').origin)"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return Path(found.stdout.strip()).parent
