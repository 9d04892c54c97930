"""Which part of the code may import which."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    "lesson_runner.page": ["lesson_runner." + w for w in ("run", "judge", "export")],
    "lesson_runner.run": ["lesson_runner.judge", "lesson_runner.export"],
    "lesson_runner.judge": ["lesson_runner.export", "jupyter_client", "nbclient", "zmq"],
    "lesson_runner.export": ["lesson_runner.run.blocks"],
    "lesson_runner": ["lesson", "mock_proxy"],
    "mock_proxy": ["lesson", "lesson_runner"],
}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def imports() -> dict[str, set[str]]:
    files = [f for p in ("lesson", "lesson_runner", "mock_proxy") for f in (ROOT / p).rglob("*.py")]
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}
    names = {name.removesuffix(".__init__"): file for name, file in names.items()}
    return {
        name: set(imported(file.read_text("utf-8"), set(names))) - {name}
        for name, file in names.items()
    }


def imported(source: str, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


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
