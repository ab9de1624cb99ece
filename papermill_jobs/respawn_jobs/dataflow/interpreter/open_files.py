"""The abstract execution of files that `open` opened: going through one reaches nothing but that file."""

from __future__ import annotations

import ast
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.callbacks import leads_to_code
from respawn_jobs.dataflow.interpreter.values import NONE, PLAIN, UNKNOWN, Kind, Note, Value, text_of
from respawn_jobs.dataflow.libraries.file_effects import BOTH, READ, WRITE
from respawn_jobs.dataflow.libraries.library_facts import words

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls
    from respawn_jobs.dataflow.interpreter.state import Machine

_MODES = {"r": READ, "rb": READ, "rt": READ, "w": WRITE, "wb": WRITE, "wt": WRITE, "x": WRITE, "xb": WRITE}
_USUAL = frozenset({"file", "mode", "encoding", "newline", "buffering", "errors", "closefd"})
"""Arguments of `open` that call nothing. An `opener` is called."""
_OWN_ERRORS = words(
    "strict ignore replace surrogateescape backslashreplace xmlcharrefreplace namereplace surrogatepass"
)
_ENCODINGS = {*aliases, *aliases.values(), "utf_8_sig"}
_GIVES_PLAIN = words(
    """
    read read1 readline write writelines tell seek truncate flush close readable writable seekable isatty
    """
)


def opened(calls: Calls, node: ast.AST, given: Given, path: Value | None = None) -> Value:
    """Open a file; whoever writes to what that gives writes the file.

    Args:
        calls: what evaluates.
        node: the call.
        given: its arguments.
        path: what names the file, when no argument does.
    """
    machine, positional = calls.machine, list(given.positional)
    calls.special(*given.values)
    if path is None:
        path = given.named.get("file") or (positional.pop(0) if positional else None)
    mode = given.named.get("mode") or (positional[0] if positional else None)
    text = "r" if mode is None and given.more is None else text_of(mode) if mode is not None else None
    how = _MODES.get(text or "", BOTH)
    state = machine.use_file(path, how)
    made = Value(Kind.STREAM, frozenset({machine.fresh(node)}))
    machine.regions.note(made.regions, Note("read" if how == READ else "state", state))
    machine.handle(made, state) if how != READ else None
    if (
        given.more is None
        and len(positional) < 4
        and given.named.keys() <= _USUAL
        and _is_own(positional, given)
    ):
        return made
    return calls.anything([UNKNOWN, made, *given.values])


def _is_own(positional: list[Value], given: Given) -> bool:
    """Return whether a file is decoded by Python itself, and not by a codec that somebody registered."""
    errors, encoding = given.named.get("errors"), given.named.get("encoding", (positional[2:] or [NONE])[0])
    if errors not in (None, NONE) and text_of(errors) not in _OWN_ERRORS:
        return False
    return encoding == NONE or normalize_encoding((text_of(encoding) or "?").lower()) in _ENCODINGS


def is_alone(machine: Machine, value: Value) -> bool:
    """Return whether a value is an open file, and what reads or writes it runs nothing of the notebook."""
    return value.kind is Kind.STREAM and not machine.worldly(value) and not leads_to_code(machine, value)


def use_file(machine: Machine, file: Value | None, how: str) -> None:
    """Note that a cell reads or writes a file.

    Args:
        machine: the abstract namespace.
        file: its path, or the open file; None for a file that is not known.
        how: `READ`, `WRITE` or `BOTH` of `file_effects`.
    """
    if file is not None and is_alone(machine, file):
        machine.use_value(file)
        machine.mutate(file)
    else:
        machine.use_file(file, how)


def _is_plain(machine: Machine, value: Value) -> bool:
    """Return whether a value is a number or a text, or a list of them."""
    return value.kind is Kind.PLAIN or (
        value.kind is Kind.BOX
        and machine.regions.holds(value) is Kind.PLAIN
        and not leads_to_code(machine, value)
    )


def call_stream(calls: Calls, node: ast.AST, stream: Value, name: str, given: Given) -> Value | None:
    """Return what calling a method of an open file gives; None where that may do more than read or write.

    Args:
        calls: what evaluates, with the abstract namespace.
        node: the call in the source; this place identifies what it makes.
        stream: the open file; `is_alone` must hold for it.
        name: of the method.
        given: the arguments, without the file.
    """
    machine = calls.machine
    if given.more is not None or not all(_is_plain(machine, value) for value in given.values):
        return None
    if name in _GIVES_PLAIN:
        machine.mutate(stream)
        return PLAIN
    if name == "readlines":
        machine.mutate(stream)
        return Value(Kind.BOX, frozenset({machine.fresh(node)}))
    return stream if name == "__enter__" else None
