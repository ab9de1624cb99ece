"""The abstract execution of calls."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from respawn_jobs.dataflow.interpreter.attributes import Attributes
from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.callbacks import leads_to_code, run_given, run_path
from respawn_jobs.dataflow.interpreter.open_files import is_alone
from respawn_jobs.dataflow.interpreter.scopes import (
    ClassInfo,
    Function,
    FunctionNode,
    Scope,
    as_list,
    kept,
    shape_of,
)
from respawn_jobs.dataflow.interpreter.state import Machine
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import PLAIN, UNKNOWN, Kind, Value, join, may_be_text, text_of

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
_MAX_ROUNDS = 12
_SHOWING = ("_repr_", "_ipython_")
"""How methods begin that IPython calls to show an object."""


class Calls(Attributes):
    """Calls functions, classes, methods and libraries."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
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
        if is_alone(self.machine, whole):
            self.machine.use_value(whole)
            self.machine.mutate(whole)
            return PLAIN
        self.special(whole, every=True)
        pooled = self.machine.pool([whole])
        self.machine.mutate(pooled)
        if self.machine.worldly(pooled):
            self.machine.call_world()
        return pooled

    def special(self, *values: Value, every: bool = False) -> None:
        """Run the special methods that values may have, and with `every` what an iterator may run."""
        for value in values:
            self.machine.use_value(value)
            regions = self.machine.holding(value)
            found = self.machine.regions.functions(regions)
            if isinstance(value.what, ClassInfo):
                found = found | set(value.what.methods.values())
            run = [
                one
                for one in found
                if one.special
                or one.name.startswith(("_repr_", "_ipython_"))
                or (every and not one.method_of)
            ]
            run = [one for one in run if one.name not in ("__init__", "__new__", "__post_init__")]
            if run:
                self.run_all(run, self.machine.pool([value]))

    def run_all(self, functions: Iterable[Function], given: Value) -> Value:
        """Call functions with anything out of a value."""
        found = given
        for function in sorted(functions, key=lambda one: (one.name, one.region)):
            found = join(found, self._with_anything(function, given))
        return found

    def _with_anything(self, function: Function, given: Value) -> Value:
        """Call a function with anything out of a value, unless that can teach nothing new."""
        machine = self.machine
        call = (function, given.kind, machine.regions.roots(given.regions))
        known = machine.known_now()
        outcome = machine.repeats.outcome(call, known)
        if outcome is not None:
            return outcome
        # Who calls it here does not matter: its own calls alone identify what is made in it.
        outer, machine.stack = machine.stack, [("with anything", id(function.node))]
        try:
            outcome = self.call(function, Given(more=given))
        finally:
            machine.stack = outer
        machine.repeats.followed(call, known, outcome)
        return outcome

    def repeat(self, run: Callable[[], None]) -> None:
        """Run the body of a loop until a round teaches nothing new. Raises `Opaque` after twelve rounds."""
        for _ in range(_MAX_ROUNDS):
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
            machine.repeats.learn(("default", id(function), argument.arg), value)
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
        for part in ast.walk(call):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                given.texts.add(part.value)
        return given

    def called(self, node: ast.AST, callee: Value, given: Given) -> Value:
        """Return what calling a value may give.

        Args:
            node, callee, given: the call in the source, what is called, and the arguments.
        """
        if callee.kind is Kind.FUNCTION:
            return self.call(callee.what, given)
        if callee.kind is Kind.CLASS:
            return self.instance(node, callee.what, given)
        if callee.kind is Kind.LIBRARY:
            from respawn_jobs.dataflow.interpreter.library_calls import call_library

            return call_library(self, node, str(callee.what), given)
        self.look_up(given)
        return self.anything([callee, *given.values])

    def anything(self, values: Sequence[Value]) -> Value:
        """Assume the worst of a call: it changes all that it can reach, and gives any of it."""
        machine = self.machine
        pooled = machine.pool(values)
        for value in (*values, pooled):
            machine.use_value(value)
        found = machine.regions.functions(pooled.regions)
        machine.mutate(pooled)
        if machine.regions.notes(pooled.regions, "draws"):
            machine.draw()
        if found:
            pooled = machine.pool([pooled, self.run_all(found, pooled)])
        pooled = self._run_libraries(values, pooled)
        if machine.worldly(pooled):
            machine.call_world()
        return pooled if pooled.regions else UNKNOWN

    def _run_libraries(self, values: Sequence[Value], pooled: Value) -> Value:
        """Call what of libraries the values lead to."""
        paths = {str(value.what) for value in values if value.kind is Kind.LIBRARY}
        paths |= self.machine.regions.notes(pooled.regions, "path")
        for path in sorted(paths):
            found = run_path(self, path, pooled)
            pooled = self.machine.pool([pooled, found]) if found.regions else pooled
        return pooled

    def look_up(self, given: Given) -> None:
        """Count names in texts as read: formulas and queries are filled in from where they are given."""
        for word in sorted(given.words):
            if word in self.machine.own:
                value = self.machine.load(word)
                if leads_to_code(self.machine, value):
                    run_given(self, [value], PLAIN)

    def read_texts(self, what: str, given: Given) -> None:
        """Count everything as read unless all texts that are given are known."""
        unknown = [value for value in given.values if may_be_text(value) and text_of(value) is None]
        boxes = [value for value in given.values if value.kind in (Kind.BOX, Kind.ANY)]
        if unknown or boxes or given.more is not None:
            self.read_everything(f"it calls {what} with a text that is not known")

    def read_everything(self, why: str) -> None:
        """Count everything as read, and run whatever a text could call."""
        self.machine.read_everything(why)
        for value in list(self.machine.globals.values()):
            if value.kind is not Kind.LIBRARY and leads_to_code(self.machine, value):
                run_given(self, [value], PLAIN)

    def call(self, function: Function, given: Given) -> Value:
        """Call a function of the notebook."""
        machine = self.machine
        if function in machine.active or machine.deep:
            return machine.havoc(given.values, [function])
        node = function.node
        shape = shape_of(node)
        spec = (
            node.args
            if not isinstance(node, ast.GeneratorExp)
            else ast.arguments([], [], None, [], [], None, [])
        )
        scope = Scope(
            local=shape.local,
            parent=function.parent,
            region=machine.fresh(node, "scope"),
            globals=shape.globals,
            kept=shape.kept,
        )
        self._hand_over(function, spec, scope, given)
        outer, machine.scope = machine.scope, scope
        machine.active.append(function)
        try:
            with machine.perhaps():
                if isinstance(node, ast.Lambda):
                    scope.returned = self.value(node.body)
                elif isinstance(node, ast.GeneratorExp):
                    scope.returned = self.value(as_list(node))
                else:
                    self.statements(node.body)
        finally:
            machine.scope = outer
            machine.active.pop()
        returned = scope.returned or PLAIN
        if shape.lazy:
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
            self.machine.repeats.learn(("scope", scope.region, name), scope.names[name])

    def give_back(self, value: Value) -> None:
        """Note what the present function may return."""
        scope = self.machine.scope
        while scope is not None and scope.is_comprehension:
            scope = scope.parent
        if scope is not None:
            scope.returned = value if scope.returned is None else join(scope.returned, value)

    def instance(self, node: ast.AST, info: ClassInfo, given: Given) -> Value:
        """Make an instance of a class of the notebook.

        Args:
            node, info, given: the call in the source, the class, and the arguments.
        """
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
            self.call(maker, given.after(made))
        # Default factories and validators, which the class's decorator was given.
        methods = set(info.methods.values())
        others = machine.regions.functions([info.region]) - methods
        if others:
            machine.regions.put(made, self.run_all(others, PLAIN))
        return made

    def method(self, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
        """Return what calling a method may give.

        Args:
            node, owner, name, given: the call, the object before the dot, the method, and the other
                arguments.
        """
        from respawn_jobs.dataflow.interpreter.methods import call_method

        info = owner.what
        if owner.kind is Kind.INSTANCE and name in info.methods and name not in self.machine.attributes:
            method = info.methods[name]
            decorated = getattr(method.node, "decorator_list", [])
            if not decorated and not self.machine.properties:
                first = Value(Kind.INSTANCE, owner.regions, info)
                return self.call(method, given.after(first))
        return call_method(self, node, owner, name, given)
