"""The prose of every page is spelt as in a British dictionary, or as in `tests/data/words.txt`.

GNU Aspell does the spelling, markdown-it-py tells prose from code. Names, and terms that no
dictionary has, go into the word list.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.front_matter import front_matter_plugin

ROOT = Path(__file__).resolve().parents[1]
WORD_LIST = ROOT / "tests" / "data" / "words.txt"
PAGES = sorted(
    path
    for pattern in ("*.md", "[!.]*/*.md", "episodes/data/*.md")
    for path in ROOT.glob(pattern)
    if path.parent.name not in ("site", "notebooks")
)

pytestmark = pytest.mark.skipif(
    not shutil.which("aspell"), reason="spelling: aspell and aspell-en are not installed"
)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines of prose with their numbers: no code, addresses, attributes or comments."""
    parser = MarkdownIt("commonmark").enable("table").use(front_matter_plugin)
    for token in parser.parse(text):
        if token.type != "inline" or token.map is None:
            continue
        line = token.map[0] + 1
        words = ""
        for child in token.children or []:
            if child.type in ("softbreak", "hardbreak"):
                yield line, words
                line, words = line + 1, ""
            elif child.type in ("text", "image"):
                words += child.content
            else:
                words += " "
        yield line, re.sub(r"\{[^}]*\}|https?://\S+|:::+.*", " ", words)


def unknown_words(text: str, known: Iterable[str] = ()) -> list[str]:
    """`line: word` for each word that neither Aspell nor the list knows."""
    lines = list(prose(text))
    done = subprocess.run(
        ["aspell", "list", "--lang=en_GB", "--encoding=utf-8", "--mode=none", "--ignore=1"],
        input="\n".join(words for _, words in lines),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    listed = {word.lower() for word in known}
    unknown = {word for word in done.stdout.split() if base(word) not in listed}
    return [
        f"{line}: {word}"
        for line, words in lines
        for word in sorted(unknown)
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", words)
    ]


def base(word: str) -> str:
    return re.sub(r"['’]s?$", "", word).lower()


def word_list() -> list[str]:
    lines = WORD_LIST.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_unknown_words_are_found_with_their_lines_and_code_is_left_out() -> None:
    text = (
        "---\ntitle: Titel\n---\n\n## A hedding\n\nThe proxi\nsends `xyzzy`.\n\n"
        "```python\nqwert = 1\n```\n\n![A pikture](fig/abcde.png)\n\n::: callout\n\n"
        "| A tabel |\n| --- |\n| LiteLLM's |\n"
    )

    assert unknown_words(text, ["litellm"]) == [
        "5: hedding",
        "7: proxi",
        "14: pikture",
        "18: tabel",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_is_spelt_well(page: Path) -> None:
    assert unknown_words(page.read_text(encoding="utf-8"), word_list()) == []


def test_the_word_list_is_in_order() -> None:
    words = word_list()

    assert words == sorted(set(words), key=lambda word: (word.lower(), word))
