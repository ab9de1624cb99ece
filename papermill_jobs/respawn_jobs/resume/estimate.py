"""What a resume spares and what it takes, by what its cells took when they ran before."""

from __future__ import annotations

from respawn_jobs.model.cell_cost import total
from respawn_jobs.model.plans import PlanEstimate
from respawn_jobs.resume.draft import Draft, ran


def estimate(draft: Draft) -> PlanEstimate:
    """Return what is known of a plan that is decided.

    Args:
        draft: the plan.
    """
    reused, known, costs, unknown = 0.0, 0.0, [], 0
    for place in range(len(draft.cells)):
        if not draft.runs(place):
            record = draft.record_of(place)
            reused += (record.seconds if record else None) or 0.0
            continue
        before = draft.matches.of(place)
        if before is None or not ran(before) or before.seconds is None:
            unknown += 1
            continue
        known += before.seconds
        costs.append(before.cost)
    peak = total(costs)
    checkpoint = draft.start.checkpoint
    return PlanEstimate(
        reused_seconds=reused,
        run_seconds=known,
        unknown_cells=unknown,
        restored_bytes=checkpoint.size if checkpoint else 0,
        memory_bytes=peak.memory_bytes if peak else None,
    )
