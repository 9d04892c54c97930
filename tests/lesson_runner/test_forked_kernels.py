"""Kernels that are forked from one parent are as fresh as new processes."""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest
from made_lesson import MadeLesson, is_running

from lesson_runner.page.lesson import Lesson
from lesson_runner.run.fork_server import CAN_FORK, ForkServer
from lesson_runner.run.provisioners import ForkedProcess
from lesson_runner.verify import Checked, Verification

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="kernels are forked on Linux only")


def check_together(made_lesson: MadeLesson, *pages: str, jobs: int = 2) -> list[Checked]:
    """Each page in a kernel of one and the same parent."""
    files = [made_lesson.page(text, f"page{n}.md") for n, text in enumerate(pages)]
    episodes = [Lesson(made_lesson.root, ()).read(file) for file in files]
    with Verification(made_lesson.root, lambda *_: {}, jobs=jobs) as running:
        futures = [running.start(e, e.languages[0]) for e in episodes]
        return [future.result() for future in futures]


def outputs(checked: list[Checked]) -> list[str]:
    executions = [result.execution for one in checked for result in one.results]
    return [execution.output for execution in executions if execution is not None]


def test_nothing_of_one_kernel_is_seen_by_the_next(made_lesson: MadeLesson) -> None:
    dirty = """\
        ```python
        import json, os, random, socket, sys, threading
        left_over = 1
        json.left_over = 1
        os.environ["LEFT_OVER"] = "1"
        sys.path.append("/left-over")
        random.seed(1)
        threading.Thread(target=threading.Event().wait, daemon=True, name="left over").start()
        server = socket.create_server(("127.0.0.1", 0))
        os.chdir("/")
        ```
        """
    clean = """\
        ```python
        import json, os, pathlib, sys, threading
        print("left_over" in globals(), hasattr(json, "left_over"), "LEFT_OVER" in os.environ)
        print("/left-over" in sys.path, pathlib.Path("data/titles.csv").exists())
        print("left over" in [thread.name for thread in threading.enumerate()])
        print(sorted(m for m in sys.modules if m in ("python_kernel", "bash_kernel", "debugpy")))
        ```
        ```output
        False False False
        False True
        False
        []
        ```
        """
    checked = check_together(made_lesson, dirty, clean, jobs=1)
    assert [one.failed for one in checked] == [(), ()]


def test_a_submodule_is_seen_only_after_its_import(made_lesson: MadeLesson) -> None:
    first = "```python\nimport pandas, matplotlib.pyplot as plt\nplt.plot([1])\n```\n"
    second = """\
        ```python
        import sys, matplotlib
        print(hasattr(matplotlib, "figure"), "matplotlib.figure" in sys.modules)
        print("pandas" in sys.modules)
        ```
        ```output
        False False
        False
        ```
        ```python
        import matplotlib.figure
        import pandas
        print(matplotlib.figure.Figure().__class__.__name__, pandas.DataFrame({"a": [1]}).a.sum())
        print(matplotlib.figure.__spec__.name, matplotlib.figure.__spec__.has_location)
        ```
        ```output
        Figure 1
        matplotlib.figure True
        ```
        """
    checked = check_together(made_lesson, first, second, jobs=1)
    assert [one.failed for one in checked] == [(), ()]


def test_random_numbers_differ(made_lesson: MadeLesson) -> None:
    page = "```python\nimport random, uuid\nprint(random.random(), uuid.uuid4())\n```\n"
    first, second, third = outputs(check_together(made_lesson, page, page, page))
    assert len({*first.split(), *second.split(), *third.split()}) == 6


def test_random_numbers_of_numpy_differ(made_lesson: MadeLesson) -> None:
    page = """\
        ```python
        import numpy as np
        print(np.random.random(), np.random.default_rng().random())
        ```
        """
    first, second, third = outputs(check_together(made_lesson, page, page, page))
    assert len({*first.split(), *second.split(), *third.split()}) == 6


def test_heavy_libraries_are_imported_once_and_as_fresh_as_before(made_lesson: MadeLesson) -> None:
    dirty = """\
        ```python
        import os, pandas as pd, matplotlib.pyplot as plt
        pd.options.display.max_rows = 7
        pd.left_over = 1
        plt.rcParams["lines.linewidth"] = 77
        print(os.getppid())
        ```
        """
    clean = """\
        ```python
        import pandas as pd, matplotlib.pyplot as plt
        print(pd.options.display.max_rows, hasattr(pd, "left_over"))
        print(plt.rcParams["lines.linewidth"], plt.get_backend())
        ```
        ```output
        60 False
        1.5 ...inline...
        ```
        """
    checked = check_together(made_lesson, dirty, clean, clean, jobs=1)
    assert [one.failed for one in checked] == [(), (), ()]


def test_a_page_without_heavy_libraries_has_none_unless_another_asked(
    made_lesson: MadeLesson,
) -> None:
    ahead = {"numpy", "pandas", "requests", "urllib.request"}
    plain = f"```python\nimport sys, urllib\nprint(sorted({ahead} & set(sys.modules)))\n```\n"
    heavy = "```python\nimport sys\nfrom numpy import mean\nprint('numpy' in sys.modules)\n```\n"
    alone, after = outputs(check_together(made_lesson, plain, heavy, jobs=1))
    assert (alone.strip(), after.strip()) == ("[]", "True")


LOOKS = {
    "pandas": """\
        ```python
        import pandas as pd
        print(pd.get_option("display.max_columns"), pd.get_option("display.width"))
        print(pd.DataFrame({f"column {n}": [n] * 70 for n in range(30)}))
        ```
        """,
    "submodules": """\
        ```python
        import concurrent, importlib, email, urllib
        import jsonschema, matplotlib, numpy, pandas, requests
        def below(module):
            names = [n for n in dir(module) if f"{module.__name__}.{n}" in sys.modules]
            print(module.__name__, names)
        import sys
        for module in (matplotlib, numpy, pandas, jsonschema, requests, concurrent, urllib):
            below(module)
        ```
        """,
}


@pytest.mark.parametrize("page", LOOKS.values(), ids=LOOKS)
def test_a_library_looks_as_in_a_kernel_that_was_not_forked(
    made_lesson: MadeLesson, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    forked = outputs(check_together(made_lesson, page))
    monkeypatch.setattr("lesson_runner.run.fork_server.CAN_FORK", False)
    assert forked[0].splitlines() == outputs(check_together(made_lesson, page))[0].splitlines()


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack("!I", 100) + b"{", b"\0\0\0\2{}"])
def test_a_client_that_vanishes_harms_no_other(
    sent: bytes,
) -> None:
    server = ForkServer()
    try:
        while not server.is_ready:
            time.sleep(0.01)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
            Path(os.devnull).open() as log,
        ):
            client.connect(server.path)
            if sent:
                socket.send_fds(client, [sent], [log.fileno()])
        with Path(os.devnull).open("w") as log:
            program = [sys.executable, "-c", ""]
            process = ForkedProcess(server.path, program, {"LESSON_PAGE": ""}, "/", [log.fileno()])
        assert process.pid > 0
        process.wait()
    finally:
        server.close()


def test_a_crash_harms_no_other_kernel(made_lesson: MadeLesson) -> None:
    crash = "```python\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n```\n"
    calm = "```python\nimport time\ntime.sleep(0.5)\nprint('here')\n```\n"
    checked = check_together(made_lesson, calm, crash, calm, crash, calm)
    assert [len(one.failed) for one in checked] == [0, 1, 0, 1, 0]
    assert checked[1].failed[0].reason == "the kernel died"


def test_kernels_start_as_usual_where_nothing_forks(
    made_lesson: MadeLesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lesson_runner.run.fork_server.CAN_FORK", False)
    assert made_lesson.failures("```python\n1 + 1\n```\n```output\n2\n```\n") == []
    assert made_lesson.failures("```bash\necho 2\n```\n```output\n2\n```\n", "bash") == []


def test_kernels_start_as_usual_where_the_parent_does_not(
    made_lesson: MadeLesson, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "fork_server.py"
    broken.write_text("raise SystemExit(3)\n")
    monkeypatch.setattr("lesson_runner.run.fork_server.PROGRAM", broken)
    assert made_lesson.failures("```python\n1 + 1\n```\n```output\n2\n```\n") == []


def test_a_parent_that_ends_in_the_middle_of_a_request_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "forks")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        Path(os.devnull).open() as log,
    ):
        listener.bind(path)
        listener.listen()
        ending = threading.Thread(target=read_and_close, args=(listener,))
        ending.start()
        with pytest.raises(RuntimeError, match="the fork server has ended"):
            ForkedProcess(path, ["python"], {}, str(tmp_path), [log.fileno()])
        ending.join()


def read_and_close(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    _, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
    os.close(descriptors[0])
    length = len(json.dumps({"argv": ["python"], "env": {}, "cwd": ""}))
    received = b""
    while len(received) < length:
        received += connection.recv(65536)
    connection.close()


def test_the_parent_and_its_kernels_end_with_the_runner(made_lesson: MadeLesson) -> None:
    """Also when the runner is killed and can clean up nothing."""
    page = "```python\nimport time\ntime.sleep(600)\n```\n"
    below = asyncio.run(kill_in_the_middle(made_lesson, page, "python"))
    assert len(below) == 2
    assert [pid for pid in below if is_running(pid)] == []


async def kill_in_the_middle(made_lesson: MadeLesson, text: str, language: str) -> list[int]:
    """The processes below a runner that was killed while a page ran."""
    page = made_lesson.page(text)
    script = f"""
import time
from pathlib import Path
from lesson_runner.verify import Verification
from lesson_runner.run.provisioners import ForkedProcess
from lesson_runner.page.lesson import Lesson
root = Path({str(made_lesson.root)!r})
episode = Lesson(root, ()).read(Path({str(page)!r}))
with Verification(root, lambda *_: {{}}) as running:
    running.start(episode, {language!r})
    time.sleep(600)
"""
    runner = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    below: list[int] = []
    for _ in range(400):
        below = descendants(runner.pid)
        if len(below) == 2:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    os.kill(runner.pid, signal.SIGKILL)
    await runner.wait()
    for _ in range(100):
        if not any(map(is_running, below)):
            break
        await asyncio.sleep(0.05)
    return below


def test_what_a_block_leaves_behind_ends_with_its_kernel(
    made_lesson: MadeLesson, tmp_path: Path
) -> None:
    """Also where it made a session of its own, which no signal to the kernel's group reaches."""
    file = tmp_path / "pids"
    seconds = f"600.{os.getpid()}"  # found among this test's processes alone
    page = f"""\
        ```bash
        setsid sleep {seconds} > /dev/null 2>&1 &
        (setsid sleep {seconds} > /dev/null 2>&1 &)
        sleep 0.2
        pgrep -f "^sleep {seconds}" > {file}
        ```
        """
    (checked,) = check_together(made_lesson, page)
    assert not checked.failed
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) >= 2
    assert [pid for pid in pids if is_running(pid)] == []


@pytest.mark.usefixtures("r_kernel")
def test_a_kernel_of_r_ends_with_a_runner_that_is_killed(made_lesson: MadeLesson) -> None:
    below = asyncio.run(kill_in_the_middle(made_lesson, "```r\nSys.sleep(600)\n```\n", "r"))
    assert len(below) == 2
    assert [pid for pid in below if is_running(pid)] == []


def test_kernels_run_below_a_long_path_of_temporary_files(
    made_lesson: MadeLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a socket has about 100 bytes; TCP takes its place."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert made_lesson.failures("```python\n1 + 1\n```\n```output\n2\n```\n") == []


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children] + [d for c in children for d in descendants(int(c))]


def test_ports_of_kernels_that_have_ended_are_free_again(made_lesson: MadeLesson) -> None:
    """Or a kernel that is given one of them would wait for it in vain."""
    listening = """\
        ```python
        print(sum(line.split()[3] == "0A" for line in list(open("/proc/self/net/tcp"))[1:]))
        ```
        """
    counts = [int(outputs([made_lesson.check(listening)])[0]) for _ in range(3)]
    assert made_lesson.server is not None
    if not Path(f"{made_lesson.server.path}.own-network").exists():
        pytest.skip("kernels have no network of their own here")
    assert counts[0] == counts[1] == counts[2]
