"""What the pages for instructors take from the episodes: times, schedules, cards and sheets.

`python tests/handouts.py` writes them all again. Run it (or `make handouts`) after the minutes, the
title or an exercise of an episode has changed; until then `test_handouts.py` fails.
"""

import html
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from lesson_runner.page.divs import Div
from lesson_runner.page.episode import Episode, read_episode
from lesson_runner.page.markdown import Fence, front_matter

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "instructors/files"

# --- times and schedules -------------------------------------------------------------------------

STARTS = 9 * 60
WELCOME = "Welcome, and setup for those who need it"
WELCOME_BACK = "Welcome back, and what was open yesterday"
OWN_TEXTS = "Time for your own texts, with help"
BREAK, LUNCH, NOON, AFTERNOON = 15, 60, 12 * 60 + 30, 13 * 60 + 30
GRID, IN_HAND = 15, 5
"""An episode gets whole quarters of an hour, and at least five minutes more than it says."""

ROUTES = {
    "half-day": "api-introduction api-litellm chat-completions",
    "one-day": "api-introduction chat-completions codebook structured-output evaluate",
    "two-days-first": "api-introduction api-litellm chat-completions codebook errors-retries",
    "two-days-second": "structured-output classify-dataset evaluate correct-share reproduce-report",
    "three-days-first": "api-introduction api-litellm chat-completions codebook",
    "three-days-second": "tokens-cost errors-retries structured-output classify-dataset",
    "three-days-third": "evaluate correct-share embeddings reproduce-report",
}
"""The days of each route; the names are those of the tables in `schedule.md`."""

LATER_DAYS = ("second", "third")


@dataclass(frozen=True)
class Times:
    """An episode as its front matter has it."""

    name: str
    title: str
    teaching: int
    exercises: int

    @property
    def together(self) -> int:
        return self.teaching + self.exercises

    @property
    def slot(self) -> int:
        return -(-(self.together + IN_HAND) // GRID) * GRID

    @property
    def link(self) -> str:
        return f"[{self.title}](../episodes/{self.name}.md)"


def config(root: Path = ROOT) -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    return found


def times(root: Path = ROOT) -> list[Times]:
    """Of all episodes, in the lesson's order."""
    found = []
    for name in config(root)["episodes"]:
        text = (root / "episodes" / name).read_text(encoding="utf-8")
        front = yaml.safe_load(front_matter(text))
        found.append(Times(Path(name).stem, front["title"], front["teaching"], front["exercises"]))
    return found


def table(head: str, widths: Iterable[int], rows: Iterable[Iterable[object]]) -> str:
    dashes = " | ".join("-" * width for width in widths)
    lines = [" | ".join(map(str, row)) for row in rows]
    return "\n".join(re.sub(r"\|  (?=\|)", "| ", f"| {line} |") for line in [head, dashes, *lines])


def clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02}"


def day(
    episodes: list[Times], welcome: str = WELCOME, own_texts: int = 0
) -> Iterator[tuple[int, str, object, object]]:
    """(begins, what, minutes, minutes in hand) of each row; lunch is the break nearest to 12:30."""
    begins = [STARTS + GRID]
    for episode in episodes[:-1]:
        begins.append(begins[-1] + episode.slot + BREAK)
    breaks = [begin + episode.slot for begin, episode in zip(begins, episodes, strict=True)][:-1]
    goes_on = begins[-1] + episodes[-1].slot + own_texts > AFTERNOON
    lunch = min(breaks, key=lambda begin: abs(begin - NOON)) if goes_on else None

    now = STARTS
    yield now, welcome, GRID, ""
    now += GRID
    for number, episode in enumerate(episodes):
        yield now, episode.link, episode.together, episode.slot - episode.together
        now += episode.slot
        if number < len(breaks):
            rest = LUNCH if breaks[number] == lunch else BREAK
            yield now, "**Lunch**" if rest == LUNCH else "Break", rest, ""
            now += rest
    if own_texts:
        yield now, OWN_TEXTS, own_texts, ""
        now += own_texts
    yield now, "Feedback, and what to read next", GRID, ""
    yield now + GRID, "End", "", ""


def tables(root: Path = ROOT) -> dict[str, str]:
    """The tables of `schedule.md`, by the names in the comments above them."""
    episodes = {episode.name: episode for episode in times(root)}
    found = {
        "episodes": table(
            "Episode | Teaching | Exercises | Together | In the schedules",
            (32, 8, 9, 8, 16),
            [
                *([e.link, e.teaching, e.exercises, e.together, e.slot] for e in episodes.values()),
                ["All", *totals(episodes.values())],
            ],
        )
    }
    for name, stems in ROUTES.items():
        taught = [episodes[stem] for stem in stems.split()]
        welcome = WELCOME_BACK if name.endswith(LATER_DAYS) else WELCOME
        own_texts = 60 if name.startswith("three-days") else 0
        rows = [(clock(begin), *rest) for begin, *rest in day(taught, welcome, own_texts)]
        found[name] = table("Time | What | Minutes | In hand", (6, 48, 8, 8), rows)
    return found


def totals(episodes: Iterable[Times]) -> list[int]:
    columns = [(e.teaching, e.exercises, e.together, e.slot) for e in episodes]
    return [sum(column) for column in zip(*columns, strict=True)]


NAMED_TABLE = re.compile(r"(?<=^<!-- table: )([\w-]+)( -->\n\n)((?:\|.*\n)*)", re.MULTILINE)


def with_tables(text: str, made: dict[str, str]) -> str:
    """A page whose tables are those that were made."""
    return NAMED_TABLE.sub(lambda found: f"{found[1]}{found[2]}{made[found[1]]}\n", text)


def with_times(text: str, episodes: Iterable[Times]) -> str:
    """The page on the lesson's design, with the times of the episodes in its table."""
    for number, episode in enumerate(episodes, start=1):
        row = rf"^\| {number} \| {re.escape(episode.title)} \| \d+ \+ \d+ \|"
        time = f"| {number} | {episode.title} | {episode.teaching} + {episode.exercises} |"
        text = re.sub(row, time, text, flags=re.MULTILINE)
    return text


# --- cards and sheets ----------------------------------------------------------------------------

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}: {kind} to print</title>
<style>
body {{ font: 12pt/1.45 sans-serif; color: #000; background: #fff }}
body {{ margin: 1rem auto; max-width: 180mm; padding: 0 1rem }}
h1 {{ font-size: 17pt; margin: 0 0 1mm }}
.about {{ font-size: 10pt; color: #404040; margin: 0 0 6mm }}
code {{ font: 11pt monospace; overflow-wrap: anywhere }}
table {{ border-collapse: collapse; margin: 3mm 0 5mm }}
th, td {{ border: 1px solid #595959; padding: 1.5mm 3mm; text-align: left }}
li, p {{ margin: 0 0 2.5mm }}
blockquote {{ margin: 4mm 0; font-size: 13pt; line-height: 2.4 }}
.blank {{ display: inline-block; width: 16mm; border-bottom: 1px solid #000; height: 1em }}
.line {{ border-bottom: 1px dotted #595959; height: 10mm; margin-bottom: 4mm }}
main.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax({width}mm, 1fr)) }}
main.cards section {{ border: 1px dashed #595959; padding: 4mm; break-inside: avoid }}
main.cards section {{ min-height: {height}mm; box-sizing: border-box }}
main.cards h2 {{ margin: 0 0 2mm; font-size: 15pt }}
main.cards p {{ font-size: 11pt }} main.cards code {{ font-size: 10pt }}
main.cards .about {{ font-size: 9pt; margin: 0 }}
main.cards pre {{ margin: 0; font: 12pt/1.4 monospace; white-space: pre-wrap }}
@page {{ size: A4; margin: 12mm }}
@media print {{ .screen {{ display: none }} body {{ margin: 0; max-width: none; padding: 0 }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""

BLANK = "\ue000"
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Exercise:
    """A challenge without its solution."""

    page: Episode
    title: str
    minutes: int
    lines: tuple[str, ...]
    """Those of the page, up to its solution; the first is the one below the title."""
    fences: tuple[Fence, ...]


def exercise(title: str, pages: Iterable[Episode]) -> Exercise:
    """The exercise of this title, on whatever page it stands."""
    heading = re.compile(re.escape(title) + r" \((\d+) minutes\)")
    for page in pages:
        for div in page.divs.all():
            found = div.title and heading.fullmatch(div.title.text)
            if found and div.title:
                ends = next((d.line for d in div.divs if d.name in ("solution", "hint")), div.end)
                begins = div.title.line
                fences = [
                    element
                    for element in page.elements
                    if isinstance(element, Fence) and begins < element.line < (ends or 0)
                ]
                lines = page.text.splitlines()[begins : (ends or 0) - 1]
                return Exercise(page, title, int(found[1]), tuple(lines), tuple(fences))
    raise LookupError(f"no page has the exercise {title!r} any more: see tests/handouts.py")


def tab_of(page: Episode, line: int) -> str:
    def deepest(div: Div) -> str:
        for inner in div.divs:
            if inner.line < line < (inner.end or 0):
                tab = inner.tab_at(line)
                return deepest(inner) or (tab.text if tab else "")
        return ""

    return deepest(page.divs)


def rendered(text: str, write: bool = False) -> str:
    """Markdown as HTML. With `write`, items without a blank get a line to write on."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("____", BLANK))
    body = MARKDOWN.render(re.sub(r"^:+.*$", "", text, flags=re.MULTILINE))
    if write:
        line = '<div class="line"></div>'
        body = re.sub(
            r"(<li>(?:(?!</li>).)*)(</li>)",
            lambda item: item[1] + ("" if BLANK in item[1] else line) + item[2],
            body,
            flags=re.DOTALL,
        )
        body = re.sub(r"(<p>[A-Z]\. (?:(?!</p>).)*</p>)", rf"\1{line}", body, flags=re.DOTALL)
        body = body.replace("</blockquote>", "</blockquote>" + line * 8) + line
    body = body.replace("<th></th>", "<td></td>")  # a header that is empty is none
    return body.replace(BLANK, '<span class="blank"></span>')


def about(found: Exercise, copies: str) -> str:
    return (
        f'<p class="about">{html.escape(found.page.title)}, {found.minutes} minutes. '
        f'<span class="screen">{copies}</span></p>'
    )


TABS = re.compile(r"^:{3,} *group-tab *$.*?^:{3,} *$", re.MULTILINE | re.DOTALL)


def sheet(found: Exercise) -> str:
    """One page of A4 to write on. Code is completed on the laptop."""
    body = rendered(TABS.sub("", "\n".join(found.lines)), write=True)
    top = f"<h1>{html.escape(found.title)}</h1>\n{about(found, 'Print one for each learner.')}"
    main = f"<main>\n{top}\n{body}</main>"
    return PAGE.format(title=html.escape(found.title), kind="a sheet", body=main, width=0, height=0)


def cards(title: str, said: str, inner: Iterable[str], width: int, height: int) -> str:
    sections = "\n".join(f"<section>\n{card}\n</section>" for card in inner)
    top = f'<header class="screen">\n<h1>{html.escape(title)}</h1>\n<p class="about">{said}</p>'
    body = f'{top}\n</header>\n<main class="cards">\n{sections}\n</main>'
    return PAGE.format(
        title=html.escape(title), kind="cards", body=body, width=width, height=height
    )


def cards_of_a_table(found: Exercise, said: str) -> str:
    """A card for each row: its letter, and what it says."""
    lines = [line for line in found.lines if re.match(r"\| (?:[A-Z] )?\|", line)]
    head, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    inner = [
        f"<h2>{letter}</h2>\n"
        + "".join(
            f'<p class="about">{rendered(name).strip()[3:-4]}</p>\n{rendered(cell)}'
            for name, cell in zip(head[1:], cells, strict=True)
        )
        for letter, *cells in rows
    ]
    return cards(found.title, said, inner, 58, 60)


def strips(found: Exercise, tab: str, said: str) -> str:
    """A strip of paper for each line of a program whose lines begin with a letter."""
    (fence,) = (f for f in found.fences if tab_of(found.page, f.line) == tab)
    pieces = re.split(r"^(?=[A-Z]  )", fence.text, flags=re.MULTILINE)
    inner = [f"<pre>{html.escape(piece.rstrip())}</pre>" for piece in pieces if piece.strip()]
    return cards(f"{found.title} ({tab})", said, inner, 150, 12)


SHEETS = {
    "sheet-five-texts.html": "Sort five texts",
    "sheet-two-readers.html": "Two readers, six names",
    "sheet-which-rows.html": "Which rows may you look at?",
    "sheet-log-line.html": "What must a log line hold?",
    "sheet-interrupted-run.html": "The interrupted run",
    "sheet-kappa.html": "Kappa by hand",
    "sheet-methods-paragraph.html": "Audit a methods paragraph",
}

CARDS = (
    "cards-nine-failures.html",
    "strips-python.html",
    "strips-r.html",
    "cards-seeds.html",
    "cards-feedback.html",
)

PAGES = ("instructors/schedule.md", "instructors/design.md")
FILES = (*PAGES, *(f"{FOLDER}/{name}" for name in (*SHEETS, *CARDS)))
"""All that is made from the episodes."""

SEEDS = 32
FEEDBACK = (
    "One thing that helped me today:",
    "One thing that is still unclear:",
)


def handouts(root: Path = ROOT) -> dict[str, str]:
    """What each file in `instructors/files` holds."""
    pages = [
        read_episode(name, (root / "episodes" / name).read_text(encoding="utf-8"))
        for name in config(root)["episodes"]
    ]
    found = {name: sheet(exercise(title, pages)) for name, title in SHEETS.items()}
    failures = exercise("Sort nine failures", pages)
    found["cards-nine-failures.html"] = cards_of_a_table(
        failures, "Print one page for each pair, and cut along the lines."
    )
    order = exercise("Put the lines in order", pages)
    for tab in ("Python", "R"):
        found[f"strips-{tab.lower()}.html"] = strips(
            order, tab, "Print one page for each pair, and cut along the lines."
        )
    found["cards-seeds.html"] = cards(
        "Seeds for “Draw and correct”",
        f"{SEEDS} numbers, one for each learner or pair, so that no two draw the same titles.",
        (f"<p>Your seed</p>\n<h2>{number}</h2>" for number in range(1, SEEDS + 1)),
        42,
        32,
    )
    lines = '<div class="line"></div>' * 3
    found["cards-feedback.html"] = cards(
        "Feedback",
        "Four slips on a page: print one page for four learners, and cut along the lines.",
        ["".join(f"<p>{question}</p>{lines}" for question in FEEDBACK)] * 4,
        85,
        130,
    )
    return found


def wanted(root: Path = ROOT) -> dict[str, str]:
    """All files that are made from the episodes, as they should be."""
    schedule, design = ((root / page).read_text(encoding="utf-8") for page in PAGES)
    made = [with_tables(schedule, tables(root)), with_times(design, times(root))]
    printed = handouts(root)
    made += [printed[name] for name in (*SHEETS, *CARDS)]
    return dict(zip(FILES, made, strict=True))


def main() -> int:
    try:
        files = wanted()
    except LookupError as error:
        sys.exit(str(error))
    for name, text in files.items():
        file = ROOT / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(f"written: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
