"""Which part of the code may import which."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    "lesson_runner.page": ["lesson_runner." + w for w in ("run", "judge", "export")],
    "lesson_runner.run": ["lesson_runner.judge", "lesson_runner.export"],
    "lesson_runner.judge": ["lesson_runner.export", "jupyter_client", "nbclient", "zmq"],
    "lesson_runner.export": ["lesson_runner.run.blocks"],
    "lesson_runner": ["lesson", "mock_proxy"],
    "mock_proxy": ["lesson", "lesson_runner"],
}


ROOMS = (
    ("config", "keys"),
    ("litellm",),
    ("call",),
    ("answers", "upstream"),
    ("routes",),
    ("classroom",),
    ("server",),
)
"""Of mock_proxy, from the ground up: each may import those below it, none beside or above it."""

for floor, rooms in enumerate(ROOMS):
    for room in rooms:
        FORBIDDEN["mock_proxy." + room] = [
            "mock_proxy." + other for others in ROOMS[floor:] for other in others if other != room
        ]
# The routes know what a maker of answers is, and none of the makers; the server chooses.
FORBIDDEN["mock_proxy.routes"] += ["mock_proxy.answers", "mock_proxy.upstream"]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def imports() -> dict[str, set[str]]:
    files = [f for p in ("lesson", "lesson_runner", "mock_proxy") for f in (ROOT / p).rglob("*.py")]
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}
    names = {name.removesuffix(".__init__"): file for name, file in names.items()}
    return {
        name: set(imported(file.read_text("utf-8"), set(names), package_of(name, file))) - {name}
        for name, file in names.items()
    }


def package_of(name: str, file: Path) -> str:
    return name if file.stem == "__init__" else name.rpartition(".")[0]


def imported(source: str, modules: set[str], package: str = "") -> Iterator[str]:
    """The modules that a source in this package imports, by their whole names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in modules else module


def wrong(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    return [
        (module, target)
        for module, targets in graph.items()
        for package, forbidden in FORBIDDEN.items()
        for target in targets
        if within(module, package) and any(within(target, name) for name in forbidden)
    ]


def in_circles(graph: dict[str, set[str]]) -> set[str]:
    """Modules left when those that import nothing more, and are imported by none, are taken off."""
    left = {m: ts & set(graph) for m, ts in graph.items()}
    while done := {m for m in left if not left[m]} or set(left) - set().union(*left.values()):
        left = {m: ts - done for m, ts in left.items() if m not in done}
    return set(left)


def test_every_import_follows_the_arrows() -> None:
    assert wrong(imports()) == []


def test_modules_import_each_other_in_no_circle() -> None:
    assert in_circles(imports()) == set()


def test_a_wrong_import_is_found() -> None:
    source = "def late():\n    from lesson_runner.judge import verdict\n"
    targets = set(imported(source, {"lesson_runner.judge.verdict"}))
    graph = {"lesson_runner.page.made_up": targets}
    assert wrong(graph) == [("lesson_runner.page.made_up", "lesson_runner.judge.verdict")]


def test_a_circle_is_found() -> None:
    assert in_circles({"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": set()}) == {"a", "b"}


@pytest.mark.parametrize(
    ("module", "source", "target"),
    [
        ("mock_proxy.answers.made_up", "from ..routes import chat", "mock_proxy.routes.chat"),
        ("mock_proxy.answers.made_up", "from ..upstream import relay", "mock_proxy.upstream.relay"),
        (
            "mock_proxy.routes.made_up",
            "from ..answers.rules import Rules",
            "mock_proxy.answers.rules",
        ),
        ("mock_proxy.call", "from . import server", "mock_proxy.server"),
    ],
)
def test_a_wrong_relative_import_is_found(module: str, source: str, target: str) -> None:
    modules = {"mock_proxy.routes.chat", "mock_proxy.upstream.relay", "mock_proxy.server"}
    targets = set(imported(source, modules, module.rpartition(".")[0]))
    assert wrong({module: targets}) == [(module, target)]


def test_every_room_has_its_place() -> None:
    rooms = {name.split(".")[1] for name in imports() if name.startswith("mock_proxy.")}
    assert rooms == {room for floor in ROOMS for room in floor}
