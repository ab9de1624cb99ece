"""The abstract execution of IPython's magics, which `sources` has made calls of names that start with `%`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.values import Kind, Value, text_of
from respawn_jobs.dataflow.libraries.file_effects import BOTH, WRITE
from respawn_jobs.dataflow.libraries.state_effects import MATPLOTLIB, NUMPY_PRINT
from respawn_jobs.model.hidden_state import CWD, ENV, NETWORK, library_state

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls


def call_magic(calls: Calls, node: ast.AST, name: str, given: Given) -> Value:
    """Do what a magic may do to what cells share.

    Args:
        calls: what evaluates.
        node: the call.
        name: `shell`, `cd`, `env`, `config`, `who`, `look`, `show`, `writefile` or `appendfile`.
        given: what the magic's line is filled in with.
    """
    machine = calls.machine
    calls.special(*given.values)
    text = text_of(given.positional[0]) if given.positional else None
    if name == "shell":
        machine.read_process()
        machine.use_file(None, BOTH)
        machine.change_state(NETWORK)
    elif name in ("writefile", "appendfile"):
        known = given.positional[0] if len(given.positional) == 1 else None
        machine.use_file(known, WRITE if name == "writefile" else BOTH)
    elif name == "cd":
        machine.change_state(CWD)
    elif name == "env":
        machine.change_state(ENV)
    elif name == "who":
        machine.read_everything("it lists the variables")
    elif name == "config":
        for state in (library_state("IPython"), MATPLOTLIB, NUMPY_PRINT):
            if _concerns(text or "", state):
                machine.change_state(state)
    # Commands give a list of lines.
    return Value(Kind.BOX, frozenset({machine.fresh(node)}))


def _concerns(line: str, state: str) -> bool:
    plotting = line.startswith("matplotlib") or "InlineBackend" in line
    if state == MATPLOTLIB:
        return plotting
    return line.startswith("precision") if state == NUMPY_PRINT else not line.startswith("matplotlib")
