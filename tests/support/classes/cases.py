"""How a class is declared for the coverage test: cells that make, change and compare one variable of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from textwrap import dedent, indent


@dataclass(frozen=True)
class Case:
    """One variable `x` through the life of a notebook: made, changed, stored, restored, compared."""

    library: str
    setup: str
    """Code of a first cell, usually imports. It also runs where `a` and `b` are compared."""
    make: str
    """Code that makes `x`."""
    change: str
    """Code that changes it: in place where it can be changed, else a new value for every name that has it."""
    equal: str
    """Whether `a` and `b` are equal by the class's own meaning: an expression."""
    keeps: str = ""
    """What must hold among the variables after the restore, such as two arrays that share memory."""
    refused: str = ""
    """Why it cannot be stored, for people; empty for what can be."""
    reason: str = ""
    """A regular expression for what the checkpoint says about it, when it is refused."""
    note: str = ""
    """For the table, such as which kind of array."""
    fixed: bool = False
    """Whether it cannot be changed, so that another object of the same value serves as well."""
    again: bool = True
    """Whether `change` can run once more after the restore."""


@dataclass
class Library:
    """The classes of one library; calling it declares one."""

    name: str
    setup: str = ""
    equal: str = "a == b"
    cases: list[Case] = field(default_factory=list)

    def __call__(
        self, make: str, change: str, equal: str = "", *, keeps: str = "", note: str = "", again: bool = True
    ) -> None:
        """Declare something that is changed in place. `make` is an expression for `x`, or code that sets it."""
        self._add(make, dedent(change), equal, keeps=keeps, note=note, again=again)

    def fixed(self, make: str, other: str, equal: str = "", *, keeps: str = "", note: str = "") -> None:
        """Declare something that cannot be changed: `x` is set to `other`, wherever it was held."""
        self._add(make, f"x = {other}\nalias = holder['x'] = x", equal, keeps=keeps, note=note, fixed=True)

    def refused(self, make: str, why: str, reason: str) -> None:
        """Declare something that no checkpoint can hold."""
        self._add(make, "beside.append(1)", "", refused=why, reason=reason)

    def _add(self, make: str, change: str, equal: str, **more: str | bool) -> None:
        made = dedent(make).strip()
        if _is_expression(made):
            made = f"x = {made}"
        self.cases.append(
            Case(self.name, dedent(self.setup), made, change, equal or self.equal, **more)  # type: ignore[arg-type]
        )

    def same(self, equal: str, *rows: tuple[str, str]) -> None:
        """Declare several that are compared in one way."""
        for make, change in rows:
            self(make, change, equal)


def cells(case: Case) -> tuple[str, str]:
    """Return the two cells before the first and the second checkpoint."""
    first = (
        f"{case.setup}\n{case.make}\nalias = x\nholder = {{'x': x, 'list': [x]}}\nbeside = ['untouched']\n"
    )
    return first, f"{case.change}\n"


def comparison(case: Case) -> str:
    """Return code that defines `equal(a, b)` on the case's own terms."""
    return f"{case.setup}\ndef equal(a, b):\n{indent(f'return bool({case.equal})', '    ')}\n"


def _is_expression(code: str) -> bool:
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        return False
    return True
