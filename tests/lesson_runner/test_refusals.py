"""What has no meaning in a page is refused with its line: nothing is left out without a word."""

import textwrap

import pytest

from lesson_runner.page.episode import read_episode


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_episode("page.md", textwrap.dedent(text)).problems]


def test_a_page_that_says_only_what_is_known_has_no_problems() -> None:
    page = """\
        ---
        title: All is well
        ---

        <!-- A comment: for authors. Note: responses vary. -->

        ```python
        1 + 1
        ```

        ```output
        2
        ```

        <!-- not run: it installs -->
        ```bash
        pip install nothing
        ```

        <!-- practice proxy only: it counts -->
        <!-- response: POST /chat/completions {"model": "x"} -->
        ```json
        {"id": "..."}
        ```

        ```csv
        a,b
        ```
        """
    assert problems(page) == []


# Fence languages


def test_misspelt_language_is_refused_with_the_one_that_was_meant() -> None:
    page = """\
        First text.

        ```pyton
        1
        ```

        ```ouput
        1
        ```
        """
    assert problems(page) == [
        "page.md:3: unknown fence language `pyton`: did you mean `python`?",
        "page.md:7: unknown fence language `ouput`: did you mean `output`?",
    ]


def test_language_that_is_like_no_other_may_be_shown_as_text() -> None:
    assert problems("```qwertz\n```\n") == [
        "page.md:1: unknown fence language `qwertz`: use `text` to show it as it is"
    ]


@pytest.mark.parametrize(
    ("info", "strange"),
    [
        ("{.python .excercise}", ".excercise"),
        ("{.python .exercises}", ".exercises"),
        ("{.python exercise}", "exercise"),
        ("python exercise", "exercise"),
        ("{#id .python .Exercize}", ".exercize"),
    ],
)
def test_misspelt_class_of_starter_code_is_refused(info: str, strange: str) -> None:
    assert problems(f"```{info}\nx = 1\n```\n") == [
        f"page.md:1: unknown class `{strange}`: starter code is `{{.python .exercise}}`"
    ]


@pytest.mark.parametrize(
    "info",
    [
        "{r exercise}",
        "{r exercise-1, fig.cap='An exercise'}",
        'python title="An exercise"',
        "{.r .numberLines}",
    ],
)
def test_label_or_title_that_says_exercise_is_no_class(info: str) -> None:
    episode = read_episode("page.md", f"```{info}\nx = 1\n```\n")
    assert [(block.role, block.line) for block in episode.blocks] == [("run", 1)]
    assert episode.problems == ()


# Shown fences


@pytest.mark.parametrize("kind", ["output", "error"])
def test_shown_fence_after_nothing_is_refused(kind: str) -> None:
    assert problems(f"Text.\n\n```{kind}\n2\n```\n") == [
        f"page.md:3: this `{kind}` fence follows no block that runs: put it after the block, "
        "in the same div or tab, or show it as `text`"
    ]


FOLLOWS_NOTHING = (
    "this `output` fence follows no block that runs: put it after the block, "
    "in the same div or tab, or show it as `text`"
)


def test_output_in_another_tab_is_refused() -> None:
    page = """\
        ::: group-tab

        ### Python

        ```python
        2
        ```

        ### R

        ```output
        2
        ```

        :::

        ```output
        2
        ```
        """
    assert problems(page) == [f"page.md:11: {FOLLOWS_NOTHING}", f"page.md:17: {FOLLOWS_NOTHING}"]


def test_output_in_the_next_challenge_is_refused() -> None:
    page = """\
        ::: challenge
        ```r
        2
        ```
        :::
        ::: challenge
        ```output
        2
        ```
        :::
        """
    assert problems(page) == [f"page.md:7: {FOLLOWS_NOTHING}"]


def test_output_of_starter_code_is_refused() -> None:
    page = """\
        ```python
        2
        ```

        ```{.python .exercise}
        ____
        ```

        ```output
        2
        ```
        """
    assert problems(page) == [f"page.md:9: {FOLLOWS_NOTHING}"]


def test_second_output_of_a_block_is_refused() -> None:
    page = """\
        ```bash
        echo 2
        ```

        ```output
        2
        ```

        ```error
        3
        ```

        ```output
        2
        ```
        """
    assert problems(page) == ["page.md:13: the block at line 1 has an `output` fence already"]


def test_empty_block_is_refused() -> None:
    assert problems("```python\n\n```\n") == [
        "page.md:1: this block is empty: there is nothing to run"
    ]


# Directives


@pytest.mark.parametrize("between", ["Text.", "## Heading", "::: challenge", "![A](fig/a.png)"])
def test_directive_above_no_fence_is_refused(between: str) -> None:
    page = f"<!-- not run: it installs -->\n\n{between}\n\n```python\n1\n```\n"
    assert problems(page) == [
        "page.md:1: `<!-- not run: … -->` fits no fence: put it on the line above the fence"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "<!-- not run: it installs --> <b>Text</b>",
        "Text <!-- not run: it installs -->",
        "Text <!-- not run: it installs --> and more",
        "- <!-- not run: it installs --> text",
    ],
)
def test_directive_that_shares_its_line_with_text_is_refused(line: str) -> None:
    assert problems(f"{line}\n\n```python\n1\n```\n") == [
        "page.md:1: `<!-- not run: … -->` fits no fence: put it on the line above the fence"
    ]


def test_directive_at_the_end_of_the_page_is_refused() -> None:
    assert problems("Text.\n\n<!-- response: GET /models -->\n") == [
        "page.md:3: `<!-- response: … -->` fits no fence: put it on the line above the fence"
    ]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("notrun: it installs", "unknown directive `notrun`: did you mean `not run`?"),
        ("Not  runs: it installs", "unknown directive `not runs`: did you mean `not run`?"),
        (
            "practise proxy only: it counts",
            "unknown directive `practise proxy only`: did you mean `practice proxy only`?",
        ),
        (
            "practise proxy only",
            "unknown directive `practise proxy only`: did you mean `practice proxy only`?",
        ),
        ("respons: GET /models", "unknown directive `respons`: did you mean `response`?"),
    ],
)
def test_misspelt_directive_is_refused(comment: str, message: str) -> None:
    assert problems(f"<!-- {comment} -->\n```python\n1\n```\n") == [f"page.md:1: {message}"]


@pytest.mark.parametrize("comment", ["not run", "Not-run:", "not_run :  "])
def test_directive_without_a_reason_is_refused(comment: str) -> None:
    assert problems(f"<!-- {comment} -->\n```python\n1\n```\n") == [
        "page.md:1: `<!-- not run -->` needs what it is about: `<!-- not run: … -->`"
    ]


@pytest.mark.parametrize(
    ("directive", "fence", "wanted"),
    [
        ("not run: why", "json", "a block that runs"),
        ("not run: why", "text", "a block that runs"),
        ("practice proxy only: why", "csv", "a block that runs"),
        ("response: GET /models", "python", "a `json` fence"),
        ("response: GET /models", "text", "a `json` fence"),
    ],
)
def test_directive_above_the_wrong_fence_is_refused(
    directive: str, fence: str, wanted: str
) -> None:
    name = directive.partition(":")[0]
    assert problems(f"<!-- {directive} -->\n```{fence}\n1\n```\n") == [
        f"page.md:1: `<!-- {name}: … -->` belongs above {wanted}"
    ]


def test_directive_above_an_output_is_refused() -> None:
    page = "```python\n1\n```\n<!-- not run: why -->\n```output\n1\n```\n"
    assert problems(page) == ["page.md:4: `<!-- not run: … -->` belongs above a block that runs"]


def test_directive_that_is_given_twice_is_refused() -> None:
    page = "<!-- not run: one -->\n<!-- not run: two -->\n```python\n1\n```\n"
    assert problems(page) == ["page.md:2: `<!-- not run: … -->` stands above this fence twice"]


# Requests and their answers


@pytest.mark.parametrize(
    "request_line",
    ["/models", "get /models", "GET models", "GET  /models", "GET /models with key", "GET"],
)
def test_response_that_is_no_request_is_refused(request_line: str) -> None:
    assert problems(f"<!-- response: {request_line} -->\n```json\n{{}}\n```\n") == [
        f"page.md:1: `response: {request_line}` is not a request: write `GET /path`, "
        '`GET /path without key` or `POST /path {"a JSON": "body"}`'
    ]


def test_response_with_a_body_that_is_no_json_is_refused() -> None:
    page = '\n<!-- response: POST /chat/completions {"model": } -->\n```json\n{}\n```\n'
    assert problems(page) == [
        'page.md:2: the body of `response: POST /chat/completions {"model": }` is not JSON: '
        "Expecting value"
    ]


def test_answer_that_is_no_json_is_refused_at_its_line() -> None:
    page = """\
        <!-- response: GET /models -->
        ```json
        {
          "data": [...]
        }
        ```
        """
    assert problems(page) == ["page.md:4: this is not JSON: Expecting value"]


# Fences that are not closed, or swallowed


@pytest.mark.parametrize(
    ("page", "line", "marker"),
    [
        ("Text.\n\n```python\n1\n", 3, "```"),
        ("````python\n1\n```\n", 1, "````"),
        ("~~~python\n1\n```\n", 1, "~~~"),
        ("```python\n1\n    ```\n", 1, "```"),
        ("```python\n1\n> ```\n", 1, "```"),
        ("- ```python\n  1\n\nText.\n", 1, "```"),
        ("> ```python\n> 1\n```\n1\n```\n", 1, "```"),
    ],
)
def test_fence_that_is_never_closed_is_refused(page: str, line: int, marker: str) -> None:
    assert f"page.md:{line}: this fence is never closed: end it with {marker}" in problems(page)


def test_a_fence_that_ends_too_early_is_named() -> None:
    page = "Text.\n\n```python\nx = 1\n```\ny = 2\n```\n"
    assert problems(page) == [
        "page.md:7: this fence is never closed: end it with ```, "
        "unless the fence at line 3 ends too early"
    ]
    first, *_ = problems(page + "\n```python\n1\n")
    assert first.endswith(", unless the fence at line 3 ends too early")


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("<details>\n```python\n1\n```\n</details>\n", 2),
        ('Text.\n\n<a id="x">\n```r\n1\n```\n', 4),
        ("<!-- not run: it installs --> ```bash\nls\n```\n", 1),
        ("- <div>\n  ~~~sh\n  ls\n  ~~~\n  </div>\n", 2),
    ],
)
def test_fence_that_raw_html_swallows_is_refused(page: str, line: int) -> None:
    assert problems(page)[0].startswith(f"page.md:{line}: ")


def test_fence_that_is_indented_too_far_in_a_list_is_refused() -> None:
    assert problems("- item\n\n      ```python\n      1\n      ```\n") == [
        "page.md:3: this looks like a fence, but opens none: "
        "indent it as the text around it, with blank lines around the fence"
    ]


def test_comment_that_is_never_closed_is_refused_as_it_hides_the_rest() -> None:
    page = "Text.\n\n<!-- a note\n\n```python\n1\n```\n"
    assert problems(page) == ["page.md:3: this comment is never closed: end it with -->"]


# Front matter


def test_front_matter_that_is_no_yaml_is_refused_at_its_line() -> None:
    page = "---\ntitle: One\nteaching: [1\n---\n\nText.\n"
    assert problems(page) == [
        "page.md:3: the front matter is not valid YAML: expected ',' or ']', but got '<stream end>'"
    ]


def test_date_that_does_not_exist_in_the_front_matter_is_refused() -> None:
    assert problems("---\ndate: 2026-02-30\n---\n") == [
        "page.md:1: the front matter is not valid YAML: day is out of range for month"
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_front_matter_that_is_never_closed_is_refused(ending: str) -> None:
    page = ending.join(["---", "title: One", "", "Text.", ""])
    assert problems(page) == [
        "page.md:1: the front matter is never closed: end it with a line of ---"
    ]


def test_problems_come_in_the_order_of_their_lines() -> None:
    page = "---\ntitle: [\n---\n\n```pyton\n```\n\nText <!-- response: GET /x -->\n\n```rr\n```\n"
    lines = [problem.line for problem in read_episode("page.md", page).problems]
    assert lines == [2, 5, 8, 10]


@pytest.mark.parametrize(
    ("language", "known"), [("py3", "python"), ("s", "r"), ("zsh", "bash"), ("ksh", "bash")]
)
def test_other_names_of_languages_that_run_are_refused_not_shown_as_data(
    language: str, known: str
) -> None:
    assert problems(f"```{language}\n1\n```\n") == [
        f"page.md:1: unknown fence language `{language}`: did you mean `{known}`?"
    ]


def test_the_output_of_a_misspelt_block_is_not_refused_as_well() -> None:
    assert problems("```pyton\n1\n```\n\n```output\n1\n```\n") == [
        "page.md:1: unknown fence language `pyton`: did you mean `python`?"
    ]


# Nothing that looks checked is silently data


@pytest.mark.parametrize(
    ("language", "runs"),
    [
        *((name, "python") for name in ("ipython", "ipython3", "python2", "py2", "pycon")),
        *((name, "r") for name in ("rconsole", "rout")),
        *((name, "bash") for name in ("fish", "csh", "tcsh")),
    ],
)
def test_dialects_and_transcripts_are_refused(language: str, runs: str) -> None:
    assert problems(f"```{language}\n1\n```\n") == [
        f"page.md:1: unknown fence language `{language}`: "
        f"use `{runs}` to run it, or `text` to show it as it is"
    ]


def test_source_is_data_as_in_the_workbench() -> None:
    assert problems("```source\n1\n```\n") == []


@pytest.mark.parametrize(
    "page",
    [
        "(1) One\n\n    ```python\n    1\n    ```\n",
        "a.  One\n\n    ```python\n    1\n    ```\n",
        "(@) One\n\n    ```\n    1\n    ```\n",
        "Term\n\n:   ```python\n    1\n    ```\n",
        "[^1]: Note\n\n    ~~~python\n    1\n    ~~~\n",
        "Text\n\n```python title=`x`\n1\n",
    ],
)
def test_fence_that_only_pandoc_reads_is_refused(page: str) -> None:
    (problem,) = problems(page)
    line = 1 + next(n for n, text in enumerate(page.split("\n")) if "```" in text or "~~~" in text)
    assert problem.startswith(f"page.md:{line}: this looks like a fence, but opens none")


@pytest.mark.parametrize("closing", ["``` and text", "    ```", "```python"])
def test_line_that_looks_as_if_it_closed_a_fence_is_refused(closing: str) -> None:
    assert problems(f"```text\n1\n{closing}\n\nText.\n\n```\n") == [
        "page.md:3: this looks like a fence, but is text of the fence at line 1: "
        "close that one before, or use a longer marker for it"
    ]


def test_inline_code_at_the_start_of_a_line_is_no_fence() -> None:
    assert problems("```` ```output ```` and ```` ``` ```` are fences.\n") == []


@pytest.mark.parametrize("kind", ["output", "error"])
def test_dots_alone_compare_nothing(kind: str) -> None:
    assert problems(f"```python\n1\n```\n\n```{kind}\n...\n```\n") == [
        f"page.md:5: `...` alone compares nothing: show part of the {kind}"
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('"..."', 'an answer of `"..."` alone compares nothing'),
        ('{"a": {"b": 1, "b": 2}}', 'the key "b" stands twice in one object'),
    ],
)
def test_answer_that_cannot_be_compared_is_refused(answer: str, message: str) -> None:
    page = f"<!-- response: GET /models -->\n```json\n{answer}\n```\n"
    assert problems(page) == [f"page.md:2: {message}"]


@pytest.mark.parametrize("comment", ["response GET /models", "answer: GET /models"])
def test_directive_that_looks_like_a_response_is_refused(comment: str) -> None:
    (problem,) = problems(f"<!-- {comment} -->\n```json\n{{}}\n```\n")
    assert "write `<!-- response: REQUEST -->`" in problem


@pytest.mark.parametrize("page", ["", "\n", "---\ntitle: One\n---\n", "\ufeff"])
def test_page_without_content_is_refused(page: str) -> None:
    assert problems(page) == ["page.md:1: this page has no content: write some, or delete the file"]


def test_a_very_long_number_in_an_answer_is_json() -> None:
    assert problems(f"<!-- response: GET /models -->\n```json\n{'1' * 5000}\n```\n") == []
