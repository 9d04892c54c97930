"""Shell blocks: one shell for all of a page, and a failure for each line that fails."""

from made_lesson import MadeLesson


def outcomes(checked: object) -> list[tuple[int, str]]:
    return [(result.block.line, result.outcome) for result in checked.results]  # type: ignore[attr-defined]


def test_blocks_share_variables_functions_and_folder(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```bash
        model=gpt-4
        greet() { echo "Hello from $1"; }
        cd data
        ```
        ```bash
        greet "$model"
        cat titles.csv
        echo "not compared" >&2
        ```
        ```output
        Hello from gpt-4
        id,title
        1,Heat
        ```
        """,
        "bash",
    )
    assert outcomes(checked) == [(1, "passed"), (6, "passed")]


def test_a_failing_line_in_the_middle_fails_the_block_at_its_line(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```bash
        echo before
        false
        echo after
        ```
        ```bash
        echo next
        ```
        """,
        "bash",
    )
    assert outcomes(checked) == [(1, "failed"), (6, "not run")]
    assert checked.failed[0].place == "episodes/page.md:3"
    assert checked.failed[0].reason == "exit status 1"
    assert checked.failed[0].execution is not None
    assert checked.failed[0].execution.output == "before\n"


def test_a_condition_that_is_false_is_no_failure(made_lesson: MadeLesson) -> None:
    assert (
        made_lesson.failures(
            """\
        ```bash
        if false; then echo no; fi
        false || echo "or"
        false && echo "and"
        ! true || true
        echo "status: $(false; echo kept)"
        ```
        ```output
        or
        status: kept
        ```
        """,
            "bash",
        )
        == []
    )


def test_a_block_whose_status_is_not_0_fails(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```bash\nfalse && echo yes\n```\n", "bash")
    assert failure.startswith("episodes/page.md:1: exit status 1")


def test_messages_of_the_shell_name_the_page_and_its_line(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("Text.\n\n```bash\necho one\nno-such-command\n```\n", "bash")
    assert failure.startswith(
        "episodes/page.md:5: exit status 127\n"
        "    5 | no-such-command\n"
        "  episodes/page.md: line 5: no-such-command: command not found\n"
    )


def test_an_error_fence_holds_the_last_line_of_stderr_or_the_status(
    made_lesson: MadeLesson,
) -> None:
    checked = made_lesson.check(
        """\
        ```bash
        ls no-such-file
        ```
        ```error
        ls: ...no-such-file...: No such file or directory
        ```
        ```bash
        test 1 -eq 2
        ```
        ```error
        exit status 1
        ```
        ```bash
        true
        ```
        ```error
        exit status 1
        ```
        """,
        "bash",
    )
    assert outcomes(checked) == [(1, "passed"), (7, "passed"), (13, "failed")]


def test_a_block_that_ends_the_shell_fails(made_lesson: MadeLesson) -> None:
    for end in ("exit 0", "exit 3", "set -e; false"):
        (failure,) = made_lesson.failures(f"```bash\n{end}\n```\n", "bash")
        assert failure.startswith("episodes/page.md:1: the block ended the shell with status"), end


def test_nobody_answers_read(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```bash\nread -r name\n```\n", "bash")
    assert failure.startswith("episodes/page.md:2: exit status 1")


def test_a_hanging_command_is_interrupted_and_named(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check("```bash\nsleep 60\n```\n", "bash", seconds=1)
    assert checked.failed[0].reason == "still running after 1 s: interrupted"
    assert checked.seconds < 10


def test_output_without_end_is_stopped(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures("```bash\nyes\n```\n", "bash", characters=100_000)
    assert "printed more than 100,000 characters: interrupted" in failure


def test_binary_output_fails(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        r"""
        ```bash
        printf 'a\xff\x00b\n'
        ```
        """,
        "bash",
    )
    assert "prints binary data" in failure


def test_output_that_is_sent_away_harms_no_later_block(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```bash
        exec > log.txt 2>&1
        echo hidden
        ```
        ```bash
        cat log.txt > /dev/null
        ```
        """,
        "bash",
    )
    assert outcomes(checked) == [(1, "passed"), (5, "passed")]


def test_a_long_line_of_unicode_arrives_whole(made_lesson: MadeLesson) -> None:
    checked = made_lesson.check(
        """\
        ```bash
        for i in {1..20000}; do printf 'één→'; done
        ```
        """,
        "bash",
    )
    assert checked.results[0].execution is not None
    assert checked.results[0].execution.output == "één→" * 20000


def test_a_printed_error_of_another_program_fails(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        """\
        ```bash
        python -c '1 / 0' 2>&1 | cat
        ```
        """,
        "bash",
    )
    assert "prints an error that the page does not show: Traceback" in failure
