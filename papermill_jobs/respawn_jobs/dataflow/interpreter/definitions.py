"""The abstract execution of definitions of functions and classes, decorated or not."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.expressions import Expressions
from respawn_jobs.dataflow.interpreter.scopes import ClassInfo, Function, Scope, bound
from respawn_jobs.dataflow.interpreter.state import Machine, known
from respawn_jobs.dataflow.interpreter.values import Kind, Note, Value, join
from respawn_jobs.dataflow.libraries import library_facts
from respawn_jobs.dataflow.libraries.state_effects import FEATURES


class Definitions(Expressions):
    """Executes definitions."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._infos: dict[tuple[int, int], ClassInfo] = {}

    @abstractmethod
    def statement(self, node: ast.stmt) -> None:
        """Execute one statement of a class's body."""

    def _do_functiondef(self, node: ast.stmt) -> None:
        defined = cast(ast.FunctionDef, node)
        made = self.define(defined)
        annotations = [
            *(a.annotation for a in ast.walk(defined.args) if isinstance(a, ast.arg)),
            defined.returns,
        ]
        if any(annotations):
            self.machine.read_state(FEATURES)
        for annotation in annotations:
            if annotation is not None:
                # A library that is given the function may call what stands in it.
                self.machine.keep(made, self.value(annotation))
        self.machine.bind(defined.name, self._decorated(defined.decorator_list, made, defined))

    _do_asyncfunctiondef = _do_functiondef

    def _decorated(self, decorators: Sequence[ast.expr], made: Value, node: ast.AST) -> Value:
        for decorator in reversed(decorators):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            with_what = self.value(called)
            if with_what.kind is Kind.LIBRARY and _harmless(str(with_what.what)):
                if isinstance(decorator, ast.Call):
                    self.values([*decorator.args, *(keyword.value for keyword in decorator.keywords)])
                if with_what.what.startswith("builtins."):
                    made = Value(Kind.ANY, self.machine.holding(made))
                continue
            made = self.called(node, self.value(decorator), Given([made]))
        return made

    def _do_classdef(self, node: ast.stmt) -> None:
        defined = cast(ast.ClassDef, node)
        machine = self.machine
        region = machine.fresh(defined)
        info = self._infos.setdefault((id(defined), region), ClassInfo(defined.name, region))
        made = Value(Kind.CLASS, frozenset({region}), info)
        hooks = self._bases(defined, info, made)
        info.names |= bound(defined.body)
        scope = Scope(frozenset(info.names), machine.scope, region, is_class=True)
        outer, machine.scope = machine.scope, scope
        try:
            with machine.perhaps():
                for statement in defined.body:
                    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                        self._method(statement, info, made)
                    else:
                        self.statement(statement)
        finally:
            machine.scope = outer
        for value in scope.names.values():
            machine.keep(made, value)
        if hooks:
            self.anything([Value(Kind.ANY, made.regions), *hooks])
        for decorator in defined.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not (isinstance(called, ast.Name | ast.Attribute) and _harmless(str(self.value(called).what))):
                info.exact = False
        kind = made if info.exact else Value(Kind.ANY, made.regions)
        bound_value = self._decorated(defined.decorator_list, kind, defined)
        machine.bind(defined.name, bound_value)

    def _bases(self, defined: ast.ClassDef, info: ClassInfo, made: Value) -> list[Value]:
        """Take over what a class inherits; return what runs when the class is made."""
        machine, hooks = self.machine, []
        for keyword in defined.keywords:
            info.exact = False
            value = self.value(keyword.value)
            if value.kind is not Kind.LIBRARY or not known(str(value.what)):
                hooks.append(value)
                machine.regions.note(made.regions, _MADE_BY_HOOKS)
        for base in defined.bases:
            value = self.value(base)
            if value.kind is Kind.LIBRARY and value.what == "builtins.object":
                continue
            info.exact = False
            if machine.lists_subclasses:
                machine.mutate(value)
            machine.pool([value, made])
            regions = machine.holding(value)
            names = {one.name for one in machine.regions.functions(regions)}
            if names & _CLASS_HOOKS or machine.regions.notes(regions, _MADE_BY_HOOKS.kind):
                hooks.append(value)
        return hooks

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef, info: ClassInfo, made: Value) -> None:
        function = self.define(node, info)
        info.methods[node.name] = cast(Function, function.what)
        self.machine.regions.put(made, function)
        value = self._decorated(node.decorator_list, function, node)
        self.machine.bind(node.name, join(value, value))


_CLASS_HOOKS = frozenset(["__prepare__", "__init_subclass__", "__set_name__", "__mro_entries__", "mro"])
"""Methods that tell that making a class runs code."""
_MADE_BY_HOOKS = Note("hooks")
"""A class has a metaclass, so its subclasses have it too."""


def _harmless(path: str) -> bool:
    return (
        path.removeprefix("builtins.") in library_facts.HARMLESS_DECORATORS
        or path in library_facts.HARMLESS_DECORATOR_PATHS
    )
