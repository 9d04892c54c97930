"""`lesson teach`: a class is ready to work in, keeps what was done, and leaves nothing running.

The real command is started as people start it, and JupyterLab is talked to as a browser does.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests
import websocket
from ports import free_port

from lesson import lab, teach
from lesson.main import main
from lesson_runner.run.kernels import find_kernel
from mock_proxy import RunningProxy, running

ROOT = Path(__file__).resolve().parents[1]

PAGE = """\
---
title: Topics
---

```python
print(6 * 7)
```

```r
6 * 7
```
"""

RENVIRON = """\
LITELLM_BASE_URL=http://127.0.0.1:9
KEPT=yes
 LITELLM_API_KEY = sk-of-another-day
"""

ASK = """\
import os, requests
headers = {"Authorization": "Bearer " + os.environ["LITELLM_API_KEY"]}
answer = requests.get(os.environ["LITELLM_BASE_URL"] + "/key/info", headers=headers)
print(answer.status_code, answer.json()["info"]["key_alias"])
"""

ASK_IN_R = """\
library(httr2)
answer <- request(Sys.getenv("LITELLM_BASE_URL")) |>
  req_url_path_append("models") |>
  req_auth_bearer_token(Sys.getenv("LITELLM_API_KEY")) |>
  req_perform()
cat(resp_status(answer), Sys.getenv("LITELLM_BASE_URL"), Sys.getenv("KEPT"))
"""

IN_A_TERMINAL = """\
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""

PATIENCE = 120
"""Seconds after which a test fails that would wait for ever."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
with_r = pytest.mark.skipif(bool(find_kernel("r").missing), reason="Jupyter has no R kernel")


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lesson of one page, and beside it the home folder of somebody who works in R."""
    root = tmp_path_factory.mktemp("lesson with blank")
    (root / "episodes" / "data").mkdir(parents=True)
    (root / "config.yaml").write_text("title: Made\nepisodes:\n- topics.md\n")
    (root / "episodes" / "topics.md").write_text(PAGE)
    (root / "episodes" / "data" / "titles.csv").write_text("id,title\n")
    (root / "home").mkdir()
    (root / "home" / ".Renviron").write_text(RENVIRON)
    return root


@dataclass
class Class:
    """A running `lesson teach`."""

    process: subprocess.Popen[str]
    said: str
    """What it printed until all was ready."""

    def told(self, label: str) -> str:
        """The value behind a label: `proxy:  http://…` → `http://…`."""
        (line,) = [line for line in self.said.splitlines() if line.lstrip().startswith(label)]
        return line.split(":", 1)[1].strip()

    @property
    def url(self) -> str:
        return self.told("Open JupyterLab").split("/lab?token=")[0]

    @property
    def token(self) -> str:
        return self.told("Open JupyterLab").split("?token=")[1]

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"token {self.token}"}
        url = self.url + path
        response = requests.request(method, url, headers=headers, timeout=PATIENCE, **options)
        response.raise_for_status()
        return response

    def run(self, notebook: str, kernel: str, code: str) -> str:
        """What the code prints in a kernel that JupyterLab starts for the notebook."""
        wanted = {"path": notebook, "name": "", "type": "notebook", "kernel": {"name": kernel}}
        session = self.request("POST", "/api/sessions", json=wanted).json()
        with self.socket(f"/api/kernels/{session['kernel']['id']}/channels") as channels:
            message = execute_request(code)
            channels.send(json.dumps(message))
            return printed(channels, message["header"]["msg_id"])

    @contextlib.contextmanager
    def socket(self, path: str) -> Iterator[websocket.WebSocket]:
        url = self.url.replace("http://", "ws://")
        connection = websocket.create_connection(
            f"{url}{path}?token={self.token}", timeout=PATIENCE
        )
        with contextlib.closing(connection):
            yield connection

    def rest(self) -> str:
        """Wait for the end; what was printed until then."""
        rest, _ = self.process.communicate(timeout=PATIENCE)
        return rest


def execute_request(code: str) -> dict[str, Any]:
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    return {
        "channel": "shell",
        "header": header | {"session": uuid.uuid4().hex, "username": ""},
        "parent_header": {},
        "metadata": {},
        "content": content | {"allow_stdin": False, "stop_on_error": True},
    }


def printed(channels: websocket.WebSocket, request: str) -> str:
    text = ""
    while True:
        message = json.loads(channels.recv())
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if message["msg_type"] == "stream" and content["name"] == "stdout":
            text += content["text"]
        assert message["msg_type"] != "error", content
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return text.strip()


@contextlib.contextmanager
def teaching(
    lesson: Path, *arguments: str, terminal: bool = False, typed: str = "", **environment: str
) -> Iterator[Class]:
    """`lesson teach` until the block ends; in a terminal of its own if asked for."""
    if "--port" not in arguments:
        arguments += ("--port", str(free_port()))
    command = [sys.executable, "-m", "lesson", "teach", "--no-browser", *arguments]
    if terminal:
        command = [sys.executable, "-c", IN_A_TERMINAL, *command]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM_")}
    process = subprocess.Popen(
        command,
        cwd=lesson,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        env=inherited | {"HOME": str(lesson / "home"), "PYTHONPATH": str(ROOT)} | environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, ended_after(PATIENCE, process) as too_long:
        try:
            said = ""
            while not said.endswith("to stop everything."):
                character = process.stdout.read(1)
                assert character, f"it ended:\n{said}"
                said += character
                if typed and said.endswith("paste it): "):
                    process.stdin.write(typed + "\n")
                    process.stdin.flush()
            too_long.cancel()
            yield Class(process, said)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()


@contextlib.contextmanager
def ended_after(seconds: float, process: subprocess.Popen[str]) -> Iterator[threading.Timer]:
    """Where nothing comes, reading waits: then the end of the process ends it."""
    timer = threading.Timer(seconds, process.terminate)
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


@pytest.fixture(scope="module")
def class_(lesson: Path) -> Iterator[Class]:
    """A class with the practice proxy, started by somebody who knows other proxies, too."""
    with teaching(
        lesson, LITELLM_BASE_URL="https://example.org", LITELLM_MASTER_KEY="sk-the-master"
    ) as found:
        yield found


def descendants(pid: int) -> set[int]:
    """The processes that this one started, and those that they started."""
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found |= {child} | descendants(child)
    return found


def is_alive(pid: int) -> bool:
    """Zombies have ended; nobody has asked for their exit status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_of(pids: list[int]) -> list[int]:
    """Those that go on. A process that was killed may need a moment on a busy machine."""
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


# A class with the practice proxy


def test_a_python_notebook_reaches_the_practice_proxy(class_: Class) -> None:
    url = class_.told("proxy").split(",")[0]

    code = ASK + "print(os.environ['LITELLM_BASE_URL'], os.path.isfile('data/titles.csv'))"
    said = class_.run("python/01-topics.ipynb", "python3", code)

    assert said.splitlines() == ["200 None", f"{url} True"]
    assert class_.told("key") == "sk-practice-key"
    assert requests.get(class_.told("Swagger UI")).ok


@with_r
def test_an_r_notebook_reaches_it_too_whatever_renviron_says(class_: Class) -> None:
    url = class_.told("proxy").split(",")[0]

    assert class_.run("r/01-topics.ipynb", "ir", ASK_IN_R) == f"200 {url} yes"
    assert f"R overlooks the LITELLM_ lines of {Path('home', '.Renviron')}" in class_.said.replace(
        f"{Path(class_.told('notebooks')).parent}{os.sep}", ""
    )


def test_kernels_know_a_model_to_ask(class_: Class) -> None:
    code = "import os\nprint(os.environ['LITELLM_MODEL'])"

    assert class_.run("python/01-topics.ipynb", "python3", code) == class_.told("model")


def test_a_key_that_makes_keys_stays_out_of_kernels(class_: Class) -> None:
    code = "import os\nprint('LITELLM_MASTER_KEY' in os.environ)"

    assert class_.run("python/01-topics.ipynb", "python3", code) == "False"


@pytest.mark.skipif(sys.platform == "win32", reason="types into a POSIX shell")
def test_terminals_have_the_proxy_and_the_lessons_python(class_: Class) -> None:
    name = class_.request("POST", "/api/terminals").json()["name"]
    call = """python -c 'import os, sys; print(os.environ["LITELLM_API_KEY"], sys.prefix)'\r"""
    wanted = f"sk-practice-key {sys.prefix}"

    with class_.socket(f"/terminals/websocket/{name}") as terminal:
        terminal.send(json.dumps(["stdin", call]))
        said = ""
        while wanted not in said.replace("\r\n", ""):
            kind, *values = json.loads(terminal.recv())
            said += values[0] if kind == "stdout" else ""
    class_.request("DELETE", f"/api/terminals/{name}")


def test_jupyterlab_neither_offers_news_nor_looks_for_updates(class_: Class) -> None:
    page = class_.request("GET", "/lab").text
    config = page.partition('type="application/json">')[2].partition("</script>")[0]

    disabled = json.loads(config)["disabledExtensions"]

    assert "@jupyterlab/apputils-extension:announcements" in disabled


def test_nobody_gets_in_without_the_token(class_: Class) -> None:
    assert requests.get(f"{class_.url}/api/contents").status_code == 403


def test_another_proxy_of_the_environment_is_named(class_: Class) -> None:
    assert "LITELLM_BASE_URL is https://example.org" in class_.said
    assert "lesson teach --base-url https://example.org" in class_.said


# A class that goes on


@on_linux
def test_a_changed_notebook_is_kept_and_a_signal_ends_everything(
    lesson: Path, class_: Class
) -> None:
    file = lesson / "class" / "python" / "01-topics.ipynb"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[1]["source"] = "print('mine')"
    nbformat.write(notebook, file)

    with teaching(lesson) as again:
        contents = again.request("GET", "/api/contents/python/01-topics.ipynb").json()["content"]
        again.run("python/01-topics.ipynb", "python3", "import subprocess")
        again.request("POST", "/api/terminals")
        started = descendants(again.process.pid)
        again.process.send_signal(signal.SIGTERM)
        again.rest()

    assert contents["cells"][1]["source"] == "print('mine')"
    assert f"kept as it is, for it was changed: {file}" in again.said
    # The other class is still running.
    assert "because 4000 is not free" in again.said
    assert again.told("proxy") != class_.told("proxy")
    assert again.process.returncode == 0
    assert len(started) >= 2
    assert left_of(started) == []
    assert not is_open(again.told("proxy").split(",")[0])


FAILS_TO_STOP = """\
import signal, sys
from jupyter_server.serverapp import ServerApp
from lesson import lab, main, teach

async def fail(app):
    raise OSError("an extension of somebody else")

ServerApp.cleanup_extensions = fail
lab.GRACE = 2
teach.announce = lambda *_: signal.raise_signal(signal.SIGTERM)
sys.exit(main.main(sys.argv[1:]))
"""


def test_an_error_while_it_stops_does_not_keep_it_running(lesson: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILS_TO_STOP, "teach", "--no-browser", "--language", "python"],
        cwd=lesson,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"HOME": str(lesson / "home"), "PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == 0
    assert "an extension of somebody else" in done.stderr
    assert "Stopped" in done.stdout


# An institution's proxy


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with running() as proxy:
        yield proxy


@on_linux
def test_the_callers_key_is_asked_for_used_and_never_shown(
    lesson: Path, proxy: RunningProxy
) -> None:
    """In a terminal, where JupyterLab itself would ask whether Ctrl-C is meant."""
    key = proxy.new_key(alias="instructor")
    call = ("--base-url", proxy.url + "/", "--folder", "today", "--language", "python")

    model = "gpt-4o-mini"
    with teaching(lesson, *call, terminal=True, typed=key, LITELLM_MODEL=model) as here:
        answer = here.run("python/01-topics.ipynb", "python3", ASK)
        command_lines = [file.read_bytes() for file in command_line_files()]
        started = descendants(here.process.pid)
        assert here.process.stdin is not None
        here.process.stdin.write("\x03")
        here.process.stdin.flush()
        rest = here.rest()

    assert answer == "200 instructor"
    assert here.told("proxy") == f"{proxy.url}, your own"
    assert "The proxy accepts your key" in here.said
    assert here.process.returncode == 0
    assert rest.removeprefix("\n").removeprefix("^C") == (
        "Stopped: JupyterLab, its kernels and its terminals have ended.\n"
    )
    assert left_of(started) == []
    files = [file for file in (lesson / "today").rglob("*") if file.is_file()]
    assert sorted(file.name for file in files if file.suffix == ".ipynb") == ["01-topics.ipynb"]
    seen = [*command_lines, *(file.read_bytes() for file in files), (here.said + rest).encode()]
    assert not any(key.encode() in text for text in seen)


def command_line_files() -> Iterator[Path]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            file.read_bytes()
            yield file


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (lambda proxy: proxy.new_key(blocked=True), "The proxy does not accept your key"),
        (lambda proxy: "sk-'quoted", "accept your key (401"),
        (lambda proxy: "no-key-of-litellm", "does not begin with sk-"),
        (lambda proxy: "", "LITELLM_API_KEY is not set: set it to your key for http://127.0.0.1"),
    ],
)
def test_a_key_that_does_not_work_is_told_before_the_class(
    lesson: Path,
    proxy: RunningProxy,
    key: Callable[[RunningProxy], str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = key(proxy)
    monkeypatch.chdir(lesson)
    monkeypatch.setenv("LITELLM_API_KEY", text)

    assert main(["teach", "--base-url", proxy.url, "--folder", "never"]) == 2

    said = "".join(capsys.readouterr())
    assert says in said
    assert not text or text not in said
    assert not (lesson / "never").exists()


def test_a_proxy_that_does_not_answer_is_told(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lesson)
    monkeypatch.setenv("LITELLM_API_KEY", "sk-secret")

    assert main(["teach", "--base-url", "http://127.0.0.1:1"]) == 2

    said = capsys.readouterr()
    assert "Nothing answers at http://127.0.0.1:1" in said.out
    assert "`lesson teach` without --base-url" in said.err


# Calls that cannot be carried out


def test_a_port_that_is_taken_is_told(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["teach", "--root", str(lesson), "--port", str(port)]) == 2

    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_a_host_that_is_not_this_computer_is_told(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["teach", "--root", str(lesson), "--host", "192.0.2.1"]) == 2

    said = capsys.readouterr().err
    assert "cannot listen on 192.0.2.1 (" in said
    assert "--host 0.0.0.0 also for others" in said


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("config.yaml", "give another --folder DIR"),
        ("config.yaml/class", "give another --folder DIR"),
        (".", "is the lesson itself"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told(
    lesson: Path,
    folder: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(lesson)

    assert main(["teach", "--folder", folder, "--language", "python"]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_jupyterlab_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)

    assert main(["teach"]) == 2
    assert "pip install jupyterlab" in capsys.readouterr().err


def test_a_missing_r_kernel_leaves_r_out_or_is_told_where_r_was_asked_for(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = type(find_kernel("r"))("r", missing="no R kernel on this machine: install R")
    monkeypatch.setattr(teach, "find_kernel", lambda language: gone)

    assert main(["teach", "--root", str(lesson), "--language", "both"]) == 2
    assert "no R kernel on this machine: install R" in capsys.readouterr().err
    assert teach.languages_here() == ("python",)
    assert "No notebooks for R: no R kernel on this machine" in capsys.readouterr().out


def test_bash_has_no_notebooks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["teach", "--language", "bash"])
    assert "there are no notebooks for 'bash'" in capsys.readouterr().err


# The environment


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("http://127.0.0.1:4000", {}, None),
        ("http://127.0.0.1:4000", {"http_proxy": ""}, None),
        ("http://127.0.0.1:4000", {"HTTPS_PROXY": "http://web"}, "127.0.0.1,localhost"),
        (
            "http://localhost:4000",
            {"http_proxy": "http://web", "no_proxy": "intern"},
            "intern,127.0.0.1,localhost",
        ),
        ("https://example.org", {"http_proxy": "http://web"}, None),
    ],
)
def test_a_web_proxy_is_not_asked_for_this_computer(
    url: str, environment: dict[str, str], expected: str | None
) -> None:
    found = lab.own_host_without_web_proxy(url, environment)

    assert found == ({"NO_PROXY": expected, "no_proxy": expected} if expected else {})


def test_renviron_is_left_alone_unless_it_names_a_proxy(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("# LITELLM_API_KEY=sk-1\nMY_LITELLM_API_KEY=sk-2\n")

    assert lab.own_renviron({"R_ENVIRON_USER": str(theirs)}, tmp_path) == {}
    assert lab.own_renviron({"R_ENVIRON_USER": str(tmp_path / "none")}, tmp_path) == {}

    theirs.write_text("LITELLM_API_KEY=sk-1\r\nOTHER=1\r\n")
    found = lab.own_renviron({"R_ENVIRON_USER": str(theirs)}, tmp_path)

    assert Path(found["R_ENVIRON_USER"]).read_bytes() == b"OTHER=1\r\n"


def test_other_computers_are_let_in_only_where_somebody_says_so(
    lesson: Path, class_: Class
) -> None:
    with teaching(lesson, "--host", "0.0.0.0", "--language", "python") as open_class:
        again = open_class.run("python/01-topics.ipynb", "python3", ASK)

    assert again == "200 class"
    assert "can run\nprograms on this computer in your name" in open_class.said
    assert open_class.url.startswith("http://127.0.0.1:")
    # A key that everybody knows would let strangers use the proxy.
    assert open_class.told("key") != "sk-practice-key"
    assert "in your name" not in class_.said
