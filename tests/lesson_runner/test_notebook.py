"""A page becomes a notebook per language: every block is a cell, no cell is anything else."""

import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from lesson_runner.export.notebook import to_notebook, with_titled_folds
from lesson_runner.page.episode import LANGUAGES, Episode, read_episode
from lesson_runner.run.notebook import TO_HIDE, ConversionError, notebook_to_run


def read(text: str) -> Episode:
    episode = read_episode("episodes/page.md", textwrap.dedent(text))
    assert episode.problems == ()
    return episode


def cells(text: str, language: str = "python") -> list[tuple[str, str]]:
    """The cells as ("text", source) or ("code", source)."""
    names = {"markdown": "text", "code": "code"}
    return [(names[c.cell_type], c.source) for c in to_notebook(read(text), language).cells]


PAGE = """\
---
title: One page
teaching: 5
---

::: objectives

- Add.

:::

## Adding

::: group-tab

### Python

In Python:

```python
1 + 1
```

```output
2
```

### R

In R:

```r
1 + 1
```

```output
[1] 2
```

:::

::::: challenge

<!-- practice proxy only: a reason -->
```{.python .exercise}
____ + 1
```

:::: solution
<!-- not run: it is slow
and long -->
```py
2 + 1
```
::::
:::::

```text
shown
```

```python
plot(1)
```

![One point](fig/one.png)

The end.
"""


def test_python_notebook_has_the_blocks_and_texts_of_python() -> None:
    assert cells(PAGE) == [
        ("text", "# One page\n\n> **Objectives**\n>\n> - Add."),
        ("text", "## Adding\n\nIn Python:"),
        ("code", "1 + 1"),
        ("text", "### Challenge"),
        ("code", "____ + 1"),
        ("text", "<details>\n<summary>Solution</summary>\n\n```py\n2 + 1\n```\n\n</details>"),
        ("text", "***\n\n```text\nshown\n```"),
        ("code", "plot(1)"),
        ("text", "The end."),
    ]


def test_r_notebook_leaves_out_the_tab_of_python_and_keeps_its_other_blocks_as_text() -> None:
    made = cells(PAGE, "r")
    assert [cell for cell in made if cell[0] == "code"] == [("code", "1 + 1")]
    assert made[1] == ("text", "## Adding\n\nIn R:")
    assert "```python\nplot(1)\n```" in made[-1][1]


def test_page_without_blocks_of_the_language_has_no_code_cell() -> None:
    assert {kind for kind, _ in cells(PAGE, "bash")} == {"text"}


def test_tabs_that_are_no_languages_all_stay() -> None:
    page = """\
        ::: group-tab
        ### Windows
        Press a key.
        ### macOS
        ```bash
        ls
        ```
        :::
        """
    assert cells(page, "bash") == [
        ("text", "# page.md\n\n### Windows\nPress a key.\n### macOS"),
        ("code", "ls"),
    ]


def test_smaller_headings_do_not_end_the_tab_that_they_stand_in() -> None:
    page = """\
        ::: group-tab
        ### Python
        #### Python
        One.
        ### Shell
        #### Python
        Two.
        :::
        """
    assert "One." in cells(page)[0][1]
    assert "Two." not in cells(page)[0][1]


def test_code_cells_carry_the_line_of_their_block_and_what_they_are() -> None:
    notebook = to_notebook(read(PAGE), "python")
    assert [dict(cell.metadata) for cell in notebook.cells if cell.cell_type == "code"] == [
        {"line": 20},
        {"line": 45, "tags": ["exercise", "raises-exception"]},
        {"line": 62},
    ]


def test_a_block_that_raises_does_not_stop_a_reader_who_runs_all_cells() -> None:
    notebook = to_notebook(
        read("```python\n1 / 0\n```\n```error\nZeroDivisionError\n```\n"), "python"
    )
    assert notebook.cells[1].metadata["tags"] == ["raises-exception"]


def test_solutions_are_folded_text_and_hidden_code() -> None:
    page = """\
        ::::: challenge

        ## Add (2 minutes)

        Add one.

        ::: hint
        Use `+`.
        :::

        ::: solution

        ## The sum

        It is:

        ```python
        1 + 1
        ```

        Not 3.

        :::

        :::::
        """
    notebook = to_notebook(read(page), "python")
    assert [cell.source for cell in notebook.cells] == [
        "# page.md\n\n### Challenge: Add (2 minutes)\n\nAdd one.",
        "<details>\n<summary>Hint</summary>\n\nUse `+`.\n\n</details>",
        "<details>\n<summary>Solution: The sum</summary>\n\nIt is:\n\n</details>",
        "1 + 1",
        "<details>\n<summary>Solution: The sum (continued)</summary>\n\nNot 3.\n\n</details>",
    ]
    assert dict(notebook.cells[3].metadata) == {
        "jupyter": {"source_hidden": True},
        "line": 17,
        "tags": ["solution"],
    }


def test_folded_code_of_learners_begins_with_its_title_not_with_the_solution() -> None:
    """JupyterLab shows the first line of a folded cell."""
    page = "::: {}\n```python\n{}\n```\n:::\n"
    for name, source, begins in (
        ("solution", "1 + 1", "# Solution\n1 + 1"),
        ("hint", "help(sum)", "# Hint\nhelp(sum)"),
        ("solution", "%%bash\nls", "%%bash\nls"),
        ("challenge", "1 + 1", "1 + 1"),
    ):
        notebook = with_titled_folds(to_notebook(read(page.format(name, source)), "python"))
        assert [c.source for c in notebook.cells if c.cell_type == "code"] == [begins]


def test_notes_for_instructors_are_left_out_of_learners_notebooks() -> None:
    page = "Before.\n\n::: instructor\n\nThe answer is B.\n\n```python\n'B'\n```\n\n:::\n\nAfter.\n"
    assert cells(page) == [("text", "# page.md\n\nBefore.\n\nAfter.")]


def test_instructors_see_notes_and_solutions() -> None:
    page = """\
        ::: challenge
        ## Add

        Add one.

        ::: solution
        ```python
        1 + 1
        ```
        Not 3.
        :::

        ::: instructor
        Some say 3.
        :::

        Next time, subtract.
        :::
        The end.
        """
    notebook = to_notebook(read(page), "python", for_instructors=True)
    assert [cell.source for cell in notebook.cells] == [
        "# page.md\n\n### Challenge: Add\n\nAdd one.",
        "#### Solution",
        "1 + 1",
        "Not 3.",
        "> **For instructors**\n>\n> Some say 3.",
        "Next time, subtract.",
        "***\n\nThe end.",
    ]
    assert dict(notebook.cells[2].metadata) == {"line": 7, "tags": ["solution"]}


def test_boxes_of_text_are_quotes_and_boxes_with_code_have_a_heading_and_an_end() -> None:
    page = """\
        ::: callout
        ## Why `a`?
        - One.
        :::
        ::: {.testimonial}
        Good.
        :::
        ::::: discussion
        Look:
        ```python
        1
        ```
        ::: caution
        Hot!
        :::
        :::::
        The end.
        """
    assert cells(page) == [
        ("text", "# page.md\n\n> **Why `a`?**\n>\n> - One."),
        ("text", "> **Testimonial**\n>\n> Good."),
        ("text", "### Discussion\n\nLook:"),
        ("code", "1"),
        ("text", "> **Caution**\n>\n> Hot!"),
        ("text", "***\n\nThe end."),
    ]


def test_markdown_in_the_title_of_a_fold_becomes_html() -> None:
    page = "::: solution\n## Use `a < b`\nText.\n:::\n"
    summary = "<summary>Solution: Use <code>a &lt; b</code></summary>"
    assert summary in cells(page)[0][1]


def test_an_underlined_heading_of_a_box_leaves_no_line_behind() -> None:
    page = "::: callout\n\nTitle\n-----\n\nText.\n\n:::\n"
    assert cells(page) == [("text", "# page.md\n\n> **Title**\n>\n> Text.")]


def test_a_box_that_is_never_closed_ends_with_the_page() -> None:
    assert cells("::: challenge\nOne.\n```python\n1\n```\n") == [
        ("text", "# page.md\n\n### Challenge\n\nOne."),
        ("code", "1"),
    ]


def test_a_box_that_holds_nothing_for_this_language_is_left_out() -> None:
    page = "::: callout\n::: group-tab\n### R\nFor R.\n### Python\n:::\n:::\nThe end.\n"
    assert cells(page) == [("text", "# page.md\n\nThe end.")]


def test_links_to_episodes_lead_to_their_notebooks() -> None:
    page = "See [tokens](tokens-cost.md#price), [setup](../learners/setup.md), [it](x/y.md).\n"
    assert cells(page) == [
        (
            "text",
            "# page.md\n\nSee [tokens](tokens-cost.ipynb#price), [setup](learners/setup.md), "
            "[it](x/y.md).",
        )
    ]


@pytest.mark.parametrize(
    ("language", "kernel", "name"),
    [("python", "python3", "python"), ("r", "ir", "R"), ("bash", "bash", "bash")],
)
def test_notebook_names_its_kernel_and_page(language: str, kernel: str, name: str) -> None:
    metadata = to_notebook(read(PAGE), language).metadata
    assert metadata["kernelspec"]["name"] == kernel
    assert metadata["language_info"]["name"] == name
    assert metadata["lesson"] == {"page": "episodes/page.md"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_notebook_is_valid_without_outputs_and_the_same_bytes_each_time(language: str) -> None:
    notebook = to_notebook(read(PAGE), language)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all((cell.outputs, cell.execution_count) == ([], None) for cell in code)
    assert nbformat.writes(notebook) == nbformat.writes(to_notebook(read(PAGE), language))


def test_windows_line_endings_make_the_same_notebook() -> None:
    windows = read_episode("episodes/page.md", PAGE.replace("\n", "\r\n"))
    assert nbformat.writes(to_notebook(windows, "python")) == nbformat.writes(
        to_notebook(read(PAGE), "python")
    )


@pytest.mark.parametrize(
    "title", ["Text encoding: UTF-16", "---", "a\u2028b", "jupyter:", "<!-- #endregion -->"]
)
def test_any_title_is_text(title: str) -> None:
    episode = replace(read("```python\n1\n```\n"), title=title)
    sources = [cell.source for cell in to_notebook(episode, "python").cells]
    assert sources == [f"# {title}", "1"]


def test_comment_that_only_begins_like_a_directive_stays() -> None:
    assert cells("<!-- not running yet -->\n\nText.\n") == [
        ("text", "# page.md\n\n<!-- not running yet -->\n\nText.")
    ]


def test_directive_over_several_lines_is_left_out_as_a_whole() -> None:
    page = "<!--\nNot run:\n  it installs\n-->\n\n```python\n1\n```\n"
    assert cells(page) == [("text", "# page.md\n\n```python\n1\n```")]


def test_two_unlike_cells_are_the_fault_of_the_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """This once passed in silence: jupytext took `:::` for pandoc and made one cell of a page."""

    def one_cell(text: str, fmt: str) -> NotebookNode:
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])

    def no_line(text: str, fmt: str) -> NotebookNode:
        made = [nbformat.v4.new_markdown_cell("# page.md"), nbformat.v4.new_code_cell("1")]
        return nbformat.v4.new_notebook(cells=made)

    def too_many(text: str, fmt: str) -> NotebookNode:
        made = no_line(text, fmt)
        made.cells[1].metadata["line"] = 1
        made.cells.append(nbformat.v4.new_code_cell("2"))
        return made

    episode = read("```python\n1\n```\n")
    for reads, message in (
        (one_cell, "made another cell of the text '# page.md'"),
        (no_line, "made another cell of the block at line 1"),
        (too_many, "2 cells became 3"),
    ):
        monkeypatch.setattr("jupytext.reads", reads)
        with pytest.raises(ConversionError, match=message):
            to_notebook(episode, "python")


def test_what_runs_is_the_blocks_of_one_language_and_nothing_else() -> None:
    notebook = notebook_to_run(read(PAGE), "python")
    assert [cell.cell_type for cell in notebook.cells] == ["code"] * len(notebook.cells)
    assert [cell.source for cell in notebook.cells] == [
        block.source.removesuffix("\n") for block in read(PAGE).to_run("python")
    ]


def test_a_block_that_jupytext_lost_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupytext.reads", lambda text, fmt: nbformat.v4.new_notebook())
    with pytest.raises(ConversionError, match="1 cells became 0"):
        notebook_to_run(read("```python\n1\n```\n"), "python")


def test_no_character_of_a_page_is_taken_for_one_that_stands_in_for_another() -> None:
    all_stand_ins = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    source = f"x = 1  # {all_stand_ins}{TO_HIDE.replace(chr(0x0B), '')!r}\n"
    page = f"{all_stand_ins}\n\n```python\n{source}```\n"
    for notebook in (to_notebook(read(page), "python"), notebook_to_run(read(page), "python")):
        assert notebook.cells[-1].source == source.rstrip("\n")


# Whatever a page holds, no block is lost or altered.

LINES = [
    *("", " ", "x = 1", "    indented", "\ttab", "trailing  ", "\\", "+++", "$$"),
    *(
        "```",
        "````",
        "```python",
        "```R",
        "~~~",
        "~~~~ r",
        "```{r}",
        "# %%",
        "# + [markdown]",
        "# -",
    ),
    *("%%bash", "%matplotlib inline", "# %matplotlib inline", "%%R", "!ls", "# !ls", "help?"),
    *("'''", '"""', "it's", '"', "`", "cat <<EOF", "EOF", "#!/bin/sh", "# coding: latin-1"),
    *(
        ":::",
        "::: challenge",
        ":::: {.solution}",
        "---",
        "title: x",
        "jupyter:",
        "- item",
        "> quote",
    ),
    *("<!-- #region -->", "<!-- #endregion -->", "<!-- #endregion -->  ", "<!-- #raw -->"),
    *("<!-- #endraw -->", "<!-- #md -->", "<!--", "-->", "<details>", "</details>", "## Heading"),
    *(
        "\u2028",
        "a\u2028b",
        "a\x0cb",
        "a\x0bb",
        "a\x85b",
        "a\x1cb",
        "e\u0301 🎉 Ωμέγα 中文",
        "\ue000",
    ),
]
TEXT_LINES = [
    *("Text.", "::: challenge", ":::", "## Heading", "title: x", "jupyter:", "- item", "> quote"),
    *("<!-- #region -->", "<!-- #endregion -->", "<!-- #raw -->", '<!-- #md title="x" -->'),
    *("<!-- a comment -->", "![a](fig/x.png)", "```` `x` ````", "it's", '"""', "# %%", "a\u2028b"),
    *(
        "---",
        "===",
        "1. item",
        "$$",
        "+++",
        "a\x0cb",
        "# coding: latin-1",
        "%%bash",
        "中文 e\u0301",
    ),
]
INFOS = {
    "python": ["python", "Python", 'python title="x"', "{.python}", "py", "{python, echo=TRUE}"],
    "r": ["r", "R", "{r}", "{r setup, echo=FALSE}", "{.r .numberLines}"],
    "bash": ["bash", "sh", "Shell", "{.bash}"],
    "data": ["text", "sql", "", "csv"],
}


@dataclass(frozen=True)
class MadeFence:
    language: str
    info: str
    mark: str
    longer: int  # than the longest run of its mark inside
    before: str  # on the opening line: blanks, list markers, quote markers
    lines: list[str]

    def page_lines(self) -> list[str]:
        runs = re.findall(re.escape(self.mark) + "+", "\n".join(self.lines))
        marker = self.mark * max(3, 1 + self.longer + max(map(len, runs), default=0))
        margin = re.sub(r"[^>\s]", " ", self.before)
        inside = [margin + line for line in self.lines]
        return [self.before + marker + self.info, *inside, margin + marker, ""]


FENCES = st.sampled_from(list(INFOS)).flatmap(
    lambda language: st.builds(
        MadeFence,
        st.just(language),
        st.sampled_from(INFOS[language]),
        st.sampled_from("`~"),
        st.integers(0, 2),
        st.sampled_from(["", "  ", "   ", "- ", "1. ", "> ", "> - ", "* > ", "- 1. "]),
        # A block without code is a problem of its page.
        st.lists(st.sampled_from(LINES), max_size=5).filter(lambda x: any(map(str.strip, x))),
    )
)
TEXTS = st.lists(st.sampled_from(TEXT_LINES), min_size=1, max_size=3)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FENCES | TEXTS, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_no_block_of_any_page_is_lost_or_altered(
    parts: list[MadeFence | list[str]], ending: str
) -> None:
    lines = ["---", "title: T", "---", ""]
    made: list[tuple[int, str, str]] = []
    for part in parts:
        if isinstance(part, MadeFence):
            made.append((len(lines) + 1, part.language, "".join(f"{x}\n" for x in part.lines)))
            lines += part.page_lines()
        else:
            lines += [*part, ""]
    made = [one for one in made if one[1] != "data"]
    episode = read_episode("page.md", ending.join(lines))
    assert [(b.line, b.language, b.source) for b in episode.blocks if b.role == "run"] == made
    for language in LANGUAGES:
        code = [c for c in to_notebook(episode, language).cells if c.cell_type == "code"]
        assert [(dict(cell.metadata), cell.source) for cell in code] == [
            ({"line": line}, source.removesuffix("\n"))
            for line, its_language, source in made
            if its_language == language
        ]


def test_jupytext_is_whole_for_everybody_else() -> None:
    code = (
        "import sys\n"
        "from lesson_runner.page.episode import read_episode\n"
        "from lesson_runner.run.notebook import notebook_to_run\n"
        "notebook_to_run(read_episode('a.md', '```python\\n1\\n```\\n'), 'python')\n"
        "print([m for m in ('jupytext', 'jupyter_server') if m in sys.modules])\n"
        "import jupytext\n"
        "print(jupytext.TextFileContentsManager().default_jupytext_formats == '')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nTrue\n"
