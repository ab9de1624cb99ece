"""What became of a debugged run: the run that goes on from it or starts it over, and the fix in that one."""

from __future__ import annotations

from dataclasses import dataclass, field

from nbformat import NotebookNode

from respawn_jobs.api.service import Service
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import Run, RunState

_MAX_RUNS = 20
"""Runs, each made from the one before, that are followed."""


@dataclass(frozen=True)
class RunOutcome:
    """A run, and what came of it."""

    run: Run
    last: Run | None = None
    """The last of those that were made from it; None where there is none."""
    restarted: bool = False
    """Whether the way to the last one led over a restart."""


@dataclass(frozen=True)
class Fix:
    """What a run that succeeded was made of, and what its job's file held."""

    run: Run
    base: Version
    fixed: Version
    source: str
    """The file that `base` came from."""
    current: bool
    """Whether the job's new runs use the fixed version."""
    old: NotebookNode
    new: NotebookNode
    between: list[NotebookNode] = field(default_factory=list)
    """Of the versions between both, oldest first: fixes that may be in the file already."""


def outcome_of(service: Service, run_id: str) -> RunOutcome:
    """Return what became of a run: where it was resumed and started over, what was begun last counts."""
    detail = service.show(run_id)
    run = last = detail.run
    restarted = False
    for _ in range(_MAX_RUNS):
        made = [*detail.restarted_by[-1:], *([last.resumed_by] if last.resumed_by else [])]
        if not made:
            break
        detail = max((service.show(one) for one in made), key=lambda one: one.run.created_at)
        restarted = restarted or detail.run.id != last.resumed_by
        last = detail.run
    return RunOutcome(run) if last is run else RunOutcome(run, last, restarted)


def find_fix(service: Service, run_id: str) -> Fix | str:
    """Return the fix that made a failed run succeed, or why there is none to write anywhere."""
    from respawn_jobs.notebook.document import read_notebook

    last = outcome_of(service, run_id).last
    if last is None:
        return f"{run_id} was not resumed or restarted yet."
    if last.state is not RunState.SUCCEEDED:
        return f"{last.id}, which was made from it, has not succeeded."
    by_number = {version.number: version for version in service.versions(last.job)}
    chain: list[Version] = []
    number: int | None = last.version
    while number in by_number and (not chain or chain[-1].source is None or chain[-1] is chain[0]):
        chain.append(by_number[number])
        number = chain[-1].parent
    if not chain or (number is not None and (len(chain) == 1 or chain[-1].source is None)):
        return f"Version {last.version} of {last.job}, or one that it was made from, is no longer kept."
    fixed, base = chain[0], chain[-1]
    if fixed is base:
        return "The run has the notebook as it was: there is no fix."
    if base.source is None:
        return f"Respawn does not know which file version {base.number} came from."
    notebooks = [read_notebook(service.version_notebook(last.job, one.number)) for one in reversed(chain)]
    current = service.job(last.job).version == fixed.number
    return Fix(last, base, fixed, base.source, current, notebooks[0], notebooks[-1], notebooks[1:-1])
