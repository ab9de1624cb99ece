"""The table that a restore shows: what came back, what could not, which cells ran again.

Everything in it comes from a notebook that somebody wrote, so everything is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from respawn_kernels.manifest import StoredVariable, UnstoredVariable
from respawn_kernels.restore import RestorePoint
from respawn_kernels.snapshot import RestoreReport

# JupyterLab strips <style> from notebooks that it does not trust, and aligns cells to the right by itself.
_LEFT = "style='text-align:left'"
_RIGHT = "style='text-align:right'"
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class RerunCell:
    """A cell that ran again, and the error it ended in."""

    index: int
    error: str | None


class StateTable:
    """A restore to look at, as HTML in a notebook and as text elsewhere."""

    def __init__(
        self, point: RestorePoint, report: RestoreReport | None, rerun: Sequence[RerunCell] = ()
    ) -> None:
        self._point = point
        self._rerun = rerun
        manifest = report.manifest if report is not None else None
        back = set(report.restored) if report is not None else set()
        self._variables = [v for v in manifest.variables if v.name in back] if manifest else []
        self._missing = [*(manifest.unstored if manifest else []), *(report.failed if report else [])]
        self._cwd = (manifest.cwd, report.cwd) if manifest and report else ("", "")

    def __repr__(self) -> str:
        lines = [self._headline()]
        lines += _columns([("Name", "Type", "Value", "Size")] if self._variables else [], self._rows())
        for heading, rows in self._lists():
            lines += ["", heading, *(f"  {row}" for row in rows)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self._headline())}</p>"]
        if self._variables:
            names = "".join(f"<th {_LEFT}>{name}</th>" for name in ("Name", "Type", "Value"))
            body = "".join(
                f"<tr><td {_LEFT}><code>{escape(name)}</code></td><td {_LEFT}>{escape(kind)}</td>"
                f"<td {_LEFT}>{escape(value)}</td><td {_RIGHT}>{escape(size)}</td></tr>"
                for name, kind, value, size in self._rows()
            )
            head = f"<tr>{names}<th {_RIGHT}>Size</th></tr>"
            parts.append(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")
        for heading, rows in self._lists():
            items = "".join(f"<li>{escape(row)}</li>" for row in rows)
            parts.append(f"<p><strong>{escape(heading)}</strong></p><ul>{items}</ul>")
        return "".join(parts)

    def _headline(self) -> str:
        point = self._point
        failed = f" (it failed in cell {point.failing_cell})" if point.failing_cell is not None else ""
        if point.cell is None:
            return f"{point.run}{failed}: no cell had finished before, so there is nothing to restore."
        count = len(self._variables)
        noun = "variable" if count == 1 else "variables"
        return f"{point.run}{failed}: {count} {noun}, as just after cell {point.cell}."

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [(v.name, v.type, v.description, _size(v)) for v in self._variables]

    def _lists(self) -> Iterable[tuple[str, list[str]]]:
        if self._missing:
            yield "Could not be restored:", [_missing(variable) for variable in self._missing]
        if self._rerun:
            yield "Run again (respawn:always):", [_rerun(cell) for cell in self._rerun]
        recorded, now = self._cwd
        if recorded and now is None:
            yield "The working directory does not exist here:", [recorded]


def _missing(variable: UnstoredVariable) -> str:
    made = f", made by cell {variable.cell}" if variable.cell is not None and variable.cell >= 0 else ""
    return f"{variable.name} ({variable.type}{made}): {variable.reason}"


def _rerun(cell: RerunCell) -> str:
    return f"cell {cell.index}" + ("" if cell.error is None else f" failed: {cell.error}")


def _size(variable: StoredVariable) -> str:
    if variable.size is None:
        return ""
    size, unit = float(variable.size), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _columns(head: list[tuple[str, str, str, str]], rows: list[tuple[str, str, str, str]]) -> list[str]:
    table = [*head, *rows]
    widths = [max((len(row[i]) for row in table), default=0) for i in range(4)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
