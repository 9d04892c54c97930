"""`lesson notebooks`: formats, the instructor's edition, ZIP files; nothing of learners is lost."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode

from lesson.editions import Edition, files_of, numbered
from lesson.main import main
from lesson.practice import practice_environment
from lesson_runner.export.documents import FORMATS
from lesson_runner.page.lesson import find_lesson
from lesson_runner.run import kernels

ROOT = Path(__file__).parents[1]
NUMBERED = numbered(find_lesson(ROOT))

PAGE = """\
---
title: Topics
---

See [setup](../learners/setup.md) and [more](more.md).

::: group-tab

### Python

```python
import os
print(os.environ["LITELLM_BASE_URL"][:4])
```

```output
http
```

### R

```r
cat(substr(Sys.getenv("LITELLM_BASE_URL"), 1, 4))
```

:::

::: challenge

```{.python .exercise}
print(____)
```

```{.r .exercise}
print(____)
```

::: solution

```python
titles = open("data/titles.csv").read()
titles
```

```r
titles <- readLines("data/titles.csv")
titles
```

:::
:::

::: instructor
Wait.
:::
"""


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lesson of one episode, which is also the current folder."""
    (tmp_path / "episodes" / "data").mkdir(parents=True)
    (tmp_path / "learners").mkdir()
    (tmp_path / "config.yaml").write_text(
        "title: Made\nsource: https://example.org/us/made-lesson/\nepisodes:\n- topics.md\n"
    )
    (tmp_path / "episodes" / "topics.md").write_text(PAGE)
    (tmp_path / "episodes" / "data" / "titles.csv").write_text("id,title\n")
    (tmp_path / "learners" / "setup.md").write_text("---\ntitle: Setup\n---\n\nInstall it.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def read(file: Path) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# Formats


def test_each_language_is_written_in_the_formats_that_fit_it(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notebooks", "--format", "ipynb,qmd,rmd,py,r"]) == 0
    made = [name for name in files(lesson / "notebooks") if "topics." in name]
    assert sorted(made) == [
        "python-qmd/01-topics.qmd",
        "python-rmd/01-topics.Rmd",
        "python-script/01-topics.py",
        "python/01-topics.ipynb",
        "r-qmd/01-topics.qmd",
        "r-rmd/01-topics.Rmd",
        "r-script/01-topics.R",
        "r/01-topics.ipynb",
    ]
    assert f"1 R script for r: {lesson / 'notebooks' / 'r-script'}" in capsys.readouterr().out


def test_each_edition_has_all_that_it_refers_to(lesson: Path) -> None:
    assert main(["notebooks", "--language", "r", "--format", "Rmd,R"]) == 0
    made = files(lesson / "notebooks")
    assert set(made) == {
        *("r-rmd/01-topics.Rmd", "r-rmd/data/titles.csv", "r-rmd/learners/setup.html"),
        *("r-script/01-topics.R", "r-script/data/titles.csv", "r-script/learners/setup.md"),
        *("r-rmd/.lesson-files.json", "r-script/.lesson-files.json"),
    }
    assert made["r-script/learners/setup.md"] == b"# Setup\n\nInstall it.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--language", "r", "--format", "py"], "for py, name python"),
        (["--language", "python", "--format", "R,py"], "for R, name r"),
        (["--language", "bash", "--format", "qmd"], "for qmd, name python or r"),
        (["--language", "python,r", "--format", "py"], "no py for r: its formats are ipynb, qmd"),
        (["--solutions", "--format", "Rmd"], "leave --format out"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    lesson: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["notebooks", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (lesson / "notebooks").exists()


def test_a_format_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["notebooks", "--format", "docx"])
    assert "'docx' is none of ipynb, qmd, Rmd, py, R" in capsys.readouterr().err


# The lesson's own pages


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("language", ["python", "r"])
def test_every_link_and_figure_of_every_episode_leads_to_a_file_of_the_edition(
    language: str, name: str
) -> None:
    if language not in FORMATS[name].languages:
        pytest.skip(f"there is no {name} for {language}")
    lesson = find_lesson(ROOT)
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    made = files_of(lesson, episodes, Edition(language, FORMATS[name]))
    for episode in episodes:
        text = made[f"{NUMBERED[episode.name]}.{name}"].decode()
        if name == "ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text)
        assert links
        assert [link for link in links if link not in made] == []
        assert name == "qmd" or ":::" not in text


@pytest.mark.parametrize("language", ["python", "r"])
def test_glossary_links_lead_to_anchors_of_the_reference_page(language: str) -> None:
    lesson = find_lesson(ROOT)
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    made = files_of(lesson, episodes, Edition(language, FORMATS["ipynb"]))
    anchors = set(re.findall(r'<a id="([\w-]+)">', made["learners/reference.md"].decode()))
    for episode in episodes:
        text = made[f"{NUMBERED[episode.name]}.ipynb"].decode()
        assert set(re.findall(r"learners/reference\.md#([\w-]+)", text)) <= anchors


@pytest.mark.parametrize("language", ["python", "r"])
def test_learners_notebooks_begin_with_objectives_end_with_keypoints_and_show_no_output(
    language: str,
) -> None:
    lesson = find_lesson(ROOT)
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    made = files_of(lesson, episodes, Edition(language, FORMATS["ipynb"]))
    for episode in episodes:
        notebook = nbformat.reads(made[f"{NUMBERED[episode.name]}.ipynb"].decode(), as_version=4)
        nbformat.validate(notebook)
        assert "> **Objectives**" in "".join(cell.source for cell in notebook.cells[:3])
        assert notebook.cells[-1].source.startswith("> **Key points**")
        assert all((c.outputs, c.execution_count) == ([], None) for c in code(notebook))
        for cell in code(notebook):
            if "solution" in cell.metadata.get("tags", []):
                assert cell.source.startswith("# Solution\n")
                assert cell.metadata.jupyter.source_hidden


# Scripts and documents run


@pytest.fixture
def rscript(pytestconfig: pytest.Config) -> str:
    """Skips without R, unless R is required."""
    command = shutil.which("Rscript")
    if command is None and "r" not in pytestconfig.getoption("--require-languages"):
        pytest.skip("no R on this machine")
    assert command is not None
    return command


def run_in(folder: Path, *call: str) -> str:
    """What a program prints that finds the practice proxy, and ends well."""
    with practice_environment() as environment:
        done = subprocess.run(
            call,
            cwd=folder,
            env=os.environ | dict(environment(call[-1], "")) | {"MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("episode", ["02-api-litellm", "09-evaluate"])
def test_python_script_of_an_episode_runs_from_top_to_bottom(episode: str, tmp_path: Path) -> None:
    main(["notebooks", "--root", str(ROOT), "--out", str(tmp_path), "--format", "py"])
    assert run_in(tmp_path / "python-script", sys.executable, f"{episode}.py")


@pytest.mark.parametrize("episode", ["02-api-litellm", "09-evaluate"])
def test_r_script_of_an_episode_runs_from_top_to_bottom(
    episode: str, tmp_path: Path, rscript: str
) -> None:
    main(["notebooks", "--root", str(ROOT), "--out", str(tmp_path), "--format", "R"])
    assert run_in(tmp_path / "r-script", rscript, f"{episode}.R")


@pytest.mark.parametrize("name", ["Rmd", "qmd"])
def test_r_document_of_an_episode_can_be_knitted(name: str, tmp_path: Path, rscript: str) -> None:
    has_knitr = subprocess.run([rscript, "-e", "library(knitr)"], capture_output=True, check=False)
    if has_knitr.returncode:
        pytest.skip("no knitr on this machine")
    main(["notebooks", "--root", str(ROOT), "--out", str(tmp_path), "--format", name])
    folder = tmp_path / f"r-{name.lower()}"
    run_in(
        folder, rscript, "-e", f"knitr::knit('02-api-litellm.{name}', 'knitted.md', quiet = TRUE)"
    )
    knitted = (folder / "knitted.md").read_text(encoding="utf-8")
    assert "## qwen2.5-coder-1.5b-instruct" in knitted  # printed by a block
    assert "## Error" not in knitted


# The instructor's edition


def test_solutions_are_open_and_show_what_a_real_run_prints(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notebooks", "--solutions", "--language", "python"]) == 0
    notebook = read(lesson / "notebooks" / "python-solutions" / "01-topics.ipynb")
    assert [(c.execution_count, list(c.outputs)) for c in code(notebook)] == [
        (1, [{"output_type": "stream", "name": "stdout", "text": "http\n"}]),
        (None, []),
        (
            2,
            [
                {
                    "output_type": "execute_result",
                    "data": {"text/plain": "'id,title\\n'"},
                    "metadata": {},
                    "execution_count": 2,
                }
            ],
        ),
    ]
    assert not any("jupyter" in cell.metadata for cell in notebook.cells)
    assert "#### Solution" in [cell.source for cell in notebook.cells]
    assert notebook.cells[-1].source == "> **For instructors**\n>\n> Wait."
    assert not (lesson / "notebooks" / "python").exists()
    assert "episodes/topics.md python: 2 blocks" in capsys.readouterr().out


def test_plots_and_errors_are_in_the_instructors_edition(lesson: Path) -> None:
    (lesson / "episodes" / "topics.md").write_text(
        "```python\nimport matplotlib.pyplot as plt\n_ = plt.plot([1, 2])\n```\n\n"
        "```python\n1 / 0\n```\n\n```error\nZeroDivisionError: division by zero\n```\n"
    )
    assert main(["notebooks", "--solutions", "--language", "python"]) == 0
    drew, raised = code(read(lesson / "notebooks" / "python-solutions" / "01-topics.ipynb"))
    assert "image/png" in drew.outputs[0].data
    assert raised.outputs[0].ename == "ZeroDivisionError"


def test_outputs_show_the_address_of_the_setup_page_if_its_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with practice_environment(port) as environment:
            other = environment("page", "python")["LITELLM_BASE_URL"]
    assert not other.endswith(f":{port}")
    with practice_environment(port) as environment:
        assert environment("page", "python")["LITELLM_BASE_URL"] == f"http://127.0.0.1:{port}"


def test_the_same_run_makes_the_same_bytes(lesson: Path) -> None:
    call = ["notebooks", "--solutions", "--language", "python", "--zip"]
    assert main([*call, "--out", "one"]) == 0
    assert main([*call, "--out", "two"]) == 0
    assert files(lesson / "one") == files(lesson / "two")


def test_an_episode_that_fails_is_told_and_not_written(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lesson / "episodes" / "other.md").write_text("```python\nnothing\n```\n")
    assert main(["notebooks", "--solutions", "--language", "python", "--zip"]) == 1
    assert "episodes/other.md:2: NameError" in capsys.readouterr().out
    made = files(lesson / "notebooks")
    assert "python-solutions/01-topics.ipynb" in made
    assert "python-solutions/02-other.ipynb" not in made
    assert not [name for name in made if name.endswith(".zip")]


def test_a_key_never_gets_into_a_notebook(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lesson / "episodes" / "topics.md").write_text(
        'Text.\n\n```python\nimport os\nprint(os.environ["LITELLM_API_KEY"])\n```\n'
    )
    assert main(["notebooks", "--solutions", "--language", "python"]) == 2
    said = capsys.readouterr()
    assert "episodes/topics.md:3: this block prints the key" in said.err
    assert "sk-" not in said.out + said.err
    assert not (lesson / "notebooks").exists()


def test_a_missing_kernel_is_told_and_fails_where_its_language_was_asked_for(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = kernels.find_kernel
    gone = kernels.Kernel("r", missing="no R kernel on this machine: install R")
    monkeypatch.setattr(
        "lesson_runner.run.kernels.find_kernel",
        lambda name, *more: gone if name == "r" else find(name, *more),
    )
    assert main(["notebooks", "--solutions"]) == 0
    assert "no solutions for r: no R kernel on this machine" in capsys.readouterr().out
    assert {name.split("/")[0] for name in files(lesson / "notebooks")} == {"python-solutions"}
    assert main(["notebooks", "--solutions", "--language", "r"]) == 1


# The same pages, the same bytes


def test_another_process_writes_the_same_bytes(lesson: Path) -> None:
    call = ["notebooks", "--format", "ipynb,qmd,Rmd,py,R", "--zip", "--out"]
    assert main([*call, "one"]) == 0
    subprocess.run(
        [sys.executable, "-m", "lesson.main", *call, "two"],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"},
    )
    assert files(lesson / "one") == files(lesson / "two")


def test_zip_files_hold_the_edition_without_times_and_owners(lesson: Path) -> None:
    assert main(["notebooks", "--format", "Rmd", "--language", "r", "--zip"]) == 0
    with zipfile.ZipFile(lesson / "notebooks" / "made-lesson-r-rmd.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr for info in archive.infolist()} == {0o644 << 16}
        archive.extractall("unpacked")
    folder = lesson / "notebooks" / "r-rmd"
    assert files(lesson / "unpacked" / "made-lesson-r-rmd") == files(folder)


def test_an_unpacked_zip_file_can_be_brought_up_to_date(lesson: Path) -> None:
    main(["notebooks", "--format", "py", "--zip"])
    with zipfile.ZipFile(lesson / "notebooks" / "made-lesson-python-script.zip") as archive:
        archive.extractall("unpacked")
    (lesson / "unpacked" / "made-lesson-python-script").rename(lesson / "python-script")
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("[:4]", "[:3]"))
    assert main(["notebooks", "--format", "py", "--out", "."]) == 0
    assert "[:3]" in (lesson / "python-script" / "01-topics.py").read_text()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("source: https://github.com/us/x.git", "x-r"),
        ("title: a", "lesson-r"),
        ("source: 'https://example.org/..'", "lesson-r"),
        ("source: 'https://example.org/a b;c'", "a-b-c-r"),
        ("a: [", "lesson-r"),
        ("- a", "lesson-r"),
    ],
)
def test_zip_files_are_named_after_the_address_of_the_lesson(
    lesson: Path, config: str, name: str
) -> None:
    (lesson / "config.yaml").write_text(config)
    main(["notebooks", "--language", "r", "--zip"])
    assert (lesson / "notebooks" / f"{name}.zip").is_file()


# What learners changed


def test_a_script_that_somebody_worked_in_is_kept_and_others_are_brought_up_to_date(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lesson / "episodes" / "other.md").write_text("```r\n1\n```\n")
    call = ["notebooks", "--format", "R"]
    assert main(call) == 0
    folder = lesson / "notebooks" / "r-script"
    mine = (folder / "01-topics.R").read_text() + "\nmine <- 1\n"
    (folder / "01-topics.R").write_text(mine)
    (lesson / "episodes" / "other.md").write_text("```r\n2\n```\n")
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("1, 4", "1, 3"))
    capsys.readouterr()
    for _ in range(2):
        assert main(call) == 0
        assert (folder / "01-topics.R").read_text() == mine
        assert (folder / "02-other.R").read_text().endswith("\n2\n")
        kept = [line for line in capsys.readouterr().out.splitlines() if line.startswith("kept")]
        assert kept == [
            f"kept as it is, for it was changed: {folder / '01-topics.R'} "
            "(move it away to get a fresh one)"
        ]
    (folder / "01-topics.R").unlink()
    assert main(call) == 0
    assert "1, 3" in (folder / "01-topics.R").read_text()


def test_data_that_a_learner_wrote_is_kept(lesson: Path) -> None:
    assert main(["notebooks", "--language", "r"]) == 0
    data = lesson / "notebooks" / "r" / "data"
    (data / "titles.csv").write_text("mine\n")
    (data / "labels.csv").write_text("mine\n")
    assert main(["notebooks", "--language", "r"]) == 0
    assert [file.read_text() for file in sorted(data.iterdir())] == ["mine\n", "mine\n"]


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff"])
def test_without_the_list_of_what_was_written_every_file_that_differs_is_kept(
    lesson: Path, content: bytes | None
) -> None:
    assert main(["notebooks", "--format", "py"]) == 0
    folder = lesson / "notebooks" / "python-script"
    before = files(folder)
    (folder / ".lesson-files.json").unlink()
    if content is not None:
        (folder / ".lesson-files.json").write_bytes(content)
    assert main(["notebooks", "--format", "py"]) == 0
    assert files(folder) == before  # nothing differs: the list is back
    (folder / ".lesson-files.json").unlink()
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("[:4]", "[:3]"))
    assert main(["notebooks", "--format", "py"]) == 0
    assert files(folder)["01-topics.py"] == before["01-topics.py"]


def test_an_editor_that_changes_line_endings_changes_nothing(lesson: Path) -> None:
    assert main(["notebooks", "--format", "py"]) == 0
    file = lesson / "notebooks" / "python-script" / "01-topics.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("[:4]", "[:3]"))
    assert main(["notebooks", "--format", "py"]) == 0
    assert b"[:3]" in file.read_bytes()


def test_a_notebook_that_jupyterlab_only_opened_is_brought_up_to_date(lesson: Path) -> None:
    assert main(["notebooks", "--language", "python"]) == 0
    file = lesson / "notebooks" / "python" / "01-topics.ipynb"
    opened = json.loads(file.read_text())
    opened["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    opened["metadata"]["language_info"]["version"] = "3.12.0"
    file.write_text(json.dumps(opened))
    (lesson / "episodes" / "topics.md").write_text(PAGE.replace("[:4]", "[:3]"))
    assert main(["notebooks", "--language", "python"]) == 0
    assert "[:3]" in file.read_text()


# Releases


def test_the_workflow_makes_every_edition_and_attaches_the_zip_files() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "notebooks.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (made,) = [step["run"] for step in steps if "make notebooks" in step.get("run", "")]
    assert made == "make notebooks LANGUAGES=python,r"
    makefile = (ROOT / "Makefile").read_text()
    target = re.search(r"^notebooks:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert target is not None
    assert f"--format {','.join(FORMATS)} --zip" in target[1]
    assert "--solutions --zip" in target[1]
    assert any("notebooks/*.zip" in str(step.get("with", {}).get("path")) for step in steps)
    assert workflow["permissions"] == {"contents": "read"}


def test_files_begin_with_the_number_of_their_episode_and_links_follow(lesson: Path) -> None:
    (lesson / "config.yaml").write_text(
        "title: T\nepisodes:\n- zebra.md\n- 07-own.md\n- apple.md\n"
    )
    links = "[z](zebra.md#a), [o](07-own.md), [a](apple.md)"
    for name in ("zebra", "07-own", "apple"):
        (lesson / "episodes" / f"{name}.md").write_text(f"---\ntitle: {name}\n---\n\n{links}\n")
    (lesson / "episodes" / "topics.md").unlink()
    assert main(["notebooks", "--language", "python"]) == 0
    folder = lesson / "notebooks" / "python"
    assert sorted(file.name for file in folder.glob("*.ipynb")) == [
        "01-zebra.ipynb",
        "03-apple.ipynb",
        "07-own.ipynb",
    ]
    linked = "[z](01-zebra.ipynb#a), [o](07-own.ipynb), [a](03-apple.ipynb)"
    assert linked in read(folder / "03-apple.ipynb").cells[-1]["source"]
