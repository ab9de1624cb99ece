"""The abstract execution of statements."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.callbacks import leads_to_code, run_kept_by_state
from respawn_jobs.dataflow.interpreter.definitions import Definitions
from respawn_jobs.dataflow.interpreter.open_files import is_alone
from respawn_jobs.dataflow.interpreter.scopes import bound
from respawn_jobs.dataflow.interpreter.state import known
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import PLAIN, UNKNOWN, Kind, Value, join
from respawn_jobs.dataflow.libraries import library_facts
from respawn_jobs.dataflow.libraries.state_effects import FEATURES, TEMPORARY, THINGS
from respawn_jobs.model.hidden_state import IMPORTS, SHOWN

_MAX_TARGETS = 10_000
_ANNOTATIONS = "__annotations__"


class Statements(Definitions):
    """Executes statements."""

    def statements(self, nodes: Sequence[ast.stmt]) -> None:
        """Execute statements in their order."""
        for node in nodes:
            self.statement(node)

    def end_cell(self) -> None:
        """Run what the libraries that the cell has used were given to call."""
        run_kept_by_state(self)

    def statement(self, node: ast.stmt) -> None:
        """Execute one statement.

        Raises:
            Opaque: it is of a kind that is not known, or does what cannot be followed.
        """
        self.machine.step()
        method: Callable[[ast.stmt], None] | None = getattr(self, f"_do_{type(node).__name__.lower()}", None)
        if method is None:
            raise Opaque(f"it has a statement that is not known: {type(node).__name__}")
        method(node)

    def perhaps(self, nodes: Sequence[ast.stmt]) -> None:
        """Execute statements that may not run, or not to their end."""
        with self.machine.perhaps():
            self.statements(nodes)

    def _do_pass(self, node: ast.stmt) -> None:
        pass

    _do_break = _do_continue = _do_global = _do_nonlocal = _do_pass

    def _do_expr(self, node: ast.stmt) -> None:
        shown, machine = cast(ast.Expr, node).value, self.machine
        outer, machine.statement = machine.statement, shown if isinstance(shown, ast.Call) else None
        value = self.value(shown)
        self.special(value, every=machine.scope is None and value.kind is Kind.ANY)
        machine.statement = outer
        if machine.scope is None:
            machine.use(SHOWN)  # what a cell ends with is displayed

    def _do_assign(self, node: ast.stmt) -> None:
        assigned = cast(ast.Assign, node)
        value = assigned.value
        for target in assigned.targets:
            pairs = isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List)
            if pairs and _one_to_one(target, value) and len(assigned.targets) == 1:
                found = [self.value(item) for item in cast(ast.Tuple, value).elts]
                for part, item in zip(cast(ast.Tuple, target).elts, found, strict=True):
                    self.assign(part, item)
                return
        found_value = self.value(value)
        for target in assigned.targets:
            self.assign(target, found_value)

    def _do_annassign(self, node: ast.stmt) -> None:
        assigned = cast(ast.AnnAssign, node)
        self.machine.read_state(FEATURES)
        if assigned.value is not None:
            self.assign(assigned.target, self.value(assigned.value))
        scope = self.machine.scope
        if not isinstance(assigned.target, ast.Name) or scope is None or scope.is_class:
            annotation = self.value(assigned.annotation)
            if scope is not None and scope.is_class:
                # A library that makes something of the class may call what stands in it.
                scope.names[_ANNOTATIONS] = join(scope.names.get(_ANNOTATIONS, annotation), annotation)

    def _do_augassign(self, node: ast.stmt) -> None:
        assigned = cast(ast.AugAssign, node)
        before = self.value(_as_read(assigned.target))
        added = self.value(assigned.value)
        if before.kind is Kind.LIBRARY:
            self.machine.mutate(before)
        if before.kind is not Kind.PLAIN:
            self.special(before, added)
            self.machine.mutate(before)
            if before.kind is Kind.BOX:
                self.machine.regions.put(before, self.parts(added))
            after = before if before.kind in (Kind.BOX, Kind.DATA) else self.machine.pool([before, added])
            if self.machine.worldly(after):
                self.machine.call_world()
            if before.kind is Kind.DATA and self.machine.regions.holds(added) is not Kind.PLAIN:
                self.machine.regions.put(before, added)
        else:
            after = self.operate(node, before, added, assigned.op)
        self.assign(assigned.target, after)

    def _do_delete(self, node: ast.stmt) -> None:
        for target in cast(ast.Delete, node).targets:
            self._delete(target)

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.machine.unbind(target.id)
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._delete(part)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            owner = self.value(target.value)
            if isinstance(target, ast.Subscript):
                self.value(target.slice)
            else:
                self.attribute_set(owner)
            self.special(owner)
            self.machine.mutate(owner)
            if self.machine.worldly(owner):
                self.machine.call_world()

    def _do_return(self, node: ast.stmt) -> None:
        given = cast(ast.Return, node).value
        self.give_back(self.value(given) if given is not None else PLAIN)

    def _do_raise(self, node: ast.stmt) -> None:
        raised = cast(ast.Raise, node)
        for part in (raised.exc, raised.cause):
            value = self.value(part) if part is not None else PLAIN
            if value.kind is not Kind.LIBRARY and leads_to_code(self.machine, value):
                self.called(node, value, Given())  # an exception that is raised as a class is made

    def _do_assert(self, node: ast.stmt) -> None:
        self.special(self.value(cast(ast.Assert, node).test))
        message = cast(ast.Assert, node).msg
        if message is not None:
            self.maybe([message])

    def _do_if(self, node: ast.stmt) -> None:
        choice = cast(ast.If, node)
        self.special(self.value(choice.test))
        self.perhaps(choice.body)
        self.perhaps(choice.orelse)

    def _do_while(self, node: ast.stmt) -> None:
        loop = cast(ast.While, node)
        self.special(self.value(loop.test))

        def again() -> None:
            self.perhaps(loop.body)
            self.special(self.value(loop.test))

        self.repeat(again)
        self.perhaps(loop.orelse)

    def _do_for(self, node: ast.stmt) -> None:
        loop = cast(ast.For, node)

        def again() -> None:
            with self.machine.perhaps():
                self.assign(loop.target, self.each(loop.iter))
                self.statements(loop.body)

        self.each(loop.iter)
        self.repeat(again)
        self.perhaps(loop.orelse)

    _do_asyncfor = _do_for

    def _do_with(self, node: ast.stmt) -> None:
        managed = cast(ast.With, node)
        before = set(self.machine.trace.binds)
        put_back: set[str] = set()
        for item in managed.items:
            put_back |= self._put_back(item.context_expr)
            context = self.value(item.context_expr)
            entered = self._entered(context)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered)
        self.perhaps(managed.body)
        self.machine.trace.binds -= put_back - before

    def _entered(self, context: Value) -> Value:
        if context.kind is Kind.PLAIN:
            return PLAIN
        if is_alone(self.machine, context):
            self.machine.use_value(context)
            self.machine.mutate(context)
            return context
        return self.anything([context])

    def _put_back(self, context: ast.expr) -> set[str]:
        """Return the parts of the state that a context manager puts back as they were."""
        if not isinstance(context, ast.Call):
            return set()
        manager = self.value(context.func)
        state = TEMPORARY.get(str(manager.what)) if manager.kind is Kind.LIBRARY else None
        return {state} if state is not None else set()

    _do_asyncwith = _do_with

    def _do_try(self, node: ast.stmt) -> None:
        tried = cast(ast.Try, node)

        def again() -> None:
            self.perhaps(tried.body)
            for handler in tried.handlers:
                if handler.type is not None:
                    self.maybe([handler.type])
                self._handle(handler)
            self.perhaps(tried.orelse)
            self.perhaps(tried.finalbody)

        self.repeat(again)

    _do_trystar = _do_try

    def _handle(self, handler: ast.ExceptHandler) -> None:
        with self.machine.perhaps():
            if handler.name:
                # An exception holds the frames that it came through, and so all that they saw.
                self.machine.bind(handler.name, UNKNOWN)
            self.statements(handler.body)
            if handler.name:
                self.machine.unbind(handler.name, there=False)

    def _do_match(self, node: ast.stmt) -> None:
        matched = cast(ast.Match, node)
        subject = self.value(matched.subject)
        self.special(subject)
        self.attribute_set(subject)  # patterns read attributes
        parts = self.machine.pool([subject]) if subject.kind is not Kind.PLAIN else PLAIN
        self.machine.mutate(*([parts] if subject.kind not in (Kind.PLAIN, Kind.BOX, Kind.DATA) else []))
        for case in matched.cases:
            with self.machine.perhaps():
                for part in ast.walk(case.pattern):
                    if isinstance(part, ast.MatchValue):
                        self.value(part.value)
                    elif isinstance(part, ast.MatchClass):
                        self.value(part.cls)
                for name in bound([case.pattern]):
                    self.machine.bind(name, parts)
                if case.guard is not None:
                    self.special(self.value(case.guard))
                self.statements(case.body)

    def _do_import(self, node: ast.stmt) -> None:
        for alias in cast(ast.Import, node).names:
            root = alias.name.partition(".")[0]
            self._import(alias.name)
            self.machine.bind(
                alias.asname or root, Value(Kind.LIBRARY, what=alias.name if alias.asname else root)
            )

    def _do_importfrom(self, node: ast.stmt) -> None:
        imported = cast(ast.ImportFrom, node)
        module = "." * imported.level + (imported.module or "")
        self._import(module)
        if module == "__future__":
            self.machine.change_state(FEATURES)
        for alias in imported.names:
            if alias.name == "*":
                raise Opaque(f"it imports everything from {module}")
            path = f"{module}.{alias.name}"
            if module in ("__main__", "builtins"):
                raise Opaque(f"it imports from {module}")
            for thing, state in THINGS.items():
                if path == thing:
                    self.machine.read_state(state)
            self.machine.bind(alias.asname or alias.name, Value(Kind.LIBRARY, what=path))

    def _import(self, module: str) -> None:
        root = module.partition(".")[0]
        self.machine.use(IMPORTS)
        if (
            root not in library_facts.OPAQUE_MODULES
            and not known(module)
            and root not in sys.stdlib_module_names
        ):
            # The first import of a module runs it.
            self.machine.call_world()

    def _do_typealias(self, node: ast.stmt) -> None:
        raise Opaque("it declares a type")


def _one_to_one(target: ast.expr, value: ast.expr) -> bool:
    targets, values = cast(ast.Tuple, target).elts, cast(ast.Tuple, value).elts
    return len(targets) == len(values) and not any(
        isinstance(part, ast.Starred) for part in (*targets, *values)
    )


@lru_cache(_MAX_TARGETS)
def _as_read(target: ast.expr) -> ast.expr:
    """Return the expression that reads what an augmented assignment changes: the same node each time."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    subscript = cast(ast.Subscript, target)
    return ast.Subscript(subscript.value, subscript.slice, ast.Load())
