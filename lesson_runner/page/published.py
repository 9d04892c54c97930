"""What published lessons write, understood as their readers understand it. Pure.

Prompts before commands, outputs that are cut by hand, tracebacks shown as output, blanks to fill
in. A lesson that says `strict: true` in its `lesson.yaml` wants none of this.
"""

import ast
import re
import textwrap

PROMPTS = {
    "python": (re.compile(r">>> ?|In \[\d+\]: ?"), re.compile(r"\.\.\. ?| +\.\.\.: ?")),
    "r": (re.compile(r"> "), re.compile(r"\+ ")),
    "bash": (re.compile(r"(?:\([\w. -]+\) ?)?(?:[\w.-]+@[\w.-]+[\w:~/. -]*)?\$(?: |$)"), None),
}
"""What begins a command of a transcript, and what begins its further lines."""

MORE_OF_BASH = re.compile(r"> ?")
WINDOWS = re.compile(r"(?:PS )?(?:[A-Z]:[^>]*)?> ")

BLANK = re.compile(r"(?<![A-Za-z0-9_])_{3,}(?![A-Za-z0-9_])|\?{3,}")
PLACEHOLDER = re.compile(r"(?<![^\s/=@:])<[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*>(?![\w<])")
"""In a command: `pip install <package name>`."""
IN_QUOTES = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")

EDITORS = ("nano", "vi", "vim", "emacs")
EDITED = re.compile(
    rf"^[ \t]*(?:{'|'.join(EDITORS)})[ \t]+(?:-\S+[ \t]+)*(?:\S*/)?([\w.-]+)", re.MULTILINE
)
"""A command that opens a file in an editor."""

INTERACTIVE = re.compile(
    r"(?:python[3w]?|ipython3?|R|jupyter[ -](?:lab|notebook)\b.*|man [\w.-]+|i?top|htop|exit)\s*&?"
)
"""A command that opens what somebody types or looks at."""

COMMENT_ALONE = re.compile(r"^([ \t]*)#", re.MULTILINE)
HEADER = re.compile(r"[ \t]*(?:if|for|while|with|def|class|try|elif|else|except|finally)\b.*:")
GOES_ON = {"if x:": re.compile(r"(?:elif|else)\b"), "try:": re.compile(r"(?:except|finally)\b")}
"""What begins the statement that a fragment goes on with, and how the fragment begins."""

SPEAKS_OF_AN_ERROR = re.compile(
    r"\b(?:errors?|exceptions?|fails?|failed|complains?|trouble|crash(?:es)?"
    r"|(?:do|does|did|will)(?:n[’']t| not) work)\b",
    re.IGNORECASE,
)

SPEAKS_OF_ITS_ERROR = re.compile(
    r"(?<!\bno longer )(?<!\bnot )(?<!\bnever )"
    r"\b(?:gets?|got|gives?|gave|raises?|raised|throws?|produces?|produced|causes?)\b"
    r"(?: (?!no |standard|mean|squared|rounding)[\w'’-]+){0,3} (?:error|exception)\b",
    re.IGNORECASE,
)
"""`you get an error`, `our code produced an error message`."""

CUT = re.compile(
    r"^[ \t]*(?:\.\.[ \t.]*\.|⋮(?:[ \t]+⋮)*|…|\[(?:\.\.\.|…|output truncated|truncated|snip)\]"
    r"|[<\[(][^<>\[\]()\n]*(?:removed|omitted|truncated|snipped)[^<>\[\]()\n]*[>\])])[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
"""A line that stands for the lines that its author left out."""
CUT_IN_A_LINE = re.compile(r"\[(?:\.\.\.|…)\]")

TRACEBACK = {
    "python": re.compile(
        r"^(?:Traceback \(most recent call last\)|-{10,}$|[ \t]*File \"[^\n]*, line \d+"
        r"|-+> \d+ |\w*(?:Error|Exception|Interrupt): )",
        re.MULTILINE,
    ),
    "r": re.compile(r"^Error(?: in [^\n]+)? ?: ", re.MULTILINE),
}
ERROR_AT_THE_END = {
    "python": re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|StopIteration|Exit)\b"),
    "r": re.compile(r""),
}

CLASS_OF_A_PLAIN_PYTHON = re.compile(r"^<class '(?:builtins\.)?([\w.]+)'>$", re.MULTILINE)


def without_prompts(source: str, language: str) -> str:
    """The commands of a transcript; the lines of its outputs are empty, so that all keep theirs.

    A source whose first line has no prompt comes back as it is.
    """
    begins, goes_on = PROMPTS[language]
    lines = source.split("\n")
    told = (line for line in lines if line.strip() and not line.lstrip().startswith("# "))
    first = next(told, "")
    if language == "bash" and WINDOWS.match(first) and all(map(WINDOWS.match, filter(None, lines))):
        begins = WINDOWS  # no output is told apart from a command here
    if not begins.match(first.lstrip()) or _is_an_operator(first, language):
        return source
    marks = [begins, *filter(None, [goes_on]), *([MORE_OF_BASH] if language == "bash" else [])]
    commands: list[str] = []
    for line in lines:
        bare = line.lstrip()
        found = next((match for mark in marks if (match := mark.match(bare))), None)
        goes_on_unmarked = language == "bash" and commands and commands[-1].endswith("\\")
        if found:
            commands.append(bare[found.end() :])
        else:
            commands.append(line if goes_on_unmarked else "")
    return "\n".join(commands)


def _is_an_operator(line: str, language: str) -> bool:
    """Whether `$ ` or `> ` is part of the command: `$ {x}`, a redirection."""
    return language == "r" and not re.match(r"\s*> \S", line)


def has_blanks(source: str, language: str) -> bool:
    """Whether a learner is to fill something in: `____`, `???`, in the shell `<name>`."""
    if BLANK.search(source):
        return True
    # A here-document may hold HTML, and a traceback `<module>`.
    if language != "bash" or "<<" in source or TRACEBACK["python"].search(source):
        return False
    return bool(PLACEHOLDER.search(IN_QUOTES.sub("''", source)))


def is_for_a_person(source: str) -> bool:
    """Whether a block of the shell only opens programs that somebody works in."""
    commands = [line.strip() for line in source.splitlines() if line.strip()]
    return bool(commands) and all(map(INTERACTIVE.fullmatch, commands))


def is_fragment(source: str) -> bool:
    """Whether Python code shows a part of something: headers alone, how a statement goes on, a
    body that is only a comment, or lines with `...` above or below."""
    source = textwrap.dedent(source)
    lines = [line for line in source.splitlines() if line.strip() and line.strip()[0] != "#"]
    if lines and all(HEADER.fullmatch(line.partition("#")[0].rstrip()) for line in lines):
        return True
    if len(lines) > 1 and "..." in (lines[0].rstrip(), lines[-1].rstrip()):
        return _is_code(source)
    if not _is_code(source) and _is_code(COMMENT_ALONE.sub(r"\1pass  #", source)):
        return True
    return any(
        begins.match(source) and _is_code(f"{start}\n    pass\n{source}")
        for start, begins in GOES_ON.items()
    )


def _is_code(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def with_dots(text: str) -> str:
    """An output in which `...` stands wherever the author left something out in other words."""
    return CUT_IN_A_LINE.sub("...", CUT.sub("...", text))


def is_error(text: str, language: str) -> bool:
    """Whether this output is the report of an error that stopped its block."""
    lines = text.rstrip().splitlines()
    if language not in TRACEBACK or not lines:
        return False
    ends = any(ERROR_AT_THE_END[language].match(line) for line in lines[-3:])
    return ends and bool(TRACEBACK[language].search(text))


CHANGES_EACH_TIME = re.compile(
    r"\b0x[0-9a-f]{6,}\b"
    r"|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d \d{4}\b"
)
"""Addresses in memory, and moments."""


def without_moments(text: str) -> str:
    """The text with one word for each of what is another one in each run."""
    return CHANGES_EACH_TIME.sub("MOMENT", text)


def as_jupyter_shows(text: str) -> str:
    """`<class 'str'>`, a value in a plain Python, is `str` in a notebook."""
    return CLASS_OF_A_PLAIN_PYTHON.sub(r"\1", text)
