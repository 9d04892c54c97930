"""A page is read into blocks: which code is there, where, and what the page says of it."""

import textwrap

import pytest

from lesson_runner.page.episode import Block, Episode, Request, read_episode
from lesson_runner.page.markdown import (
    Comment,
    DivClose,
    DivOpen,
    Element,
    Heading,
    Image,
    Text,
    read_elements,
)


def read(text: str) -> Episode:
    episode = read_episode("page.md", textwrap.dedent(text))
    assert episode.problems == ()
    return episode


def blocks(text: str) -> list[tuple[int, str, str]]:
    return [(block.line, block.language, block.source) for block in read(text).blocks]


def shown(block: Block) -> dict[str, str]:
    return {one.kind: one.text for one in block.shown}


# Finding fences


def test_code_that_is_indented_instead_of_fenced_is_accounted_for_as_data() -> None:
    page = "Text.\n\n    curl x\n\n- item\n\n      f()\n\n\n~~~bash\n    echo\n~~~\n"
    assert blocks(page) == [
        (3, "text", "curl x\n"),
        (7, "text", "f()\n"),
        (10, "bash", "    echo\n"),
    ]
    assert {block.role for block in read(page).blocks[:2]} == {"data"}


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("Python", "python"),
        (" python ", "python"),
        ("py", "python"),
        ("python3", "python"),
        ('python title="a b", linenos=true', "python"),
        ("python {.numberLines}", "python"),
        ("{.python .numberLines}", "python"),
        ("{#id .python}", "python"),
        ("{python}", "python"),
        ("{python, echo=FALSE}", "python"),
        ("r", "r"),
        ("R", "r"),
        ("{r}", "r"),
        ("{r setup, include=FALSE}", "r"),
        ("{R, fig.alt='text, with commas'}", "r"),
        ("bash", "bash"),
        ("sh", "bash"),
        ("Shell", "bash"),
        ("{.sh}", "bash"),
        ("", "text"),
        ("{}", "text"),
        ("{=html}", "=html"),
        ("sql", "sql"),
        ("{.sql}", "sql"),
        ("c++", "c++"),
    ],
)
def test_language_is_the_first_word_of_the_info_string(info: str, language: str) -> None:
    assert blocks(f"```{info}\n1\n```\n") == [(1, language, "1\n")]


@pytest.mark.parametrize(
    ("opening", "margin", "closing"),
    [
        ("```r", "", "```"),
        ("```r", "", "   `````   "),
        ("~~~~ r", "", "~~~~"),
        ("   ```r", "   ", "```"),
        ("- ```r", "  ", "  ```"),
        ("10. ```r", "    ", "    ```"),
        ("> ```r", "> ", "> ```"),
        (">```r", "> ", ">```"),
        ("> - ```r", ">   ", ">   ```"),
        ("- 1. * ```r", "       ", "       ```"),
    ],
)
def test_fence_is_found_in_its_container(opening: str, margin: str, closing: str) -> None:
    page = f"Text.\n\n{opening}\n{margin}if (TRUE) {{\n{margin}  1\n{margin}}}\n{closing}\n"
    assert blocks(page) == [(3, "r", "if (TRUE) {\n  1\n}\n")]


@pytest.mark.parametrize(
    "page",
    [
        "````markdown\n```python\n1\n```\n````\n",
        "~~~text\n```python\n1\n```\n~~~\n",
        "<!--\n```python\n1\n```\n-->\n",
        "<!-- ```python\n1\n``` -->\n",
        "<pre>\n```python\n1\n```\n</pre>\n",
        "Inline ```python 1``` code.\n",
    ],
)
def test_fence_that_is_text_is_no_block_that_runs(page: str) -> None:
    assert [block.role for block in read(page).blocks if block.role != "data"] == []


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_count_alike_with_every_line_ending(ending: str) -> None:
    page = ending.join(["---", "title: T", "---", "", "Text.", "", "```r", "1", "", "2", "```", ""])
    assert blocks(page) == [(7, "r", "1\n\n2\n")]


@pytest.mark.parametrize("character", ["\u2028", "\x0c", "\x0b", "\x85", "\x1c"])
def test_only_line_endings_end_a_line(character: str) -> None:
    page = (
        f"One{character}line.\n\n{character}\n::: challenge\n```python\n'{character}'\n```\n:::\n"
    )
    episode = read(page)
    assert [(b.line, b.div, b.source) for b in episode.blocks] == [
        (5, ("challenge",), f"'{character}'\n")
    ]
    assert DivOpen(4, "challenge") in episode.elements


def test_byte_order_mark_hides_neither_front_matter_nor_first_fence() -> None:
    episode = read_episode("page.md", "\ufeff---\ntitle: One\n---\n\nText.\n")
    assert (episode.title, episode.problems) == ("One", ())
    assert blocks("\ufeff```r\n1\n```\n") == [(1, "r", "1\n")]


@pytest.mark.parametrize("page", ["Text.", "# One\n", "---\n---\n\nText.\n", "\ufeffText."])
def test_page_without_blocks_is_read(page: str) -> None:
    assert read(page).blocks == ()


def test_title_is_a_text_whatever_yaml_makes_of_it() -> None:
    assert read("---\ntitle: 2026\n---\n\nText.\n").title == "2026"
    assert read("---\nteaching: 3\n---\n\nText.\n").title == "page.md"
    assert read("---\n- a list\n---\n\nText.\n").title == "page.md"


# Divs and tabs


def test_divs_are_named_from_the_outside_in() -> None:
    page = """\
        :::::::::: challenge

        :::: {.solution #id title="One"}

        ::::::: hint :::::::

        ```python
        1
        ```
        :::

        ```python
        2
        ```

        :::::::

        ```python
        3
        ```
        ::::

        ```python
        4
        ```
        """
    assert [block.div for block in read(page).blocks] == [
        ("challenge", "solution", "hint"),
        ("challenge", "solution"),
        ("challenge",),
        (),
    ]


@pytest.mark.parametrize(
    "before",
    [
        "Text",
        "- item",
        "> quote",
        "![A plot](fig/a.png)",
        "![A plot](fig/a.png){alt='Points'}",
        "</details>",
        "<!-- a comment -->",
        "| a |\n|---|\n| 1 |",
        "```text\n```",
    ],
)
def test_closing_marker_needs_no_empty_line_before_it(before: str) -> None:
    page = f"::: challenge\n\n{before}\n:::\n\n```python\n1\n```\n"
    assert [block.div for block in read(page).blocks if block.language == "python"] == [()]


@pytest.mark.parametrize(
    "first", ["Text", "![A plot](fig/a.png)", "Title\n===", "<b>x</b>", "## T"]
)
def test_opening_marker_needs_no_empty_line_after_it(first: str) -> None:
    page = f"::: challenge\n{first}\n\n```python\n1\n```\n"
    assert [block.div for block in read(page).blocks] == [("challenge",)]


def test_markers_inside_comments_and_fences_open_nothing() -> None:
    page = "<!--\n::: challenge\n-->\n\n```text\n::: hint\n```\n\n```python\n1\n```\n"
    assert [block.div for block in read(page).blocks] == [(), ()]


def test_headings_of_level_three_in_a_group_tab_are_tabs() -> None:
    page = """\
        ## Before

        ::: group-tab

        ```text
        before the first tab
        ```

        ### Python

        ```python
        1
        ```

        #### More of it

        ```python
        2
        ```

        ### Windows

        :::: hint
        ### No tab
        ```bash
        ls
        ```
        ::::

        :::

        ```python
        3
        ```
        """
    assert [(block.language, block.tab) for block in read(page).blocks] == [
        ("text", None),
        ("python", "Python"),
        ("python", "Python"),
        ("bash", "Windows"),
        ("python", None),
    ]


# What a page says of a block


def test_output_and_error_belong_to_the_block_before_them() -> None:
    page = """\
        ```python
        1
        ```

        The session prints:

        ```output
        1
        ```

        ```csv
        a,b
        ```

        ```error
        NameError
        ```

        ```bash
        ls
        ```
        """
    assert [shown(block) for block in read(page).blocks] == [
        {"output": "1\n", "error": "NameError\n"},
        {},
        {},
    ]


def test_solution_may_show_the_output_of_its_challenge() -> None:
    page = """\
        ::: challenge
        What does it print?
        ```python
        print(1)
        ```
        :::: solution
        ```output
        1
        ```
        ::::
        :::
        """
    assert [(block.div, shown(block)) for block in read(page).blocks] == [
        (("challenge",), {"output": "1\n"})
    ]


def test_tabs_have_each_their_own_output() -> None:
    page = """\
        ::: group-tab

        ### Python

        ```python
        1
        ```

        ```output
        1
        ```

        ### R

        ```r
        1
        ```

        ```output
        [1] 1
        ```

        :::
        """
    assert [shown(block) for block in read(page).blocks] == [
        {"output": "1\n"},
        {"output": "[1] 1\n"},
    ]


def test_output_of_a_block_that_is_not_run_is_shown_with_it() -> None:
    page = "<!-- not run: slow -->\n```python\n1\n```\n\n```output\n1\n```\n"
    (block,) = read(page).blocks
    assert (block.role, block.reason, shown(block)) == ("not run", "slow", {"output": "1\n"})


def test_reason_may_take_several_lines() -> None:
    page = "<!-- not run:\n     it installs\n     a program -->\n\n```bash\nls\n```\n"
    (block,) = read(page).blocks
    assert (block.role, block.reason) == ("not run", "it installs a program")


def test_two_directives_may_share_a_line() -> None:
    page = "<!-- practice proxy only: one --> <!-- not run: two -->\n```bash\nls\n```\n"
    (block,) = read(page).blocks
    assert (block.role, block.reason, block.practice_only) == ("not run", "two", "one")


def test_starter_code_is_not_run() -> None:
    (block,) = read("```{.r .exercise}\nmean(____)\n```\n").blocks
    assert (block.role, block.language, block.reason) == ("exercise", "r", "starter code")


@pytest.mark.parametrize(
    ("opening", "first"),
    [
        ("{r, eval=FALSE}", ""),
        ("{r label, echo=TRUE, eval = F}", ""),
        ("{python eval=FALSE}", ""),
        ("{r}", "#| echo: true\n#| eval: false\n"),
        ("{r}", "#| eval=FALSE\n"),
    ],
)
def test_knitr_chunk_that_is_switched_off_is_not_run(opening: str, first: str) -> None:
    (block,) = read(f"```{opening}\n{first}1\n```\n").blocks
    assert block.role == "not run"
    assert block.reason.startswith("chunk option eval")


@pytest.mark.parametrize("opening", ["{r, eval=TRUE}", "{r, evaluate=FALSE}", "r"])
def test_knitr_chunk_that_is_not_switched_off_runs(opening: str) -> None:
    (block,) = read(f"```{opening}\nx\n#| eval: false\n```\n").blocks
    assert block.role == "run"


@pytest.mark.parametrize("opening", ["{r, error=TRUE}", "{r}\n#| error: true"])
def test_knitr_chunk_that_is_to_raise_an_error_must_raise(opening: str) -> None:
    (block,) = read(f"```{opening}\nstop()\n```\n").blocks
    assert (block.role, block.must_raise) == ("run", True)


@pytest.mark.parametrize("opening", ["{r, error=FALSE}", "r\n#| error: true", "{r, on_error=TRUE}"])
def test_knitr_chunk_that_is_not_to_raise_an_error(opening: str) -> None:
    (block,) = read(f"```{opening}\nstop()\n```\n").blocks
    assert not block.must_raise


def test_request_names_method_path_key_and_body() -> None:
    page = """\
        <!-- response: GET /models -->
        ```json
        {"data": []}
        ```

        <!-- response: GET /models without key -->
        ```json
        {"error": "..."}
        ```

        <!-- practice proxy only: it is slow -->
        <!-- response: POST /a/b without a key {"x": [1]} -->
        ```json
        []
        ```
        """
    episode = read(page)
    assert [(b.line, b.request, b.practice_only) for b in episode.responses] == [
        (2, Request("GET", "/models"), ""),
        (7, Request("GET", "/models", with_key=False), ""),
        (13, Request("POST", "/a/b", '{"x": [1]}', with_key=False), "it is slow"),
    ]


def test_json_without_a_request_is_data() -> None:
    assert [block.role for block in read("```json\n{...}\n```\n").blocks] == ["data"]


# Plots


def figures(text: str) -> list[list[int]]:
    return [[figure.line for figure in block.figures] for block in read(text).blocks]


@pytest.mark.parametrize("between", ["", "```output\n1\n```\n\n", "<!-- a comment -->\n"])
def test_image_directly_after_a_block_is_its_plot(between: str) -> None:
    page = f"```r\nplot(1)\n```\n\n{between}![One point](fig/one.png)\n:::\n"
    line = 5 + between.count("\n")
    assert figures(page) == [[line]]


def test_each_image_directly_after_a_block_may_be_a_plot() -> None:
    names = ("a.png", "b.jpg", "c.png", "d.png")
    a, b, c, d = (f"![Points](fig/{name})\n\n" for name in names)
    page = f"```r\nplot(1)\n```\n\n{a}{b}{c}Text.\n\n{d}"
    assert figures(page) == [[5, 9]]


@pytest.mark.parametrize(
    "rest",
    [
        "Text.\n\n![One point](fig/one.png)",
        "![One point](fig/one.svg)",
        "![One point](../one.png)",
        "Text ![One point](fig/one.png)",
        "## Heading\n\n![One point](fig/one.png)",
        "::: solution\n![One point](fig/one.png)\n:::",
    ],
)
def test_image_elsewhere_is_an_ordinary_image(rest: str) -> None:
    assert figures(f"```r\nplot(1)\n```\n\n{rest}\n") == [[]]


def test_image_after_data_belongs_to_no_block() -> None:
    page = "```r\nplot(1)\n```\n\n```csv\na\n```\n\n![One point](fig/one.png)\n"
    assert figures(page) == [[], []]


# The elements under it all


def test_image_below_an_opening_marker_is_an_image() -> None:
    assert read_elements("::: hint\n:::: callout\n![A *plot*](fig/a.png)\nText.\n") == [
        DivOpen(1, "hint"),
        DivOpen(2, "callout"),
        Image(3, "fig/a.png", "A *plot*"),
        Text(4, "Text."),
    ]


def test_elements_come_with_their_lines() -> None:
    page = """\
        ---
        title: One
        ---

        ::: callout
        A *heading*
        of two lines
        -----------
        ![An image](fig/a.png "T")
        and text
        :::

        <div>
        ::: hint
        <!-- one
        two --> rest
        </div>

        Text <!-- inline --> text
        """
    expected: list[Element] = [
        DivOpen(5, "callout"),
        Heading(6, 2, "A *heading*\nof two lines"),
        Image(9, "fig/a.png", "An image"),
        Text(10, "and text"),
        DivClose(11),
        Text(13, "<div>"),
        DivOpen(14, "hint"),
        Comment(15, "one\ntwo", 16),
        Text(16, " rest"),
        Text(17, "</div>"),
        Comment(19, "inline", 19),
        Text(19, "Text <!-- inline --> text"),
    ]
    assert read_elements(textwrap.dedent(page)) == expected
