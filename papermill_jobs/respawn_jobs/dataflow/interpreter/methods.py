"""The abstract execution of methods."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.callbacks import CALLABLE, given_to_keep, leads_to_code, run_given
from respawn_jobs.dataflow.interpreter.library_calls import draw
from respawn_jobs.dataflow.interpreter.mutating_arguments import all_harmless
from respawn_jobs.dataflow.interpreter.open_files import call_stream, is_alone, opened, use_file
from respawn_jobs.dataflow.interpreter.state import known
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import PLAIN, Kind, Value, join, may_be_text, text_of
from respawn_jobs.dataflow.libraries import file_effects, library_facts
from respawn_jobs.dataflow.libraries.file_effects import BOTH, READ, WRITE
from respawn_jobs.model.hidden_state import NUMPY_RANDOM, is_file

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
_GOING_THROUGH = (
    "extend",
    "update",
    "intersection_update",
    "difference_update",
    "symmetric_difference_update",
)
_KEEPING = ("groupby", "resample", "rolling", "expanding", "ewm", "pipe", "style")
"""Methods of tables whose result calls later what they are given."""


def call_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    """Return what calling a method of a value may give.

    Args:
        calls: what evaluates, with the abstract namespace.
        node: the call in the source; this place identifies what it makes.
        owner: the object before the dot.
        name: of the method.
        given: the arguments, without `owner`.

    Raises:
        Opaque: it asks a drawing for the data that it was given, or uses what is not followed.
    """
    for value in (owner, *given.values):
        calls.machine.use_value(value)
    if owner.kind is Kind.PLAIN:
        return _plain_method(calls, node, owner, name, given)
    if owner.kind is Kind.BOX:
        return _box_method(calls, node, owner, name, given)
    if owner.kind is Kind.DRAWING:
        if name.startswith("get_") and name.endswith(("data", "array", "offsets")):
            raise Opaque(f"it asks a drawing for its data with {name}")
        if name == "savefig":
            calls.machine.use_file(_first(given, "fname"), WRITE)
        return draw(calls, owner, given)
    if owner.kind is Kind.DATA:
        return _data_method(calls, node, owner, name, given)
    if is_alone(calls.machine, owner):
        found = call_stream(calls, node, owner, name, given)
        if found is not None:
            return found
    if not calls.machine.worldly(owner):
        _use_files(calls, owner, name, given)
    calls.look_up(given)
    return calls.anything([owner, *given.values])


def _use_files(calls: Calls, owner: Value, name: str, given: Given) -> None:
    """Use the files that a method of something that is not known may use, by what it is called."""
    texts = [value for value in given.values if may_be_text(value)]
    notes = calls.machine.regions.notes
    if not texts and any(map(is_file, notes(owner.regions, "state") | notes(owner.regions, "read"))):
        return  # such as the writer of an open file: whoever changes it changes that file
    if file_effects.suggests_files(name):
        calls.machine.use_file(texts[0] if len(texts) == 1 and given.more is None else None, BOTH)
    elif name in file_effects.PATH_METHODS and not calls.machine.regions.notes(owner.regions, "tag"):
        calls.machine.use_file(None, READ if name in file_effects.READING_METHODS else BOTH)


def _first(given: Given, *names: str) -> Value | None:
    """Return the first argument, or the one with one of these names."""
    named = [given.named[name] for name in names if name in given.named]
    return next(iter([*named, *given.positional]), None)


def _plain_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    machine = calls.machine
    for value in given.values:
        calls.special(value)
        if value.kind not in (*_QUIET, Kind.LIBRARY, *CALLABLE):
            calls.parts(value)
    run_given(calls, given.values, PLAIN)
    if name in ("format", "format_map"):
        _formatted(calls, owner, given)
    if name in file_effects.READING_METHODS:
        machine.use_file(owner, READ)
    elif name == "open":
        return opened(calls, node, given, owner)
    elif name in file_effects.WRITING_METHODS or (name == "replace" and len(given.values) == 1):
        machine.use_file(owner, WRITE if name.startswith("write_") else BOTH)
        if name in ("rename", "replace", "symlink_to", "copy", "move"):
            machine.use_file(_first(given), BOTH)
    if name in library_facts.PLAIN_LISTS:
        return Value(Kind.BOX, frozenset({machine.fresh(node)}))
    if name in ("iterdir", "glob", "rglob", "walk"):
        return Value(Kind.ANY, frozenset({machine.fresh(node)}))
    return PLAIN


def _formatted(calls: Calls, template: Value, given: Given) -> None:
    """Read the names that fields of a template may lead to: `{0.__globals__[rate]}` of a function does."""
    text = text_of(template)
    functions = given.more is not None or any(leads_to_code(calls.machine, one) for one in given.values)
    if "__globals__" in text if text is not None else functions:
        calls.read_everything("it fills a template whose fields may lead to the names of a function")


def _box_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    machine = calls.machine
    calls.special(owner)  # to be compared, or hashed
    if name in library_facts.BOX_READERS:
        calls.special(*given.values)
        found = owner
        for value in given.values:
            calls.parts(value) if value.kind not in (*_QUIET, Kind.LIBRARY) else None
            found = join(found, value) if value.kind is not Kind.LIBRARY else Value(Kind.ANY, found.regions)
        if name in ("index", "count", "issubset", "issuperset", "isdisjoint"):
            return PLAIN
        if name == "get":
            return join(calls.part(owner), found if len(given.values) > 1 else PLAIN)
        return found if found.kind is Kind.BOX else Value(Kind.ANY, machine.pool([found]).regions)
    machine.mutate(owner)
    key = given.named.get("key")
    if key is not None:
        calls.called(node, key, Given([calls.part(owner)]))
    for value in given.values:
        calls.special(value)
        item = (
            calls.parts(value)
            if value.kind not in (*_QUIET, Kind.LIBRARY) and name in _GOING_THROUGH
            else value
        )
        machine.keep(owner, item)
    return calls.part(owner)


def _data_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    machine = calls.machine
    if library_facts.writes_files(name):
        calls.special(owner)
        return _written(calls, given)
    if name in ("query", "eval"):
        _looked_up(calls, name, given)
    if name in ("plot", "hist", "boxplot"):
        machine.use("matplotlib.*")
        machine.change_state("#figures")
    quiet = name in library_facts.PURE_DATA_METHODS and all_harmless("", (), given.named, given.more)
    # Some take `inplace` or `out` by its place.
    places = given.positional if name in library_facts.TWO_TABLES else given.positional[:1]
    many = len(given.positional) > (1 if name in ("query", "eval") else 2)
    if not quiet or many or any(value.kind is not Kind.PLAIN for value in given.positional[len(places) :]):
        calls.look_up(given)
        _use_files(calls, owner, name, given)
        return calls.anything([owner, *given.values, *given_to_keep(calls.machine, owner)])
    if name in library_facts.RANDOM_DATA_METHODS and "random_state" not in given.constants:
        machine.draw((NUMPY_RANDOM,))
    found = join(owner, run_given(calls, [owner], owner)) if leads_to_code(calls.machine, owner) else owner
    for value in given.values:
        outcome = _argument(calls, name, owner, value)
        if outcome is None:
            return calls.anything([owner, *given.values])
        found = join(found, outcome)
    if name in library_facts.FRESH_DATA_METHODS or (name == "copy" and not given.values):
        made = Value(Kind.DATA, frozenset({machine.fresh(node)}))
        machine.copy_tags(owner, made)
        if machine.regions.holds(owner) is not Kind.PLAIN:
            machine.regions.put(made, owner)
        return made
    return found if found.kind is Kind.DATA else Value(Kind.ANY, found.regions)


def _argument(calls: Calls, name: str, owner: Value, value: Value) -> Value | None:
    """Hand an argument to a method of a table; return what comes of it, None for one that may do anything."""
    machine = calls.machine
    if value.kind is Kind.LIBRARY and not known(str(value.what)):
        return None
    if value.kind not in (*_QUIET, *CALLABLE, Kind.LIBRARY):
        return None
    found = PLAIN
    if leads_to_code(calls.machine, value):
        found = run_given(calls, [value], owner)
        if name in _KEEPING:
            machine.keep(owner, value)
        return join(owner, found)
    if value.kind is not Kind.PLAIN and machine.regions.holds(value) is not Kind.PLAIN:
        machine.regions.put(owner, value)
    return join(owner, value) if value.kind is Kind.DATA else owner


def _written(calls: Calls, given: Given) -> Value:
    """Write a table to a file, or to what stands for one."""
    machine = calls.machine
    target = _first(given, "path_or_buf", "path", "fname", "buf", "excel_writer", "file")
    if target is not None or given.more is not None:
        mode = given.named.get("mode")
        use_file(machine, target, WRITE if mode is None and given.more is None else BOTH)
    for value in given.values:
        calls.special(value)
        if value.kind not in _QUIET:
            calls.anything([value])
    run_given(calls, given.values, PLAIN)
    return PLAIN


def _looked_up(calls: Calls, name: str, given: Given) -> None:
    """Read the names in the text of a query; a text that is not known may name everything."""
    text = _first(given, "expr")
    if given.more is not None or text is None or text_of(text) is None:
        calls.read_everything(f"it calls {name} with a text that is not known")
    calls.machine.trace.looked_up.add("pandas")
    calls.look_up(given)
