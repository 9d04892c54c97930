"""Pages are rewritten with what really happened; everything else in them stays byte for byte."""

import codecs
import os
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lesson_runner.judge.rewrite import new_texts, update_page, with_fences
from lesson_runner.judge.verdict import Result, judge
from lesson_runner.page.episode import Episode, read_episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.page.plain_text import normal
from lesson_runner.run.happened import Execution, Failure


def read(text: str) -> Episode:
    episode = read_episode("page.md", text)
    assert episode.problems == ()
    return episode


def rewritten(text: str, *new: str) -> str:
    """The page with these texts in its `output` fences, one after the other."""
    episode = read(text)
    shown = [shown for block in episode.blocks for shown in block.shown]
    edits = [(one.fence, text) for one, text in zip(shown, new, strict=True)]
    page = with_fences(text, edits)
    again = [shown.text for block in read(page).blocks for shown in block.shown]
    assert again == list(new)
    return page


# Only the text of the fences changes


def test_what_the_page_says_is_kept_where_the_block_prints_nothing() -> None:
    episode = read("```python\nx = 1\n```\n\n```output\nWhat a reader types.\n```\n")
    assert new_texts([Execution(episode.blocks[0])]) == []


def test_fence_at_the_margin_gets_its_new_text() -> None:
    page = "Text.  \n\n```r\n1\n```\n\n```output\nold\nlines\n```\n\nMore\ttext.\n"
    assert rewritten(page, "[1] 1\n") == page.replace("old\nlines", "[1] 1")


def test_fence_in_a_list_keeps_its_indentation() -> None:
    page = textwrap.dedent(
        """\
        1. One

           - ```r
             1
             ```

           - ```output
             old
             ```
        """
    )
    assert rewritten(page, "a\n\n  b\n") == page.replace("     old\n", "     a\n\n       b\n")


@pytest.mark.parametrize("mark", ["> ", ">", "> > "])
def test_fence_in_a_quote_keeps_its_marks(mark: str) -> None:
    inner = mark.rstrip() + " "
    page = (
        f"{mark}```r\n{mark}1\n{mark}```\n{mark.rstrip()}\n{mark}```output\n{mark}old\n{mark}```\n"
    )
    expected = page.replace(f"{mark}old\n", f"{inner} a\n{mark.rstrip()}\n{inner}b\n")
    assert rewritten(page, " a\n\nb\n") == expected


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_stay_as_they_are(ending: str) -> None:
    page = ending.join(["---", "title: T", "---", "```r", "1", "```", "```output", "x", "```", ""])
    new = "one\ntwo\n"
    assert rewritten(page, new) == page.replace(f"x{ending}", f"one{ending}two{ending}")


def test_page_may_end_with_its_fence() -> None:
    assert rewritten("```r\n1\n```\n```output\n```", "1\n") == "```r\n1\n```\n```output\n1\n```"


@pytest.mark.parametrize(
    ("opening", "closing", "new", "marker"),
    [
        ("```", "```", "```python\n```\n", "````"),
        ("```", "`````", "`````\n", "``````"),
        ("```", "```", "  ````\n", "`````"),
        ("```", "```", "a ``` b\n~~~~\n", "```"),
        ("~~~", "~~~", "~~~~ x\n", "~~~~~"),
        ("~~~", "~~~", "```\n", "~~~"),
    ],
)
def test_fence_becomes_longer_where_its_text_would_end_it(
    opening: str, closing: str, new: str, marker: str
) -> None:
    page = f"```r\n1\n```\n\n{opening}output title=x\nx\n{closing}\n"
    page = rewritten(page, new)
    assert page.splitlines()[4] == f"{marker}output title=x"
    assert page.splitlines()[-1].startswith(marker)


@pytest.mark.parametrize("character", ["\u2028", "\x0c", "\x0b", "\x85"])
def test_characters_that_end_no_line_stay(character: str) -> None:
    page = f"a{character}b\n\n```r\n1\n```\n\n```output\nx\n```\n"
    new = f"one{character}two\n"
    assert rewritten(page, new) == page.replace("x\n", new)


def test_text_may_become_empty() -> None:
    page = "```r\n1\n```\n\n```output\nold\n```\nText.\n"
    assert rewritten(page, "") == page.replace("old\n", "")


def test_several_fences_are_rewritten_at_once() -> None:
    page = "```r\n1\n```\n```output\na\nb\n```\n```r\n2\n```\n```output\nc\n```\nEnd.\n"
    assert rewritten(page, "x\n", "y\ny\ny\n") == page.replace("a\nb", "x").replace("c", "y\ny\ny")


LINES = [
    "",
    "a",
    "  b",
    "\tc",
    "```",
    "`````",
    "~~~",
    ":::",
    "> d",
    "- e",
    "\u2028",
    "...",
    "    f",
]


@settings(deadline=None)
@given(
    st.sampled_from(["", "  ", "- ", "10. ", "> ", ">", "> - ", "- > ", "- 1. "]),
    st.sampled_from(["```", "````", "~~~"]),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.sampled_from(LINES), max_size=4).map(lambda lines: normal("\n".join(lines))),
)
def test_what_is_written_is_what_is_read(before: str, marker: str, ending: str, new: str) -> None:
    assume(new.strip() != "...")  # which a page may not show
    margin = re.sub(r"[^>\s]", " ", before)
    page = ["Text.", "", f"{before}{marker}r", f"{margin}1", f"{margin}{marker}"]
    page += [f"{margin}{marker}output", f"{margin}old", f"{margin}{marker}", "", "Text.", ""]
    written = rewritten(ending.join(page), new)
    assert written.startswith(ending.join(page[:5]))
    assert written.endswith(ending.join(["", "", "Text.", ""]))


# What is written


def texts(page: str, **happened: object) -> list[str]:
    """The new texts for the first block of a page, after it was executed so."""
    execution = Execution(read(textwrap.dedent(page)).blocks[0], **happened)  # type: ignore[arg-type]
    return [text for _, text in new_texts([execution])]


OUTPUT = """\
    ```python
    run()
    ```

    ```output
    took ... s
    3 rows
    ```
    """
ERROR = """\
    ```python
    run()
    ```

    ```error
    Traceback ...
    KeyError: 'a'
    ```
    """
ANSWER = """\
    <!-- response: GET /models -->
    ```json
    {"data": [{"id": "a"}, "..."], "n": 1}
    ```
    """


def test_output_that_agrees_is_not_written() -> None:
    assert texts(OUTPUT, output="took 3 s\n3 rows") == []


def test_output_that_differs_is_written_and_keeps_its_three_dots() -> None:
    assert texts(OUTPUT, output="took 3 s\n4 rows  \n") == ["took ... s\n4 rows\n"]


def test_colours_are_not_written() -> None:
    assert texts(OUTPUT, output="\x1b[31mred\x1b[0m\r\n") == ["red\n"]


@pytest.mark.parametrize(
    "happened",
    [
        {"output": "x", "ended": "took longer than 60 seconds"},
        {"output": "x", "printed": "\x00"},
        {"output": "x", "failure": Failure("ValueError", "ValueError: x")},
    ],
)
def test_nothing_is_written_from_a_block_that_failed(happened: dict[str, object]) -> None:
    assert texts(OUTPUT, **happened) == []


def test_error_is_written_where_its_last_line_differs_and_the_traceback_stays() -> None:
    agrees = Failure("KeyError", "KeyError: 'a'\n")
    differs = Failure("KeyError", "KeyError: 'b'  \n")
    assert texts(ERROR, failure=agrees) == []
    assert texts(ERROR, failure=differs) == ["Traceback ...\nKeyError: 'b'\n"]


def test_error_that_did_not_happen_stays_for_its_author() -> None:
    assert texts(ERROR) == []
    assert texts(ERROR, failure=Failure("KeyError", "")) == []


def test_answer_is_written_as_json_and_keeps_its_three_dots() -> None:
    assert texts(ANSWER, output='{"n": 1, "data": [{"id": "a"}]}') == []
    assert texts(ANSWER, output='{"n": 2, "data": [{"id": "b"}, {"id": "c"}]}') == [
        '{\n  "data": [\n    {\n      "id": "b"\n    },\n    "..."\n  ],\n  "n": 2\n}\n'
    ]


def test_answer_that_python_takes_for_the_same_is_written() -> None:
    assert texts(ANSWER, output='{"data": [{"id": "a"}], "n": true}') != []


def test_empty_answer_is_filled() -> None:
    page = "<!-- response: GET /models -->\n```json\n```\n"
    assert texts(page, output='{"a": "é"}') == ['{\n  "a": "é"\n}\n']


# The file


PAGE = "---\ntitle: T\n---\n\n```python\n1 + 1\n```\n\n```output\n3\n```\n\n![Two](fig/two.png)\n"
PLOT = b"\x89PNG plot"


def executed(lesson: Lesson, page: Path) -> tuple[Episode, list[Result]]:
    episode = lesson.read(page)
    return episode, [judge(Execution(episode.blocks[0], output="2\n", images=(PLOT,)))]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "episodes" / "page.md"
    file.parent.mkdir()
    file.write_bytes(PAGE.encode())
    return file


def test_update_writes_fences_and_figures_and_judges_again(tmp_path: Path, page: Path) -> None:
    lesson = Lesson(tmp_path, (page,))
    episode, results = executed(lesson, page)
    assert [result.outcome for result in results] == ["failed"]
    update = update_page(lesson, page, episode, results)
    assert page.read_text(encoding="utf-8") == PAGE.replace("3\n", "2\n")
    assert (page.parent / "fig" / "two.png").read_bytes() == PLOT
    assert (update.fences, update.figures) == (1, 1)
    assert [(result.outcome, result.block.line) for result in update.results] == [("passed", 5)]


@pytest.mark.parametrize(
    ("images", "written"),
    [
        ("x", {"diagram": "by hand"}),
        ("xy", {"a": "x", "diagram": "by hand", "b": "y"}),
        ("xyz", {"a": "x", "diagram": "y", "b": "z"}),
        ("wxyz", {"a": "x", "diagram": "y", "b": "z"}),
    ],
)
def test_update_leaves_a_diagram_alone_unless_there_is_a_plot_for_each_image(
    tmp_path: Path, page: Path, images: str, written: dict[str, str]
) -> None:
    text = "".join(f"![{name}](fig/{name}.png)\n\n" for name in ("a", "diagram", "b"))
    page.write_text(f"```python\n1\n```\n\n{text}", encoding="utf-8")
    folder = page.parent / "fig"
    folder.mkdir()
    (folder / "diagram.png").write_text("by hand")
    lesson = Lesson(tmp_path, (page,))
    episode = lesson.read(page)
    drawn = tuple(image.encode() for image in images)
    update_page(lesson, page, episode, [judge(Execution(episode.blocks[0], images=drawn))])
    assert {file.stem: file.read_text() for file in folder.iterdir()} == written


def test_a_fence_that_swallows_a_block_is_not_written(tmp_path: Path, page: Path) -> None:
    """A closing line with a no-break space closes nothing."""
    text = PAGE.replace("3\n```\n", "3\n```\u00a0\n\n```python\nx = 1\n```\n")
    page.write_bytes(text.encode())
    lesson = Lesson(tmp_path, (page,))
    update = update_page(lesson, page, *executed(lesson, page))
    assert (update.fences, page.read_bytes()) == (0, text.encode())


def test_an_image_that_update_wrote_is_a_plot_from_then_on(tmp_path: Path, page: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(17)
    lesson = Lesson(tmp_path, (page,))
    for figures in (1, 0):
        episode = lesson.read(page)
        result = judge(Execution(episode.blocks[0], output="2\n", images=(image,)))
        assert update_page(lesson, page, episode, [result]).figures == figures
    assert [figure.expected for figure in lesson.read(page).blocks[0].figures] == [True]


def test_second_update_writes_nothing(tmp_path: Path, page: Path) -> None:
    lesson = Lesson(tmp_path, (page,))
    update_page(lesson, page, *executed(lesson, page))
    before = page.stat().st_mtime_ns
    update = update_page(lesson, page, *executed(lesson, page))
    assert (update.fences, update.figures) == (0, 0)
    assert page.stat().st_mtime_ns == before


def test_byte_order_mark_and_permissions_are_kept(tmp_path: Path, page: Path) -> None:
    page.write_bytes(codecs.BOM_UTF8 + PAGE.replace("\n", "\r\n").encode())
    page.chmod(0o640)
    lesson = Lesson(tmp_path, (page,))
    update_page(lesson, page, *executed(lesson, page))
    expected = codecs.BOM_UTF8 + PAGE.replace("3\n", "2\n").replace("\n", "\r\n").encode()
    assert page.read_bytes() == expected
    if os.name != "nt":
        assert page.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in page.parent.iterdir()) == ["fig", "page.md"]


@pytest.mark.parametrize(
    "changed", [PAGE.encode() + b"More.\n", codecs.BOM_UTF8 + PAGE.encode() + b"\n", b"\xff", b""]
)
def test_page_that_changed_meanwhile_is_not_touched(
    tmp_path: Path, page: Path, changed: bytes
) -> None:
    lesson = Lesson(tmp_path, (page,))
    episode, results = executed(lesson, page)
    page.write_bytes(changed)
    with pytest.raises(LessonError, match=r"^episodes/page\.md changed while its code ran"):
        update_page(lesson, page, episode, results)
    assert page.read_bytes() == changed
    assert not (page.parent / "fig").exists()


def test_page_that_is_gone_meanwhile_is_not_written(tmp_path: Path, page: Path) -> None:
    lesson = Lesson(tmp_path, (page,))
    episode, results = executed(lesson, page)
    page.unlink()
    with pytest.raises(LessonError, match="changed while its code ran"):
        update_page(lesson, page, episode, results)
    assert list(page.parent.iterdir()) == []
