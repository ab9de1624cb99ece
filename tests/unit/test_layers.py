"""Imports point one way: hub, server and widgets → jobs → kernels; nothing goes in circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from support.sources import PARTS, ROOT, modules

ARROWS: dict[str, set[str]] = {
    "respawn_hub": {"respawn_jobs", "respawn_kernels"},
    "respawn_server": {"respawn_jobs", "respawn_kernels"},
    "respawn_widgets": {"respawn_jobs", "respawn_kernels"},
    "respawn_jobs": {"respawn_kernels"},
    "respawn_kernels": set(),
    "respawn": {"respawn_kernels", "respawn_widgets"},
}


def test_every_part_has_its_arrows() -> None:
    assert ARROWS.keys() == PARTS.keys()
    for part in PARTS:
        assert modules(part), part


@pytest.mark.parametrize("part", PARTS)
def test_part_imports_only_what_its_arrows_allow(part: str) -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in modules(part)
        for name in sorted(module.imports())
        if (other := name.partition(".")[0]) in PARTS and other != part and other not in ARROWS[part]
    ]
    assert not wrong


@pytest.mark.parametrize("part", PARTS)
def test_loading_a_part_never_goes_in_a_circle(part: str) -> None:
    found = {module.name: module for module in modules(part)}
    graph = {
        name: {other for other in module.imports(when_loaded=True) if other in found and other != name}
        for name, module in found.items()
    }
    # `from package import module` names the package too; it is the module that is wanted.
    for name, needed in graph.items():
        graph[name] = {
            other
            for other in needed
            if not (name.startswith(f"{other}.") and any(n.startswith(f"{other}.") for n in needed))
        }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_tests_and_tools_are_not_imported_by_the_product() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for part in PARTS
        for module in modules(part)
        for name in module.imports()
        if name.partition(".")[0] in {"tests", "support", "benchmarks", "examples", "pytest"}
    ]
    assert not wrong


def test_no_source_root_is_a_package() -> None:
    """A bare `kernels` package would break the Hugging Face one in users' environments."""
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert not packages


def test_kernels_fork_by_what_passes_over_handlers_of_others() -> None:
    wrong = [
        f"{module.name}, line {node.lineno}"
        for module in modules("respawn_kernels")
        if module.name != "respawn_kernels.forking"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.fork", "os.forkpty", "posix.fork")
    ]
    assert not wrong, "call respawn_kernels.forking.fork: a handler of the notebook must not hear of it"
