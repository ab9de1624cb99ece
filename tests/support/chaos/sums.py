"""A job whose runs say what they computed and what they did, for stories that kill what executes them.

Its last cell prints what follows from all the others, so a state that was brought back wrongly shows. Each
cell notes in a file that it ran, for whom and in which process, so what ran twice, or at once, shows too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from respawn_jobs.api.service import Promotion, Service
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.model.settings import RETRIED, JobSettings, RetryPolicy
from support.chaos.checker import (
    Case,
    Violation,
    all_blobs_are_there,
    all_runs_are_final,
    at_most_one_attempt_committed,
)
from support.chaos.journal import Journal
from support.notebooks import notebook, text

JOB = "sums"
_ONCE = 2
"""The cell that is tagged `respawn:once`."""
_LAST = 6
"""The cell that prints; the one with the parameters comes before all that the notebook has."""
_RETRIES = dict.fromkeys(
    RETRIED, RetryPolicy(attempts=20, delay_seconds=0.2, factor=1.0, max_delay_seconds=1.0, jitter=0.5)
)


class Effect(NamedTuple):
    """That a cell ran."""

    n: int
    """The parameter of its run."""
    cell: int
    pid: int
    """The kernel's process."""


def promotion(effects: Path) -> Promotion:
    """Return the job.

    Args:
        effects: the file in which its cells note that they ran.
    """
    named = [
        "import os, time\nvalues = [n]",
        "values.append(2 * n)\nsame = values",
        "",
        "same.append(len(values))",
        "print(sum(values))",
    ]
    noted = [f"{source}\n{_note(effects, cell)}".strip() for cell, source in enumerate(named)]
    # Few are stopped between the effect and its record: a run that is fails for good.
    sources = [source if cell == _ONCE else f"{source}\ntime.sleep(0.3)" for cell, source in enumerate(noted)]
    return Promotion(
        name=JOB,
        notebook=text(notebook(*sources, parameters="n: int = 0", tags={_ONCE: ["respawn:once"]})),
        settings=JobSettings(retries=_RETRIES, checkpoint_share=1),
    )


def _note(effects: Path, cell: int) -> str:
    return f"with open({str(effects)!r}, 'a') as file:\n    print(n, {cell}, os.getpid(), file=file)"


def effects_in(effects: Path) -> list[Effect]:
    """Return what ran, in the order of time."""
    return [Effect(*map(int, line.split())) for line in effects.read_text().splitlines()]


def broken_promises(ledger: Ledger, directory: Path) -> list[str]:
    """Return what is wrong in a store, whatever its runs computed.

    Args:
        ledger: the store; no service works on it any more.
        directory: for a file.
    """
    journal = Journal(directory / "journal")
    case, violations = Case(ledger, journal, []), list[Violation]()
    checks: tuple[Callable[..., Iterator[Violation]], ...] = (
        all_runs_are_final,
        at_most_one_attempt_committed,
        all_blobs_are_there,
    )
    with ledger.database.session() as session:
        for check in checks:
            violations += check(case, session)
    journal.close()
    wrong = [f"{found.rule}: {found.text}" for found in violations]
    try:
        ledger.verify_audit()
    except RespawnError as error:
        wrong.append(f"audit: {error.message}")
    return wrong


def errors_in(log: str) -> list[str]:
    """Return what no handler expected, which is logged as an error and answered with a 500."""
    return [line for line in log.splitlines() if line.startswith("[E") and "respawn_hub" in line]


def wrong_with(person: Service, run: Run, effects: list[Effect]) -> Iterator[str]:
    """Tell what is wrong with a run.

    A run ends as failed only when it was stopped in its `respawn:once` cell, which might have done its work.

    Args:
        person: whose run it is.
        run: the run.
        effects: what ran for it, in the order of time.
    """
    done = Counter(effect.cell for effect in effects)
    blocks = Counter(pid for pid, _ in groupby(effect.pid for effect in effects))
    if blocks and max(blocks.values()) > 1:
        yield f"{run.id} ran in two kernels at once: {effects}"
    detail = person.show(run.id)
    if max(done.values(), default=0) > len(detail.attempts):
        yield f"a cell of {run.id} ran more often than the {len(detail.attempts)} attempts: {done}"
    if run.state is RunState.SUCCEEDED:
        yield from _wrong_result(person, run)
        if done[_ONCE] != 1:
            yield f"the effect of {run.id} happened {done[_ONCE]} times"
    else:
        notes = [cell.note for cell in detail.cells if cell.note]
        if done[_ONCE] > 1 or not any("respawn:once" in note for note in notes):
            yield f"{run.id} is {run.state}: {run.error}; notes {notes}; {done[_ONCE]} effects"


def wrong_resume(person: Service, run: Run) -> Iterator[str]:
    """Tell what is wrong with a run that a person resumed, and that nothing disturbed.

    Args:
        person: whose run it is.
        run: the run.
    """
    if run.state is RunState.SUCCEEDED:
        yield from _wrong_result(person, run)
    else:
        yield f"{run.id}, which goes on from another, is {run.state}: {run.error}"


def _wrong_result(person: Service, run: Run) -> Iterator[str]:
    n = run.parameters["n"]
    printed = "".join(output.get("text", "") for output in person.outputs(run.id, _LAST))
    if printed != f"{3 * n + 2}\n":
        yield f"{run.id} computed {printed!r} of {n}"
