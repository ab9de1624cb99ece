"""What a migration may do for its kind, read from its text without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from respawn_jobs.store.schema import KINDS, release_number

LARGE = {
    "artifact_blobs", "artifacts", "attempts", "audit", "blobs", "cells", "checkpoint_blobs", "checkpoints",
    "namespace_blobs", "notices", "runs", "sensor_objects", "tombstones", "versions",
}  # fmt: skip
"""Tables that grow with every run: an index is built beside those who write into them."""
_ADDING = {
    "add_column",
    "create_table",
    "create_index",
    "execute",
    "get_bind",
    "get_context",
    "f",
    "bulk_insert",
}
_NOT_ADDING = re.compile(r"\b(drop|rename|alter|truncate|delete|not\s+null)\b", re.IGNORECASE)
_FIRST_RELEASE = "0.1"
_CONSTANT_DEFAULTS = {"text", "true", "false"}


@dataclass(frozen=True)
class MigrationText:
    """A migration as its author wrote it."""

    text: str

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def stated(self) -> dict[str, str | None]:
        """What it says of itself: `revision`, `kind` and the others."""
        return {
            node.targets[0].id: node.value.value
            for node in self._tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }

    @property
    def is_first(self) -> bool:
        return self.stated.get("down_revision") is None

    def broken(self) -> list[str]:
        """Return the rules that it breaks, in words."""
        return [*self._of_statement(), *(self._of_expansion() if self.stated.get("kind") == "expand" else ())]

    def _of_statement(self) -> Iterator[str]:
        functions = {node.name for node in self._tree.body if isinstance(node, ast.FunctionDef)}
        if not self.is_first and "downgrade" not in functions:
            yield "it has no downgrade"
        kind, release, oldest = (str(self.stated.get(name)) for name in ("kind", "release", "oldest"))
        if kind not in KINDS:
            yield f"its kind is {kind}"
            return
        (major, minor), earliest = release_number(release), release_number(oldest)
        if kind == "contract" and oldest != release:
            yield "a contraction can be used by its own release and newer ones alone"
        before = earliest == (major, minor - 1) if minor else earliest[0] == major - 1
        if kind == "expand" and not before and not release == oldest == _FIRST_RELEASE:
            yield f"an expansion of {release} leaves the release before able to go on, not {oldest}"

    @cached_property
    def _calls(self) -> list[ast.Call]:
        """What it does on its way forward."""
        forward = [
            node
            for node in self._tree.body
            if not (isinstance(node, ast.FunctionDef) and node.name == "downgrade")
        ]
        return [call for node in forward for call in ast.walk(node) if isinstance(call, ast.Call)]

    @cached_property
    def _made(self) -> set[str]:
        """The tables that it makes: with them it may do what it likes."""
        return {_text(call.args[0]) for call in self._calls if _operation(call) == "create_table"}

    def _of_expansion(self) -> Iterator[str]:
        yield from self._of_locks()
        large = [call for call in self._calls if _name(call) == "create_large_index"]
        others = [name for call in self._calls if (name := _operation(call))]
        if large and others:
            yield "an index built beside writers is in no transaction: it stands alone in its migration"
        for call in self._calls:
            yield from self._of_operation(call, _operation(call))

    def _of_locks(self) -> Iterator[str]:
        locks = [
            (call.lineno, _operation(call) != "add_column", table)
            for call in self._calls
            for table in _locked(call)
            if table not in self._made
        ]
        if len({table for _, _, table in locks}) > 1:
            yield "it holds one table that others use and waits for another: one each"
        elif [weak for _, weak, _ in sorted(locks)] != sorted(weak for _, weak, _ in locks):
            yield "a lock that grows is a deadlock with writers: add columns first"

    def _of_operation(self, call: ast.Call, name: str) -> Iterator[str]:
        if name == "bulk_insert" and not self.is_first:
            yield "it inserts rows, which a step back would count as lost"
        elif name == "execute":
            if _NOT_ADDING.search(ast.unparse(call)):
                yield f"it does more than add: {ast.unparse(call)}"
        elif name == "create_index":
            yield from self._of_index(call)
        elif name == "add_column":
            yield from self._of_column(_text(call.args[0]), call.args[1])
        elif name and name not in _ADDING:
            yield f"it does more than add: op.{name}"
        if _name(call) in ("ForeignKey", "ForeignKeyConstraint"):
            yield from self._of_reference(call)

    def _of_index(self, call: ast.Call) -> Iterator[str]:
        table = _text(call.args[1])
        if table in self._made:
            return
        if _is_true(call, "unique"):
            yield f"older code may write what a unique index of {table} refuses"
        if table in LARGE:
            yield f"{table} is large: create_large_index"

    def _of_column(self, table: str, column: ast.expr) -> Iterator[str]:
        if not isinstance(column, ast.Call):
            yield "it adds a column that is not written out"
            return
        given = {word.arg: word.value for word in column.keywords}
        required = isinstance(found := given.get("nullable"), ast.Constant) and found.value is False
        default = given.get("server_default")
        if required and default is None:
            yield f"older code would leave a column of {table} empty that is NOT NULL and has no default"
        if default is not None and not _is_constant(default):
            yield f"a default of {table} that is not constant rewrites the table"
        if _is_true(column, "unique") or _is_true(column, "primary_key"):
            yield f"older code may write what a unique column of {table} refuses"
        if table in LARGE and _is_true(column, "index"):
            yield f"{table} is large: create_large_index"

    def _of_reference(self, call: ast.Call) -> Iterator[str]:
        tables = _locked(call)
        ondelete = [_text(word.value).upper() for word in call.keywords if word.arg == "ondelete"]
        if tables - self._made and ondelete not in (["CASCADE"], ["SET NULL"]):
            names = ", ".join(sorted(tables))
            yield f"older code removes rows of {names} and knows nothing that refers to them"


def _locked(call: ast.Call) -> set[str]:
    """Return the tables that a call locks until the transaction ends."""
    if _name(call) in ("ForeignKey", "ForeignKeyConstraint"):
        targets = [_text(node) for node in ast.walk(call) if isinstance(node, ast.Constant)]
        return {target.partition(".")[0] for target in targets if "." in target}
    place = {"add_column": 0, "create_index": 1}.get(_operation(call))
    return set() if place is None else {_text(call.args[place])}


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _operation(call: ast.Call) -> str:
    """Return the name of an operation of Alembic; empty for any other call."""
    whole = ast.unparse(call.func)
    return whole.removeprefix("op.") if whole.startswith("op.") else ""


def _text(node: ast.expr | ast.AST) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _is_true(call: ast.Call, name: str) -> bool:
    return any(word.arg == name and _text(word.value) == "True" for word in call.keywords)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Call) and _name(node) in _CONSTANT_DEFAULTS and "(" not in _args(node)
    )


def _args(call: ast.Call) -> str:
    return ", ".join(ast.unparse(one) for one in call.args)
