"""What each cell of a notebook reads and writes, found from the sources in the order in which they run."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import replace

from respawn_jobs.dataflow.interpreter.attribute_hooks import computes_attributes, mentioned_anywhere
from respawn_jobs.dataflow.interpreter.ipython_source import parsed
from respawn_jobs.dataflow.interpreter.scopes import bound, declared
from respawn_jobs.dataflow.interpreter.state import Machine
from respawn_jobs.dataflow.interpreter.statements import Statements
from respawn_jobs.dataflow.interpreter.trace import Opaque, Trace
from respawn_jobs.dataflow.interpreter.values import UNKNOWN, WORLD, Kind, Value
from respawn_jobs.dataflow.prompts import asks_for_prompts, is_by_prompts
from respawn_jobs.model.footprint import Footprint
from respawn_jobs.model.hidden_state import WORLD_STATE

_TOO_STRANGE = ("__del__", "__getattribute__", "__init_subclass__", "__set_name__", "__class_getitem__")
_COMPUTED = ("__getattr__", "__get__", "__setattr__", "__delattr__", "__set__")


def footprints(sources: Sequence[str], *, may_raise: Sequence[bool] = ()) -> list[Footprint]:
    """Return the footprint of each cell.

    Args:
        sources: the cells in their order, those that run.
        may_raise: for each, whether it may have ended early and counts as finished all the same.
    """
    trees: list[ast.Module | Opaque] = []
    for source in sources:
        try:
            trees.append(parsed(source))
        except Opaque as reason:
            trees.append(reason)
    follower = _Follower([tree for tree in trees if isinstance(tree, ast.Module)])
    raising = [*may_raise, *([False] * (len(sources) - len(may_raise)))]
    found = [follower.cell(tree, sure=not raised) for tree, raised in zip(trees, raising, strict=True)]
    return [
        replace(one, by_prompts=is_by_prompts(one.opaque) or asks_for_prompts(source, follower.own))
        for source, one in zip(sources, found, strict=True)
    ]


class _Follower:
    """Follows the cells, one after the other."""

    def __init__(self, trees: Sequence[ast.Module]) -> None:
        nodes = [node for tree in trees for node in ast.walk(tree)]
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        names = {function.name for function in functions}
        self._strange = next((name for name in _TOO_STRANGE if name in names), None)
        computed = computes_attributes(nodes) or bool(names & set(_COMPUTED))
        own = {name for tree in trees for name in bound(tree.body)}
        own |= {name for function in functions for name in declared(function.body, ast.Global)}
        self.own = frozenset(own)
        attributes = {
            n.attr for n in nodes if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)
        }
        self._machine = Machine(self.own, frozenset(attributes), properties=computed)
        mentioned = mentioned_anywhere(nodes)
        self._machine.moves = bool({"chdir", "fchdir"} & mentioned)
        self._machine.lists_subclasses = "__subclasses__" in mentioned
        self._statements = Statements(self._machine)

    def cell(self, tree: ast.Module | Opaque, *, sure: bool) -> Footprint:
        machine = self._machine
        machine.trace = Trace()
        machine.repeats.begin_cell()
        before = dict(machine.globals)
        machine.uncertain = 0 if sure else 1
        try:
            self._statements.statements(self._followed(tree))
            self._statements.end_cell()
        except (Opaque, RecursionError) as reason:
            self._lose()
            return Footprint(opaque=str(reason) if isinstance(reason, Opaque) else "it is nested too deeply")
        trace = machine.trace
        changed = machine.regions.roots(trace.changed)
        touched = {
            name
            for names in (before, machine.globals)
            for name, value in names.items()
            if changed & machine.regions.roots(machine.holding(value))
        }
        # An object that is changed is the one from before, unless the cell has made the name anew.
        read = trace.reads | {name for name in touched if name in before and name not in trace.sure}
        read |= {name for name in touched & trace.sure if before.get(name) == machine.globals.get(name)}
        return Footprint(
            frozenset(read),
            frozenset(trace.binds | touched),
            frozenset(trace.sure if sure else ()),
            uses=frozenset(trace.uses),
            reads_all=trace.reads_all,
            looked_up=frozenset(trace.looked_up),
        )

    def _followed(self, tree: ast.Module | Opaque) -> list[ast.stmt]:
        if self._strange is not None:
            raise Opaque(f"the notebook defines {self._strange}")
        if isinstance(tree, Opaque):
            raise tree
        only = tree.body[0] if len(tree.body) == 1 else None
        if isinstance(only, ast.Expr) and isinstance(only.value, ast.Name):
            name = only.value.id
            if name not in self._machine.own and not hasattr(builtins, name) and name != "__name__":
                raise Opaque(f"{name} may be a magic")
        return tree.body

    def _lose(self) -> None:
        """Forget everything after a cell that may have done anything."""
        machine = self._machine
        machine.scope, machine.uncertain = None, 0
        machine.active.clear()
        machine.stack.clear()
        machine.trusted = False
        for value in list(machine.globals.values()):
            machine.regions.put(UNKNOWN, Value(Kind.ANY, machine.holding(value)))
        machine.globals = dict.fromkeys([*machine.globals, WORLD_STATE], UNKNOWN)
        machine.regions.merge([WORLD])
