"""Python blocks in real kernels: what passes, what fails, and what a failure says."""

import base64
import sys

import pytest
from made_lesson import MadeLesson


def outcomes(checked: object) -> list[tuple[int, str]]:
    return [(result.block.line, result.outcome) for result in checked.results]  # type: ignore[attr-defined]


def test_output_is_what_is_printed_and_then_the_value(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("""\
        ```python
        print("first")
        "second"
        ```

        ```output
        first
        'second'
        ```
        """)
    assert outcomes(checked) == [(1, "passed")]
    assert checked.results[0].execution is not None
    assert checked.results[0].execution.output == "first\n'second'\n"


def test_another_output_fails_at_the_line_of_the_fence_with_a_difference(
    made_lesson: MadeLesson,
) -> None:
    assert made_lesson.failures("""\
        Text.

        ```python
        for n in (1, 2):
            print(n)
        ```

        ```output
        1
        3
        ```
        """) == [
        "\n".join(
            [
                "episodes/page.md:8: the block prints something else than the page shows",
                "  --- the page shows",
                "  +++ the block prints",
                "  @@ -1,2 +1,2 @@",
                "   1",
                "  -3",
                "  +2",
                "  if the block is right: lesson check --update writes what it prints",
                "  in the python block at line 3",
            ]
        )
    ]


def test_a_failure_names_the_line_of_the_page_and_shows_it(made_lesson: MadeLesson) -> None:
    assert made_lesson.failures("""\
        # Page

        - A fence in a list:

          ```python

          answer = {"id": "gpt-4"}

          answer["choices"]
          ```
        """) == [
        "episodes/page.md:9: KeyError: 'choices'\n"
        '    9 |   answer["choices"]\n'
        "  in the python block at line 5"
    ]


def test_the_line_is_the_one_in_the_failing_block_not_in_the_function_it_calls(
    made_lesson: MadeLesson,
) -> None:
    (failure,) = made_lesson.failures("""\
        ```python
        def share(part, whole):
            return part / whole
        ```

        ```python
        total = 0
        share(1, total)
        ```
        """)
    assert failure.startswith("episodes/page.md:8: ZeroDivisionError: division by zero")


def test_a_syntax_error_has_the_line_of_the_page(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("""\
        ```python
        x = 1
        y = x +* 2
        ```
        """)
    assert failure.startswith("episodes/page.md:3: SyntaxError: invalid syntax\n    3 | y = x +* 2")


def test_blocks_after_an_error_run_and_say_what_they_may_follow_from(
    made_lesson: MadeLesson,
) -> None:
    page = """\
        ```python
        titles = ["Heat waves"] + 1
        ```

        ```python
        len(titles)
        ```

        ```python
        print("on its own")
        ```
        """
    checked = made_lesson.check(page)
    assert outcomes(checked) == [(1, "failed"), (5, "failed"), (9, "passed")]
    first, second, _ = checked.results
    follows = "this may follow from the failure at episodes/page.md:2"
    assert follows not in first.detail
    assert second.reason == "NameError: name 'titles' is not defined"
    assert second.detail.endswith(follows)


def test_blocks_after_a_mere_difference_still_run(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("""\
        ```python
        print(1)
        ```
        ```output
        2
        ```
        ```python
        print(3)
        ```
        ```output
        3
        ```
        """)
    assert outcomes(checked) == [(1, "failed"), (7, "passed")]


def test_error_fence_must_raise(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("""\
        ```python
        int("12")
        ```
        ```error
        ValueError: invalid literal for int() with base 10: '12'
        ```
        """)
    first, *_ = failure.splitlines()
    assert first == "episodes/page.md:4: the page shows an error, but the block raised none"


def test_error_fence_must_be_the_error_that_is_raised(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("""\
        ```python
        {}["choices"]
        ```
        ```error
        Traceback (most recent call last):
        KeyError: 'choices'
        ```

        ```python
        int("a")
        ```
        ```error
        ValueError: ...
        ```

        ```python
        int("a")
        ```
        ```error
        TypeError: ...
        ```

        ```python
        print("after")
        ```
        """)
    assert outcomes(checked) == [(1, "passed"), (9, "passed"), (16, "failed"), (23, "passed")]
    assert checked.failed[0].reason == "the block raised another error than the page shows"


def test_what_ipython_passes_over_fails(made_lesson: MadeLesson) -> None:
    """A magic that does not exist, a command or a line of a script that fails."""
    checked = made_lesson.check("""\
        ```python
        %notmagic
        ```
        ```error
        UsageError: Line magic function `%notmagic` not found.
        ```
        ```python
        !false
        ```
        ```error
        CalledProcessError: Command 'false' returned non-zero exit status 1.
        ```
        ```python
        lines = !echo one; false
        ```
        ```error
        CalledProcessError: ...
        ```
        ```python
        %%bash
        false
        echo after
        ```
        ```error
        CalledProcessError: ...
        ```
        ```python
        lines = !echo one
        lines
        ```
        ```output
        ['one']
        ```
        """)
    assert {outcome for _, outcome in outcomes(checked)} == {"passed"}, checked.failed


def test_a_magic_that_does_not_exist_fails_without_an_error_fence(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```python\n%notmagic\n```\n")
    assert failure.startswith(
        "episodes/page.md:1: UsageError: Line magic function `%notmagic` not found."
    )


def test_a_printed_traceback_fails_unless_the_page_shows_it(made_lesson: MadeLesson) -> None:
    printing = """
        ```python
        import traceback
        try:
            1 / 0
        except ZeroDivisionError:
            print(traceback.format_exc())
        ```
        """
    (failure,) = made_lesson.failures(printing)
    assert "the block prints an error that the page does not show: Traceback" in failure
    shown = (
        printing
        + """
        ```output
        Traceback (most recent call last):
        ...
        ```
        """
    )
    assert made_lesson.failures(shown) == []


def test_a_block_that_hangs_is_interrupted_and_named(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```python
        import time
        time.sleep(60)
        ```
        ```python
        print("after")
        ```
        """,
        seconds=1,
    )
    assert checked.failed[0].reason == "still running after 1 s: interrupted"
    assert outcomes(checked) == [(1, "failed"), (5, "passed")]
    assert checked.seconds < 10


def test_a_block_that_cannot_be_interrupted_ends_its_page(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```python
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(60)
        ```
        ```python
        print("after")
        ```
        """,
        seconds=1,
    )
    assert outcomes(checked) == [(1, "failed"), (6, "not run")]
    assert checked.results[1].reason == "not reached: episodes/page.md:1 failed"
    assert checked.seconds < 20


def test_a_kernel_that_dies_is_named(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("""\
        ```python
        import os
        os._exit(3)
        ```
        ```python
        print("after")
        ```
        """)
    assert checked.failed[0].reason == "the kernel died"
    assert outcomes(checked) == [(1, "failed"), (5, "not run")]


def test_a_crash_report_of_the_kernel_is_shown(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("""\
        ```python
        import ctypes
        ctypes.string_at(0)
        ```
        """)
    assert failure.startswith("episodes/page.md:3: the kernel died\n    3 | ctypes.string_at(0)")
    assert "Fatal Python error: Segmentation fault" in failure


def test_ending_the_session_fails(made_lesson: MadeLesson) -> None:
    for end in ("import sys; sys.exit(3)", "quit()", "exit()", "raise SystemExit"):
        (failure,) = made_lesson.failures(f"```python\n{end}\n```\n")
        assert "SystemExit" in failure, end


def test_asking_for_input_fails_at_once(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```python\nname = input('Name? ')\n```\n")
    assert failure.startswith(
        "episodes/page.md:2: the block asks for input, and nobody is there to answer"
    )


def test_output_without_end_is_stopped(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        "```python\nwhile True:\n    print('again and again')\n```\n", characters=20_000
    )
    assert failure.startswith("episodes/page.md:1: printed more than 20,000 characters")


def test_binary_output_fails_and_its_report_can_be_printed(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("""\
        ```python
        print("\\x00\\x1b]0;title\\x07")
        ```
        ```output
        text
        ```
        """)
    assert failure.startswith("episodes/page.md:1: the block prints binary data")
    assert failure.isprintable() or set(failure) - {"\n"} == {c for c in failure if c.isprintable()}


DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


def test_the_block_that_shows_a_plot_must_draw_one(made_lesson: MadeLesson) -> None:
    page = """\
        ```python
        import base64
        from IPython.display import Image, display
        dot = Image(data=base64.b64decode("{dot}"), format="png")
        {last}
        ```

        ![A dot](fig/dot.png)
        """
    (missing,) = made_lesson.failures(page.format(dot=DOT, last="display(dot)"))
    assert missing.startswith(
        "episodes/page.md:8: the page shows fig/dot.png, which does not exist: --update writes it"
    )
    (failure,) = made_lesson.failures(page.format(dot=DOT, last="dot = None"))
    expected = "episodes/page.md:8: the page shows fig/dot.png, but the block drew no plot"
    assert failure.startswith(expected)
    # A dot that no plotting library made is a diagram, whether or not the block draws.
    (made_lesson.root / "episodes" / "fig").mkdir()
    (made_lesson.root / "episodes" / "fig" / "dot.png").write_bytes(base64.b64decode(DOT))
    for last in ("display(dot)", "dot = None"):
        assert made_lesson.failures(page.format(dot=DOT, last=last)) == []


def test_a_plot_without_its_plotting_code_fails(made_lesson: MadeLesson) -> None:
    page = """\
        ```python
        import matplotlib.pyplot as plt
        {draw}
        ```

        ![A line](fig/line.png)

        ![The same line](fig/again.png)
        """
    two = "for _ in 1, 2: plt.plot([1, 2]); plt.show()"
    drawn = made_lesson.check(page.format(draw=two)).results[0].execution
    assert drawn is not None
    (made_lesson.root / "episodes" / "fig").mkdir()
    for name, image in zip(("line", "again"), drawn.images, strict=True):
        (made_lesson.root / "episodes" / "fig" / f"{name}.png").write_bytes(image)
    assert made_lesson.failures(page.format(draw=two)) == []
    (failure,) = made_lesson.failures(page.format(draw=two.replace("1, 2:", "[1]:")))
    said = "episodes/page.md:8: the page shows fig/again.png, but the block drew only 1"
    assert failure.startswith(said)
    (failure,) = made_lesson.failures(page.format(draw="plt.plot"))
    said = "episodes/page.md:6: the page shows fig/line.png, but the block drew no plot"
    assert failure.startswith(said)


def test_outputs_keep_the_order_in_which_they_came(made_lesson: MadeLesson) -> None:
    assert (
        made_lesson.failures("""\
        ```python
        import sys
        from IPython.display import display
        print("one")
        display("two")
        print("three", end="")
        print("not compared", file=sys.stderr)
        "four"
        ```
        ```output
        one
        'two'
        three
        'four'
        ```
        """)
        == []
    )


def test_a_fresh_kernel_has_nothing_of_the_one_before(made_lesson: MadeLesson) -> None:
    made_lesson.check("```python\nleft_over = 1\n```\n")
    (failure,) = made_lesson.failures("```python\nleft_over\n```\n")
    assert "NameError: name 'left_over' is not defined" in failure


ERRORS = {
    "indentation": ("x = 1\n  y = 2", "IndentationError: unexpected indent", 2),
    "tab": (
        "if True:\n        x = 1\n\ty = 2",
        "TabError: inconsistent use of tabs and spaces in indentation",
        3,
    ),
    "for": (
        "x = 1\nfor n in (1, 2):\nprint(n)",
        "IndentationError: expected an indented block after 'for' statement on line 2",
        3,
    ),
    "string": (
        "x = 1\ny = 'two",
        "SyntaxError: unterminated string literal (detected at line 2)",
        2,
    ),
    "blank lines first": ("\n\nx = 1\n1 / 0", "ZeroDivisionError: division by zero", 4),
    "assertion": ("assert 1 == 2", "AssertionError", 1),
    "assertion in Jupyter": ("assert 1 == 2", "AssertionError:", 1),
}


@pytest.mark.parametrize(("code", "error", "line"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_the_same_wherever_the_block_stands(
    made_lesson: MadeLesson, code: str, error: str, line: int
) -> None:
    block = f"```python\n{code}\n```\n"
    shown = f"{block}```error\n{error}\n```\n"
    assert made_lesson.failures("Text.\n\n" * 20 + shown) == []
    (failure,) = made_lesson.check(f"Text.\n\n{block}").failed
    assert failure.line == 3 + line


def test_an_exception_of_a_function_of_an_earlier_block_is_at_the_call(
    made_lesson: MadeLesson,
) -> None:
    (failure,) = made_lesson.check(
        "```python\ndef f():\n\n\n    1 / 0\n```\n```python\nx = 1\nf()\ny = 2\nz = 3\n```\n"
    ).failed
    assert failure.line == 9


UNSEEN = {
    "cd": "%cd no-such-folder",
    "a pipe": "!false | cat",
    "a pipe with a result": "lines = !false | cat",
    "%%bash": "%%bash\nfalse\necho on",
    "%%bash, pipe": "%%bash\nfalse | cat\necho on",
    "%%sh": "%%sh\nfalse\necho on",
    "%%script": "%%script bash\nfalse\necho on",
    "%%script with a path": "%%script --out text /bin/bash\nfalse | cat\necho on",
    "coroutine": "async def f():\n    pass\nf()\nx = 1",
    "thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
}


@pytest.mark.parametrize("code", UNSEEN.values(), ids=UNSEEN)
def test_what_python_or_ipython_passes_over_is_seen(made_lesson: MadeLesson, code: str) -> None:
    assert len(made_lesson.failures(f"```python\n{code}\n```\n")) == 1


def test_commands_of_a_python_block_that_do_not_fail(made_lesson: MadeLesson) -> None:
    assert (
        made_lesson.failures("""\
        ```python
        %cd data
        !yes | head -n 1
        lines = !yes | head -n 1
        !cat titles.csv | tail -n 1
        ```
        ```output
        ...data
        y
        ...,Heat
        ```
        ```python
        %%bash --no-raise-error
        false
        echo on
        ```
        ```output
        on
        ```
        """)
        == []
    )


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("%%time\na = 1\nb = 2\n1 / 0", 4),
        ("\n%%capture\nprint(1)\n\n1 / 0", 5),
        pytest.param(
            "x = 1\nraise ExceptionGroup('g', [\n    ValueError(1),\n    ValueError(2),\n])",
            2,
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11"),
        ),
        ("f = [\n    lambda: 1 / 0,\n]\nf[0]()", 2),
        ("y = [\n    1 / n\n    for n in [1, 0]\n]", 2),
        ("class A:\n    def __repr__(self):\n        raise ValueError('r')\nA()", 3),
    ],
)
def test_an_error_is_at_the_line_that_raised_it(
    made_lesson: MadeLesson, code: str, line: int
) -> None:
    (failure,) = made_lesson.check(f"```python\n{code}\n```\n").failed
    assert failure.line == 1 + line
