"""The abstract execution of calls."""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from respawn_jobs.analysis import library
from respawn_jobs.analysis.hidden import WORLD_STATE
from respawn_jobs.analysis.machine import Machine, Opaque, known
from respawn_jobs.analysis.scopes import (
    ClassInfo,
    Function,
    FunctionNode,
    Scope,
    arguments,
    body,
    bound,
    declared,
    kept,
    parts,
)
from respawn_jobs.analysis.values import PLAIN, UNKNOWN, Kind, Value, join

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
_WORD = re.compile(r"[^\W\d]\w*")
_MOST_ROUNDS = 12


@dataclass
class Given:
    """The arguments of a call."""

    positional: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)
    more: Value | None = None
    """What `*` and `**` unpack."""
    words: set[str] = field(default_factory=set)
    """Names in texts that are given: some libraries look them up where they are called."""
    constants: set[str] = field(default_factory=set)
    """Names of keywords that are given a constant other than None."""

    @property
    def values(self) -> list[Value]:
        """All of them."""
        return [*self.positional, *self.named.values(), *([self.more] if self.more is not None else [])]


class Calls:
    """Calls functions, classes, methods and libraries."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._functions: dict[tuple[int, int], Function] = {}

    @abstractmethod
    def value(self, node: ast.expr) -> Value:
        """Return what an expression may give."""

    @abstractmethod
    def each(self, node: ast.expr) -> Value:
        """Return what going through an expression gives."""

    @abstractmethod
    def statements(self, nodes: Sequence[ast.stmt]) -> None:
        """Execute statements."""

    # Parts, and code that runs by itself

    def part(self, whole: Value) -> Value:
        """Return a part of a box."""
        holds = self.machine.regions.holds(whole)
        return PLAIN if holds is Kind.PLAIN else Value(holds, whole.regions)

    def parts(self, whole: Value) -> Value:
        """Return what going through a value gives; going through an iterator changes it."""
        if whole.kind is Kind.PLAIN:
            return PLAIN
        if whole.kind is Kind.BOX:
            return self.part(whole)
        if whole.kind in (Kind.DATA, Kind.DRAWING):
            return whole
        self.special(whole, every=True)
        pooled = self.machine.pool([whole])
        self.machine.mutate(pooled)
        if self.machine.worldly(pooled):
            self.machine.call_world()
        return pooled

    def special(self, *values: Value, every: bool = False) -> None:
        """Run the special methods that values may have, and with `every` what an iterator may run."""
        for value in values:
            regions = self.machine.holding(value)
            found = self.machine.regions.functions(regions)
            if isinstance(value.what, ClassInfo):
                found = found | set(value.what.methods.values())
            run = [
                one
                for one in found
                if one.special or one.name.startswith("_repr_") or (every and not one.method_of)
            ]
            run = [one for one in run if one.name not in ("__init__", "__new__", "__post_init__")]
            if run:
                self.run_all(run, self.machine.pool([value]))

    def run_all(self, functions: Iterable[Function], given: Value) -> Value:
        """Call functions with anything out of a value."""
        found = given
        for function in sorted(functions, key=lambda one: (one.name, one.region)):
            found = join(found, self.call(function, Given(more=given)))
        return found

    def repeat(self, run: Callable[[], None]) -> None:
        """Run the body of a loop until another round teaches nothing new."""
        for _ in range(_MOST_ROUNDS):
            scope = self.machine.scope
            before = (
                dict(self.machine.globals), dict(scope.names) if scope else None, self.machine.regions.version
            )  # fmt: skip
            run()
            names = dict(scope.names) if scope else None
            if before == (self.machine.globals, names, self.machine.regions.version):
                return
        raise Opaque("it loops in too many ways")

    def around(self) -> list[int]:
        """Return the regions of the functions that the present code is in."""
        scope, found = self.machine.scope, []
        while scope is not None:
            found.append(scope.region)
            scope = scope.parent
        return found

    def remembered(self, function: Function) -> Function:
        """Return the same function for the same definition met again, so that loops come to an end."""
        return self._functions.setdefault((id(function.node), function.region), function)

    def define(self, node: FunctionNode, owner: ClassInfo | None = None) -> Value:
        """Return the function that a definition makes."""
        machine = self.machine
        region = machine.fresh(node)
        function = self.remembered(Function(node, machine.scope, region, owner))
        function.parent = machine.scope
        spec = node.args
        plain = [*spec.posonlyargs, *spec.args]
        pairs = [*zip(plain[len(plain) - len(spec.defaults) :], spec.defaults, strict=True)]
        pairs += [
            (one, default) for one, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if default
        ]
        made = Value(Kind.FUNCTION, frozenset({region}), function)
        for argument, default in pairs:
            function.defaults[argument.arg] = value = self.value(default)
            machine.regions.put(made, value)
        scope = machine.scope
        names = kept([node])
        while scope is not None:
            if not scope.is_class:
                machine.regions.merge([region, scope.region])
                for name in names & scope.names.keys():
                    machine.regions.put(made, scope.names[name])
            scope = scope.parent
        machine.regions.attach([region], [function])
        return made

    # Calls

    def _call(self, node: ast.expr) -> Value:
        call = cast(ast.Call, node)
        self.machine.stack.append(id(call))
        try:
            if isinstance(call.func, ast.Attribute):
                owner = self.value(call.func.value)
                if owner.kind is not Kind.LIBRARY:
                    return self.method(call, owner, call.func.attr, self._given(call))
                callee = self.attribute(owner, call.func.attr)
            else:
                callee = self.value(call.func)
            return self.called(call, callee, self._given(call))
        finally:
            self.machine.stack.pop()

    def _given(self, call: ast.Call) -> Given:
        given = Given()
        for argument in call.args:
            if isinstance(argument, ast.Starred):
                given.more = join(given.more or PLAIN, self.parts(self.value(argument.value)))
            else:
                given.positional.append(self.value(argument))
        for keyword in call.keywords:
            value = self.value(keyword.value)
            if keyword.arg is None:
                given.more = join(given.more or PLAIN, self.parts(value))
            else:
                given.named[keyword.arg] = value
                if isinstance(keyword.value, ast.Constant) and keyword.value.value is not None:
                    given.constants.add(keyword.arg)
        for part in ast.walk(call):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                given.words |= set(_WORD.findall(part.value))
        return given

    def called(self, node: ast.AST, callee: Value, given: Given) -> Value:
        """Return what calling a value may give."""
        if callee.kind is Kind.FUNCTION:
            return self.call(callee.what, given)
        if callee.kind is Kind.CLASS:
            return self.instance(node, callee.what, given)
        if callee.kind is Kind.LIBRARY:
            from respawn_jobs.analysis.libraries import call_library

            return call_library(self, node, str(callee.what), given)
        self._look_up(given)
        return self.anything([callee, *given.values])

    def anything(self, values: Sequence[Value]) -> Value:
        """Assume the worst of a call: it changes all that it can reach, and gives any of it."""
        machine = self.machine
        pooled = machine.pool(values)
        found = machine.regions.functions(pooled.regions)
        machine.mutate(pooled)
        if machine.regions.draws(pooled.regions):
            machine.draw()
        if found:
            pooled = machine.pool([pooled, self.run_all(found, pooled)])
        if machine.worldly(pooled):
            machine.call_world()
        return pooled if pooled.regions else UNKNOWN

    def look_up(self, given: Given) -> None:
        """Count names in texts as read: formulas and queries are filled in from where they are given."""
        self._look_up(given)

    def _look_up(self, given: Given) -> None:
        for word in sorted(given.words):
            if word in self.machine.own:
                self.machine.load(word)

    def call(self, function: Function, given: Given) -> Value:
        """Call a function of the notebook."""
        machine = self.machine
        if function in machine.active or machine.deep:
            return machine.havoc(given.values, [function])
        node = function.node
        code = body(node)
        names = bound(code) if not isinstance(node, ast.GeneratorExp) else set()
        everywhere = declared(code, ast.Global)
        spec = (
            node.args
            if not isinstance(node, ast.GeneratorExp)
            else ast.arguments([], [], None, [], [], None, [])
        )
        local = names | {one.arg for one in arguments(spec)}
        scope = Scope(
            local=frozenset(local - everywhere - declared(code, ast.Nonlocal)),
            parent=function.parent,
            region=machine.fresh(node, "scope"),
            globals=frozenset(everywhere),
            kept=kept(code),
        )
        self._hand_over(function, spec, scope, given)
        outer, machine.scope = machine.scope, scope
        machine.active.append(function)
        try:
            with machine.perhaps():
                if isinstance(node, ast.Lambda):
                    scope.returned = self.value(node.body)
                elif isinstance(node, ast.GeneratorExp):
                    scope.returned = self.value(ast.ListComp(node.elt, node.generators))
                else:
                    self.statements(node.body)
        finally:
            machine.scope = outer
            machine.active.pop()
        returned = scope.returned or PLAIN
        lazy = isinstance(node, ast.AsyncFunctionDef) or any(
            isinstance(part, ast.Yield | ast.YieldFrom) for one in code for part in (one, *parts(one))
        )
        if lazy and not isinstance(node, ast.GeneratorExp):
            # The body runs when somebody goes through it; then it finds the names as they are by then.
            pooled = machine.pool(
                [returned, *given.values], function.region, scope.region, machine.fresh(node, "run")
            )
            machine.regions.attach(pooled.regions, [function])
            return pooled
        return returned

    def _hand_over(self, function: Function, spec: ast.arguments, scope: Scope, given: Given) -> None:
        machine, positional, named = self.machine, list(given.positional), dict(given.named)
        for one in (*spec.posonlyargs, *spec.args):
            if positional:
                value: Value | None = positional.pop(0)
            else:
                value = named.pop(one.arg, None)
            self._parameter(function, scope, one.arg, value, given)
        for one in spec.kwonlyargs:
            self._parameter(function, scope, one.arg, named.pop(one.arg, None), given)
        rest = [*positional, *named.values(), *([given.more] if given.more is not None else [])]
        for star in (spec.vararg, spec.kwarg):
            if star is not None:
                box = Value(Kind.BOX, frozenset({machine.fresh(star)}))
                for value in rest:
                    machine.regions.put(box, value)
                self._name_it(scope, star.arg, box)

    def _parameter(
        self, function: Function, scope: Scope, name: str, value: Value | None, given: Given
    ) -> None:
        possible = [value] if value is not None else []
        if value is None:
            possible += [one for one in (given.more, function.defaults.get(name)) if one is not None]
        found = possible[0] if possible else PLAIN
        for one in possible[1:]:
            found = join(found, one)
        self._name_it(scope, name, found)

    def _name_it(self, scope: Scope, name: str, value: Value) -> None:
        scope.names[name] = join(scope.names[name], value) if name in scope.names else value
        if name in scope.kept:
            self.machine.regions.put(Value(Kind.ANY, frozenset({scope.region})), value)

    def give_back(self, value: Value) -> None:
        """Note what the present function may return."""
        scope = self.machine.scope
        while scope is not None and scope.is_comprehension:
            scope = scope.parent
        if scope is not None:
            scope.returned = value if scope.returned is None else join(scope.returned, value)

    def instance(self, node: ast.AST, info: ClassInfo, given: Given) -> Value:
        """Make an instance of a class of the notebook."""
        machine = self.machine
        if not info.exact:
            return self.anything(
                [Value(Kind.ANY, frozenset({info.region, machine.fresh(node)})), *given.values]
            )
        made = Value(Kind.INSTANCE, frozenset({machine.fresh(node)}), info)
        makers = [
            info.methods[name] for name in ("__new__", "__init__", "__post_init__") if name in info.methods
        ]
        if "__init__" not in info.methods:  # a dataclass keeps what it is given
            for value in given.values:
                machine.regions.put(made, value if value.kind is not Kind.LIBRARY else machine.pool([value]))
        for maker in makers:
            arguments = Given(
                [made, *given.positional], given.named, given.more, given.words, given.constants
            )
            self.call(maker, arguments)
        return made

    def attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a value."""
        if owner.kind is Kind.PLAIN:
            return PLAIN
        if owner.kind is Kind.LIBRARY:
            return self._of_library(str(owner.what), name)
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__", "__len__"):
            raise Opaque(f"it uses {name}")
        if self.machine.properties:
            found = self.machine.regions.functions(self.machine.holding(owner))
            if isinstance(owner.what, ClassInfo):
                found = found | set(owner.what.methods.values())
            if found:
                return self.anything([Value(Kind.ANY, self.machine.holding(owner))])
        if owner.kind in (Kind.DATA, Kind.DRAWING):
            return owner
        info = owner.what
        if owner.kind is Kind.INSTANCE and name in info.own - info.names - self.machine.set_elsewhere:
            holds = self.machine.regions.holds(owner)
            return PLAIN if holds is Kind.PLAIN else Value(holds, owner.regions)
        return Value(Kind.ANY, self.machine.holding(owner))

    def _of_library(self, path: str, name: str) -> Value:
        whole = f"{path}.{name}"
        if whole.partition(".")[0] in library.OPAQUE_MODULES:
            raise Opaque(f"it uses {whole}")
        for thing, state in library.STATEFUL_THINGS.items():
            if whole == thing:
                self.machine.read_state(state)
        if not known(whole):
            self.machine.load_global(WORLD_STATE)
        return Value(Kind.LIBRARY, what=whole)

    def method(self, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
        """Return what calling a method may give."""
        from respawn_jobs.analysis.libraries import call_method

        info = owner.what
        if owner.kind is Kind.INSTANCE and name in info.methods and name not in self.machine.attributes:
            method = info.methods[name]
            decorated = getattr(method.node, "decorator_list", [])
            if not decorated and not self.machine.properties:
                first = Value(Kind.INSTANCE, owner.regions, info)
                more = Given(
                    [first, *given.positional], given.named, given.more, given.words, given.constants
                )
                return self.call(method, more)
        return call_method(self, node, owner, name, given)
