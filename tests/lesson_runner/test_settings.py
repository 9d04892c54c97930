"""lesson.yaml: what the code of a lesson needs, and what is wrong with the file."""

import io
import socket
import sys
import tarfile
import textwrap
import threading
import zipfile

import pytest
from made_lesson import MadeLesson

from lesson_runner.page.lesson import find_lesson
from lesson_runner.page.settings import Needs, read_settings
from lesson_runner.run.kernels import find_kernel


def write(lesson: MadeLesson, text: str) -> None:
    (lesson.root / "lesson.yaml").write_text(textwrap.dedent(text))


def outcomes(lesson: MadeLesson, text: str, language: str = "python") -> list[str]:
    return [result.outcome for result in lesson.check(text, language).results]


# The file


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("strict: yes please\n", 1, "write true or false, not yes please"),
        ("strict: true\nfolder: [a]\n", 2, "unknown key `folder`: did you mean `folders`?"),
        ("\nfolders:\n  - episodes\n  - nowhere\n", 4, "`nowhere` does not exist in the lesson"),
        ("folders: ../..\n", 1, "`../..` leads out of the lesson"),
        ("unpack: /etc/passwd\n", 1, "`/etc/passwd` leads out of the lesson"),
        ("folders: {a: b}\n", 1, "write a list"),
        ("folders:\n  - [a]\n", 1, "each item of this list is one text"),
        ("setup:\n  perl: x\n", 2, "`perl` is none of python, r, bash"),
        ("compare: nearly\n", 1, "`compare: nearly` is none of `any blanks`"),
        ("- a\n", 1, "write `key: value` here"),
        ("strict: true\nstrict: true\n", 2, "the key `strict` stands twice"),
        ("pages:\n  episodes/no.md: {}\n", 2, "`episodes/no.md` does not exist"),
        ("a: [\n", 2, "not valid YAML"),
        ("start: [a]\n", 1, "write one text here"),
    ],
)
def test_a_fault_is_a_problem_with_its_line(
    made_lesson: MadeLesson, text: str, line: int, message: str
) -> None:
    made_lesson.page("```python\n1\n```\n")
    (made_lesson.root / "lesson.yaml").write_text(text)
    settings, ((at, said),) = read_settings(made_lesson.root)
    assert (at, message in said) == (line, True), (at, said)
    assert settings.strict is False
    (problem,) = find_lesson(made_lesson.root).problems
    assert str(problem).startswith(f"lesson.yaml:{line}: ")


def test_an_empty_file_says_nothing(made_lesson: MadeLesson) -> None:
    write(made_lesson, "# nothing yet\n")
    settings, faults = read_settings(made_lesson.root)
    assert (settings.needs, faults) == (Needs(), [])


def test_a_page_says_more_than_the_lesson(made_lesson: MadeLesson) -> None:
    made_lesson.page("text", "a.md")
    made_lesson.page("text", "b.md")
    write(
        made_lesson,
        """
        compare: any blanks
        hosts: [a.org]
        pages:
          episodes/b.md:
            continues: episodes/a.md
            hosts: [b.org]
        """,
    )
    settings, faults = read_settings(made_lesson.root)
    assert faults == []
    assert settings.of("episodes/a.md").hosts == ("a.org",)
    page = settings.of("episodes/b.md")
    assert (page.hosts, page.continues, page.compare.blanks) == (
        ("b.org",),
        "episodes/a.md",
        False,
    )


# The working folder


def test_the_folders_that_learners_have(made_lesson: MadeLesson) -> None:
    data = made_lesson.root / "episodes" / "data"
    data.mkdir(exist_ok=True)
    for file in data.iterdir():
        file.unlink()
    (data / "a.csv").write_text("x\n")
    show = "```python\nimport os\nprint(sorted(os.listdir()))\n```\n```output\n{}\n```\n"
    for folders, found in [
        ("['episodes/data']", "['data']"),
        ("['episodes/data/*']", "['a.csv']"),
        ("['episodes/data', 'episodes/data/a.csv']", "['a.csv', 'data']"),
    ]:
        write(made_lesson, f"folders: {folders}\n")
        assert outcomes(made_lesson, show.format(found)) == ["passed"], folders


def test_an_archive_is_unpacked_and_the_code_starts_in_it(made_lesson: MadeLesson) -> None:
    files = made_lesson.root / "episodes" / "files"
    files.mkdir(exist_ok=True)
    with zipfile.ZipFile(files / "lesson.zip", "w") as archive:
        archive.writestr("lesson/data/a.txt", "1\n")
        archive.writestr("../../outside.txt", "no\n")
    write(made_lesson, "unpack: episodes/files/lesson.zip\nstart: lesson/data\n")
    page = "```bash\n$ cat a.txt\n$ cat ~/Desktop/lesson/data/a.txt\n```\n```output\n1\n1\n```\n"
    assert outcomes(made_lesson, page, "bash") == ["passed"]
    assert not list(made_lesson.root.parent.rglob("outside.txt"))


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no such guard")
def test_an_archive_that_leads_out_of_the_folder_is_refused(made_lesson: MadeLesson) -> None:
    files = made_lesson.root / "episodes" / "files"
    files.mkdir(exist_ok=True)
    with tarfile.open(files / "lesson.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("../../../outside.txt")
        archive.addfile(member, io.BytesIO())
    write(made_lesson, "unpack: episodes/files/lesson.tar.gz\n")
    (failure,) = made_lesson.failures("```python\n1\n```\n")
    assert "outside.txt" in failure


def test_the_code_may_start_in_the_home_folder(made_lesson: MadeLesson) -> None:
    write(made_lesson, 'pages:\n  episodes/page.md:\n    start: "~"\n')
    page = "```bash\n$ cat Desktop/data/titles.csv\n$ pwd\n```\n"
    page += "```output\nid,title\n1,Heat\n/Users/nelle\n```\n"
    made_lesson.page(page)
    assert made_lesson.failures(page, "bash") == []


@pytest.mark.parametrize("start", ["nowhere", ".."])
def test_a_folder_to_start_in_that_is_not_there_is_told(
    made_lesson: MadeLesson, start: str
) -> None:
    write(made_lesson, f"start: {start}\n")
    (failure,) = made_lesson.failures("```python\n1\n```\n")
    assert f"lesson.yaml: no folder `{start}` to start in" in failure


# What runs before


def test_setup_runs_before_the_page_and_is_not_seen(made_lesson: MadeLesson) -> None:
    write(made_lesson, "setup:\n  python: |\n    x = 1\n    print('setup')\n  bash: y=2\n")
    page = "```python\nprint(x)\n```\n```output\n1\n```\n```bash\necho $y\n```\n```output\n2\n```\n"
    assert outcomes(made_lesson, page) == ["passed"]
    assert outcomes(made_lesson, page, "bash") == ["passed"]


def test_a_setup_that_fails_is_told_as_what_it_is(made_lesson: MadeLesson) -> None:
    write(made_lesson, "setup:\n  python: 1 / 0\n")
    (failure,) = made_lesson.failures("```python\n1\n```\n")
    assert "`setup` in lesson.yaml: ZeroDivisionError: division by zero" in failure


def test_a_page_continues_another(made_lesson: MadeLesson) -> None:
    made_lesson.page("```python\nimport math\nn = 2\n```\n```python\n1 / 0\n```\n", "a.md")
    made_lesson.page("```python\nn = n + 1\n```\n", "b.md")
    text = "pages:\n  episodes/b.md: {continues: episodes/a.md}\n"
    page = "```python\nn = n + 1\n```\n```python\nprint(n, math.tau > 6)\nm\n```\n"
    write(made_lesson, text)
    assert made_lesson.failures(page)  # page.md continues nothing
    made_lesson.page(page)
    write(made_lesson, f"{text}  episodes/page.md: {{continues: episodes/b.md}}\n")
    (failure,) = made_lesson.failures(page)
    assert failure.startswith("episodes/page.md:6: NameError: name 'm' is not defined")


def test_a_circle_of_pages_ends(made_lesson: MadeLesson) -> None:
    made_lesson.page("```python\nx = 1\n```\n", "a.md")
    made_lesson.page("```python\nx\n```\n")
    write(
        made_lesson,
        """
        pages:
          episodes/a.md: {continues: episodes/page.md}
          episodes/page.md: {continues: episodes/a.md}
        """,
    )
    assert outcomes(made_lesson, "```python\nx\n```\n") == ["passed"]


def test_a_page_is_left_out(made_lesson: MadeLesson) -> None:
    write(made_lesson, "leave-out: ['episodes/*']\n")
    page = made_lesson.page("```python\n1 / 0\n```\n")
    episode = find_lesson(made_lesson.root).read(page)
    assert [(b.role, b.reason) for b in episode.blocks] == [
        ("not run", "lesson.yaml leaves this page out")
    ]


# Kernels and hosts


def test_the_python_that_the_lesson_asks_for(made_lesson: MadeLesson) -> None:
    write(made_lesson, "kernels:\n  python: own/python\n")
    (failure,) = made_lesson.check("```python\n1\n```\n").results
    assert failure.reason == "lesson.yaml asks for `own/python`, which is not here"
    (made_lesson.root / "own").mkdir()
    (made_lesson.root / "own" / "python").write_text(
        f'#!/bin/sh\nOWN=yes exec "{sys.executable}" "$@"\n'
    )
    (made_lesson.root / "own" / "python").chmod(0o755)
    page = "```python\nimport os\nprint(os.environ['OWN'])\n```\n```output\nyes\n```\n"
    assert outcomes(made_lesson, page) == ["passed"]


def test_a_kernel_of_r_by_its_name() -> None:
    assert "the kernel `no-such`: not here" in find_kernel("r", "no-such").missing


@pytest.fixture
def other_machine() -> str:
    """An address of this machine that is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(("hosts", "outcome"), [("hosts: [{}]", "passed"), ("", "failed")])
def test_a_host_that_may_be_reached(
    made_lesson: MadeLesson, other_machine: str, hosts: str, outcome: str
) -> None:
    with socket.socket() as listener:
        listener.bind((other_machine, 0))
        listener.listen()
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
        write(made_lesson, hosts.format(other_machine) + "\n")
        port = listener.getsockname()[1]
        page = f"""\
```python
import socket
with socket.create_connection(("{other_machine}", {port}), timeout=5) as there:
    print(there.recv(2))
```
```output
b'hi'
```
"""
        assert outcomes(made_lesson, page) == [outcome]


def greet(listener: socket.socket) -> None:
    try:
        there, _ = listener.accept()
    except OSError:
        return
    with there:
        there.sendall(b"hi")
