"""Pages with a no-break space or a line separator run to their end, and --update settles them."""

import pytest
from made_lesson import MadeLesson

from lesson_runner.judge.rewrite import update_page
from lesson_runner.page.lesson import Lesson

PRINTS = {
    "python": 'print("a{blank}")  # x{blank}\nprint("b{blank}c{blank}")',
    "bash": 'echo "a{blank}" # x{blank}\necho "b{blank}c{blank}"',
    "r": 'cat("a{blank}\\n") # x{blank}\ncat("b{blank}c{blank}\\n")',
}


@pytest.mark.parametrize("blank", ["\u00a0", "\u2028"], ids=["no-break space", "line separator"])
@pytest.mark.parametrize("language", PRINTS)
def test_unusual_blanks_beside_three_dots(
    made_lesson: MadeLesson, request: pytest.FixtureRequest, language: str, blank: str
) -> None:
    if language == "r":
        request.getfixturevalue("r_kernel")
    shown = ("a\nb{b}c{b}", "a{b}\n...c{b}", "...{b}\n...", "a\nb c{b}", "{b}", "a\nx...{b}")
    code = PRINTS[language].format(blank=blank)
    text = "".join(
        f"```{language}\n{code}\n```\n\n```output\n{one.format(b=blank)}\n```\n\nText.{blank}\n\n"
        for one in shown
    )
    checked = made_lesson.check(text, language)
    outcomes = [result.outcome for result in checked.results]
    assert outcomes == ["passed", "passed", "passed", "failed", "failed", "failed"]
    page = made_lesson.root / "episodes" / "page.md"
    lesson = Lesson(made_lesson.root, (page,))
    update = update_page(lesson, page, checked.episode, checked.results)
    assert update.fences == 3
    assert {result.outcome for result in update.results} == {"passed"}
    assert made_lesson.check(page.read_text(encoding="utf-8"), language).failed == ()
