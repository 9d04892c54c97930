"""Which pages a Workbench lesson has, in which order, and what is wrong with its list of them."""

from pathlib import Path

import pytest

from lesson_runner.page.lesson import Lesson, find_lesson
from lesson_runner.page.places import LessonError, find_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lesson with two episodes, a learner page and a sub-folder."""
    for page in (
        "episodes/b-second.md",
        "episodes/a-first.Rmd",
        "episodes/data/readme.md",
        "episodes/notes.txt",
        "learners/setup.md",
        "elsewhere/other.md",
    ):
        file = tmp_path / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("Text.\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("title: A lesson\n", encoding="utf-8")
    return tmp_path


def configure(root: Path, text: str) -> None:
    (root / "config.yaml").write_text(text, encoding="utf-8")


def pages(lesson: Lesson) -> list[str]:
    return [lesson.relative(page) for page in lesson.pages]


def test_pages_come_by_name_where_no_order_is_given(root: Path) -> None:
    lesson = find_lesson(root)
    assert pages(lesson) == ["episodes/a-first.Rmd", "episodes/b-second.md", "learners/setup.md"]
    assert lesson.problems == ()


def test_pages_come_in_the_order_of_the_configuration(root: Path) -> None:
    configure(root, "learners:\n- setup.md\nepisodes:\n- b-second.md\n- a-first.Rmd\n")
    lesson = find_lesson(root)
    assert pages(lesson) == ["episodes/b-second.md", "episodes/a-first.Rmd", "learners/setup.md"]


def test_page_that_is_not_listed_is_read_after_the_others(root: Path) -> None:
    configure(root, "episodes:\n- b-second.md\n")
    assert pages(find_lesson(root))[:2] == ["episodes/b-second.md", "episodes/a-first.Rmd"]


def test_page_that_is_listed_twice_is_read_once(root: Path) -> None:
    configure(root, "episodes:\n- b-second.md\n- b-second.md\n- a-first.Rmd\n")
    assert pages(find_lesson(root))[:2] == ["episodes/b-second.md", "episodes/a-first.Rmd"]


def test_listed_page_that_does_not_exist_is_a_problem(root: Path) -> None:
    configure(root, "title: A lesson\n\nepisodes:\n- a-first.Rmd\n- c-third.md\n")
    assert [str(problem) for problem in find_lesson(root).problems] == [
        "config.yaml:5: lists episodes/c-third.md, which does not exist"
    ]


@pytest.mark.parametrize("name", ["notes.txt", "data/readme.md"])
def test_listed_file_that_is_no_page_is_a_problem(root: Path, name: str) -> None:
    configure(root, f"episodes: [a-first.Rmd, {name}]\n")
    assert [str(problem) for problem in find_lesson(root).problems] == [
        f"config.yaml:1: lists episodes/{name}, which is no .md or .Rmd directly there"
    ]


def test_a_list_that_is_none_is_a_problem(root: Path) -> None:
    configure(root, "title: A\nepisodes: a-first.Rmd\n")
    assert [str(problem) for problem in find_lesson(root).problems] == [
        "config.yaml:2: `episodes` is no list: write each page on a line with `- `"
    ]


def test_pages_at_the_top_level_come_last_without_readme_and_contributing(root: Path) -> None:
    for name in ("index.md", "README.md", "CONTRIBUTING.md", "links.md", "notes.txt"):
        (root / name).touch()
    lesson = find_lesson(root)
    assert [page.name for page in lesson.pages][-2:] == ["index.md", "links.md"]
    assert not {"README.md", "CONTRIBUTING.md", "notes.txt"} & {p.name for p in lesson.pages}


def test_a_page_is_named_from_the_current_folder_or_from_the_root(root: Path) -> None:
    page = root / "episodes" / "a-first.Rmd"
    assert find_lesson(root, [Path("episodes/a-first.Rmd")]).pages == (page,)
    with pytest.raises(LessonError, match="is a folder: name its pages"):
        find_lesson(root, [root / "episodes"])


@pytest.mark.parametrize("text", ["", "- a list\n", "episodes:\n"])
def test_configuration_may_list_nothing(root: Path, text: str) -> None:
    configure(root, text)
    lesson = find_lesson(root)
    assert (len(lesson.pages), lesson.problems) == (3, ())


def test_configuration_that_is_no_yaml_is_a_problem_at_its_line(root: Path) -> None:
    configure(root, "title: A lesson\nepisodes: [a-first.Rmd\nlearners: x\n")
    (problem,) = find_lesson(root).problems
    assert (problem.path, problem.line) == ("config.yaml", 3)
    assert problem.message.startswith("not valid YAML: ")


def test_configuration_that_is_not_utf8_is_a_problem(root: Path) -> None:
    (root / "config.yaml").write_bytes(b"title: caf\xe9\n")
    assert [str(problem) for problem in find_lesson(root).problems] == [
        "config.yaml:1: this is not UTF-8: save the file as UTF-8"
    ]


def test_page_that_is_not_utf8_is_refused_at_its_line(root: Path) -> None:
    page = root / "episodes" / "b-second.md"
    page.write_bytes(b"Text.\n\ncaf\xe9\n")
    episode = find_lesson(root).read(page)
    assert [str(problem) for problem in episode.problems] == [
        "episodes/b-second.md:3: this is not UTF-8: save the page as UTF-8"
    ]


def test_page_is_named_from_the_root_with_forward_slashes(root: Path) -> None:
    episode = find_lesson(root).read(root / "episodes" / "a-first.Rmd")
    assert (episode.path, episode.name, episode.title) == (
        "episodes/a-first.Rmd",
        "a-first",
        "a-first.Rmd",
    )


def test_given_pages_are_read_and_no_others(root: Path) -> None:
    page = root / "elsewhere" / "other.md"
    assert find_lesson(root, [page, page]).pages == (page.resolve(),)


def test_call_that_cannot_be_carried_out_says_why(root: Path) -> None:
    with pytest.raises(LessonError, match=r"^no such page: nothing\.md$"):
        find_lesson(root, [Path("nothing.md")])
    with pytest.raises(LessonError, match=r"notes\.txt is no page: give a \.md or \.Rmd file$"):
        find_lesson(root, [root / "episodes" / "notes.txt"])
    with pytest.raises(LessonError, match=r"^no such folder: "):
        find_lesson(root / "nowhere")
    with pytest.raises(LessonError, match=r"is no lesson: it has no folder `episodes`"):
        find_lesson(root / "elsewhere")


def test_root_is_the_nearest_folder_with_a_configuration_and_episodes(root: Path) -> None:
    assert find_root(root / "episodes" / "data" / "readme.md") == root.resolve()
    (root / "config.yaml").unlink()
    assert find_root(root / "episodes") is None
