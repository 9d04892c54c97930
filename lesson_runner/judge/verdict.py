"""What a page says of a block, what happened → passed or failed, and why. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from lesson_runner.judge.compare import difference, matches
from lesson_runner.judge.dependencies import makes, uses
from lesson_runner.judge.meant import agrees, all_shown, as_anywhere, is_left_open, is_output
from lesson_runner.page.episode import Block, Episode
from lesson_runner.page.markdown import Text
from lesson_runner.page.plain_text import binary_character, lines_of, normal, plain
from lesson_runner.page.published import EDITED, SPEAKS_OF_ITS_ERROR
from lesson_runner.run.happened import Execution, Run

Outcome = Literal["passed", "failed", "not run", "shown"]

# A program that prints an error and goes on, or whose exit status a pipe swallowed.
PRINTED_ERROR = {
    "python": re.compile(
        r"^(Traceback \(most recent call last\):|Task exception was never retrieved"
        r"|.*RuntimeWarning: coroutine .+ was never awaited)"
    ),
    "r": re.compile(
        r"^(Error( in .+)? ?: |Error in .+:$|Execution halted"
        r"|ERROR while rich displaying an object: )"
    ),
    "bash": re.compile(r"^(Traceback \(most recent call last\):|Error in .+ ?:|Execution halted)"),
}


@dataclass(frozen=True)
class Result:
    """The verdict on one block. `line` is where to look: the line that failed, or the fence's."""

    block: Block
    outcome: Outcome
    reason: str = ""
    line: int = 0
    detail: str = ""
    seconds: float = 0.0
    execution: Execution | None = None
    difference: str = ""
    """A difference from the page that is no failure, because answers of a model vary."""
    known: bool = False
    """Whether the lesson's baseline has this failure."""
    follows: str = ""
    """Where an earlier block of the page failed, of which this result may be a consequence."""
    explained: bool = False
    """Whether a block that failed before should have made something that this one uses, or is of
    the same challenge."""

    @property
    def is_consequence(self) -> bool:
        """Whether it failed, so it seems, because of a failure before it that nobody knew of."""
        return bool(self.follows and self.explained)

    @property
    def line_to_show(self) -> int:
        return self.line or self.block.line

    @property
    def place(self) -> str:
        return f"{self.block.path}:{self.line_to_show}"

    @property
    def message(self) -> str:
        """The reason, and below it what differs."""
        return f"{self.reason}\n{self.detail}".strip()


def results_of_run(
    episode: Episode, language: str, run: Run, *, answers_vary: bool = False
) -> tuple[Result, ...]:
    """A result for each block of the language, those that were not reached included."""
    blocks = episode.to_run(language)
    if run.start_problem:
        return none_reached(blocks, run.start_problem)
    judged = (judge(execution, answers_vary=answers_vary) for execution in run.executions)
    results: list[Result] = []
    culprit = ""
    missing: set[str] = set()
    challenges: set[int] = set()
    for result in completed(judged, episode):
        block, execution = result.block, result.execution
        explained = result.outcome == "failed" and (
            not missing.isdisjoint(uses(block)) or block.challenge in challenges
        )
        results.append(replace(following(result, culprit), explained=explained))
        stopped = execution is not None and stops(execution, answers_vary=answers_vary)
        if stopped and result.outcome == "failed" and not _is_to_be_completed(block, blocks):
            culprit = culprit or result.place
            missing |= makes(block)
            challenges |= {block.challenge} - {0}
    reason = f"not reached: {culprit} failed"
    rest = (Result(block, "not run", reason) for block in blocks[len(results) :])
    return (*results, *rest)


COMPLETED = "it raises an error, and the solution of its challenge does not"
TYPED = "it needs what a learner types into {}"
NAME = re.compile(r"[\w.-]+")


def completed(results: Iterable[Result], episode: Episode) -> tuple[Result, ...]:
    """The results of a page, whose failures may be meant.

    Code of a challenge may raise an error where the challenge's solution runs, and other code one
    that the text below it names. A solution may show what several blocks of its challenge print.
    What a learner types into an editor is not there. All this of lessons that are not `strict`:
    there, starter code says that it is.
    """
    results = tuple(results)
    solved = {
        result.block.challenge
        for result in results
        if "solution" in result.block.div and result.outcome == "passed"
    }
    edited: set[str] = set()
    made = []
    for result in results:
        block, execution = result.block, result.execution
        if result.outcome != "failed" or execution is None or block.strict:
            pass
        elif execution.failure and is_left_open(block) and block.challenge in solved:
            result = replace(result, outcome="not run", reason=COMPLETED, line=0, detail="")
        elif _is_shown_in_turn(execution, results) or _is_named(execution, episode):
            result = replace(result, outcome="passed", reason="", line=0, detail="")
        elif typed := edited & set(NAME.findall(block.source)):
            reason = TYPED.format(min(typed))
            result = replace(result, outcome="not run", reason=reason, line=0, detail="")
        if block.language == "bash" and not block.strict:
            edited |= set(EDITED.findall(block.source))
        made.append(result)
    return tuple(made)


def _is_named(execution: Execution, episode: Episode) -> bool:
    """Whether the paragraph below the block tells of the error of Python."""
    block, failure = execution.block, execution.failure
    if failure is None or block.language != "python" or block.shown:
        return False
    below = (element for element in episode.elements if element.line > block.line)
    lines: list[Text] = []
    for element in takewhile(lambda element: isinstance(element, Text), below):
        assert isinstance(element, Text)
        if lines and element.line > lines[-1].line + 1:
            break  # another paragraph
        lines.append(element)
    paragraph = " ".join(line.content for line in lines)
    return failure.name in NAME.findall(paragraph) or (
        failure.name not in HAVE_OTHER_REASONS and SPEAKS_OF_ITS_ERROR.search(paragraph) is not None
    )


HAVE_OTHER_REASONS = {
    *("SyntaxError", "IndentationError", "TabError", "ModuleNotFoundError", "ImportError"),
    *("FileNotFoundError", "OSError", "ConnectionError", "URLError", "StdinNotImplementedError"),
}
"""Errors that nobody means who does not name them."""


def _is_shown_in_turn(execution: Execution, results: Iterable[Result]) -> bool:
    """Whether the outputs that a challenge's solution shows are those of its blocks, in turn.

    All of them stand below the last block: `Program A prints`, `Program B prints`.
    """
    block = execution.block
    outputs = [shown for shown in block.shown if shown.kind == "output"]
    printed = [
        other.execution.output
        for other in results
        if other.block.challenge == block.challenge and other.execution
    ]
    return (
        not execution.failure
        and block.challenge > 0
        and len(outputs) > 1
        and all(
            shown.apart and any(is_output([shown.text], block, text) for text in printed)
            for shown in outputs
        )
    )


def _is_to_be_completed(block: Block, blocks: Iterable[Block]) -> bool:
    return is_left_open(block) and any(
        other.challenge == block.challenge and "solution" in other.div for other in blocks
    )


def none_reached(blocks: tuple[Block, ...], why: str, detail: str = "") -> tuple[Result, ...]:
    """A failure of the first block, which kept all of them from running."""
    first, *rest = blocks
    reason = f"not reached: {first.path}:{first.line} failed"
    failed = Result(first, "failed", why, detail=detail)
    return (failed, *(Result(block, "not run", reason) for block in rest))


def following(result: Result, culprit: str) -> Result:
    """The result, marked as a possible consequence of the failure at `culprit`, if there is one."""
    if not culprit:
        return result
    detail = result.detail
    if result.outcome == "failed":
        follows = f"this may follow from the failure at {culprit}"
        detail = "\n".join(filter(None, [detail, follows]))
    return replace(result, detail=detail, follows=culprit)


def stops(execution: Execution, *, answers_vary: bool = False) -> bool:
    """Whether blocks after this one may fail because of it: it did not get to its end."""
    if execution.ended:
        return True
    if execution.failure is None:
        return False
    return not _expected(execution, answers_vary)


def judge(execution: Execution, *, answers_vary: bool = False) -> Result:
    """The verdict on a block that ran.

    Where answers vary, other output than the page's, or another text of the error that the page
    shows, is a `difference` and no failure.
    """
    block = execution.block
    difference = ""
    for check in (_ended, _raised, _printed_binary, _output, _printed_error, _figure):
        if failed := check(execution):
            reason, line, detail = failed
            if answers_vary and _may_vary(check, execution):
                difference = difference or detail or reason
                continue
            if check is _output and detail:
                detail = "\n".join([detail, *_hints(execution)])
            return Result(block, "failed", reason, line, detail, execution.seconds, execution)
    return Result(
        block, "passed", seconds=execution.seconds, execution=execution, difference=difference
    )


def _may_vary(check: Callable[[Execution], "Failed"], execution: Execution) -> bool:
    if check is _raised:
        return execution.failure is not None and _expected(execution, answers_vary=True)
    if check is _printed_error:  # the page shows some error as well
        pattern = PRINTED_ERROR[execution.block.language]
        shown = "\n".join(shown.text for shown in execution.block.shown)
        return any(pattern.match(line) for line in shown.splitlines())
    return check is _output


def _expected(execution: Execution, answers_vary: bool) -> bool:
    """Whether the page shows the error that a block raised."""
    shown, failure = execution.block.shows("error"), execution.failure
    block = execution.block
    if failure is None or not (block.must_raise or block.announced):
        return False
    if shown is None or same_error(execution):
        return True
    if not answers_vary:
        return False
    # Python names the class of an error: another one is another error. R and bash name none.
    return block.language != "python" or failure.name in shown.text


LAST_LINES = 8
"""Lines of a program's output that are shown below its failure."""

Failed = tuple[str, int, str] | None  # reason, line, detail


def _ended(execution: Execution) -> Failed:
    if not execution.ended:
        return None
    reason, _, detail = execution.ended.partition("\n")
    return reason, execution.ended_line, _refused(execution, detail)


def _raised(execution: Execution) -> Failed:
    shown, failure = execution.block.shows("error"), execution.failure
    if failure is None:
        if not execution.block.must_raise:
            return None
        if shown is None:
            return "the chunk option error=TRUE wants an error, but the block raised none", 0, ""
        if shown.apart and not execution.block.strict:
            return None  # the text's own
        return "the page shows an error, but the block raised none", shown.line, ""
    if shown is None and (execution.block.must_raise or execution.block.announced):
        return None
    if _prints_its_error(execution):
        return None
    text = failure.text.strip()
    if shown is None:
        first, _, rest = text.partition("\n")
        if failure.name == "StdinNotImplementedError":
            first = "the block asks for input, and nobody is there to answer"
        if failure.name == "SystemExit":
            rest = "lesson code must not end the session"
        if failure.name == "CalledProcessError":  # the program said why
            rest = "\n".join([rest, *plain(execution.printed).splitlines()[-LAST_LINES:]]).strip()
        if execution.block.language == "bash":
            first, rest = failure.summary, text if text != failure.summary else ""
        return first or failure.name, failure.line, _refused(execution, rest)
    if same_error(execution):
        return None
    detail = difference(*_shown_and_raised(execution))
    return "the block raised another error than the page shows", shown.line, detail


def _prints_its_error(execution: Execution) -> bool:
    """Whether a published page shows as `output` what a program of the shell said as it failed."""
    block, shown = execution.block, execution.block.shows("output")
    if block.strict or block.language != "bash" or shown is None:
        return False
    if not shown.text.replace("...", "").strip():
        return False  # it would be any error
    printed = as_anywhere(plain(execution.printed))
    return matches(as_anywhere(shown.text), printed, block.compare)


def _refused(execution: Execution, detail: str) -> str:
    hosts = ", ".join(dict.fromkeys(execution.refused_hosts))
    hint = (
        f"the block tried to reach {hosts}: lesson code reaches only this machine" if hosts else ""
    )
    return "\n".join(filter(None, [detail, hint]))


HEAD_OF_TRACEBACK = re.compile(r"(?:(\w+) +)?Traceback\b.*")
FRAME = re.compile(r"\s|$|-{3,}|\.\.\.$|(File|Cell|Input) |\S+ in |\d+ ")
"""A line of a traceback above the error itself, as Python and Jupyter write it."""


WRAPPED = re.compile(r"\n {2}(?=\S)")
BULLET = re.compile(r"^[ℹi*] (?=\S)", re.MULTILINE)


def _of_any_console(text: str) -> str:
    """An error of R without what depends on the console's width, and on the version of httr2."""
    return BULLET.sub("• ", WRAPPED.sub(" ", text))


def same_error(execution: Execution) -> bool:
    """Whether the error that was raised ends as the page shows it."""
    shown, raised = _shown_and_raised(execution)
    # Whole lines: the first that the page shows begins one of the error's.
    return bool(shown.strip()) and matches(f"...\n{shown}", f"\n{raised}")


def _shown_and_raised(execution: Execution) -> tuple[str, str]:
    """What the page shows of the error, and what it is compared with: one line with the last.

    An error without a message is shown as `AssertionError`, or as Jupyter does, with a colon.
    """
    shown, failure = execution.block.shows("error"), execution.failure
    want = lines_of(shown.text) if shown else []
    got = lines_of(failure.text) if failure else []
    if execution.block.language == "r":
        want, got = (lines_of(_of_any_console("\n".join(lines))) for lines in (want, got))
    if execution.block.language == "python" and failure:
        want = _without_traceback(want, failure.name)
    if not execution.block.strict:
        want, got = (as_anywhere("\n".join(lines)).splitlines() for lines in (want, got))
    got = got[-1:] if len(want) == 1 else got
    return "\n".join(want).removesuffix(":"), "\n".join(got).removesuffix(":")


def above_the_error(text: str, name: str) -> str:
    """The lines of a traceback that the page shows above the error itself, which its text may be
    about."""
    lines = lines_of(text)
    head = lines[: len(lines) - len(_without_traceback(lines, name))]
    return "".join(f"{line}\n" for line in head)


def _without_traceback(lines: list[str], name: str) -> list[str]:
    """The lines below a traceback, which may be abridged. One of another error is not left out."""
    start = 0
    for position, line in enumerate(lines):
        if head := HEAD_OF_TRACEBACK.fullmatch(line):
            if head[1] not in (None, name):
                return lines[position:]
            start = position + 1
    while start < len(lines) - 1 and FRAME.match(lines[start]):
        start += 1
    return lines[start:]


def _printed_binary(execution: Execution) -> Failed:
    character = binary_character(plain(execution.printed))
    if character is None or any(character in shown.text for shown in execution.block.shown):
        return None
    return (
        f"the block prints binary data (the character {character!a}), which no page can show",
        0,
        "",
    )


def _output(execution: Execution) -> Failed:
    block, shown = execution.block, execution.block.shows("output")
    if shown is None or (execution.failure and _prints_its_error(execution)):
        return None
    if not block.strict and agrees(block, execution.output):
        return None
    if not shown.text.strip() and not normal(execution.output):
        return "the block prints nothing: remove the empty `output` fence", shown.line, ""
    if detail := difference(all_shown(block), execution.output, compare=block.compare):
        reason = "the block prints something else than the page shows"
        return reason, shown.line, detail
    return None


def _hints(execution: Execution) -> Iterator[str]:
    if plain(execution.printed) != plain(execution.output):
        yield "what the block printed to stderr is not compared"
    yield "if the block is right: lesson check --update writes what it prints"


def _printed_error(execution: Execution) -> Failed:
    shown = "\n".join(shown.text for shown in execution.block.shown)
    pattern = PRINTED_ERROR[execution.block.language]
    for line in plain(execution.printed).splitlines():
        if pattern.match(line) and line.rstrip() not in shown:
            return f"the block prints an error that the page does not show: {line}", 0, ""
    return None


def _figure(execution: Execution) -> Failed:
    drawn = len(execution.images)
    missing = [figure for figure in execution.block.figures if figure.expected][drawn:]
    if not missing:
        return None
    many = f"only {drawn}" if drawn else "no plot"
    return f"the page shows {missing[0].source}, but the block drew {many}", missing[0].line, ""
