"""Schedules, times and sheets say what the episodes say today: see `handouts.py`."""

import re
from itertools import pairwise

import pytest
from handouts import (
    FILES,
    FOLDER,
    ROOT,
    ROUTES,
    Times,
    day,
    exercise,
    handouts,
    rendered,
    tables,
    times,
    wanted,
    with_tables,
    with_times,
)
from measures import prose, sentences, words_of

from lesson_runner.page.episode import Episode, read_episode

WRITE_AGAIN = "python tests/handouts.py writes it again"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# What is made from the episodes


@pytest.mark.parametrize("name", FILES)
def test_what_is_made_from_the_episodes_is_up_to_date(name: str) -> None:
    assert (ROOT / name).is_file(), WRITE_AGAIN
    assert read(name) == wanted()[name], WRITE_AGAIN


def test_no_other_file_is_shipped_to_print() -> None:
    there = {path.name for path in (ROOT / FOLDER).iterdir()}
    assert there == set(handouts()), "a sheet that tests/handouts.py does not make"


def test_the_notes_name_every_file_to_print() -> None:
    notes = read("instructors/instructor-notes.md")
    assert [name for name in handouts() if f"(files/{name})" not in notes] == []


def test_the_schedules_hold_every_table() -> None:
    found = re.findall(r"^<!-- table: ([\w-]+) -->$", read("instructors/schedule.md"), re.MULTILINE)
    assert sorted(found) == sorted(tables())


def test_the_design_has_a_row_for_each_episode() -> None:
    rows = re.findall(r"^\| \d+ \| ([^|]+) \| \d+ \+ \d+ \|", read("instructors/design.md"), re.M)
    assert rows == [episode.title for episode in times()]


# How a day is made


def made(*minutes: int) -> list[Times]:
    return [Times(f"e{number}", f"E{number}", m, 0) for number, m in enumerate(minutes)]


def test_an_episode_gets_whole_quarters_and_five_minutes_more() -> None:
    assert [time.slot for time in made(35, 40, 41, 50, 55, 56)] == [45, 45, 60, 60, 60, 75]


def test_a_day_has_breaks_and_lunch() -> None:
    rows = [(begin // 60, begin % 60, what) for begin, what, *_ in day(made(50, 50, 50, 50))]
    assert [row[:2] for row in rows if row[2] == "**Lunch**"] == [(12, 45)]
    assert [row[:2] for row in rows if row[2] == "Break"] == [(10, 15), (11, 30)]
    assert rows[-1] == (15, 0, "End")


def test_half_a_day_has_no_lunch() -> None:
    assert "**Lunch**" not in {what for _, what, *_ in day(made(50, 50, 50))}


def test_a_table_is_replaced_below_its_name_only() -> None:
    page = "A\n\n<!-- table: x -->\n\n| old |\n| --- |\n\nB\n\n| other |\n"
    assert with_tables(page, {"x": "| new |"}) == page.replace("| old |\n| --- |", "| new |")


def test_only_the_times_of_a_row_are_replaced() -> None:
    page = "| 1 | E0 | 1 + 2 | can do it |\n| 1 | E0 | an objective |\n"
    assert with_times(page, made(30)) == page.replace("1 + 2", "30 + 0")


def rows_of(route: str) -> list[tuple[int, str, str]]:
    found = re.findall(r"^\| (\d+):(\d\d) \| ([^|]+) \| ?(\d*) ?\|", tables()[route], re.MULTILINE)
    return [(int(hour) * 60 + int(minute), what, lasts) for hour, minute, what, lasts in found]


@pytest.mark.parametrize("route", ROUTES)
def test_a_day_can_be_taught(route: str) -> None:
    """Round times, a break after 90 minutes, and an end before everybody is tired."""
    rows = rows_of(route)
    assert [begin for begin, *_ in rows if begin % 15] == []
    assert rows[-1][0] <= 17 * 60 + 30
    for (begin, what, lasts), (ends, *_) in pairwise(rows):
        assert ends - begin <= 90
        is_episode = what.startswith("[")
        assert ends - begin >= int(lasts) + (5 if is_episode else 0), what


@pytest.mark.parametrize("route", ["half-day", "one-day", "two-days", "three-days"])
def test_a_route_keeps_the_order_of_the_lesson(route: str) -> None:
    """So nothing is used before it is taught, if it is taught at all."""
    order = [episode.name for episode in times()]
    taught = [
        stem for name, stems in ROUTES.items() if name.startswith(route) for stem in stems.split()
    ]
    assert taught == [name for name in order if name in taught]
    assert len(taught) == len(set(taught))
    if route == "three-days":
        assert taught == order


NEEDS = {
    "codebook": "chat-completions",
    "structured-output": "codebook",
    "classify-dataset": "structured-output errors-retries",
    "correct-share": "evaluate",
    "reproduce-report": "classify-dataset evaluate correct-share",
}


@pytest.mark.parametrize("route", ["half-day", "one-day", "two-days", "three-days"])
def test_a_route_teaches_what_it_uses(route: str) -> None:
    taught = " ".join(stems for name, stems in ROUTES.items() if name.startswith(route)).split()
    missing = {
        (name, need)
        for name in taught
        for need in NEEDS.get(name, "").split()
        if need not in taught
    }
    assert missing == set()


# How a sheet is made

PAGE = """\
---
title: A page
---

::: challenge

## Sort them (5 minutes)

Use [the table](x.md).

A. One

B. Two ____

:::: solution

The secret.

::::

:::
"""


@pytest.fixture
def page() -> Episode:
    return read_episode("page.md", PAGE)


def test_an_exercise_is_taken_without_its_solution(page: Episode) -> None:
    found = exercise("Sort them", [page])
    assert found.minutes == 5
    assert "A. One" in found.lines
    assert "The secret." not in found.lines


def test_an_exercise_that_is_gone_is_named(page: Episode) -> None:
    with pytest.raises(LookupError, match="no page has the exercise 'Sort us'"):
        exercise("Sort us", [page])


def test_what_learners_write_has_room(page: Episode) -> None:
    text = rendered("\n".join(exercise("Sort them", [page]).lines), write=True)
    assert "Use the table." in text
    assert text.count('class="line"') == 3
    assert text.count('class="blank"') == 1
    assert "____" not in text


# What an instructor reads tonight


def test_the_notes_begin_with_what_to_do_tomorrow() -> None:
    page = read_episode("instructor-notes.md", read("instructors/instructor-notes.md"))
    text = prose(page, "python")
    first = re.split(r"^## ", page.text, flags=re.MULTILINE)[1]
    assert first.startswith("If you teach tomorrow\n")
    assert len(re.findall(r"^\d+\. ", first, re.MULTILINE)) == 6
    assert sum(map(words_of, sentences(text))) <= 2000  # ten minutes at 200 words


def exercises() -> dict[str, list[str]]:
    """The titles of each episode's exercises, by the title of the episode."""
    found = {}
    for episode in times():
        text = read(f"episodes/{episode.name}.md")
        titles = re.findall(r"^## (.+) \(\d+ minutes\)$", text, re.MULTILINE)
        found[episode.title] = titles
    return found


def test_what_can_be_left_out_names_each_episode_and_exercises_that_it_has() -> None:
    notes = read("instructors/instructor-notes.md")
    _, _, section = notes.partition("## What you can leave out")
    rows = dict(re.findall(r"^\| ([^|*-]+) \| (.+) \|$", section.split("\n## ")[0], re.MULTILINE))
    del rows["Episode"]
    known = exercises()
    assert list(rows) == list(known)
    unknown = [
        (episode, name)
        for episode, row in rows.items()
        for name in re.findall(r"\*([^*]+)\*", row)
        if name not in known[episode]
    ]
    assert unknown == []


def test_the_stumbles_name_each_episode_and_exercises_that_it_has() -> None:
    known = exercises()
    _, *sections = re.split(r"^## ", read("instructors/stumbles.md"), flags=re.MULTILINE)
    stumbles = dict(section.split("\n", 1) for section in sections)
    del stumbles["Setup"]
    assert list(stumbles) == list(known)
    unknown = [
        (episode, name)
        for episode, text in stumbles.items()
        for name in re.findall(r"^- \*([^*]+)\*:", text, re.MULTILINE)
        if name not in known[episode]
    ]
    assert unknown == []


VOICE = (
    "README.md",
    "CONTRIBUTING.md",
    "index.md",
    "instructors/instructor-notes.md",
    "instructors/room.md",
    "instructors/schedule.md",
    "instructors/stumbles.md",
    "instructors/design.md",
    "learners/reference.md",
    "learners/setup.md",
    "profiles/learner-profiles.md",
)


@pytest.mark.parametrize("name", VOICE)
def test_the_pages_around_the_episodes_are_written_in_sentences(name: str) -> None:
    found = [
        words_of(sentence)
        for sentence in sentences(prose(read_episode(name, read(name)), "python"))
    ]
    assert sum(found) / len(found) >= 12
    assert sum(words <= 8 for words in found) / len(found) <= 0.33


def test_the_readme_is_short() -> None:
    text = read("README.md")
    assert len(text.split()) <= 1172  # half of what it was
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:3] == ["Start", "Teach", "Adopt"]
