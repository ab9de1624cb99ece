"""Which calls of a cell are taken to set something in a library, told from the cell's code."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import readline
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pyparsing as pp
import pytest

from respawn_kernels.session_state.calls.covered_settings import is_seen
from respawn_kernels.session_state.calls.library_settings import LibrarySettings
from respawn_kernels.session_state.calls.uses import ASSIGN, CALL, PUT, Uses
from respawn_kernels.session_state.probe.interface import Lost


def used(source: str) -> list[tuple[str, str]]:
    uses, _ = Uses().read(source)
    return [(use.kind, ".".join(use.path)) for use in uses]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("lib.set_level(1)", [(CALL, "lib.set_level")]),
        ("if a:\n    lib.a.enableThings()", [(CALL, "lib.a.enableThings")]),
        ("lib.thing_config(a=1)", [(CALL, "lib.thing_config")]),
        ("limiter = lib.thing_limits(1)", [(CALL, "lib.thing_limits")]),
        ("lib.config.update('a', 1)", [(CALL, "lib.config.update")]),
        ("from lib import set_level as level\nlevel(1)", [(CALL, "level")]),
        ("@lib.listens_for('a')\ndef f(): pass", [(CALL, "lib.listens_for")]),
        ("def f():\n    lib.set_level(1)\nf()", [(CALL, "lib.set_level")]),
        ("lib.a.b = 1", [(ASSIGN, "lib.a.b")]),
        ("lib.a.names.add(1)", [(PUT, "lib.a.names.add")]),
        ("lib.a().set_level(1)", [(CALL, "lib.a.().set_level")]),
        ("x = lib.load_config()", []),
        ("lib.get_config()", []),
        ("lib.setup()", []),
        ("lib.plot(1)", []),
        ("with lib.thing_config(a=1): pass", []),
        ("def f():\n    lib.set_level(1)", []),
        ("def f(lib):\n    lib.set_level(1)\nf(x)", []),
        ("@lib.cache\ndef f(): pass", []),
        ("not python", []),
    ],
)
def test_what_sets_something_is_told_from_code(source: str, found: list[tuple[str, str]]) -> None:
    assert used(source) == found


def set_by(source: str, changed: set[str] | None = None, **namespace: Any) -> set[str]:
    return LibrarySettings().note(source, namespace, {}, {}, changed or set())


def test_a_call_of_an_installed_library_counts_and_that_of_a_variable_does_not() -> None:
    assert set_by("readline.set_history_length(7)", readline=readline) == {"readline.set_history_length"}
    whitespace = "P.set_default_whitespace_chars(' ')"
    assert set_by(whitespace, P=pp.ParserElement) == {
        "pyparsing.core.ParserElement.set_default_whitespace_chars"
    }
    word = pp.Word("a")
    assert set_by("word.set_name('x')", word=word) == set()
    assert set_by("P.set_name(word, 'x')", P=pp.ParserElement, word=word) == set()
    assert set_by("mine.set_level(1)", mine=SimpleNamespace(set_level=print)) == set()
    assert set_by("missing.set_level(1)") == set()


def test_a_call_that_changes_its_argument_does_not_count() -> None:
    graph = nx.Graph([(1, 2)])
    assert set_by("nx.set_node_attributes(graph, {1: 2}, 'x')", nx=nx, graph=graph) == set()


def test_what_probes_see_wholly_does_not_count() -> None:
    assert set_by("np.seterr(all='warn')\nnp.random.seed(1)", np=np) == set()
    assert set_by("asyncio.get_running_loop().set_exception_handler(f)", asyncio=asyncio) == set()
    assert set_by("asyncio.get_running_loop().set_debug(True)", asyncio=asyncio) == {
        "asyncio.get_running_loop().set_debug"
    }


def test_a_call_of_a_function_without_a_word_for_it_through_an_own_object_does_not_count() -> None:
    assert set_by("pp.Word('a').set_name('x')", pp=pp) == set()


@pytest.mark.parametrize(
    ("changed", "named", "seen"),
    [
        (set(), {"lib"}, False),
        ({"#in", "#modules"}, {"lib"}, False),
        ({"#logging"}, {"lib"}, True),
        ({"#logging"}, {"lib", "logging"}, False),
        ({"#random"}, {"lib"}, False),
    ],
)
def test_a_changed_part_is_that_of_the_call_unless_the_cell_names_its_own_module(
    changed: set[str], named: set[str], seen: bool
) -> None:
    assert is_seen({"lib"}, "lib.configure", changed, named, {}) is seen


def test_a_seed_is_seen_in_the_generators() -> None:
    assert is_seen({"lib"}, "lib.set_seed", {"#random"}, {"lib"}, {})
    assert not is_seen({"lib"}, "lib.set_seed", {"#random"}, {"lib", "random"}, {})


def test_what_is_set_on_objects_goes_to_another_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nx.config, "cache_converted_graphs", False)
    monkeypatch.setattr(nx.config, "warnings_to_ignore", {"cache"})
    one = LibrarySettings()
    source = "nx.config.cache_converted_graphs = False\nnx.config.warnings_to_ignore.add('cache')"
    noted = one.note(source, {"nx": nx}, {}, {}, set())
    assert (
        noted
        == one.new()
        == {
            "networkx.config.cache_converted_graphs",
            "networkx.config.warnings_to_ignore",
        }
    )
    captured = one.capture()
    nx.config.cache_converted_graphs = True
    nx.config.warnings_to_ignore.clear()
    other = LibrarySettings()
    other.restore(dict(captured or {}), None)
    assert (nx.config.cache_converted_graphs, nx.config.warnings_to_ignore) == (False, {"cache"})
    assert (other.capture() or {}).keys() == noted, "the next checkpoint keeps it too"


def test_what_a_call_set_is_lost_and_what_it_was_given_may_be_reached() -> None:
    def handle() -> list[int]:
        return seen

    seen: list[int] = []
    handle.__module__ = "__main__"
    settings = LibrarySettings()
    source = "multiprocessing.set_handler(handle)"
    assert settings.note(source, {"multiprocessing": multiprocessing, "handle": handle}, {}, {}, set())
    (lost,) = (settings.capture() or {}).values()
    assert isinstance(lost, Lost)
    assert "multiprocessing.set_handler" in lost.reason
    assert "handle" in (settings.reached() or set())


def test_a_module_that_is_gone_is_passed_by() -> None:
    importlib.import_module("readline")
    uses = LibrarySettings()
    assert uses.note("from gone import set_level\nset_level(1)", {"set_level": print}, {}, {}, set()) == set()


def test_what_only_child_processes_see_is_set_out_of_sight() -> None:
    assert set_by("os.environ['A'] = 'b'\nos.putenv('A', 'c')", {"#env"}, os=os) == {"os.putenv"}
