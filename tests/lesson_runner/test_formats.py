"""A page as R Markdown, as a Quarto document and as scripts, in full."""

import json
import subprocess
import sys
import textwrap

import jupytext
import pytest
import yaml

from lesson_runner.export.documents import FORMATS, to_text
from lesson_runner.export.learner_pages import to_html, to_markdown
from lesson_runner.page.episode import Episode, read_episode
from lesson_runner.page.places import LessonError


def read(text: str, path: str = "episodes/page.md") -> Episode:
    episode = read_episode(path, textwrap.dedent(text))
    assert episode.problems == ()
    return episode


PAGE = """\
---
title: "One: page"
---

::: objectives
- Add.
:::

## Adding

See [key](../learners/reference.md#key), [setup](../learners/setup.md) and [more](more.md).

![](fig/plus.svg){{alt='A "plus" [sic]'}}

```{lang}
1 + 1
```

```output
...2
```

::::: challenge

## Fill in (2 minutes)

```{{.{lang} .exercise}}
____ + 1
```

:::: solution
```{lang}
2 + 1
```
Three.
::::
:::::

This fails:

```{lang}
nothing
```

```error
...not...
```
"""


def page(language: str) -> Episode:
    return read(PAGE.format(lang=language))


def test_r_markdown() -> None:
    assert to_text(page("r"), "r", "Rmd") == textwrap.dedent(
        """\
        ---
        title: 'One: page'
        output:
          html_document:
            fig_caption: false
        ---

        > Starter code has blanks (`____`) and the chunk option `eval=FALSE`, so that the document can be knitted. Remove the option once you have filled in the blanks.

        > **Objectives**
        >
        > - Add.

        ## Adding

        See [key](learners/reference.html#key), [setup](learners/setup.html) and [more](more.Rmd).

        ![A "plus" \\[sic\\]](fig/plus.svg)

        ```{r}
        1 + 1
        ```

        ### Challenge: Fill in (2 minutes)

        ```{r eval=FALSE}
        ____ + 1
        ```

        <details>
        <summary>Solution</summary>

        ```{r}
        2 + 1
        ```

        Three.

        </details>

        ***

        This fails:

        ```{r error=TRUE}
        nothing
        ```
        """  # noqa: E501
    )


def test_quarto() -> None:
    assert to_text(page("python"), "python", "qmd") == textwrap.dedent(
        """\
        ---
        title: 'One: page'
        format:
          html:
            embed-resources: true
        jupyter: python3
        ---

        > Starter code has blanks (`____`) and the line `#| eval: false`, so that the document can be rendered. Remove the line once you have filled in the blanks.

        ::: {.callout-note}

        ## Objectives

        - Add.

        :::

        ## Adding

        See [key](learners/reference.html#key), [setup](learners/setup.html) and [more](more.qmd).

        ![](fig/plus.svg){fig-alt="A \\"plus\\" [sic]"}

        ```{python}
        1 + 1
        ```

        :::: {.callout-tip}

        ## Challenge: Fill in (2 minutes)

        ```{python}
        #| eval: false
        ____ + 1
        ```

        ::: {.callout-note collapse="true"}

        ## Solution

        ```{python}
        2 + 1
        ```

        Three.

        :::

        ::::

        This fails:

        ```{python}
        #| error: true
        nothing
        ```
        """  # noqa: E501
    )
    assert "\nengine: knitr\n" in to_text(page("r"), "r", "qmd")


def test_python_script_in_the_percent_format() -> None:
    assert to_text(page("python"), "python", "py") == textwrap.dedent(
        """\
        # ---
        # title: 'One: page'
        # ---

        # %% [markdown]
        # > Run this script in the folder that it lies in: it reads files from there.
        #
        # > **Objectives**
        # >
        # > - Add.
        #
        # ## Adding
        #
        # See key, [setup](learners/setup.md) and [more](more.py).
        #
        # ![A "plus" \\[sic\\]](fig/plus.svg)

        # %%
        1 + 1

        # %% [markdown]
        # ### Challenge: Fill in (2 minutes)
        #
        # **Starter code.** Remove the `# ` before each line, and fill in the blanks.

        # %%
        # ____ + 1

        # %% [markdown]
        # #### Solution

        # %%
        2 + 1

        # %% [markdown]
        # Three.
        #
        # ***
        #
        # This fails:
        #
        # **This code ends with an error, on purpose.** Remove the `# ` before each line to run it.

        # %%
        # nothing
        """
    )


def test_r_script_that_rstudio_can_compile() -> None:
    made = to_text(page("r"), "r", "R")
    assert made.startswith("#' ---\n#' title: 'One: page'\n#' ---\n")
    assert made.endswith(
        textwrap.dedent(
            """\
            #' ### Challenge: Fill in (2 minutes)
            #'
            #' **Starter code.** Remove the `# ` before each line, and fill in the blanks.

            # ____ + 1

            #' #### Solution

            2 + 1

            #' Three.
            #'
            #' ***
            #'
            #' This fails:
            #'
            #' **This code ends with an error, on purpose.** Remove the `# ` before each line to run it.

            # nothing
            """  # noqa: E501
        )
    )


def test_no_note_on_blanks_where_there_are_none() -> None:
    made = to_text(read("```r\n1\n```\n"), "r", "Rmd")
    assert made.split("---\n")[2] == "\n```{r}\n1\n```\n"


@pytest.mark.parametrize("title", ['Say "a: b"', "---", "# 1", "a\u2028b", "'", "jupyter:", "ü"])
@pytest.mark.parametrize("name", ["Rmd", "qmd"])
def test_any_title_is_the_title_of_the_document(title: str, name: str) -> None:
    episode = read(f"---\n{yaml.safe_dump({'title': title})}---\n\n```r\n1\n```\n")
    header = to_text(episode, "r", name).split("---\n", 1)[1].split("\n---\n", 1)[0]
    assert yaml.safe_load(header)["title"] == title.replace("\u2028", " ")


@pytest.mark.parametrize("name", ["Rmd", "qmd"])
def test_a_block_that_would_end_its_chunk_is_refused(name: str) -> None:
    episode = read('~~~~python\ntext = """\n```\n"""\n~~~~\n')
    with pytest.raises(LessonError) as refused:
        to_text(episode, "python", name)
    assert str(refused.value) == (
        f"episodes/page.md:1: a line of ``` would end this block in a .{name} file: "
        f"leave {name} out of --format"
    )
    assert "\n```\n" in to_text(episode, "python", "py")


@pytest.mark.parametrize("name", ["Rmd", "qmd"])
def test_text_that_would_become_a_chunk_is_refused(name: str) -> None:
    episode = read("````text\n```{r}\n1\n```\n````\n\n```r\n2\n```\n")
    with pytest.raises(LessonError, match=f"as text would become code in a .{name} file"):
        to_text(episode, "r", name)


def test_every_block_is_in_every_format_in_order() -> None:
    sources = ["a <- 1", "# a comment\nb <- 2", "c <- '#+ no option'\n\n\nd <- 4"]
    text = "".join(f"## Part\n\nText.\n\n```r\n{source}\n```\n\n" for source in sources)
    for name in ("Rmd", "qmd", "R"):
        made = to_text(read(text), "r", name)
        places = [made.find(source) for source in sources]
        assert places == sorted(places)
        assert -1 not in places


def test_jupyter_opens_the_percent_script_with_the_same_cells() -> None:
    text = "Text.\n\n```python\n%matplotlib inline\nx = 1\n```\n\n```python\nx\n```\n"
    notebook = jupytext.reads(to_text(read(text), "python", "py"), "py:percent")
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == [
        "%matplotlib inline\nx = 1",
        "x",
    ]


MAKE_ALL = """
import json, sys
from lesson_runner.page.episode import read_episode
from lesson_runner.export.documents import to_text
given = json.load(sys.stdin)
made = [to_text(read_episode("episodes/page.md", text), *names) for text, *names in given]
json.dump(made, sys.stdout)
"""


def test_another_process_makes_the_same_texts() -> None:
    calls = [
        (PAGE.format(lang=language), language, name)
        for name, one in FORMATS.items()
        for language in one.languages
        if name != "ipynb"
    ]
    call = [sys.executable, "-c", MAKE_ALL]
    other = subprocess.run(call, check=True, capture_output=True, input=json.dumps(calls).encode())
    assert json.loads(other.stdout) == [to_text(read(text), *names) for text, *names in calls]


# Pages beside the notebooks

SETUP = """\
---
title: Setup
---

## Base URL & key

See [below](#if-a-check-fails), [the glossary](reference.md#api-key), [it](../episodes/page.md).

::: group-tab

### Windows

Press a key.

### Linux

<!-- not run: it installs -->
```bash
apt
```

:::

::: group-tab

### Python

In Python.

### R

In R.

:::

## If a check fails

::: caution
### A key is a password
Keep it.
:::

```output
shown
```
"""


def test_pages_for_learners_have_the_anchors_of_the_site_and_no_divs() -> None:
    page = read(SETUP.replace("```output\nshown\n```\n", ""), "learners/setup.md")
    assert to_markdown(page, "r", "ipynb") == textwrap.dedent(
        """\
        # Setup

        <a id="base-url-key"></a>

        ## Base URL & key

        See [below](#if-a-check-fails), [the glossary](reference.md#api-key), [it](../page.ipynb).

        ### Windows

        Press a key.

        ### Linux

        ```bash
        apt
        ```

        In R.

        <a id="if-a-check-fails"></a>

        ## If a check fails

        > **Caution: A key is a password**
        >
        > Keep it.
        """
    )


def test_beside_documents_that_become_html_pages_for_learners_are_html() -> None:
    page = read("---\ntitle: A & b\n---\n\n## If\n\n[x](reference.md#y)\n", "learners/setup.md")
    made = to_html(page, "r", "Rmd")
    assert "<title>A &amp; b</title>" in made
    assert '<a id="if"></a>' in made
    assert '<a href="reference.html#y">x</a>' in made
