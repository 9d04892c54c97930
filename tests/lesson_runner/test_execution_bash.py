"""Shell blocks: one shell for all of a page, and a failure for each line that fails."""

import pytest
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
    assert outcomes(checked) == [(1, "failed"), (6, "passed")]
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
        echo "status: $(false || true; echo kept)"
        name=$(false) || name=none
        if [ -z "$(false)" ]; then :; fi
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
        "  bash: line 2: no-such-command: command not found\n"
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
        python -c '1 / 0' 2>&1 || true
        ```
        """,
        "bash",
    )
    assert "prints an error that the page does not show: Traceback" in failure


FAILING = {
    "function": ("greet() {\n  false\n  echo no\n}\ngreet\necho no", 2),
    "subshell": ("echo a\n(false\necho no)\necho no", 2),
    "start of a pipe": ("true\nfalse | cat\necho no", 2),
    "start of a longer pipe": ("false | yes | head -n 1\necho no", 1),
    "export": ("true\nexport key=$(false)\necho on", 2),
    "echo": ('true\necho "$(false; echo lost)"\necho on', 2),
    "local": ("f() {\n  local x=$(false)\n}\nf", 2),
    "process substitution": ("true\ncat <(false; echo lost)", 2),
    "loop": ("for n in 1 2; do\n  ls no-such-file\ndone\necho no", 2),
    "wait": ("sleep 60 &\nkill $!\nwait\nfalse & true &\nwait\necho no", 5),
    "wait for one": ("false &\nwait $!\necho no", 2),
    "test": ("[[ 1 == 2 ]]\necho no", 1),
    "return": ("echo one\nreturn 0\necho skipped", 2),
    "here-document": ("true\ncat <<END\ntext", 2),
    "backslash": ("true\necho done \\", 2),
    "and": ("true\ntrue &&", 2),
    "or": ("true ||", 1),
    "pipe": ("true |", 1),
    "quote": ('true\necho "one', 2),
    "if": ("if true; then\n  echo one", 2),
}


@pytest.mark.parametrize(("code", "line"), FAILING.values(), ids=FAILING)
def test_what_bash_passes_over_fails_at_its_line(
    made_lesson: MadeLesson, code: str, line: int
) -> None:
    checked = made_lesson.check(f"Text.\n\n```bash\n{code}\n```\n", "bash")
    assert [result.line for result in checked.failed] == [3 + line], checked.failed
    (execution,) = (result.execution for result in checked.results)
    assert execution is not None
    assert "no" not in execution.output.split()
    assert "__lesson" not in execution.printed + execution.failure.text  # type: ignore[union-attr]


def test_a_failure_that_the_page_allows_for_is_none(made_lesson: MadeLesson) -> None:
    assert (
        made_lesson.failures(
            """\
        ```bash
        find_title() { grep "$1" data/titles.csv; echo "searched"; }
        find_title nothing || true
        (false; echo "in a subshell") || true
        false | cat || true
        yes | head -n 1
        set +e
        yes | head -n 1
        ```
        ```output
        searched
        in a subshell
        y
        y
        ```
        """,
            "bash",
        )
        == []
    )


def test_a_page_cannot_switch_off_the_trap_unseen(made_lesson: MadeLesson) -> None:
    for line in ("trap - ERR", "trap 'echo failed' ERR"):
        (failure,) = made_lesson.failures(f"```bash\n{line}\nfalse\necho on\n```\n", "bash")
        assert "sets a trap for ERR" in failure
    (failure,) = made_lesson.failures("```bash\nset +e +E\nfalse\necho on\n```\n", "bash")
    assert failure.startswith("episodes/page.md:3: exit status 1")
    pages = "```bash\nset +E\nset +o pipefail\n```\n```bash\nfalse | cat\n```\n"
    (failure,) = made_lesson.failures(pages, "bash")
    assert failure.startswith("episodes/page.md:6: exit status 1")


def test_a_function_of_an_earlier_block_fails_where_it_is_called(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        """\
        ```bash
        greet() {
          false
        }
        ```
        ```bash
        true
        greet
        ```
        """,
        "bash",
    )
    assert failure.startswith("episodes/page.md:8: exit status 1")


def test_an_error_counts_lines_from_the_first_of_the_block(made_lesson: MadeLesson) -> None:
    block = """```bash
true
no-such-command
```
```error
bash: line 2: no-such-command: command not found
```
"""
    assert made_lesson.failures(block, "bash") == []
    assert made_lesson.failures("A paragraph more.\n\n" + block, "bash") == []
    (failure,) = made_lesson.failures('```bash\ntrue\necho "one\n```\n', "bash")
    assert "bash: line 2: unexpected EOF while looking for matching" in failure
    assert "return" not in failure


def test_a_background_job_that_fails_fails_its_block(made_lesson: MadeLesson) -> None:
    (failure,) = made_lesson.failures(
        """\
        ```bash
        sleep 60 &
        ls no-such-folder &
        echo started
        ```
        ```bash
        kill %1
        false || true &
        wait
        ```
        """,
        "bash",
    )
    assert "the background job `ls no-such-folder` ended with exit status 2" in failure


def test_a_server_in_the_background_is_not_waited_for(made_lesson: MadeLesson) -> None:
    page = "```bash\nsleep 60 &\n```\n\n```bash\njobs | wc -l\n```\n\n```output\n1\n```\n"
    assert made_lesson.failures(page, "bash", seconds=5) == []


def test_options_that_a_block_sets_harm_no_other(made_lesson: MadeLesson) -> None:
    assert made_lesson.failures("```bash\nset -eu\n```\n\n```bash\necho $HOME\n```\n", "bash") == []
