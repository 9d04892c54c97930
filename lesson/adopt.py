"""Propose what a lesson needs to be checked: lesson.yaml and a workflow, as a patch.

It runs the lesson's code on this computer, some of its pages from several folders, and writes
nothing unless it is told to.
"""

import argparse
import difflib
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

from rich.console import Console

from lesson import check
from lesson.options import lesson_of
from lesson.show import Outcome, console_of_the_call, counted, tell_causes
from lesson_runner.judge.baseline import Baseline
from lesson_runner.judge.causes import cause_of
from lesson_runner.judge.proposal import (
    Proposal,
    archive_for,
    files_named,
    folders_for,
    named_elsewhere,
    pages_to_leave_out,
    places_to_try,
    refined,
    start_for,
)
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Episode
from lesson_runner.page.lesson import Lesson
from lesson_runner.page.places import LessonError
from lesson_runner.page.settings import NAME, Needs, settings_of
from lesson_runner.run.kernels import prepare_folder

EXAMPLE = "lesson adopt --write"

SHIPPED = ("episodes/data", "episodes/files")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
HOME = "https://github.com/carpentries-incubator/llm-apis-litellm"

WORKFLOW_FILE = ".github/workflows/code.yml"
"""Not `.yaml`: the Workbench deletes those when it updates its own workflows."""
SET_UP_R = """\
      - uses: r-lib/actions/setup-r@v2
        with:
          use-public-rspm: true
      - run: Rscript -e 'install.packages(c({packages})); IRkernel::installspec()'
"""
WORKFLOW = """\
name: code of the lesson
on:
  push:
  pull_request:
  schedule:
    - cron: "7 5 * * 1" # new versions of packages show up here, not in somebody's pull request
permissions:
  contents: read
jobs:
  code:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
      - run: {install}
{set_up_r}      - run: lesson check --report "$GITHUB_STEP_SUMMARY"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    check.add_arguments_of_one_run(parser)
    parser.add_argument("--write", action="store_true", help="write the files, not only show them")


def run(options: argparse.Namespace) -> int:
    lesson = lesson_of(options)
    if (lesson.root / NAME).exists():
        raise LessonError(f"{NAME} is there already: change it by hand, or move it away")
    console = console_of_the_call()
    outcome = Outcome()
    episodes = check.read(lesson, lesson.pages, options, outcome, console, Baseline())
    proposal = what_learners_have(lesson.root, episodes.values())
    lesson = Lesson(lesson.root, lesson.pages, given=settings_of(proposal.text(), lesson.root))
    check.run_once(options, lesson, episodes, outcome, console)
    results = with_better_starts(options, lesson, episodes, outcome, proposal, console)
    installs = {module: names[0] for module, names in packages_distributions().items()}
    refined(proposal, list(episodes.values()), results, installs)
    with_r = any("r" in episode.languages for episode in episodes.values())
    files = {NAME: proposal.text(), WORKFLOW_FILE: workflow(proposal, with_r=with_r)}
    files = {name: text for name, text in files.items() if not (lesson.root / name).exists()}
    tell_causes(console, failed_of([outcome.without_meaning, results]), few=0)
    for name, text in files.items():
        console.print(patch(name, text), markup=False)
        if options.write:
            (lesson.root / name).parent.mkdir(parents=True, exist_ok=True)
            (lesson.root / name).write_text(text, encoding="utf-8")
    lines = [line for line in proposal.text().splitlines() if "  # " in line]
    console.print(f"{counted(len(lines), 'line')} of {NAME} to read and decide.", markup=False)
    console.print("Next: lesson baseline." if options.write else "Next: lesson adopt --write.")
    return 0


def what_learners_have(root: Path, episodes: Iterable[Episode]) -> Proposal:
    """Folders beside the pages; archives, where the code names files that are only in one."""
    episodes = list(episodes)
    named = files_named(episodes)
    files = shipped(root)
    packed = dict(archives(root))
    if not any(archive_for(named_elsewhere(named, files), inside) for inside in packed.values()):
        return Proposal(folders=folders_for(named, files))
    unpack = [path for path, inside in packed.items() if archive_for(named, inside)]
    inside = [member for path in unpack for member in packed[path]]
    return Proposal(
        folders=folders_for([name for name in named if not archive_for([name], inside)], files),
        unpack=unpack,
        only_archives=set(files) <= set(unpack),
        start=start_for(named, inside),
    )


def with_better_starts(
    options: argparse.Namespace,
    lesson: Lesson,
    episodes: Mapping[Path, Episode],
    outcome: Outcome,
    proposal: Proposal,
    console: Console,
) -> list[Result]:
    """What happened to the code, started where most blocks of each page pass; notes these places.

    Only its text says where a page starts, so one with failures that files may explain runs once
    from each likely place.
    """
    best: dict[str, list[Result]] = {}
    for one in outcome.checked:
        best.setdefault(one.episode.path, []).extend(one.results)
    before = {path: agree(results) for path, results in best.items()}
    left_out = pages_to_leave_out(episodes.values(), failed_of(best.values()))
    folders = folders_of_learners(lesson.root, proposal)
    places = {
        page: places_to_try(episode, failed_of([best[episode.path]]), folders, proposal.start)
        for page, episode in episodes.items()
        if episode.path in best.keys() - left_out.keys()
    }
    turns = max(map(len, places.values()), default=0)
    for turn in range(turns):
        there = {page: tried[turn] for page, tried in places.items() if turn < len(tried)}
        starts = {episodes[page].path: place for page, place in there.items()}
        needs = {path: replace(lesson.settings.of(path), start=at) for path, at in starts.items()}
        settings = replace(lesson.settings, pages={**lesson.settings.pages, **needs})
        many = counted(len(there), "page")
        console.print(f"From where do they start? {many}, place {turn + 1} of {turns} …")
        trial = Outcome()
        from_there = Lesson(lesson.root, lesson.pages, given=settings)
        pages = {page: episodes[page] for page in there}
        check.run_once(options, from_there, pages, trial, Console(quiet=True))
        for path, place in starts.items():
            found = [r for one in trial.checked if one.episode.path == path for r in one.results]
            if (number := agree(found)) > agree(best[path]):
                best[path] = found
                proposal.starts[path] = (place, number, before[path])
    return [result for results in best.values() for result in results]


def failed_of(results: Iterable[Iterable[Result]]) -> list[Result]:
    return [result for some in results for result in some if result.outcome == "failed"]


def agree(results: Iterable[Result]) -> int:
    """The number of blocks that do what the page says, but perhaps for blanks or digits."""
    return sum(
        result.outcome == "passed"
        or (result.outcome == "failed" and cause_of(result).name in ("blanks", "digits", "order"))
        for result in results
    )


def folders_of_learners(root: Path, proposal: Proposal) -> dict[str, set[str]]:
    """The folders in which learners may start, by their paths in the working folder, and the names
    of what each has in it."""
    with tempfile.TemporaryDirectory() as folder:
        needs = Needs(folders=tuple(proposal.folders), unpack=tuple(proposal.unpack))
        work = prepare_folder(Path(folder), root, needs)
        found = [one for one in (work, *work.rglob("*")) if one.is_dir()]
        return {
            "" if one == work else one.relative_to(work).as_posix(): {
                file.name for file in one.iterdir()
            }
            for one in found
        }


def shipped(root: Path, folders: Iterable[str] = SHIPPED) -> list[str]:
    """The files that come with the lesson, by their paths in it."""
    files = (file for folder in folders for file in (root / folder).rglob("*") if file.is_file())
    return sorted(file.relative_to(root).as_posix() for file in files)


def archives(root: Path) -> Iterable[tuple[str, list[str]]]:
    """Each archive that comes with the lesson, and the files in it."""
    for path in shipped(root, (*SHIPPED, "learners")):
        if path.endswith(ARCHIVES):
            try:
                yield path, members(root / path)
            except (OSError, zipfile.BadZipFile, tarfile.TarError):
                continue  # nothing to propose from what cannot be opened


def members(archive: Path) -> list[str]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            return file.namelist()
    with tarfile.open(archive) as file:
        return file.getnames()


def workflow(proposal: Proposal, *, with_r: bool) -> str:
    packages = ", ".join(f'"{name}"' for name in ("IRkernel", *proposal.r_packages))
    return WORKFLOW.format(
        python="{}.{}".format(*sys.version_info),
        install=" ".join([f"pip install 'llm-apis-litellm @ git+{HOME}'", *proposal.packages]),
        set_up_r=SET_UP_R.format(packages=packages) if with_r else "",
    )


def patch(name: str, text: str) -> str:
    """The new file as a patch for `git apply`."""
    lines = difflib.unified_diff([], text.splitlines(), "/dev/null", f"b/{name}", lineterm="")
    return "\n".join(lines)
