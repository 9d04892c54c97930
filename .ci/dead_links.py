"""Find the links of a built site that lead nowhere within it: python dead_links.py SITE.

The Workbench checks the Markdown of a lesson. What it makes of it, such as profiles.html, it does
not.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and where its links and images lead."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.targets: list[str] = []
        self.depth = 0
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        self.depth += tag == "main"
        # What is around the page is the theme's: its icons are not all there.
        if self.depth and (target := given.get("href" if tag == "a" else "src")):
            self.targets.append(target)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "main"


def dead_links(site: Path) -> Iterator[str]:
    pages = {file.resolve(): Page(file) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        for target in dict.fromkeys(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            there = there / "index.html" if there.is_dir() else there
            anchors = pages[there].anchors if there in pages else None
            if not there.exists() or (anchors and unquote(parts.fragment) not in anchors):
                yield f"{file.relative_to(site.resolve())}: {target}"


if __name__ == "__main__":
    found = list(dead_links(Path(sys.argv[1])))
    print("\n".join(found) or "No link within the site is dead.")
    sys.exit(bool(found))
