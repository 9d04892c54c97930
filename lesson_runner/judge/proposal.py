"""A lesson without a `lesson.yaml`, what happened to its code → a proposal of that file. Pure.

Nothing here is certain: each line says what it was taken from, and a maintainer decides.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lesson_runner.judge.causes import OTHER_NAMES, cause_of, hosts_of
from lesson_runner.judge.verdict import Result
from lesson_runner.page.episode import Episode
from lesson_runner.page.settings import HOME

QUOTED = re.compile(r"""['"]([\w .*/-]+\.\w{1,8})['"]""")
NAME_OF_FILE = re.compile(r"\w[\w.-]*\w")
WORD = re.compile(r"(?<![\w/.-])([\w-]+(?:/[\w.-]+)*\.\w{1,8})(?![\w/-])")
IMPORT = {
    "python": re.compile(r"^\s*from +(\w+)|^\s*import +(\w[^#\n]*)", re.M),
    "r": re.compile(r"\b(?:library|require)\([\"']?([\w.]+)|\b([a-zA-Z][\w.]*)::"),
}
FIRST_NAME = {
    "python": re.compile(r"(?:^|,) *(\w+)"),
    "r": re.compile(r"(?:^|,) *([\w.]+)"),
}
BUILT_IN = {
    "python": sys.stdlib_module_names | {"__future__"},
    "r": {
        *("base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods"),
        *("parallel", "splines", "stats", "stats4", "tcltk", "tools", "utils"),
    },
}
NAME = re.compile(
    r"name '(\w+)' is not defined|object '([\w.]+)' not found|could not find function \"([\w.]+)"
)

GUIDE = "https://github.com/carpentries-incubator/llm-apis-litellm/blob/main/lesson_runner/guide/adopt.md"
INSTALLS = re.compile(
    r"^\s*(?:!|%)?(?:python3? -m )?(?:pip3?|conda|mamba|apt(?:-get)?|brew|jupyter|sudo|uv)\s", re.M
)
SETUP_PAGE = re.compile(r"learners/.*(?:set-?up|install)", re.I)
AT_LEAST = 2
"""So many blocks that differ in nothing but blanks or digits are a habit of the lesson."""


@dataclass
class Proposal:
    """The keys of `lesson.yaml` with their values, each with what it was taken from."""

    folders: list[str] = field(default_factory=list)
    unpack: list[str] = field(default_factory=list)
    only_archives: bool = False
    """Whether there is nothing in the lesson's folders but what is unpacked."""
    start: str = ""
    hosts: dict[str, int] = field(default_factory=dict)
    compare: dict[str, int] = field(default_factory=dict)
    leave_out: dict[str, str] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    r_packages: dict[str, int] = field(default_factory=dict)
    continues: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Page → the page before, and a name that it defines."""
    starts: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """Page → where its code starts, how many blocks pass from there, and from `start`."""

    def text(self) -> str:
        lines = [
            "# What the code of this lesson needs. `lesson adopt` proposed it: read it once, and",
            f"# change what is wrong. Every key: {GUIDE}",
        ]
        files = "the code names files in it"
        lines += _list("folders", dict.fromkeys(self.folders, files))
        if self.only_archives:
            lines.append("folders: []  # the lesson ships nothing but archives")
        lines += _list("unpack", dict.fromkeys(self.unpack, files))
        if self.start:
            lines.append(
                f"start: {_quoted(self.start)}  # where most of the files are that the code names"
            )
        lines += _list("hosts", {h: f"{_blocks(n)} asked for it" for h, n in self.hosts.items()})
        if self.compare:
            blocks = _blocks(sum(self.compare.values()))
            lines.append(f"compare: {', '.join(self.compare)}  # {blocks} differed in nothing else")
        lines += _list("leave-out", self.leave_out)
        packages = {**self.packages, **self.r_packages}
        lines += _list("packages", {p: f"{_blocks(n)} used it" for p, n in packages.items()})
        pages = sorted({*self.continues, *self.starts})
        lines += ["pages:"] if pages else []
        for page in pages:
            lines.append(f"  {_quoted(page)}:")
            if page in self.starts:
                start, pass_here, pass_there = self.starts[page]
                why = f"{_blocks(pass_here)} agree from here, {pass_there} from the lesson's start"
                lines.append(f"    start: {_quoted(start)}  # {why}")
            if page in self.continues:
                before, name = self.continues[page]
                lines.append(f"    continues: {_quoted(before)}  # which defines `{name}`")
        return "\n".join([*lines, ""])


def _blocks(number: int) -> str:
    return f"{number} block{'' if number == 1 else 's'}"


def _list(key: str, items: dict[str, str]) -> list[str]:
    if not items:
        return []
    entries = (f"  - {_quoted(name)}" for name in items)
    notes = (f"  # {why}" if why else "" for why in items.values())
    return [f"{key}:", *(entry + note for entry, note in zip(entries, notes, strict=True))]


def _quoted(text: str) -> str:
    """As YAML wants it."""
    return text if re.fullmatch(r"[\w./-]+", text) else json.dumps(text, ensure_ascii=False)


def files_named(episodes: Iterable[Episode]) -> Counter[str]:
    """The names of files in the code that runs, each with the number of blocks."""
    found: Counter[str] = Counter()
    for episode in episodes:
        for block in episode.blocks:
            if block.role == "run":
                pattern = WORD if block.language == "bash" else QUOTED
                found.update({name.removeprefix("./") for name in pattern.findall(block.source)})
    return found


def folders_for(named: Iterable[str], shipped: Sequence[str]) -> list[str]:
    """The folders that learners have, by the names in the code.

    `shipped` are the files below `episodes/data` and `episodes/files`. `data/a.csv` in the code
    says that learners have the folder; `a.csv`, that they work inside it.
    """
    inside: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    for name in named:
        for file in shipped:
            folder = "/".join(file.split("/")[:2])
            if _is_named(name, file.removeprefix("episodes/")):
                beside[folder] += 1
            elif _is_named(name, file.removeprefix(f"{folder}/")):
                inside[folder] += 1
    folders = sorted({*inside, *beside})
    made = [f"{folder}/*" for folder in folders if inside[folder]]
    return made + [folder for folder in folders if beside[folder] or not inside[folder]]


def _is_named(name: str, file: str) -> bool:
    pattern = re.escape(name).replace(r"\*", "[^/]*")
    return re.fullmatch(pattern, file) is not None


def named_elsewhere(named: Iterable[str], shipped: Sequence[str]) -> list[str]:
    """The names that belong to no file beside the pages: those may be in an archive."""
    places = [file.split("/", 2) for file in shipped]
    files = {"/".join(parts[1:]) for parts in places} | {parts[-1] for parts in places}
    return [name for name in named if not any(_is_named(name, file) for file in files)]


def archive_for(named: Iterable[str], members: Sequence[str]) -> bool:
    """Whether an archive with these members has a file that the code names, wherever in it."""
    return any(_ends_as(member, name) for name in named for member in members)


def start_for(named: Mapping[str, int], members: Iterable[str]) -> str:
    """The folder of archives from which most of the blocks find the files that they name."""
    members = list(members)
    hits: Counter[str] = Counter({"": 0})
    for name, blocks in named.items():
        found = (member for member in members if _ends_as(member, name))
        folders = {"/".join(one.split("/")[: -len(name.split("/"))]) for one in found}
        hits.update(dict.fromkeys(folders, blocks))
    return hits.most_common(1)[0][0]


ABOUT_FILES = {"file", "output", "another error", "order", "consequence"}
"""Causes of a failure behind which may stand that the page's code starts elsewhere."""
MOST_PLACES = 5


def places_to_try(
    episode: Episode, failed: Iterable[Result], folders: Mapping[str, set[str]], start: str
) -> list[str]:
    """The folders in which a page's code may start, the likeliest first.

    `failed` are the page's failures; `folders` those that learners have, with the names of what is
    in them. The likeliest has most of the names that the code and its outputs have.
    """
    if not any(cause_of(result).name in ABOUT_FILES for result in failed):
        return []
    blocks = [block for block in episode.blocks if block.role == "run"]
    texts = [text for b in blocks for text in (b.source, *(shown.text for shown in b.shown))]
    words = set(NAME_OF_FILE.findall("\n".join(texts)))
    hits = {folder: len(words & names) for folder, names in folders.items()}
    likely = sorted((f for f in hits if hits[f]), key=lambda f: (-hits[f], f))
    home = [HOME] if any(block.language == "bash" for block in blocks) else []
    return [place for place in home + likely[:MOST_PLACES] if place != start]


def _ends_as(member: str, name: str) -> bool:
    return _is_named(name, "/".join(member.split("/")[-len(name.split("/")) :]))


def refined(
    proposal: Proposal,
    episodes: Sequence[Episode],
    results: Iterable[Result],
    installs: Mapping[str, str],
) -> Proposal:
    """The proposal with what the failures of a first run tell.

    `installs` has, for the modules that are installed here, what pip calls their packages.
    """
    failed = [result for result in results if result.outcome == "failed"]
    for page, why in pages_to_leave_out(episodes, failed).items():
        proposal.leave_out[page] = why
    failed = [result for result in failed if result.block.path not in proposal.leave_out]
    causes = Counter(cause_of(result).name for result in failed)
    for cause, means in (("blanks", "any blanks"), ("digits", "6 digits")):
        if causes[cause] >= AT_LEAST:
            proposal.compare[means] = causes[cause]
    proposal.hosts = dict(Counter(host for result in failed for host in hosts_of(result)))
    kept = [episode for episode in episodes if episode.path not in proposal.leave_out]
    for module, blocks in imported(kept, "python").items():
        name = installs.get(module) or OTHER_NAMES.get(module, module)
        proposal.packages[name] = proposal.packages.get(name, 0) + blocks
    proposal.r_packages = dict(imported(kept, "r"))
    proposal.continues = pages_that_continue(episodes, failed)
    return proposal


def imported(episodes: Sequence[Episode], language: str) -> Counter[str]:
    """The modules that the code loads, each with the number of blocks that do.

    A module whose file some page names is the learners' own.
    """
    found: Counter[str] = Counter()
    for episode in episodes:
        for block in episode.to_run(language):
            if not block.must_raise:
                loaded = ",".join(map("".join, IMPORT[language].findall(block.source)))
                found.update(set(FIRST_NAME[language].findall(loaded)))
    text = "\n".join(episode.text for episode in episodes)
    own = {name for name in found if re.search(rf"\b{re.escape(name)}\.py\b", text)}
    return Counter({m: n for m, n in sorted(found.items()) if m not in BUILT_IN[language] | own})


def pages_to_leave_out(episodes: Iterable[Episode], failed: Iterable[Result]) -> dict[str, str]:
    """Pages of installation: what they tell learners to type is not for this computer."""
    failing = {result.block.path for result in failed}
    made = {}
    for episode in episodes:
        blocks = [block for block in episode.blocks if block.role == "run"]
        installs = sum(bool(INSTALLS.search(block.source)) for block in blocks)
        if episode.path in failing and blocks and 2 * installs >= len(blocks):
            made[episode.path] = f"{installs} of its {len(blocks)} blocks install or start programs"
        elif episode.path in failing and SETUP_PAGE.match(episode.path):
            made[episode.path] = "it sets up a learner's computer"
    return made


def pages_that_continue(
    episodes: Sequence[Episode], failed: Iterable[Result]
) -> dict[str, tuple[str, str]]:
    """Episodes that use a name which an earlier one defines, and which nothing in them does."""
    order = [episode for episode in episodes if episode.path.startswith("episodes/")]
    wanted: dict[str, tuple[str, str]] = {}
    for result in failed:
        path = result.block.path
        found = NAME.search(result.message)
        if cause_of(result).name != "name" or path in wanted or not found:
            continue
        name = found[1] or found[2] or found[3]
        here = next(episode for episode in episodes if episode.path == path)
        if _defines(here, name, result.block.language):
            continue  # later on: that is the page's own fault
        before = [episode for episode in order if episode.path < path]
        for earlier in reversed(before):
            if _defines(earlier, name, result.block.language):
                wanted[path] = (earlier.path, name)
                break
    return wanted


def _defines(episode: Episode, name: str, language: str) -> bool:
    word = re.escape(name)
    pattern = re.compile(
        rf"^\s*(?:{word}\s*(?:=(?!=)|<-)|def {word}\b|class {word}\b"
        rf"|import {word}\b|import \S+ as {word}\b|from \S+ import .*\b{word}\b)",
        re.M,
    )
    return any(pattern.search(block.source) for block in episode.to_run(language))
