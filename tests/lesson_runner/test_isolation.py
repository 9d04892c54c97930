"""A kernel sees its own folder, two variables of the caller's secrets, and this machine only."""

import asyncio
import contextlib
import http.server
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_lesson import MadeLesson, is_running

from lesson_runner.page.lesson import Lesson
from lesson_runner.run.network import open_gate
from lesson_runner.verify import Verification

PYTHON = """
    ```python
    import os, pathlib
    print([name for name in os.environ if "SECRET" in name or "TOKEN" in name])
    print(os.environ["LITELLM_API_KEY"], os.environ["LITELLM_BASE_URL"])
    print(pathlib.Path("data/titles.csv").read_text())
    _ = pathlib.Path("data/new.txt").write_text("written")
    ```
    ```output
    []
    sk-1 http://127.0.0.1:1
    id,title
    1,Heat
    ```
    """

BASH = """
    ```bash
    env | grep -c -e SECRET -e TOKEN || true
    echo "$LITELLM_API_KEY"
    touch data/new.txt
    ```
    ```output
    0
    sk-1
    ```
    """

R = """
    ```r
    grep("SECRET|TOKEN", names(Sys.getenv()))
    Sys.getenv("LITELLM_API_KEY")
    writeLines("written", "data/new.txt")
    ```
    ```output
    integer(0)
    [1] "sk-1"
    ```
    """

ENVIRONMENT = {"LITELLM_API_KEY": "sk-1", "LITELLM_BASE_URL": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "of the caller")
    monkeypatch.setenv("GITHUB_TOKEN", "of the caller")
    monkeypatch.setenv("LITELLM_API_KEY", "sk-of-the-caller")


@pytest.mark.parametrize(("language", "page"), [("python", PYTHON), ("bash", BASH), ("r", R)])
def test_folder_and_environment(
    made_lesson: MadeLesson, request: pytest.FixtureRequest, language: str, page: str
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    before = sorted(made_lesson.root.rglob("*"))
    checked = made_lesson.check(page, language, environment=ENVIRONMENT)
    assert not checked.failed, checked.failed
    made_lesson.page("")
    assert sorted({*before, made_lesson.root / "episodes" / "page.md"}) == sorted(
        made_lesson.root.rglob("*")
    )


def test_files_that_r_reads_for_its_user_stay_outside(
    made_lesson: MadeLesson,
    r_kernel: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The setup page has R users write both variables into `.Renviron`: it must not win."""
    libraries = tmp_path / "library"
    libraries.mkdir()
    (tmp_path / ".Renviron").write_text(
        f"LITELLM_API_KEY=sk-of-the-user\nMY_OWN=secret\nR_LIBS_USER={libraries}\n"
    )
    (tmp_path / ".Rprofile").write_text("options(digits = 3)\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    page = f"""
        ```r
        cat(Sys.getenv("LITELLM_API_KEY"), Sys.getenv("MY_OWN", "unset"), getOption("digits"))
        "{libraries}" %in% .libPaths()
        ```
        ```output
        sk-1 unset 7
        [1] TRUE
        ```
        """
    assert not made_lesson.check(page, "r", environment=ENVIRONMENT).failed


IN_HOME = {
    "python": """
        from pathlib import Path
        print((Path.home() / ".bashrc").exists(), Path("~/.gitconfig").expanduser().exists())
        _ = (Path.home() / ".bashrc").write_text("rm")
        _ = Path("~/mine").expanduser().write_text("rm")
        """,
    "bash": """
        cd && ls -A | grep rc || true
        git config --global --list || true
        echo rm | tee .bashrc ~/mine "$XDG_CONFIG_HOME/git" > /dev/null
        git config --global user.name Nobody 2> /dev/null || true
        echo False False
        """,
    "r": """
        cat(if (file.exists("~/.bashrc")) "True" else "False", "False\\n")
        for (name in c("~/.bashrc", "~/mine")) writeLines("rm", name)
        """,
}


@pytest.mark.parametrize("language", list(IN_HOME))
def test_the_home_folder_of_the_user_is_out_of_reach(
    made_lesson: MadeLesson,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text("theirs")
    (home / ".gitconfig").write_text("[user]\nname = Theirs\n")
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    code = textwrap.dedent(IN_HOME[language])
    page = f"```{language}{code}```\n\n```output\nFalse False\n```\n"
    assert made_lesson.failures(page, language) == []
    files = {file.name: file.read_text() for file in home.iterdir() if file.is_file()}
    assert files == {".bashrc": "theirs", ".gitconfig": "[user]\nname = Theirs\n"}


def test_git_commits_as_on_a_new_machine(made_lesson: MadeLesson) -> None:
    page = """
        ```bash
        git init --quiet work
        cd work
        git config user.name Ada
        git config user.email ada@example.org
        git commit --quiet --allow-empty --message first
        git log --format='%an %ae %s'
        ```
        ```output
        Ada ada@example.org first
        ```
        """
    assert made_lesson.failures(page, "bash") == []


def test_packages_in_the_home_folder_can_be_loaded(
    made_lesson: MadeLesson, r_kernel: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R's default is a folder with its platform and version; so is that of `~` in a variable."""
    version = subprocess.run(
        ["Rscript", "-e", 'cat(R.version$platform, "-library/", R.version$major, ".", sep = "");'
         'cat(sub("[.].*", "", R.version$minor))'],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    (tmp_path / "R" / version).mkdir(parents=True)
    (tmp_path / "named").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    page = """
        ```r
        any(startsWith(.libPaths(), "FOLDER"))
        startsWith(.libPaths()[1], "FOLDER")
        ```
        ```output
        [1] TRUE
        [1] FALSE
        ```
        """
    default = page.replace("FOLDER", str(tmp_path / "R"))
    assert made_lesson.failures(default, "r") == []
    monkeypatch.setenv("R_LIBS_USER", "~/named")
    named = page.replace("FOLDER", str(tmp_path / "named"))
    assert made_lesson.failures(named, "r") == []


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "!pip install nothing-of-this-name"),
        ("python", "%pip install nothing-of-this-name"),
        ("python", "!python -m pip uninstall --yes pip"),
        ("python", "!conda create --name new"),
        ("bash", "pip install nothing-of-this-name"),
        ("bash", "python -m pip install ."),
        ("bash", "conda install --yes numpy"),
        ("bash", "apt-get -y install cowsay"),
        ("bash", "sudo apt-get update"),
    ],
)
def test_nothing_is_installed(
    made_lesson: MadeLesson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    code: str,
) -> None:
    if os.name == "nt" and "conda" in code and language == "python":
        pytest.skip("Windows starts no shell script, README says so")
    stand_ins(tmp_path, monkeypatch, "conda", "apt-get", "sudo")
    (failure,) = made_lesson.failures(f"```{language}\n{code}\n```\n", language)
    assert "lesson code installs nothing on this computer" in failure
    assert "not run: reason" in failure
    assert not (tmp_path / "started").exists()


def test_what_is_installed_can_be_listed(
    made_lesson: MadeLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins(tmp_path, monkeypatch, "conda", "ssh")
    page = """
        ```bash
        pip --version
        conda list
        ssh localhost true
        ```
        ```output
        pip ...
        conda list
        ssh localhost true
        ```
        """
    assert made_lesson.failures(page, "bash") == []


def stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Programs that say how they were called, for machines with and without the real ones."""
    programs = folder / "programs"
    programs.mkdir()
    for name in names:
        file = programs / name
        file.write_text(f'#!/bin/sh\necho {name} "$@" | tee -a {folder}/started\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_r_installs_into_a_library_of_the_page(made_lesson: MadeLesson, r_kernel: None) -> None:
    page = """
        ```r
        dir.create("made/R", recursive = TRUE)
        writeLines(c("Package: made", "Version: 1.0", "Title: T", "Description: D.",
          "License: none", "Author: A", "Maintainer: A <a@example.org>"), "made/DESCRIPTION")
        writeLines("export(answer)", "made/NAMESPACE")
        writeLines("answer <- function() 42", "made/R/answer.R")
        install.packages("made", repos = NULL, type = "source")
        made::answer()
        dirname(find.package("made")) == .libPaths()[1]
        startsWith(find.package("made"), dirname(dirname(getwd())))
        ```
        ```output
        [1] 42
        [1] TRUE
        [1] TRUE
        ```
        """
    assert made_lesson.failures(page, "r") == []


@pytest.mark.parametrize(
    ("command", "host"),
    [
        ("ssh -p 22 ada@example.org true", "example.org"),
        ("scp data/titles.csv ada@example.org:", "example.org"),
        ("nc -w 1 192.0.2.7 80", "192.0.2.7"),
        ("git ls-remote ssh://git@example.org/a/b.git", "example.org"),
        ("git clone git@example.org:a/b.git", "example.org"),
    ],
)
def test_programs_with_no_proxy_name_the_host(
    made_lesson: MadeLesson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    host: str,
) -> None:
    stand_ins(tmp_path, monkeypatch, "ssh", "scp", "nc")
    (failure,) = made_lesson.failures(f"```bash\n{command}\n```\n", "bash")
    assert f"lesson code reaches only this machine, not {host}" in failure
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("language", "code", "says"),
    [
        ("python", "!curl --silent --show-error https://example.org", "tried to reach example.org"),
        ("bash", "curl --silent --show-error http://example.org/x", "tried to reach example.org"),
        ("bash", "git ls-remote https://example.org/x", "tried to reach example.org"),
        (
            "bash",
            "python -c 'import requests; requests.get(\"https://example.org\")'",
            "not example.org",
        ),
        ("r", 'readLines(url("http://example.org"))', "tried to reach example.org"),
        (
            "r",
            'library(httr2)\nreq_perform(request("https://example.org"))',
            "tried to reach example.org",
        ),
        ("r", 'socketConnection("example.org", 80)', "not example.org"),
    ],
)
def test_other_hosts_are_refused_by_name(
    made_lesson: MadeLesson, request: pytest.FixtureRequest, language: str, code: str, says: str
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    (failure,) = made_lesson.failures(f"```{language}\n{code}\n```\n", language)
    assert "lesson code reaches only this machine" in failure
    assert says in failure


def test_python_refuses_other_hosts_by_name(made_lesson: MadeLesson) -> None:
    page = """
        ```python
        import requests, socket
        for url in ("https://example.org", "http://example.org"):
            try:
                requests.get(url)
            except requests.ConnectionError as error:
                print("lesson code reaches only this machine, not example.org" in str(error))
        udp = socket.socket(type=socket.SOCK_DGRAM)
        for attempt in (
            lambda: socket.create_connection(("192.0.2.7", 80)),
            lambda: socket.gethostbyname("example.org"),
            lambda: udp.sendto(b"x", ("192.0.2.7", 53)),
        ):
            try:
                attempt()
            except OSError as error:
                print(error)
        ```
        ```output
        True
        True
        ...this machine, not 192.0.2.7...
        ...this machine, not example.org...
        ...this machine, not 192.0.2.7...
        ```
        """
    assert made_lesson.failures(page) == []


TRIES = {
    "bash": r"""
        unset ALL_PROXY http_proxy https_proxy
        curl --noproxy '*' --max-time 2 http://HOST:PORT || true
        env -i "$(command -v curl)" --max-time 2 http://HOST:PORT || true
        timeout 2 bash -c 'echo > /dev/tcp/HOST/PORT' || true
        timeout 2 /usr/bin/nc -w 1 HOST PORT < /dev/null || true
        timeout 2 /usr/bin/ssh -o StrictHostKeyChecking=no -p PORT ada@HOST || true
        timeout 2 /usr/bin/scp -P PORT data/titles.csv ada@HOST: || true
        GIT_SSH_COMMAND=/usr/bin/ssh timeout 2 git ls-remote ssh://ada@HOST:PORT/a || true
        timeout 2 openssl s_client -connect HOST:PORT < /dev/null || true
        timeout 2 perl -MIO::Socket::INET -e 'IO::Socket::INET->new("HOST:PORT")' || true
        connect='import socket; socket.create_connection(("HOST", PORT))'
        timeout 2 python -I -c "$connect" 2> said || true
        """,
    "python": """
        import subprocess, sys
        connect = "import socket; socket.create_connection(('HOST', PORT), 1)"
        _ = subprocess.run([sys.executable, "-I", "-c", connect], stderr=subprocess.DEVNULL)
        _ = subprocess.run([sys.executable, "-c", connect], env={}, stderr=subprocess.DEVNULL)
        """,
    "r": """
        Sys.unsetenv(c("ALL_PROXY", "http_proxy", "https_proxy", "LESSON_ALLOWED_HOSTS"))
        try(base::socketConnection("HOST", PORT, timeout = 1), silent = TRUE)
        try(suppressWarnings(readLines("http://HOST:PORT")), silent = TRUE)
        invisible(system("/usr/bin/curl --noproxy '*' --max-time 1 http://HOST:PORT"))
        """,
}


@pytest.fixture
def other_machine() -> Iterator[tuple[str, int, list[str]]]:
    """An address of this machine that only the network leads to, its port, and who came."""
    if not own_network_is_possible():
        pytest.skip("this system allows no network namespace")
    with socket.socket(type=socket.SOCK_DGRAM) as some:
        try:
            some.connect(("192.0.2.77", 9))  # sends nothing: the system picks an address
        except OSError:
            pytest.skip("this machine has no network")
        host = some.getsockname()[0]
    came: list[str] = []
    with socket.create_server((host, 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    came.append(str(address))
                    connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield host, listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def own_network_is_possible() -> bool:
    move = "from lesson_runner.run.inside.own_network import move; move()"
    return subprocess.run([sys.executable, "-c", move], capture_output=True).returncode == 0


@pytest.mark.parametrize("language", list(TRIES))
def test_no_program_reaches_another_machine(
    made_lesson: MadeLesson,
    request: pytest.FixtureRequest,
    other_machine: tuple[str, int, list[str]],
    language: str,
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    host, port, came = other_machine
    code = textwrap.dedent(TRIES[language]).replace("HOST", host).replace("PORT", str(port))
    page = f"```{language}{code}```\n"
    assert made_lesson.failures(page, language) == []
    assert came == []
    with socket.create_connection((host, port)) as connection:
        connection.recv(1)
    assert len(came) == 1, "whoever reaches it is noticed"


def test_the_machine_of_the_proxy_is_reached(
    made_lesson: MadeLesson, other_machine: tuple[str, int, list[str]]
) -> None:
    host, port, came = other_machine
    page = f"""
        ```bash
        : > /dev/tcp/{host}/{port}
        ```
        """
    environment = {"LITELLM_BASE_URL": f"http://{host}:{port}"}
    assert not made_lesson.check(page, "bash", environment=environment).failed
    assert len(came) == 1


def test_pages_have_servers_of_their_own(made_lesson: MadeLesson) -> None:
    page = """
        ```python
        import http.server, threading, urllib.request
        server = http.server.HTTPServer(("localhost", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = urllib.request.urlopen(f"http://localhost:{server.server_port}/data/titles.csv")
        print(answer.read().decode())
        server.shutdown()
        ```
        ```output
        id,title
        1,Heat
        ```
        """
    assert made_lesson.failures(page) == []


@pytest.fixture
def local_server() -> Iterator[str]:
    """A server of this machine that answers `pong`."""

    class Pong(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"pong\n")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pong) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sent", [b"GET /", b"GET / HTTP/1.1\r\n" + b"x" * 100_000, b"\x05\x01"])
def test_the_gate_closes_what_is_no_request(sent: bytes) -> None:
    async def ask() -> list[str]:
        strange: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: strange.append(str(context)))
        async with open_gate() as gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            writer.write(sent)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):  # closed with something left to read
                await reader.read()
            writer.close()
        return strange

    assert asyncio.run(ask()) == []


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import requests\nprint(requests.get(url).text)"),
        ("python", "!curl --silent $url"),
        ("bash", "curl --silent $url"),
        ("r", "library(httr2)\ncat(resp_body_string(req_perform(request(url))))"),
    ],
)
def test_this_machine_is_reached(
    made_lesson: MadeLesson,
    request: pytest.FixtureRequest,
    local_server: str,
    language: str,
    code: str,
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    page = f'```{language}\nurl="{local_server}"\n{code}\n```\n```output\npong\n```\n'
    checked = made_lesson.check(page, language, environment={"MY_SERVER": local_server})
    assert not checked.failed


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_leaving_a_verification_ends_its_kernels(made_lesson: MadeLesson, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a page must leave no process behind."""
    file = tmp_path / "pids"
    page = made_lesson.page(f"""\
        ```bash
        sleep 600 & echo $! > {file}
        echo $$ >> {file}
        sleep 600
        ```
        """)
    episode = Lesson(made_lesson.root, ()).read(page)
    with Verification(made_lesson.root, lambda path, language: {}) as verification:
        verification.start(episode, "bash")
        waiting = threading.Event()
        for _ in range(600):
            if file.exists() and len(file.read_text().split()) == 2:
                break
            waiting.wait(0.05)
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 2
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_connection_with_itself_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks a free port again and again is connected with itself one day."""
    own_network = pytest.importorskip("lesson_runner.run.inside.own_network")
    made: list[socket.socket] = []

    def with_itself(address: tuple[str, int]) -> socket.socket:
        one = socket.socket()
        one.bind((address[0], 0))
        one.connect(one.getsockname())
        made.append(one)
        return one

    monkeypatch.setattr(socket, "create_connection", with_itself)
    with pytest.raises(ConnectionRefusedError):
        own_network.connected(1)
    assert made[0].fileno() == -1


def test_connections_do_not_leave_from_ports_that_the_runner_chooses(
    made_lesson: MadeLesson,
) -> None:
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not ports.exists() or not os.access(ports, os.W_OK):
        pytest.skip("this system has no such setting, or keeps it")
    checked = made_lesson.check(f"```bash\ncat {ports}\n```\n", "bash")
    first, last = map(int, checked.results[0].execution.output.split())  # type: ignore[union-attr]
    assert first < last < int(ports.read_text().split()[0])
