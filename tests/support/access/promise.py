"""The table of docs/reference/access.md, which tests hold the service to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "access.md"
_ROUTE = re.compile(r"\| `([A-Z]+) (\S+)` \| ([^|]+) \| ([^|]+) \|")
_WHO = re.compile(r"\| \*\*(.+?)\*\* \|(.+)\|")


@dataclass(frozen=True)
class Line:
    """What one route takes and needs."""

    method: str
    path: str
    taken: str
    """How one signs in: `token or session`, `session`, `attempt token`, `nothing`, … as the page has it."""
    needs: str
    """What one needs: a right, such as `run`, or `sign-in`, `nothing`, …"""


@cache
def lines() -> dict[tuple[str, str], Line]:
    """Return the table's lines, by method and path."""
    found = [
        Line(method, "/" + path.lstrip("/"), taken.strip(), needs.strip().strip("`"))
        for method, path, taken, needs in _ROUTE.findall(PAGE.read_text())
    ]
    by_route = {(line.method, line.path): line for line in found}
    assert len(by_route) == len(found), "a route has two lines"
    return by_route


@cache
def holders() -> dict[str, set[str]]:
    """Return which rights each kind of person has, as the page says."""
    text = PAGE.read_text()
    head = next(line for line in text.splitlines() if line.startswith("| who |"))
    rights = [cell.strip().strip("`") for cell in head.split("|")[2:-1]]
    found = {}
    for who, cells in _WHO.findall(text):
        marks = [cell.strip() for cell in cells.split("|")]
        found[who] = {right for right, mark in zip(rights, marks, strict=True) if mark == "yes"}
    return found
