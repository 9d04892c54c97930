"""Pages are read, typed and taught in small steps: see `measures.py`."""

import datetime
import re
from functools import cache, reduce
from operator import add
from pathlib import Path

import pytest
import yaml
from measures import (
    WIDTH,
    Measures,
    measure,
    minutes,
    prose,
    sentences,
    too_wide,
    words_before_code,
    words_of,
)

from lesson_runner.page.episode import Episode, read_episode

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
EPISODES = CONFIG["episodes"]

PAGE = """\
---
title: A page
---

Here is a sentence that has more than eight words in it. A short one!

:::: group-tab

### Python

Python's own words.

```python
one = 1

two = 2
```

### R

```r
one <- 1
```

::::

| a | table |

:::: challenge

## Do it (4 minutes)

```{.python .exercise}
print("____", "a line of code that is wider than a challenge's box")
```

:::: solution

## What it prints

```python
print(1)
```

::::

::::

:::: instructor

Not read by learners.

::::
"""


@pytest.fixture(scope="module")
def page() -> Episode:
    return read_episode("page.md", PAGE)


def test_only_one_tab_is_read_and_typed(page: Episode) -> None:
    python, r = measure(page, "python"), measure(page, "r")
    assert python.sentences == (12, 3, 3)
    assert python.blocks == (2, 1)
    assert (r.sentences, r.blocks) == ((12, 3), (1,))
    assert python.short_sentences == pytest.approx(2 / 3)
    assert words_before_code(page, "python") == 18


def test_code_that_is_wider_than_its_box_is_found(page: Episode) -> None:
    (found,) = measure(page, "python").too_wide
    assert found.startswith("page.md:34: print(")


def test_json_that_is_wider_than_its_box_is_found() -> None:
    text = f'```json\n{{"a": "{"x" * 70}"}}\n```\n'
    page = read_episode("page.md", text)
    assert [line for line, _ in too_wide(list(page.blocks))] == [2]


@pytest.mark.parametrize("page", sorted(ROOT.glob("[elp]*/*.md")), ids=lambda page: page.stem)
def test_code_of_other_pages_and_json_fit_their_boxes(page: Path) -> None:
    blocks = read_episode(page.name, page.read_text(encoding="utf-8")).blocks
    shown = [b for b in blocks if b.language in ("python", "r", "bash", "json")]
    # An address can't be broken.
    assert [text for _, text in too_wide(shown) if "https://" not in text] == []


def torn_apart(page: Episode) -> list[str]:
    """Rows of a printed table that the site would break: other outputs may go on below."""
    shown = [shown.text for block in page.blocks for shown in block.shown if shown.kind == "output"]
    rows = [line for text in shown for line in text.splitlines()]
    return [row for row in rows if len(row) > WIDTH and re.search(r"(\S {2,}){3}", row)]


def test_a_printed_table_that_is_torn_apart_is_found() -> None:
    row, prose = "a  b  c  d".ljust(72, "x"), "words " * 20
    page = read_episode("page.md", f"```python\n1\n```\n\n```output\n{row}\n{prose}\n```\n")
    assert torn_apart(page) == [row]


@pytest.mark.parametrize("name", EPISODES)
def test_printed_tables_stay_in_one_piece(name: str) -> None:
    assert torn_apart(episode(name)) == []


def test_lists_colons_and_fences_end_a_sentence() -> None:
    text = "Two things: `x.y` counts.\n\n- A [link here](to/page.md). \n- and more words"
    assert [words_of(sentence) for sentence in sentences(text)] == [2, 2, 3, 3]


def test_minutes_count_speech_code_and_discussion(page: Episode) -> None:
    teaching, exercises = minutes(page)
    assert teaching == pytest.approx(18 / 150 + len("one = 1\n\ntwo = 2") / 100, abs=0.02)
    assert exercises == 6.5
    assert "Not read" not in prose(page, "python")


def test_what_is_folded_takes_no_minutes(page: Episode) -> None:
    folded = ":::: spoiler\n\n## At home\n\nRead it.\n\n```python\ntwo = 2\n```\n\n::::\n"
    assert minutes(read_episode("page.md", PAGE + "\n" + folded)) == minutes(page)


@cache
def episode(name: str) -> Episode:
    return read_episode(name, (ROOT / "episodes" / name).read_text(encoding="utf-8"))


@cache
def measured(name: str, language: str) -> Measures:
    return measure(episode(name), language)


languages = pytest.mark.parametrize("language", ["python", "r"])
every_episode = pytest.mark.parametrize("name", EPISODES)


@languages
def test_the_lesson_is_written_in_sentences_and_typed_in_steps(language: str) -> None:
    whole = reduce(add, (measured(name, language) for name in EPISODES))
    assert 13 <= whole.words_per_sentence <= 16
    assert whole.short_sentences <= 0.28
    assert whole.median_lines <= 4
    assert whole.long_blocks <= 0.08


@languages
@every_episode
def test_no_page_is_far_from_the_lesson(name: str, language: str) -> None:
    found = measured(name, language)
    assert 12 <= found.words_per_sentence <= 17
    assert found.short_sentences <= 0.33
    assert found.median_lines <= 5
    assert max(found.blocks) <= 20
    assert not found.too_wide


@languages
def test_a_model_answers_after_300_words(language: str) -> None:
    assert words_before_code(episode(EPISODES[0]), language) <= 300


@every_episode
def test_the_minutes_are_those_that_the_page_takes(name: str) -> None:
    front = yaml.safe_load(episode(name).text.split("---")[1])
    teaching, exercises = minutes(episode(name))
    stated = front["teaching"] + front["exercises"]
    assert stated == pytest.approx(teaching + exercises, rel=0.2), (teaching, exercises)


RETIRES = re.compile(r"\b(?:retires?|shuts? down|ends?) on (\d{4}-\d\d-\d\d)")
NOTICE = datetime.timedelta(days=60)


def soon(text: str, today: datetime.date) -> list[str]:
    """Dates of models that a page names and that are near: it has to be rewritten before."""
    dates = (datetime.date.fromisoformat(found) for found in RETIRES.findall(text))
    return [str(date) for date in dates if today <= date < today + NOTICE]


def test_a_model_that_retires_soon_is_found() -> None:
    text = "gpt-x retires on 2027-01-14, and gpt-y shut down on 2026-10-23."
    assert soon(text, datetime.date(2026, 12, 1)) == ["2027-01-14"]
    assert soon(text, datetime.date(2026, 11, 1)) == []


@pytest.mark.parametrize(
    "page",
    [p for folder in ("episodes", "learners", "instructors") for p in (ROOT / folder).glob("*.md")],
    ids=lambda page: page.stem,
)
def test_no_page_names_a_model_that_retires_within_60_days(page: Path) -> None:
    assert not soon(page.read_text(encoding="utf-8"), datetime.date.today())
