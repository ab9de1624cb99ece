"""Running whatever callables the arguments of a call lead to.

A library that is given a callable may call it, however deep in a dict, a partial or an object it lies. So all
that can be reached runs: functions and methods of the notebook, and what of libraries is not known to do
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.values import PLAIN, Kind, Value, join
from respawn_jobs.dataflow.libraries import library_facts, state_effects

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls
    from respawn_jobs.dataflow.interpreter.state import Machine

CALLABLE = (Kind.FUNCTION, Kind.CLASS)


def leads_to_code(machine: Machine, value: Value) -> bool:
    """Return whether a value is, or leads to, something that can be called."""
    if value.kind in (*CALLABLE, Kind.LIBRARY):
        return True
    regions = machine.holding(value)
    return bool(machine.regions.functions(regions) or machine.regions.notes(regions, "path"))


def run_given(calls: Calls, values: Iterable[Value], argument: Value) -> Value:
    """Run every callable that values lead to, with anything out of an argument; return what they may give.

    Args:
        calls: what evaluates, with the abstract namespace.
        values: what may be called: functions, classes and things of libraries, or what holds some.
        argument: stands for all arguments of each call.
    """
    from respawn_jobs.dataflow.interpreter.call_arguments import Given

    machine, found = calls.machine, PLAIN
    for value in values:
        if value.kind in CALLABLE:
            found = join(
                found, calls.called(machine.site("given", id(value.what)), value, Given(more=argument))
            )
        elif value.kind is Kind.LIBRARY:
            found = join(found, run_path(calls, str(value.what), argument))
        else:
            regions = machine.holding(value)
            functions = machine.regions.functions(regions)
            if functions:
                alone = value.kind is Kind.BOX and not machine.regions.notes(regions, "mixed")
                whole = argument if alone else machine.pool([argument, value])
                found = join(found, calls.run_all(functions, whole))
            for path in sorted(machine.regions.notes(regions, "path")):
                found = join(found, run_path(calls, path, argument))
    return found


def run_path(calls: Calls, path: str, argument: Value) -> Value:
    """Call something of a library because something that was given leads to it.

    Args:
        calls: what evaluates, with the abstract namespace.
        path: its dotted name; one that is not known, or has no dot as a module, may call anything.
        argument: stands for all arguments of the call.
    """
    from respawn_jobs.dataflow.interpreter.call_arguments import Given
    from respawn_jobs.dataflow.interpreter.library_calls import call_library
    from respawn_jobs.dataflow.interpreter.state import known

    machine = calls.machine
    machine.use(path)
    if path in machine.running:
        return PLAIN
    if not known(path) or ("." not in path):
        # A module was given: anything in it may be called.
        machine.call_world()
        return PLAIN
    if library_facts.inert(path):
        return PLAIN
    call = (path, argument.kind, machine.regions.roots(argument.regions))
    before = machine.known_now()
    outcome = machine.repeats.outcome(call, before)
    if outcome is not None:
        return outcome
    # As for functions: its own calls alone identify what is made in it.
    outer, machine.stack = machine.stack, [("with anything", path)]
    machine.running.add(path)
    try:
        outcome = call_library(calls, machine.site("path", path), path, Given(more=argument))
    finally:
        machine.running.discard(path)
        machine.stack = outer
    machine.repeats.followed(call, before, outcome)
    return outcome


def run_kept_by_state(calls: Calls) -> None:
    """Run what parts of the session's state were given that libraries call which the cell has used."""
    machine = calls.machine
    used = {path.partition(".")[0] for path in machine.trace.uses}
    for state, libraries in state_effects.CALLED_BY.items():
        kept = machine.kept_by(state)
        if used & libraries and leads_to_code(machine, kept):
            run_given(calls, [kept], PLAIN)


def given_to_keep(machine: Machine, owner: Value) -> list[Value]:
    """Return what the libraries that a value comes from were given to keep, as far as it can be called."""
    tags = machine.regions.notes(owner.regions, "tag") or {"numpy.ndarray", "pandas.DataFrame"}
    found = [machine.kept_by(tag) for tag in sorted(tags)]
    return [value for value in found if leads_to_code(machine, value)]
