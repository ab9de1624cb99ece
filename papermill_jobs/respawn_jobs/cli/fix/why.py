"""The command for what differs between a run and the last good one: `why`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from respawn_jobs.api.differences import (
        ArtifactDifference,
        InputDifference,
        ParameterDifference,
        RunDifferences,
    )
    from respawn_jobs.model.artifacts import Artifact
    from respawn_jobs.model.evidence import SeenFile
    from respawn_jobs.model.runs import Run


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def why(run_id: str, as_json: bool) -> int:
    """Say what differs from the last good run."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.differences(run_id)
        run = connected.service.show(run_id).run
    if as_json:
        printing.document(found.model_dump(mode="json"))
        return 0
    for line in (*_error(run), *_lines(found)):
        click.echo(printing.plain(line))
    return 0


def _error(run: Run) -> Iterator[str]:
    if run.error is not None:
        cell = "" if run.error.cell is None else f" in cell {run.error.cell}"
        value = f": {run.error.value}" if run.error.value else ""
        yield f"{run.id} {run.state.value}: {run.error.name}{cell}{value}"


def _lines(found: RunDifferences) -> Iterator[str]:
    from respawn_jobs.cli.common import printing

    if found.good is None:
        yield "no run of its job succeeded before it, or none is kept"
        return
    ended = "" if found.finished_at is None else f" ({printing.moment(found.finished_at)})"
    yield f"the last good run is {found.good}{ended}"
    yield from _code(found)
    if found.kernels is not None:
        yield f"kernel: {found.kernels[0]} → {found.kernels[1]}"
    if found.locks is not None:
        before, after = ((lock or "none")[:12] for lock in found.locks)
        yield f"environment: build {before} → {after}"
    yield from map(_parameter, found.parameters)
    yield from map(_input, found.inputs)
    yield from map(_artifact, found.artifacts)
    if not found.differs:
        yield "its code, parameters and kernel were the same, and so were the files that were seen"
    if not found.all_inputs_seen:
        yield "not all files that cells read were seen: others may differ, too"


def _code(found: RunDifferences) -> Iterator[str]:
    if found.versions is None:
        return
    old, new = found.versions
    below = f", {found.later_cells} below it" if found.later_cells else ""
    yield f"code: version {old} → {new}, {how_many(len(found.cells), 'cell')} up to the failing one{below}"
    for cell in found.cells:
        yield f"  cell {cell.new if cell.new is not None else cell.old} {cell.kind}"
        for line in cell.lines:
            if line.kind != "same":
                yield f"    {'+' if line.kind == 'added' else '-'} {line.text}"
    for file in found.files:
        yield f"  {file.path} {file.kind}"


def _parameter(one: ParameterDifference) -> str:
    then = "not given" if one.kind == "added" else _value(one.then, default=one.then_default)
    now = "not given" if one.kind == "removed" else _value(one.now, default=one.now_default)
    return f"parameter {one.name}: {then} → {now}"


def _value(value: Any, *, default: bool) -> str:
    return json.dumps(value, ensure_ascii=False) + (" (the default)" if default else "")


def _input(one: InputDifference) -> str:
    then = "not read" if one.then is None else _as_found(one.then)
    return f"file {one.path} (cell {one.cell}): {then} → {_as_found(one.now)}"


def _artifact(one: ArtifactDifference) -> str:
    then = "not read" if one.then is None else _as_kept(one.then)
    return f"artifact {one.now.name} (cell {one.now.cell}): {then} → {_as_kept(one.now)}"


def _as_kept(artifact: Artifact) -> str:
    from respawn_jobs.cli.common import printing

    return f"{printing.plain(artifact.description or artifact.type)} of {artifact.made_in}"


def _as_found(file: SeenFile) -> str:
    from respawn_jobs.cli.common import printing

    size = "no size" if file.size is None else how_large(file.size)
    return size if file.modified is None else f"{size} of {printing.moment(file.modified)}"
