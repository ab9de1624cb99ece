"""What a cell did that its plan did not foresee, told from what was seen of it while it ran."""

from __future__ import annotations

from respawn_jobs.analysis.evidence import observed
from respawn_jobs.analysis.footprint import Footprint
from respawn_jobs.analysis.hidden import told
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.session_state import CATALOGUE

_MOST_TOLD = 4


def surprises(predicted: Footprint, evidence: CellEvidence | None, directory: str | None) -> list[str]:
    """Return what a cell did beyond what it was taken to do, such as `wrote x`; empty when there is nothing.

    Args:
        predicted: what it was taken to do.
        evidence: what was seen of it; None when nothing was, and then nothing can be told.
        directory: where the notebook runs.
    """
    if evidence is None or predicted.opaque is not None:
        return []
    seen = observed(Footprint(), evidence, directory=directory)
    if seen.opaque is not None:
        return [seen.opaque]
    found = [f"wrote {told(name)}" for name in sorted(seen.writes) if not predicted.may_write(name)]
    found += [f"read {told(name)}" for name in sorted(seen.reads) if not predicted.may_read(name)]
    hidden = [name for name in CATALOGUE if seen.may_read(name) and not predicted.may_read(name)]
    if maybe := [told(name) for name in hidden if name not in seen.reads]:
        found.append(f"ran code that may read {maybe[0]}{' and more' if len(maybe) > 1 else ''}")
    if seen.reads_all is not None and predicted.reads_all is None:
        found.append(seen.reads_all)
    return found


def in_words(found: list[str]) -> str:
    """Return surprises as the end of a sentence, a few of many."""
    more = len(found) - _MOST_TOLD
    return ", ".join(found if more <= 0 else [*found[:_MOST_TOLD], f"{more} more"])
