"""What differs between the variables of a session and those of a checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from respawn_kernels.checkpoint.manifest import StoredVariable
from respawn_kernels.checkpoint.placeholder import Placeholder
from respawn_kernels.debug.state_table import MAX_ROWS, Row, columns, cut, html_table
from respawn_kernels.introspection.descriptions import describe, type_name
from respawn_kernels.introspection.equality import same
from respawn_kernels.namespace import user_names
from respawn_kernels.restore.restore import StoredState

_ORDER = ("changed", "cannot compare", "added", "removed")


@dataclass(frozen=True)
class Difference:
    """One variable that is not the same in both."""

    name: str
    kind: str
    """`changed`, `added`, `removed`, or `cannot compare`."""
    there: str
    """What the checkpoint holds, in a few words."""
    here: str


@dataclass(frozen=True)
class Diff:
    """How a session and a checkpoint differ; to look at, as HTML in a notebook and as text elsewhere."""

    reference: str
    differences: list[Difference]
    unchanged: int

    def __repr__(self) -> str:
        rows, more = self._rows()
        return "\n".join([self._headline(), *(columns([_HEAD, *rows]) if rows else []), *more])

    def _repr_html_(self) -> str:
        rows, more = self._rows()
        table = html_table(_HEAD, rows) if rows else ""
        return f"<p>{escape(self._headline())}</p>{table}" + "".join(f"<p>{escape(m)}</p>" for m in more)

    def _headline(self) -> str:
        counts = [(kind, sum(d.kind == kind for d in self.differences)) for kind in _ORDER]
        words = [f"{count:,} {kind}" if kind != "cannot compare" else f"{count:,} not comparable"
                 for kind, count in counts if count]  # fmt: skip
        summary = ", ".join([*words, f"{self.unchanged:,} unchanged"])
        return f"The variables here, compared with {self.reference}: {summary}."

    def _rows(self) -> tuple[list[Row], list[str]]:
        ordered = sorted(self.differences, key=lambda d: (_ORDER.index(d.kind), d.name))
        rows: list[Row] = [
            (cut(d.name, 40), d.kind, cut(d.there, 72) or "—", cut(d.here, 72) or "—")
            for d in ordered[:MAX_ROWS]
        ]
        rest = len(ordered) - MAX_ROWS
        return rows, [f"… and {rest:,} more"] if rest > 0 else []


_HEAD = ("Name", "Change", "In the checkpoint", "Here")


def compare(
    reference: str, state: StoredState, namespace: dict[str, Any], untouched: Collection[str] = ()
) -> Diff:
    """Compare the variables of a session with those of a checkpoint, by content.

    Args:
        reference: what the checkpoint is called, for the headline.
        state: the checkpoint; variables that have to be compared are loaded from it.
        namespace: the session's variables.
        untouched: names that are known to be the same, and are not loaded.
    """
    stored = {variable.name: variable for variable in state.manifest.variables}
    unstored = {item.name for item in state.manifest.unstored}
    here = {name: namespace[name] for name in user_names(namespace) if name not in untouched}
    found = [
        Difference(name, "added", "", _words(value))
        for name, value in here.items()
        if name not in stored and not (name in unstored and type(value) is Placeholder)
    ]
    found += [
        Difference(name, "removed", _stored_words(variable), "")
        for name, variable in stored.items()
        if name not in here and name not in untouched
    ]
    both = {name: here[name] for name in stored if name in here}
    alike = {name: value for name, value in both.items() if _looks_alike(stored[name], value)}
    found += [
        Difference(name, "changed", _stored_words(stored[name]), _words(value))
        for name, value in both.items()
        if name not in alike
    ]
    found += _compared(state, stored, alike)
    total = len(stored) - len([d for d in found if d.kind != "added"])
    return Diff(reference, found, total)


def _compared(
    state: StoredState, stored: Mapping[str, StoredVariable], alike: Mapping[str, Any]
) -> list[Difference]:
    values = state.load(list(alike))
    found = []
    for name, value in alike.items():
        there, here = _stored_words(stored[name]), _words(value)
        if name not in values:
            found.append(
                Difference(name, "cannot compare", f"could not be loaded: {state.reason(name)}", here)
            )
        elif (answer := same(values[name], value)) is not True:
            kind = "cannot compare" if answer is None else "changed"
            found.append(Difference(name, kind, there, here))
    return found


def _looks_alike(variable: StoredVariable, value: Any) -> bool:
    return type_name(value) == variable.type and describe(value) == variable.description


def _words(value: Any) -> str:
    return " ".join(part for part in (type_name(value), describe(value)) if part)


def _stored_words(variable: StoredVariable) -> str:
    return " ".join(part for part in (variable.type, variable.description) if part)
