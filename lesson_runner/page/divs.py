"""The elements of a page → its divs as a tree, with their tabs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lesson_runner.page.markdown import DivClose, DivOpen, Element, Heading

TABS = {"tab", "group-tab"}
TAB_LEVEL = 3  # the Workbench makes a tab of each heading of this level, and of no other


@dataclass
class Div:
    """A div from its opening to its closing line; `end` is None where that is missing.

    `title` is the heading with which it begins. `tabs` are the headings of its tabs.
    """

    line: int
    name: str
    end: int | None = None
    title: Heading | None = None
    tabs: list[Heading] = field(default_factory=list)
    divs: "list[Div]" = field(default_factory=list)

    def tab_at(self, line: int) -> Heading | None:
        return next((tab for tab in reversed(self.tabs) if tab.line <= line), None)

    def all(self) -> "Iterator[Div]":
        """This div and those in it."""
        yield self
        for div in self.divs:
            yield from div.all()


def page_as_div(elements: Iterable[Element]) -> Div:
    """The whole page, as the div without a name around all others."""
    page = Div(0, "")
    open_divs = [page]
    begins = False  # a div opened directly before
    for element in elements:
        match element:
            case DivOpen():
                div = Div(element.line, element.name)
                open_divs[-1].divs.append(div)
                open_divs.append(div)
            case DivClose() if len(open_divs) > 1:
                open_divs.pop().end = element.line
            case Heading():
                if begins:
                    open_divs[-1].title = element
                if open_divs[-1].name in TABS and element.level == TAB_LEVEL:
                    open_divs[-1].tabs.append(element)
        begins = isinstance(element, DivOpen)
    return page


def divs_around(page: Div, line: int) -> list[Div]:
    """The divs in which the line stands, from the outside in."""
    for div in page.divs:
        if div.line < line and (div.end is None or line < div.end):
            return [div, *divs_around(div, line)]
    return []
