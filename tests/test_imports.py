"""Who imports whom: a stage never a later one, and nobody in a circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from documents import PROJECT

PACKAGE = "vibes_pipeline"
FILES = {
    ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted((PROJECT / PACKAGE).rglob("*.py"))
}


def imported(file: Path) -> Iterator[str]:
    """The modules of ours that a file imports, in functions and for types too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in FILES else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith(PACKAGE))


def room(module: str) -> str:
    """A package of ours, or a module that stands by itself."""
    return ".".join(module.split(".")[:2])


def test_no_module_imports_one_that_imports_it() -> None:
    graph = {module: set(imported(file)) - {module} for module, file in FILES.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_no_room_imports_one_that_imports_it() -> None:
    graph = defaultdict(set)
    for module, file in FILES.items():
        graph[room(module)] |= {room(other) for other in imported(file)} - {room(module)}
    assert list(TopologicalSorter(graph).static_order())
