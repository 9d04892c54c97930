"""Start a class: JupyterLab with the notebooks, and the practice proxy, until Ctrl-C.

Every kernel and terminal of this JupyterLab has LITELLM_BASE_URL, LITELLM_API_KEY, LITELLM_MODEL.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lesson import doctor, lab, notebooks
from lesson.options import root_of
from lesson.practice import PRACTICE_MODEL
from lesson_runner.options import languages, number_from
from lesson_runner.page.places import LessonError
from lesson_runner.run.kernels import find_kernel
from mock_proxy import addresses, is_loopback, running

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

EXAMPLE = "lesson teach --language r"

PORT = 4000
"""LiteLLM's own, which the lesson's pages name."""

OTHERS = """
Others in your network reach this JupyterLab. Whoever has its address with the token can run
programs on this computer in your name, and read your files. Nothing on the way is encrypted."""


@dataclass(frozen=True)
class ClassProxy:
    """The proxy of a class. `urls` are the kernels' address, and then those for others."""

    urls: list[str]
    key: str = field(repr=False)
    name: str
    shown_key: str
    """The part of the key that the terminal may show."""
    model: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="folder of the class, with its notebooks and data (default: ROOT/class); what "
        "somebody has worked in stays as it is",
    )
    parser.add_argument(
        "--language",
        type=_notebook_languages,
        help="python, r or both; if left out, R is there where Jupyter has a kernel for it",
    )
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="use this LiteLLM proxy instead of the practice proxy; the key comes from "
        "LITELLM_API_KEY, or is asked for",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 127.0.0.1 is for this computer alone. With any other, whoever "
        "has the token can run programs on this computer",
    )
    parser.add_argument(
        "--port",
        type=number_from(1, 65535),
        help="of JupyterLab; 8888 if left out, or another one that is free",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="do not open JupyterLab in the browser"
    )


def _notebook_languages(text: str) -> tuple[str, ...]:
    found = languages("python,r" if text == "both" else text)
    if "bash" in found:
        raise argparse.ArgumentTypeError("there are no notebooks for 'bash': python or r")
    return found


def run(options: argparse.Namespace) -> int:
    lab.require_jupyterlab()
    lab.require_address(options.host, options.port)
    root = root_of(options.root, Path.cwd())
    folder = (options.folder or root / "class").resolve()
    taught = options.language or languages_here()
    if missing := "r" in taught and find_kernel("r").missing:
        raise LessonError(missing)
    theirs = institution(options.base_url, os.environ) if options.base_url else None
    write_notebooks(root, folder, taught)
    with contextlib.ExitStack() as stack:
        proxy = theirs or stack.enter_context(practice_proxy(options.host))
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lesson-")))
        lab.set_environment(proxy.urls[0], proxy.key, proxy.model, private)
        app = lab.jupyterlab(folder, options.host, options.port, not options.no_browser)
        app.io_loop.add_callback(announce, app, folder, proxy, options.host)
        app.start()
    with contextlib.suppress(OSError):  # the terminal may be what was closed
        print("Stopped: JupyterLab, its kernels and its terminals have ended.", flush=True)
    return 0


# The notebooks


def languages_here() -> tuple[str, ...]:
    if missing := find_kernel("r").missing:
        print(f"No notebooks for R: {missing}")
        return ("python",)
    return ("python", "r")


def write_notebooks(root: Path, folder: Path, taught: tuple[str, ...]) -> None:
    if folder == root:
        raise LessonError(f"{folder} is the lesson itself: give another --folder DIR")
    parser = argparse.ArgumentParser()
    notebooks.add_arguments(parser)
    call = ["--root", str(root), "--out", str(folder), "--language", ",".join(taught)]
    try:
        notebooks.run(parser.parse_args(call))
    except OSError as error:
        raise LessonError(
            f"the notebooks cannot be written into {folder} ({error.strerror}): "
            "give another --folder DIR"
        ) from error


# The proxy


@contextlib.contextmanager
def practice_proxy(host: str) -> Iterator[ClassProxy]:
    """The practice proxy on the port that the pages name, or on a free one."""
    with contextlib.ExitStack() as stack:
        try:
            proxy = stack.enter_context(running(host=host, port=PORT))
        except OSError as error:  # taken, or kept by the system, as Windows does with some
            proxy = stack.enter_context(running(host=host))
            print(
                f"The practice proxy of this class has port {urlsplit(proxy.url).port}, because "
                f"{PORT} is not free ({error.strerror}). Does another one still run?"
            )
        port = urlsplit(proxy.url).port
        urls = [f"http://{lab.bracketed(address)}:{port}" for address in addresses(host)]
        tell_of_another(os.environ.get("LITELLM_BASE_URL", ""), urls)
        # What the pages do, up to making further keys, works with this key, as in `lesson check`.
        # The known master key is for this computer alone, and a random one tells no budget.
        key = proxy.master_key if is_loopback(host) else proxy.new_key("class", is_admin=True)
        yield ClassProxy(urls, key, "the practice proxy", key, PRACTICE_MODEL)


def tell_of_another(url: str, urls: list[str]) -> None:
    if url and url.rstrip("/") not in urls:
        print(
            f"LITELLM_BASE_URL is {url}, but this class uses the practice proxy. "
            f"To use yours: lesson teach --base-url {url}"
        )


def institution(base_url: str, environment: Mapping[str, str]) -> ClassProxy:
    """The caller's own proxy, once it has answered and accepted the key; else LessonError."""
    url = base_url.rstrip("/")
    key = environment.get("LITELLM_API_KEY") or asked_key(url)
    is_well = True
    for finding in examine(url, key, environment.get("LITELLM_MODEL", "")):
        print(doctor.line_of(finding), flush=True)
        is_well = is_well and finding.state != "no"
    if not is_well:
        raise LessonError(
            "so no request of this class would succeed. `lesson teach` without --base-url "
            "starts with the practice proxy"
        )
    model = environment["LITELLM_MODEL"]
    return ClassProxy([url], key, "your own", "yours; it is not shown", model)


def examine(url: str, key: str, model: str) -> Iterator[doctor.Finding]:
    findings = doctor.check_url(url), doctor.check_key(key)
    yield from findings
    if all(finding.state != "no" for finding in findings):
        yield from doctor.check_proxy(url, key, model)


def asked_key(url: str) -> str:
    if not sys.stdin.isatty():
        raise LessonError(
            f"LITELLM_API_KEY is not set: set it to your key for {url}, or start this command "
            "in a terminal, where it asks for the key"
        )
    try:
        return getpass.getpass(f"Key for {url} (nothing shows while you paste it): ").strip()
    except EOFError as error:
        raise LessonError("no key was given") from error


def announce(app: ServerApp, folder: Path, proxy: ClassProxy, host: str) -> None:
    here, *others = lab.addresses_of(app, host)
    if not is_loopback(host):
        print(OTHERS)
    print(f"\nOpen JupyterLab:  {here}")
    for address in others:
        print(f"  for others:     {address}")
    print(f"  notebooks:      {folder}")
    print(f"  proxy:          {'  or  '.join(proxy.urls)}, {proxy.name}")
    print(f"  key:            {proxy.shown_key}")
    print(f"  model:          {proxy.model}")
    print(f"  Swagger UI:     {proxy.urls[0]}/")
    print("Save your notebooks, then press Ctrl-C here to stop everything.", flush=True)
