"""The workarounds of links.md for the theme of the site, in a page that is built like its pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chromium import Page

ROOT = Path(__file__).resolve().parents[2]

SECTION = """\
<section id="aio-{name}"><p>Content</p><section id="heading-of-{name}">
<div id="nav-tab-1"><button id="nav-tab-1-R" data-bs-target="#nav-tabpanel-1-R"
  aria-controls="nav-tabpanel-1-R">R</button></div>
<div id="nav-tabpanel-1-R" aria-labelledby="nav-tab-1-R">Code</div>
<h3 id="a-heading">Kept</h3>
{more}
</section></section>
"""

PHONE_PAGE = """\
<!DOCTYPE html><style>
.accordion-button {{ height: 43px; font-size: 22px }} .code-label {{ width: 80px; margin: 0 }}
table {{ display: table; max-width: max-content; overflow: auto }}
pre, pre code {{ white-space: pre }}
body {{ margin: 0 }} nav {{ position: relative; margin-top: 45px; height: 53px }}
.lesson-title-md {{ position: absolute; font-size: 18px; margin-left: 140px }}
.btn {{ position: absolute; left: 155px; top: 10px }}
</style>
<nav><div class="lesson-title-md">LLM APIs for Research with LiteLLM</div>
<a class="btn">Search the All In One page</a></nav>
<main><div class="accordion"><div><button class="accordion-button" style="width: 300px">
A title that is longer than the bar of its closed solution is wide on any phone</button></div></div>
<h3 class="code-label">PYTHON EXERCISE</h3>
<table><tr><td><code>{long}</code></td><td><code>{long}</code></td></tr></table>
<pre class="error"><code>{words}</code></pre>
{more}</main>
"""


def workarounds(tag: str) -> str:
    """An element of links.md."""
    text = (ROOT / "links.md").read_text(encoding="utf-8")
    found = re.search(rf"<{tag}>.*</{tag}>", text, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("name", ["aio.html", "other.html"])
def test_ids_on_the_page_all_in_one_are_unique(page: Page, tmp_path: Path, name: str) -> None:
    script = workarounds("script")
    sections = "".join(SECTION.format(name=one, more=script) for one in ("first", "second"))
    (tmp_path / name).write_text(f"<!DOCTYPE html><main>{sections}</main>")
    page.goto((tmp_path / name).as_uri())
    targets = page.locator("button").evaluate_all(
        "all => all.map(one => document.querySelector(one.dataset.bsTarget).parentElement.id)"
    )
    labels = page.locator("[aria-labelledby]").evaluate_all(
        "all => all.map(one => !!document.getElementById(one.getAttribute('aria-labelledby')))"
    )
    assert labels == [True, True]
    is_aio = name == "aio.html"
    assert targets == ["heading-of-first", "heading-of-second" if is_aio else "heading-of-first"]
    assert page.locator("#a-heading").count() == 2


def shown(page: Page, tmp_path: Path, more: str, width: int) -> dict[str, bool]:
    long, words = "a_long_name_that_cannot_break" * 2, "many words " * 40
    file = tmp_path / "page.html"
    file.write_text(PHONE_PAGE.format(long=long, words=words, more=more))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(file.as_uri())
    found: dict[str, bool] = page.evaluate(
        """() => {
          const wide = e => e.scrollWidth > e.clientWidth + 1;
          const fits = e => e.scrollHeight <= e.clientHeight + 1 && !wide(e);
          const label = document.querySelector('.code-label');
          const bar = document.querySelector('.accordion-button');
          const table = document.querySelector('table').getBoundingClientRect();
          const [title, search] = ['.lesson-title-md', '.btn'].map(
            name => document.querySelector(name).getBoundingClientRect());
          const line = 2 * parseFloat(getComputedStyle(label).fontSize);
          return {
            bar: fits(bar),
            table: table.right <= innerWidth,
            label: label.getClientRects()[0].height < line,
            search: title.bottom <= search.top && title.top >= 0,
            error: !wide(document.querySelector('pre')),
          };
        }"""
    )
    return found


def test_titles_labels_and_tables_fit_a_phone(page: Page, tmp_path: Path) -> None:
    assert not any(shown(page, tmp_path, "", 390).values())
    style = workarounds("style")
    assert shown(page, tmp_path, style, 390) == {
        "bar": True,
        "label": True,
        "table": True,
        "search": True,
        "error": False,  # what is printed in columns would be torn apart
    }
    assert shown(page, tmp_path, style, 1280)["error"]
