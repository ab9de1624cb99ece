"""The table that a restore shows: what came back, what could not, which cells ran again.

Everything in it comes from a notebook that somebody wrote, so everything is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html import escape

from respawn_kernels import hash_seed
from respawn_kernels.checkpoint.manifest import StoredVariable, UnstoredVariable
from respawn_kernels.counting import how_many
from respawn_kernels.exchange.restore_point import RestorePoint
from respawn_kernels.host.directory import working_directory
from respawn_kernels.restore.report import RestoreReport
from respawn_kernels.session_state import title
from respawn_kernels.sizes import how_large

MAX_ROWS = 200
_MAX_NAMED = 20
_WIDEST_NAME = 40
_WIDEST_VALUE = 72
# JupyterLab strips <style> from notebooks that it does not trust, and aligns cells to the right by itself.
_LEFT = "style='text-align:left;vertical-align:top'"
_RIGHT = "style='text-align:right;vertical-align:top;white-space:nowrap'"
_BOX = "style='max-height:24em;overflow:auto;margin:0 0 0.75em'"

LOADED, PENDING, CHANGED, GONE = "loaded", "when used", "bound anew", "deleted"


@dataclass(frozen=True)
class RerunCell:
    """A cell that ran again, and the error it ended in."""

    index: int
    error: str | None


Row = tuple[str, ...]


class StateTable:
    """A restore to look at, as HTML in a notebook and as text elsewhere.

    Args:
        point: what was restored.
        report: the report of the restore; None when there was nothing to restore.
        rerun: cells that ran again.
        states: `LOADED`, `PENDING`, `CHANGED` or `GONE` by variable; None for all `LOADED`.
        pattern: show only names that match it, such as `df*`; None for all.
    """

    def __init__(
        self,
        point: RestorePoint,
        report: RestoreReport | None,
        rerun: Sequence[RerunCell] = (),
        states: Mapping[str, str] | None = None,
        pattern: str | None = None,
    ) -> None:
        self._point = point
        self._rerun = rerun
        self._states = states or {}
        self._pattern = pattern
        manifest = self._manifest = report.manifest if report is not None else None
        back = set(report.restored) if report is not None else set()
        self._variables = [v for v in manifest.variables if v.name in back] if manifest else []
        self._missing = [*(manifest.unstored if manifest else []), *(report.failed if report else [])]
        self._cwd = (manifest.cwd, report.cwd) if manifest and report else ("", "")

    def __repr__(self) -> str:
        lines = [self._headline()]
        for heading, head, rows, more in self._tables():
            lines += ["", heading] if heading else []
            lines += [*columns([head, *rows]), *more]
        for heading, items in self._lists():
            lines += ["", heading, *(f"  {item}" for item in items)]
        for note in self._notes():
            lines += ["", note]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self._headline())}</p>"]
        for heading, head, rows, more in self._tables():
            parts += [f"<p><strong>{escape(heading)}</strong></p>"] if heading else []
            parts += [html_table(head, rows), *(f"<p>{escape(line)}</p>" for line in more)]
        for heading, items in self._lists():
            listed = "".join(f"<li>{escape(item)}</li>" for item in items)
            parts.append(f"<p><strong>{escape(heading)}</strong></p><ul>{listed}</ul>")
        parts += [f"<p>{escape(note)}</p>" for note in self._notes()]
        return "".join(parts)

    def _headline(self) -> str:
        point = self._point
        failed = f" (it failed in cell {point.failing_cell})" if point.failing_cell is not None else ""
        if point.cell is None:
            return f"{point.run}{failed}: no cell had finished before, so there is nothing to restore."
        count, size = len(self._variables), sum(v.size or 0 for v in self._variables)
        noun = f"{how_many(count, 'variable')}" + (f", {how_large(size)}" if size else "")
        if point.saved:
            return f"{point.reference}: {noun}, as you saved them on {point.saved}."
        waiting = any(state == PENDING for state in self._states.values())
        when = " Each is loaded when code first uses it." if waiting else ""
        return f"{point.run}{failed}: {noun}, as just after cell {point.cell}.{when}"

    def _tables(self) -> Iterable[tuple[str, Row, list[Row], list[str]]]:
        """Return a heading, a head, rows and lines below, for each table."""
        shown = [v for v in self._variables if self._pattern is None or fnmatchcase(v.name, self._pattern)]
        if shown:
            more = []
            if len(shown) > MAX_ROWS:
                first = f"These are the first {MAX_ROWS:,} of {len(shown):,}."
                more = [f"{first} To find another: %respawn state NAME, or a pattern such as df*"]
            yield (
                "",
                ("Name", "Type", "Value", "Size", "Here"),
                [self._row(v) for v in shown[:MAX_ROWS]],
                more,
            )
        elif self._pattern is not None:
            yield "", (f"No restored variable matches {self._pattern}",), [], []
        missing = [v for v in self._missing if self._pattern is None or fnmatchcase(v.name, self._pattern)]
        if missing:
            more = []
            if len(missing) > MAX_ROWS:
                more = [f"… and {len(missing) - MAX_ROWS:,} more"]
            rows = [missing_row(variable) for variable in missing[:MAX_ROWS]]
            yield "Could not be restored:", ("Name", "Type", "Why", "Made by"), rows, more

    def _row(self, variable: StoredVariable) -> Row:
        state = self._states.get(variable.name, LOADED)
        size = "" if variable.size is None else how_large(variable.size)
        return (
            cut(variable.name, _WIDEST_NAME),
            cut(variable.type, _WIDEST_NAME),
            cut(variable.description, _WIDEST_VALUE),
            size,
            state,
        )

    def _lists(self) -> Iterable[tuple[str, list[str]]]:
        if self._pattern is not None:
            return
        if self._rerun:
            yield "Run again:", [_rerun(cell) for cell in self._rerun]
        elif self._point.always:
            cells = [
                f"cell {cell.index}, {cell.why}: {_first_line(cell.source)}" for cell in self._point.always
            ]
            yield "Not run yet. These make what could not be stored; %respawn rerun runs them:", cells
        if self._point.lost:
            yield "Lost, and made again by no cell:", [cut(lost, 400) for lost in self._point.lost]

    def _notes(self) -> Iterable[str]:
        if self._pattern is not None or self._manifest is None:
            return
        for reason, names in self._manifest.unchecked().items():
            more = f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else ""
            yield f"Not compared with what they were: {', '.join(names[:_MAX_NAMED])}{more}; {reason}."
        recorded, now = self._cwd
        if recorded and now is None:
            here = working_directory()
            yield f"The run worked in {recorded}, which is not on this machine. Paths start in {here} here."
        if (warning := hash_seed.difference(self._manifest.hash_seed, hash_seed.own())) is not None:
            yield warning


def line(variable: StoredVariable) -> str:
    """Return a variable's row of the table as one line."""
    size = "" if variable.size is None else f", {how_large(variable.size)}"
    value = f": {variable.description}" if variable.description else ""
    return f"{variable.name} ({variable.type}{size}){value}. It is loaded when code first uses it."


def cut(text: str, width: int) -> str:
    """Return text on one line and no longer than `width`."""
    one = " ".join(text.split())
    return one if len(one) <= width else one[: width - 1] + "…"


def missing_row(variable: UnstoredVariable) -> Row:
    """Return the row of a variable that is not there: name, type, reason, cell."""
    made = f"cell {variable.cell}" if variable.cell is not None and variable.cell >= 0 else ""
    name = title(variable.name) if variable.name.startswith("#") else variable.name
    return cut(name, _WIDEST_NAME), cut(variable.type, _WIDEST_NAME), cut(variable.reason, 200), made


def _rerun(cell: RerunCell) -> str:
    return f"cell {cell.index}" + ("" if cell.error is None else f" failed: {cell.error}")


def _first_line(source: str) -> str:
    lines = source.strip().splitlines()
    return cut(lines[0], _WIDEST_VALUE) if lines else ""


def html_table(head: Row, rows: list[Row]) -> str:
    """Return a table in a box that scrolls; the first column holds names, everything is escaped."""
    if not rows:
        return f"<p>{escape(head[0])}</p>"
    sizes = head.index("Size") if "Size" in head else -1
    aligned = [_RIGHT if place == sizes else _LEFT for place in range(len(head))]
    top = "".join(f"<th {how}>{escape(cell)}</th>" for how, cell in zip(aligned, head, strict=True))
    body = "".join(f"<tr>{_html_cells(row, aligned)}</tr>" for row in rows)
    return f"<div {_BOX}><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _html_cells(row: Row, aligned: list[str]) -> str:
    cells = [f"<code>{escape(row[0])}</code>", *(escape(cell) for cell in row[1:])]
    return "".join(f"<td {how}>{cell}</td>" for how, cell in zip(aligned, cells, strict=True))


def columns(table: list[Row]) -> list[str]:
    """Return the lines of a table as text."""
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
