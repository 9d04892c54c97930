"""Run the blocks of the episodes against the practice proxy, for the instructor's edition."""

import json
from collections.abc import Iterable, Mapping

from lesson.practice import practice_environment
from lesson.show import console_of_the_call, tell_checked
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.run.happened import Execution
from lesson_runner.verify import EnvironmentFor, Verification

LITELLM_PORT = 4000  # as on the setup page
Executions = Mapping[str, tuple[Execution, ...]]
"""Path of an episode → what happened in its blocks of one language."""


def outputs_for(
    lesson: Lesson, episodes: Iterable[Episode], languages: Iterable[str]
) -> dict[str, Executions | None]:
    """The executions of each language; None where there is no kernel for it.

    An episode with a failing block is reported and left out.
    """
    console = console_of_the_call()
    keys: set[str] = set()
    found: dict[str, Executions | None] = {}
    with (
        practice_environment(LITELLM_PORT) as environment,
        Verification(lesson.root, _noting_keys(environment, keys)) as verification,
    ):
        for language in languages:
            if missing := verification.kernel(language).missing:
                console.print(f"no solutions for {language}: {missing}", markup=False)
                found[language] = None
                continue
            executions: dict[str, tuple[Execution, ...]] = {e.path: () for e in episodes}
            with_code = [e for e in episodes if language in e.languages]
            for episode in with_code:
                verification.start(episode, language)
            for episode in with_code:
                checked = verification.start(episode, language).result()
                tell_checked(console, checked)
                ran = (result.execution for result in checked.results)
                executions[episode.path] = tuple(e for e in ran if e is not None)
                if checked.failed:
                    del executions[episode.path]
            found[language] = executions
            _refuse_keys(executions, keys)
    return found


def _noting_keys(environment: EnvironmentFor, keys: set[str]) -> EnvironmentFor:
    def noting(path: str, language: str) -> Mapping[str, str]:
        given = environment(path, language)
        keys.add(given["LITELLM_API_KEY"])
        return given

    return noting


def _refuse_keys(executions: Executions, keys: Iterable[str]) -> None:
    """No key goes into a notebook, not even one of a practice proxy that has ended."""
    for path, of_page in executions.items():
        for execution in of_page:
            text = json.dumps(execution.outputs)
            if any(key in text for key in keys):
                raise LessonError(
                    f"{path}:{execution.block.line}: this block prints the key of whoever runs "
                    "it: let it print something else"
                )
