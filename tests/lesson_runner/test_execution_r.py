"""R blocks in IRkernel: errors are found where IRkernel would pass over them."""

import pytest
from made_lesson import MadeLesson

from lesson_runner.page.images import signed

pytestmark = pytest.mark.usefixtures("r_kernel")


def outcomes(checked: object) -> list[tuple[int, str]]:
    return [(result.block.line, result.outcome) for result in checked.results]  # type: ignore[attr-defined]


def test_outputs_errors_and_plots(made_lesson: MadeLesson) -> None:
    (made_lesson.root / "episodes" / "fig").mkdir()
    (made_lesson.root / "episodes" / "fig" / "line.png").touch()
    checked = made_lesson.check(
        """\
        ```r
        print("first")
        x <- c(a = 1, b = 2)
        x
        message("not compared")
        ```
        ```output
        [1] "first"
        a b
        1 2
        ```
        ```r
        stop("no key")
        ```
        ```error
        Error...: no key
        ```
        ```r
        plot(1:3)
        ```

        ![A line](fig/line.png)

        ```r
        read.csv("data/titles.csv")$title
        ```
        ```output
        [1] "Heat"
        ```
        """,
        "r",
    )
    assert {outcome for _, outcome in outcomes(checked)} == {"passed"}, checked.failed


def test_a_plot_without_its_plotting_code_fails(made_lesson: MadeLesson) -> None:
    page = "```r\n{draw}\n```\n\n![A line](fig/line.png)\n"
    drawn = made_lesson.check(page.format(draw="plot(1:3)"), "r").results[0].execution
    assert drawn is not None
    (made_lesson.root / "episodes" / "fig").mkdir()
    (made_lesson.root / "episodes" / "fig" / "line.png").write_bytes(signed(drawn.images[-1]))
    assert made_lesson.failures(page.format(draw="plot(1:3)"), "r") == []
    (failure,) = made_lesson.failures(page.format(draw="x <- 1:3"), "r")
    said = "episodes/page.md:5: the page shows fig/line.png, but the block drew no plot"
    assert failure.startswith(said)


@pytest.mark.parametrize(
    "code", ["return(1)", "if (TRUE) return(invisible())", "for (i in 1:2) {\n  x <- return(i)\n}"]
)
def test_a_return_outside_of_functions_is_refused(made_lesson: MadeLesson, code: str) -> None:
    checked = made_lesson.check(f'```r\ncat("one\\n")\n\n{code}\ncat("two\\n")\n```\n', "r")
    (failure,) = checked.failed
    assert failure.reason == "Error: no function to return from, jumping to top level"
    assert failure.line == 4
    assert failure.execution is not None
    assert failure.execution.output == "one\n"


def test_a_return_inside_of_functions_returns(made_lesson: MadeLesson) -> None:
    code = (
        "f <- function(x, ...) {\n  if (x) return(1)\n  2\n}\nlocal(return(3))\nx <- c(a = 1)[]\n"
    )
    code += "sapply(1:2, function(i) return(i)) |> sum()\nf(TRUE)"
    assert (
        made_lesson.failures(f"```r\n{code}\n```\n\n```output\n[1] 3\n[1] 3\n[1] 1\n```\n", "r")
        == []
    )


def test_an_error_has_the_line_of_its_call_or_of_the_syntax_error(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        """\
        ```r
        share <- function(part, whole) stop("whole is ", whole)
        total <- 0

        share(1, total)
        ```
        """,
        "r",
    )
    assert failure.startswith("episodes/page.md:2: Error in share(1, total): whole is 0")
    (failure,) = made_lesson.failures("```r\nx <- c(1,\n  2))\n```\n", "r")
    assert failure.startswith("episodes/page.md:3: Error in parse")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ('x <- 1\nlog("a")', 2),
        ("# a comment\n\nlog(1)\nlog(2); log('a')\nlog(3)", 4),
        ("x <- 1\nfor (n in 1:2) {\n  log('a')\n}\nx", 3),
        ("x <- 1\nno_such_name\nx", 2),
        ("for (n in 1:2) {\n  x <- n\n  if (n == 2) stop('two')\n}", 3),
        ("local({\n  x <- 1\n  stop('inside')\n})", 3),
        ("f <- function(x) {\n  if (x) stop('twice')\n}\nf(FALSE)\nf(TRUE)", 2),
        ("sapply(1:2, function(i) {\n  x <- i\n  log('a')\n})", 3),
        ("tryCatch({\n  x <- 1\n  stop('c')\n}, warning = function(w) 1)", 3),
        ("f <- function() {\n  1\n\n  no_such_name + 1\n}\nf()\n", 6),
        ("stop('without a call', call. = FALSE)", 1),
    ],
)
def test_an_error_is_at_the_line_that_failed(made_lesson: MadeLesson, code: str, line: int) -> None:
    (failure,) = made_lesson.check(f"```r\n{code}\n```\n", "r").failed
    assert failure.line == 1 + line


def test_an_error_in_a_function_of_another_block_is_at_its_call(made_lesson: MadeLesson) -> None:
    page = "```r\nf <- function() {\n  1\n  1\n  stop('f')\n}\n```\n\n```r\nx <- 1\nf()\n```\n"
    (failure,) = made_lesson.check(page, "r").failed
    assert failure.line == 11


def test_what_irkernel_passes_over_fails(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```r
        readline("Name? ")
        ```
        ```error
        Error: nobody is there to answer: lesson code runs unattended
        ```
        ```r
        quit()
        ```
        ```error
        Error: quit() ends the session of the person who runs it
        ```
        ```r
        try(stop("caught and printed"))
        ```
        """,
        "r",
    )
    assert outcomes(checked) == [(1, "passed"), (7, "passed"), (13, "failed")]
    assert checked.failed[0].reason == (
        "the block prints an error that the page does not show: "
        'Error in try(stop("caught and printed")) : caught and printed'
    )


def test_a_browser_that_nobody_answers_fails_at_its_line(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```r\nf <- function() {\n  browser()\n}\nf()\n```\n", "r")
    assert "nobody is there to answer" in failure


def test_a_method_for_print_that_fails_is_found(made_lesson: MadeLesson) -> None:
    code = 'print.mine <- function(x, ...) stop("cannot print")\nstructure(1, class = "mine")'
    (failure,) = made_lesson.failures(f"```r\n{code}\n```\n", "r")
    assert "the block prints an error that the page does not show: ERROR while" in failure
    assert "cannot print" in failure


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ('sink("log.txt")\ncat("hidden\\n")', "a sink() open: end it with sink()"),
        ('to <- file("log.txt", "wt")\nsink(to, type = "message")', "a sink() open"),
        ('pdf("plot.pdf")\nplot(1)', "a graphics device open: end it with dev.off()"),
    ],
)
def test_what_a_block_leaves_open_fails_it_and_harms_no_later_block(
    made_lesson: MadeLesson, code: str, what: str
) -> None:
    later = 'cat("seen\\n")\nsink.number("message") == 2\nlength(dev.list())'
    shown = "seen\n[1] TRUE\n[1] 1"
    checked = made_lesson.check(
        f"```r\n{code}\n```\n```r\n{later}\n```\n```output\n{shown}\n```\n", "r"
    )
    assert [result.outcome for result in checked.results] == ["failed", "passed"]
    assert checked.failed[0].line_to_show == 1
    assert what in checked.failed[0].reason


def test_an_endless_recursion_fails(made_lesson: MadeLesson) -> None:
    page = "```r\nf <- function() f()\n{call}\n```\n"
    (failure,) = made_lesson.failures(page.format(call="f()"), "r")
    assert "infinite recursion" in failure or "C stack" in failure
    caught = 'tryCatch(f(), error = function(e) "caught")'
    assert made_lesson.failures(page.format(call=caught), "r") == []


def test_what_a_block_closes_is_no_failure(made_lesson: MadeLesson) -> None:
    code = """\
        ```r
        quietly <- function() { sink("log.txt"); on.exit(sink()); cat("hidden\\n") }
        quietly()
        png("plot.png"); plot(1); invisible(dev.off())
        cat(readLines("log.txt"))
        ```
        ```output
        hidden
        ```
        """
    assert made_lesson.failures(code, "r") == []


def test_a_hanging_block_is_interrupted_and_named(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("```r\nSys.sleep(60)\n```\n", "r", seconds=1)
    assert checked.failed[0].reason == "still running after 1 s: interrupted"


def test_a_kernel_that_dies_is_named(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("```r\ntools::pskill(Sys.getpid(), 9)\n```\n", "r")
    assert checked.failed[0].reason == "the kernel died"


def test_a_missing_kernel_is_said_with_the_way_out(
    made_lesson: MadeLesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    checked = made_lesson.check("```r\n1\n```\n", "r")
    assert outcomes(checked) == [(1, "not run")]
    assert "IRkernel::installspec()" in checked.missing
