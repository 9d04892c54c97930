"""Starter code with blanks (`____`): is its syntax balanced once the blanks are filled?"""

import ast
import re
import warnings

BLANK = re.compile(r"_{4,}")
SHORT_BLANK = re.compile(r"(?<![\w])_{3}(?!\w)")
MAGIC = re.compile(r"^(\s*)(?:[%!].*|\?.*\w.*|.*\w\?{1,2}\s*)$", re.MULTILINE)  # IPython's lines
CLOSES = {")": "(", "]": "[", "}": "{"}

# What to step over as a whole. In R and the shell a quote inside a comment, a raw string or a
# here-document is no quote; the last alternative of each is a quote that is never closed.
SKIPPED = {
    "r": re.compile(
        r"""(?P<comment>\#[^\n]*)
          | [rR](?P<q>["'])(?P<dashes>-*)
            (?:[(].*?[)](?P=dashes)(?P=q)|\[.*?\](?P=dashes)(?P=q)|[{].*?[}](?P=dashes)(?P=q))
          | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`
          | (?P<open>["'`])""",
        re.VERBOSE | re.DOTALL,
    ),
    "bash": re.compile(
        r"""(?P<comment>(?:(?<=\s)|^)\#[^\n]*)
          | \\. | <<< | \$'(?:\\.|[^'\\])*'
          | <<-?\s*(?P<q>["']?)(?P<end>\w+)(?P=q)[^\n]*\n.*?^\s*(?P=end)$
          | "(?:\\.|[^"\\])*" | '[^']*' | `[^`]*`
          | (?P<open>["'`])""",
        re.VERBOSE | re.DOTALL | re.MULTILINE,
    ),
}


def starter_code_problem(source: str, language: str) -> tuple[int, str] | None:
    """The first fault as (line of the source from 1, message), or None.

    Python is parsed by Python. R and shell code is checked for brackets and quotes that pair up,
    so that a page can be checked on a machine without R or bash.
    """
    if short := SHORT_BLANK.search(source):
        return source.count("\n", 0, short.start()) + 1, "a blank has four underscores: `____`"
    filled = BLANK.sub("blank", source)
    if language == "python":
        return _python_problem(filled)
    return _unpaired(filled, language)


def _python_problem(source: str) -> tuple[int, str] | None:
    if source.startswith("%%") or _syntax_error(source) is None:
        return None
    return _syntax_error(MAGIC.sub(r"\1pass", source))


def _syntax_error(source: str) -> tuple[int, str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string: the block that runs will say so
            ast.parse(source)
    except SyntaxError as error:
        return error.lineno or 1, f"{error.msg} (each `____` read as a name)"
    return None


def _unpaired(source: str, language: str) -> tuple[int, str] | None:
    # In the shell a closing parenthesis may end a `case` pattern: it pairs with nothing.
    brackets = "[]{}" if language == "bash" else "()[]{}"
    opened: list[tuple[int, str]] = []
    position = 0
    while position < len(source):
        line = source.count("\n", 0, position) + 1
        if skipped := SKIPPED[language].match(source, position):
            if quote := skipped["open"]:
                return line, f"this {quote} is never closed"
            position = skipped.end()
            continue
        character = source[position]
        if character in brackets and character not in CLOSES:
            opened.append((line, character))
        elif character in brackets and (not opened or opened.pop()[1] != CLOSES[character]):
            return line, f"this {character} closes nothing"
        position += 1
    if opened:
        line, character = opened[-1]
        return line, f"this {character} is never closed"
    return None
