"""Objects whose way back is checked by what code sees of them: made, stored, and looked at in another process.

`see` is an expression: its text must be the same for what was stored and for what came back.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from textwrap import dedent


@dataclass(frozen=True)
class Kind:
    """Some variables, and what code sees of them."""

    name: str
    make: str
    """Code of a cell."""
    see: str
    """An expression; its `repr` is compared."""
    named: str = ""
    """A regular expression for the reason, when a variable of it is listed as not stored instead."""


KINDS: list[Kind] = []


def kind(name: str, make: str, see: str, named: str = "") -> None:
    """Declare a kind."""
    KINDS.append(Kind(name, dedent(make).strip(), dedent(see).strip(), named))


def _declared() -> list[Kind]:
    for name in ("functions", "views", "classes", "instances", "identity", "machines", "arrays"):
        import_module(f"support.classes.kinds.{name}")
    return KINDS


def kinds() -> list[Kind]:
    """Return all kinds."""
    return KINDS or _declared()
