"""The abstract execution of expressions."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Sequence
from typing import cast

from respawn_jobs.dataflow.interpreter.callbacks import leads_to_code, run_given
from respawn_jobs.dataflow.interpreter.calls import Calls
from respawn_jobs.dataflow.interpreter.scopes import Function, Scope, bound, kept
from respawn_jobs.dataflow.interpreter.values import PLAIN, Kind, Value, constant, join, text_of
from respawn_jobs.dataflow.libraries.library_facts import BARS
from respawn_jobs.dataflow.libraries.state_effects import options_of
from respawn_jobs.model.hidden_state import PYTHON

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
"""Kinds whose operators, lengths and parts are Python's, NumPy's or pandas' own."""
_STREAMING = (ast.LShift, ast.RShift, ast.BitOr, ast.MatMult)
"""Operators that some libraries use to change an operand, as in `first >> second`."""
_STILL = (ast.Constant, ast.Name, ast.Lambda, ast.List, ast.Tuple, ast.Set, ast.Dict)
"""Expressions that run no code of their own."""
_THROUGH = frozenset({"builtins.zip", "builtins.enumerate", "builtins.reversed"})


class Expressions(Calls):
    """Evaluates expressions to abstract values."""

    def value(self, node: ast.expr) -> Value:
        """Return what an expression may give, and note what evaluating it reads and changes."""
        self.machine.step()
        method: Callable[[ast.expr], Value] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if not isinstance(node, _STILL):
            self.machine.use(PYTHON)
        if method is not None:
            return method(node)
        return self.values([part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)])

    def values(self, nodes: Sequence[ast.expr]) -> Value:
        """Evaluate several expressions; return any of them."""
        found = PLAIN
        for node in nodes:
            found = join(found, self.value(node))
        return found

    def _constant(self, node: ast.expr) -> Value:
        return constant(cast(ast.Constant, node).value)

    def _name(self, node: ast.expr) -> Value:
        return self.machine.load(cast(ast.Name, node).id)

    def _joinedstr(self, node: ast.expr) -> Value:
        texts: list[str | None] = []
        for part in cast(ast.JoinedStr, node).values:
            if isinstance(part, ast.FormattedValue):
                value = self.value(part.value)
                self.special(value)
                plain = part.conversion == -1 and part.format_spec is None
                texts.append(text_of(value) if plain else None)
                if part.format_spec is not None:
                    self.value(part.format_spec)
            else:
                texts.append(text_of(self.value(part)))
        known = [text for text in texts if text is not None]
        return constant("".join(known)) if len(known) == len(texts) else PLAIN

    def _templatestr(self, node: ast.expr) -> Value:
        return self._joinedstr(node)

    def _attribute(self, node: ast.expr) -> Value:
        attribute = cast(ast.Attribute, node)
        return self.attribute(self.value(attribute.value), attribute.attr)

    def _subscript(self, node: ast.expr) -> Value:
        subscript = cast(ast.Subscript, node)
        whole = self.value(subscript.value)
        index = self.value(subscript.slice)
        self.special(index)
        self.machine.use_value(whole)
        if index.kind is not Kind.LIBRARY and leads_to_code(self.machine, index):
            run_given(self, [index], whole)  # tables call what they are indexed with
        if whole.kind is Kind.PLAIN:
            return PLAIN
        if whole.kind in (Kind.DATA, Kind.DRAWING):
            return whole
        if whole.kind is Kind.BOX:
            if isinstance(subscript.slice, ast.Slice):
                return whole
            # A list gives parts; a dict that is no defaultdict gives parts as well.
            return self.part(whole)
        if whole.kind is Kind.LIBRARY:
            return self.machine.pool([whole, index])
        # A defaultdict makes and adds what it does not have; anything else may do anything.
        self.special(whole, every=True)
        pooled = self.machine.pool([whole, index])
        self.machine.mutate(pooled)
        if self.machine.worldly(pooled):
            self.machine.call_world()
        return pooled

    def _binop(self, node: ast.expr) -> Value:
        operation = cast(ast.BinOp, node)
        left, right = self.value(operation.left), self.value(operation.right)
        return self.operate(node, left, right, operation.op)

    def operate(self, node: ast.AST, left: Value, right: Value, operator: ast.operator) -> Value:
        """Return what an operator gives.

        Args:
            node: the operation in the source; this place identifies what it makes.
            left, right: the operands.
            operator: of two operands, such as `ast.Add`.
        """
        both = (left, right)
        if all(value.kind is Kind.PLAIN for value in both):
            return _folded(operator, *map(text_of, both))
        self.special(*both)
        if all(value.kind in _QUIET for value in both):
            return self._derived(node, *both)
        if isinstance(operator, _STREAMING):
            pooled = self.machine.pool(both)
            self.machine.mutate(pooled)
            if self.machine.worldly(pooled):
                self.machine.call_world()
            return pooled
        return self.machine.pool(both)

    def _derived(self, node: ast.AST, *sources: Value) -> Value:
        """Return new data or a new box made of quiet values; a box shares the parts of its sources."""
        data = any(value.kind is Kind.DATA for value in sources)
        made = Value(Kind.DATA if data else Kind.BOX, frozenset({self.machine.fresh(node)}))
        for source in sources:
            if self.machine.regions.holds(source) is not Kind.PLAIN:
                self.machine.regions.put(made, source)
        return made

    def _unaryop(self, node: ast.expr) -> Value:
        operation = cast(ast.UnaryOp, node)
        operand = self.value(operation.operand)
        if operand.kind is Kind.PLAIN:
            return PLAIN
        self.special(operand)
        if isinstance(operation.op, ast.Not):
            return PLAIN
        return self._derived(node, operand) if operand.kind in _QUIET else operand

    def _compare(self, node: ast.expr) -> Value:
        compared = cast(ast.Compare, node)
        sides = [self.value(compared.left), *(self.value(side) for side in compared.comparators)]
        for side in sides:
            self.machine.use_value(side)
        if all(isinstance(operator, ast.Is | ast.IsNot) for operator in compared.ops):
            return PLAIN
        self.special(*sides)
        if any(isinstance(operator, ast.In | ast.NotIn) for operator in compared.ops):
            self.machine.mutate(*(side for side in sides if side.kind not in (*_QUIET, Kind.LIBRARY)))
            return PLAIN
        if all(side.kind in (Kind.PLAIN, Kind.BOX) for side in sides):
            return PLAIN
        return (
            self._derived(node, *sides) if all(s.kind in _QUIET for s in sides) else self.machine.pool(sides)
        )

    def _boolop(self, node: ast.expr) -> Value:
        found = self.maybe(cast(ast.BoolOp, node).values)
        self.special(found)
        return found

    def _ifexp(self, node: ast.expr) -> Value:
        choice = cast(ast.IfExp, node)
        self.special(self.value(choice.test))
        return self.maybe([choice.body, choice.orelse])

    def maybe(self, nodes: Sequence[ast.expr]) -> Value:
        """Evaluate expressions of which not all need to be evaluated."""
        with self.machine.perhaps():
            return self.values(nodes)

    def _display(self, node: ast.expr, items: Sequence[ast.expr | None]) -> Value:
        made = Value(Kind.BOX, frozenset({self.machine.fresh(node)}))
        for item in items:
            if item is not None:
                value = self.each(item.value) if isinstance(item, ast.Starred) else self.value(item)
                self.machine.keep(made, value)
        return made

    def _list(self, node: ast.expr) -> Value:
        return self._display(node, cast(ast.List, node).elts)

    def _set(self, node: ast.expr) -> Value:
        self.special(*(self.value(item) for item in cast(ast.Set, node).elts))  # to be hashed
        return self._display(node, cast(ast.Set, node).elts)

    def _tuple(self, node: ast.expr) -> Value:
        made = self._display(node, cast(ast.Tuple, node).elts)
        # A tuple of numbers cannot change.
        return PLAIN if self.machine.regions.holds(made) is Kind.PLAIN else made

    def _dict(self, node: ast.expr) -> Value:
        made = cast(ast.Dict, node)
        unpacked = [value for key, value in zip(made.keys, made.values, strict=True) if key is None]
        for value in (*unpacked, *(key for key in made.keys if key is not None)):
            self.special(self.value(value))  # to be unpacked, and to be hashed
        return self._display(node, [*made.keys, *made.values])

    def _starred(self, node: ast.expr) -> Value:
        return self.each(cast(ast.Starred, node).value)

    def _namedexpr(self, node: ast.expr) -> Value:
        named = cast(ast.NamedExpr, node)
        value = self.value(named.value)
        scope = self.machine.scope
        while scope is not None and scope.is_comprehension:
            scope = scope.parent
        held, self.machine.scope = self.machine.scope, scope
        self.machine.bind(named.target.id, value)
        self.machine.scope = held
        return value

    def _lambda(self, node: ast.expr) -> Value:
        return self.define(cast(ast.Lambda, node))

    def _await(self, node: ast.expr) -> Value:
        return self.anything([self.value(cast(ast.Await, node).value)])

    def _yield(self, node: ast.expr) -> Value:
        given = cast(ast.Yield, node).value
        value = self.value(given) if given is not None else PLAIN
        self.give_back(value)
        return value

    def _yieldfrom(self, node: ast.expr) -> Value:
        value = self.each(cast(ast.YieldFrom, node).value)
        self.give_back(value)
        return value

    # Loops inside expressions

    def each(self, node: ast.expr) -> Value:
        """Return what going through an expression gives, without keeping what goes through it."""
        if isinstance(node, ast.Call) and not node.keywords and isinstance(node.func, ast.Name):
            function = self.machine.load(node.func.id)
            if function.kind is Kind.LIBRARY and function.what in _THROUGH:
                found = Value(Kind.BOX)
                for argument in node.args:
                    found = join(found, self.each(argument))
                return found
        through = self._in_bar(node)
        return self.each(through) if through is not None else self.parts(self.value(node))

    def _in_bar(self, node: ast.expr) -> ast.expr | None:
        """Return what a progress bar goes through, where an expression is a usual one of something."""
        if not isinstance(node, ast.Call) or len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
            return None
        if not isinstance(node.func, ast.Name | ast.Attribute) or any(
            word.arg is None for word in node.keywords
        ):
            return None
        function = self.value(node.func)
        if function.kind is not Kind.LIBRARY or function.what not in BARS or function.what.endswith("range"):
            return None
        settings = [self.value(word.value) for word in node.keywords]
        return node.args[0] if all(value.kind is Kind.PLAIN for value in settings) else None

    def _listcomp(self, node: ast.expr) -> Value:
        comprehension = cast(ast.ListComp, node)
        return self._comprehension(node, comprehension.generators, [comprehension.elt])

    def _setcomp(self, node: ast.expr) -> Value:
        comprehension = cast(ast.SetComp, node)
        return self._comprehension(node, comprehension.generators, [comprehension.elt])

    def _dictcomp(self, node: ast.expr) -> Value:
        comprehension = cast(ast.DictComp, node)
        return self._comprehension(node, comprehension.generators, [comprehension.key, comprehension.value])

    def _generatorexp(self, node: ast.expr) -> Value:
        comprehension = cast(ast.GeneratorExp, node)
        made = self._comprehension(node, comprehension.generators, [comprehension.elt])
        sources = [self.value(generator.iter) for generator in comprehension.generators[:1]]
        function = Function(comprehension, self.machine.scope, self.machine.fresh(node, "function"))
        self.machine.regions.attach(made.regions, [self.remembered(function)])
        pooled = self.machine.pool([made, *sources], function.region, *self.around())
        return Value(Kind.ANY, pooled.regions)

    def _comprehension(
        self, node: ast.AST, generators: Sequence[ast.comprehension], items: Sequence[ast.expr]
    ) -> Value:
        made = Value(Kind.BOX, frozenset({self.machine.fresh(node)}))
        targets = bound(generator.target for generator in generators)
        outer = self.machine.scope
        scope = Scope(
            frozenset(targets),
            outer,
            self.machine.fresh(node, "scope"),
            is_comprehension=True,
            kept=kept(items),
        )
        self.machine.scope = scope
        try:
            with self.machine.perhaps():
                self.repeat(lambda: self._go_through(made, generators, items))
        finally:
            self.machine.scope = outer
        return made

    def _go_through(
        self, made: Value, generators: Sequence[ast.comprehension], items: Sequence[ast.expr]
    ) -> None:
        for generator in generators:
            self.assign(generator.target, self.each(generator.iter))
            for condition in generator.ifs:
                self.special(self.value(condition))
        for item in items:
            value = self.value(item)
            self.special(value)  # keys are hashed
            self.machine.keep(made, value)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Give a target a value."""
        if isinstance(target, ast.Name):
            self.machine.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            part = self.parts(value)
            for item in target.elts:
                self.assign(item, part)
        elif isinstance(target, ast.Starred):
            made = Value(Kind.BOX, frozenset({self.machine.fresh(target)}))
            self.machine.keep(made, value)
            self.assign(target.value, made)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value)
            if owner.kind is Kind.LIBRARY:
                self.machine.change_library(f"{owner.what}.{target.attr}")
                self.machine.keep(self.machine.kept_by(options_of(str(owner.what))), value)
            if owner.kind is Kind.INSTANCE:
                owner.what.own.add(target.attr)
                self.machine.repeats.learn(("own", id(owner.what), target.attr), value=True)
            else:
                self.machine.set_elsewhere.add(target.attr)
            self._store(owner, value)
            self.attribute_set(owner, value)
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value)
            index = self.value(target.slice)
            self._store(owner, index)
            self._store(owner, value)

    def _store(self, owner: Value, value: Value) -> None:
        self.special(owner)
        self.machine.mutate(owner)
        if (
            owner.kind is Kind.DATA
            and value.kind in _QUIET
            and self.machine.regions.holds(value) is Kind.PLAIN
        ):
            return  # its parts are copied into the table or array
        self.machine.keep(owner, value)
        if self.machine.worldly(owner):
            self.machine.call_world()


def _folded(operator: ast.operator, left: str | None, right: str | None) -> Value:
    """Return what an operator makes of two texts or paths."""
    if left is not None and right is not None:
        if isinstance(operator, ast.Add):
            return constant(left + right)
        if isinstance(operator, ast.Div):
            return constant(posixpath.join(left, right))
    return PLAIN
