"""Write the notebooks that learners follow: one per episode, language and format."""

import argparse
from dataclasses import replace
from pathlib import Path

from lesson.editions import EDITIONS, Edition, choose, files_of, name_of, write, zipped
from lesson.options import root_of
from lesson.show import counted
from lesson.solutions import outputs_for
from lesson_runner.export.documents import FORMATS
from lesson_runner.options import languages
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson, find_lesson
from lesson_runner.page.places import LessonError

EXAMPLE = "lesson notebooks --language r --format ipynb,Rmd --zip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, help="folder of the lesson (default: the one here)")
    parser.add_argument("--out", type=Path, help="folder to write to (default: ROOT/notebooks)")
    parser.add_argument(
        "--language",
        type=languages,
        help="only these (default: of python and r those that fit the format)",
    )
    parser.add_argument(
        "--format",
        type=formats,
        default=("ipynb",),
        help="ipynb (the default) for Jupyter, qmd for Quarto, Rmd for R Markdown, py and R for "
        "scripts; several with commas between",
    )
    parser.add_argument(
        "--solutions",
        action="store_true",
        help="the instructor's edition: run against the practice proxy, with its outputs, "
        "solutions open, notes for instructors shown",
    )
    parser.add_argument(
        "--zip", action="store_true", help="also write each edition into a ZIP file"
    )


def formats(text: str) -> tuple[str, ...]:
    """`ipynb,rmd` → ("ipynb", "Rmd"); `R` is a format as well."""
    known = {name.lower(): name for name in FORMATS}
    names = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(known[name] for name in names))


def run(options: argparse.Namespace) -> int:
    root = root_of(options.root, Path.cwd())
    lesson = find_lesson(root)
    out = (options.out or root / "notebooks").resolve()
    if options.solutions and options.format != ("ipynb",):
        raise LessonError(
            "--solutions writes notebooks, because other formats hold no outputs: leave --format "
            "out. An Rmd or qmd document shows its outputs when it is knitted or rendered"
        )
    episodes = [lesson.read(page) for page in lesson.pages if page.parent.name == "episodes"]
    faulty = [problem for episode in episodes for problem in episode.problems]
    if faulty and lesson.settings.strict:
        raise LessonError("\n".join(["the pages have problems:", *map(str, faulty)]))
    for problem in faulty:  # each costs its block, and not the notebooks
        print(problem)
    taught = [name for name in EDITIONS if any(name in one.languages for one in episodes)]
    editions = choose(options.language, options.format, tuple(taught) or EDITIONS)
    if not options.solutions:
        for edition in editions:
            write_edition(lesson, episodes, edition, out, options.zip)
        return 0
    return write_solutions(options, lesson, episodes, editions, out)


def write_solutions(
    options: argparse.Namespace,
    lesson: Lesson,
    episodes: list[Episode],
    editions: list[Edition],
    out: Path,
) -> int:
    """An episode with a block that fails is left out: exit status 1."""
    is_well = True
    named = [edition.language for edition in editions]
    for language, executions in outputs_for(lesson, episodes, named).items():
        if executions is None:
            is_well = is_well and language not in (options.language or ())
            continue
        ran = [episode for episode in episodes if episode.path in executions]
        edition = next(edition for edition in editions if edition.language == language)
        edition = replace(edition, executions=executions)
        is_whole = len(ran) == len(episodes)
        write_edition(lesson, ran, edition, out, options.zip and is_whole)
        is_well = is_well and is_whole
    return 0 if is_well else 1


def write_edition(
    lesson: Lesson, episodes: list[Episode], edition: Edition, out: Path, with_zip: bool
) -> None:
    files = files_of(lesson, episodes, edition)
    folder = out / edition.name
    kept = write(folder, files)
    what = counted(len(episodes), edition.format.what)
    solutions = "" if edition.executions is None else ", with solutions and outputs"
    print(f"{what} for {edition.language}{solutions}: {folder}")
    if with_zip:
        name = f"{name_of(lesson)}-{edition.name}"
        (out / f"{name}.zip").write_bytes(zipped(name, files))
        print(f"    and {out / name}.zip")
    for file in kept:
        print(f"kept as it is, for it was changed: {file} (move it away to get a fresh one)")
