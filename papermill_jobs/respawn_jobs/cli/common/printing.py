"""What people see: tables and progress. With `--json` one document on stdout, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.notebook.cell_numbers import executions_as_cells
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_jobs.model.cell_cost import CellCost
    from respawn_jobs.model.plans import Plan, PlanEstimate
    from respawn_jobs.model.runs import CellError, CellRecord, Run, RunDetail
    from respawn_jobs.runner.recorder import Progress

_COLOURS = {
    "succeeded": "green",
    "executed": "green",
    "reused": "cyan",
    "failed": "red",
    "timed_out": "red",
    "lost": "magenta",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "running": "blue",
    "suspended": "bright_yellow",
}

_WHOLE = (30, 14, 0)
"""Characters: columns of cells no longer than this are not broken, where the terminal has the room. The first
keeps states with their times in one piece, the second ids."""
_BROKEN = 12
"""Characters that a column which may be broken has at least."""
_DIGITS = 12
"""Digits of a build's hash that people are shown."""
_NO_TERMINAL = 10_000
"""Width in characters of a table that no terminal shows."""


def document(value: Any) -> None:
    """Print the one JSON document."""
    click.echo(json.dumps(value, default=str, ensure_ascii=False))


def coloured(state: str) -> str:
    """Return a state in the markup of its colour."""
    colour = _COLOURS.get(state)
    words = state.replace("_", " ")
    return f"[{colour}]{words}[/]" if colour else words


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; cells may carry rich's markup, so text of others must come through `plain`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # What another program reads is one line for each row.
    console = Console(width=None if sys.stdout.isatty() else _NO_TERMINAL)
    longest = [
        max(len(column), *(Text.from_markup(row[place]).cell_len for row in rows), 0)
        for place, column in enumerate(columns)
    ]
    whole = next(limit for limit in _WHOLE if _room(longest, limit) <= console.width)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column, length in zip(columns, longest, strict=True):
        shown.add_column(column, overflow="fold", no_wrap=length <= whole)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _room(longest: Sequence[int], whole: int) -> int:
    """Return the characters of a table whose columns up to a length are not broken; 0 if all may be."""
    if whole == 0:
        return 0
    return sum(length if length <= whole else _BROKEN for length in longest) + 2 * len(longest)


def plain(text: Any) -> str:
    """Return text that contains no markup of its own."""
    from rich.markup import escape

    return escape(str(text))


def kernel_build(kernel: str, lock: str | None, newer: str | None) -> str:
    """Return a kernel with the build of it that is used, and the newer one that its name has moved on to.

    Args:
        kernel: the kernel's name.
        lock: hash of the build; None for a kernel of no lock.
        newer: hash of the build that the kernel has now; None when that is the same.
    """
    build = f", build {lock[:_DIGITS]}" if lock else ""
    later = f"; a newer one exists: {newer[:_DIGITS]}" if newer else ""
    return plain(f"{kernel}{build}{later}")


def moment(at: datetime | None) -> str:
    """Return a time as people here read it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def seconds(value: float | None) -> str:
    """Return a duration with as many digits as it deserves."""
    if value is None:
        return ""
    if value < 60:
        return f"{value:.2f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


COST_COLUMNS = ("cpu", "memory", "read", "written")


def cost(taken: CellCost | None) -> list[str]:
    """Return what a cell took, one text for each of `COST_COLUMNS`; empty ones where it was not measured."""
    if taken is None:
        return [""] * len(COST_COLUMNS)
    moved = [how_large(count) for count in (taken.memory_bytes, taken.read_bytes, taken.written_bytes)]
    return [seconds(taken.cpu_seconds), *moved]


def _estimate(found: PlanEstimate) -> Iterator[str]:
    """Tell what a plan spares and takes, where that is known."""
    if found.reused_seconds or found.restored_bytes:
        size = f"; the state to restore has {how_large(found.restored_bytes)}" if found.restored_bytes else ""
        yield f"saves the {seconds(found.reused_seconds)} that reused cells took{size}"
    if found.run_seconds:
        memory = f", with {how_large(found.memory_bytes)} in memory" if found.memory_bytes else ""
        more = f"; {how_many(found.unknown_cells, 'cell')} did not finish" if found.unknown_cells else ""
        yield f"what runs took {seconds(found.run_seconds)} before{memory}{more}"


def lasted(run: Run) -> str:
    """Return how long a finished run took."""
    if run.started_at is None or run.finished_at is None:
        return ""
    return seconds((run.finished_at - run.started_at).total_seconds())


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Show on stderr which cell is executing; nothing when `quiet`."""
    if quiet:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the kernel", total=None)
        states: dict[int, str] = {}

        def show(events: Sequence[Any]) -> None:
            states.update({event.index: event.state.value for event in events})
            done = sum(state in ("executed", "reused", "failed") for state in states.values())
            running = [index for index, state in states.items() if state == "running"]
            words = f"cell {running[0]}; code cells done:" if running else "code cells done:"
            bar.update(task, total=len(states), completed=done, description=words)

        yield show


def ending(detail: RunDetail, notebook: Path | None) -> None:
    """Tell how a run ended, and what can be done about it."""
    from rich.console import Console

    run = detail.run
    counts = dict.fromkeys(("reused", "executed", "failed", "skipped"), 0)
    for cell in detail.cells:
        if cell.state.value in counts:
            counts[cell.state.value] += 1
    cells = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    console = Console(highlight=False, soft_wrap=True)
    error(run.error, detail.cells)
    console.print(
        f"{plain(run.id)} {coloured(run.state.value)} in {lasted(run) or '0 s'}: {cells or 'no cells'}"
    )
    if notebook is not None:
        console.print(f"notebook: {plain(notebook)}")
    if run.state.resumable:
        console.print(f"look into it:  respawn debug {run.id}")
        console.print(f"go on from it: respawn resume {run.id} --notebook FIXED.ipynb")


def error(problem: CellError | None, cells: Sequence[CellRecord] = ()) -> None:
    """Show what ended a run, with its traceback; `cells` tell which ones its executions are."""
    if problem is None:
        return
    if problem.traceback:
        click.echo(problem.traceback)
        if caption := executions_as_cells(problem.traceback, cells):
            click.echo(f"({caption})")
    where = f"cell {problem.cell}: " if problem.cell is not None else ""
    click.echo(click.style(f"{where}{problem.name}: {problem.value}", fg="red", bold=True))


def plan(planned: Plan) -> None:
    """Show what a resume would do."""
    rows = [
        [str(cell.index), cell.action.value, plain(cell.title), plain(cell.why)] for cell in planned.cells
    ]
    table(["cell", "action", "source", "why"], rows)
    if not planned.problems:
        for line in _estimate(planned.estimate):
            click.echo(line)
    for cell in planned.new:
        what = f"cell {cell.index} is new" if cell.index is not None else "left out as scratch"
        advice = f"; leave it out with --scratch {plain(cell.id)}" if cell.index is not None else ""
        click.echo(f"{what}: {cell.title or '(empty)'}{advice}")
    if planned.changed_parameters:
        given = [f"{name} = {planned.parameters.get(name)!r}" for name in planned.changed_parameters]
        click.echo(f"changed parameters: {', '.join(given)}")
    for group in planned.checkpoint.unchecked if planned.checkpoint else []:
        click.echo(
            f"note: stored but not compared with the original: {plain(group.named)}; {plain(group.reason)}"
        )
    for notice in planned.notices:
        click.echo(f"note: {notice}")
    for problem in planned.problems:
        click.echo(click.style(f"problem: {problem}", fg="red"))
    if planned.problems and any(cell.once for cell in planned.cells):
        click.echo("agree to run cells tagged respawn:once again with --rerun-once")
    if planned.problems and planned.producers:
        cells = ", ".join(map(str, planned.producers))
        click.echo(
            f"agree to run cells again that make what was not stored (cell {cells}) with --rerun-producers"
        )
