"""What a cell did that its plan did not foresee, found from what was seen of it while it ran."""

from __future__ import annotations

from respawn_jobs.dataflow.observation import observed
from respawn_jobs.model.footprint import Footprint
from respawn_jobs.model.hidden_state import label_of
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.session_state import CATALOGUE

_MAX_LISTED = 4


def surprises(predicted: Footprint, evidence: CellEvidence | None, directory: str | None) -> list[str]:
    """Return what a cell did beyond what it was taken to do, such as `wrote x`; empty when there is nothing.

    Args:
        predicted: what it was taken to do.
        evidence: what was seen of it; None when nothing was seen, and then nothing can be compared.
        directory: where the notebook runs.
    """
    if evidence is None or predicted.opaque is not None:
        return []
    seen = observed(Footprint(), evidence, directory=directory)
    if seen.opaque is not None:
        return [seen.opaque]
    found = [f"wrote {label_of(name)}" for name in sorted(seen.writes) if not predicted.may_write(name)]
    found += [f"read {label_of(name)}" for name in sorted(seen.reads) if not predicted.may_read(name)]
    hidden = [name for name in CATALOGUE if seen.may_read(name) and not predicted.may_read(name)]
    if maybe := [label_of(name) for name in hidden if name not in seen.reads]:
        found.append(f"ran code that may read {maybe[0]}{' and more' if len(maybe) > 1 else ''}")
    if seen.reads_all is not None and predicted.reads_all is None:
        found.append(seen.reads_all)
    return found


def in_words(found: list[str]) -> str:
    """Return surprises as the end of a sentence, a few of many."""
    more = len(found) - _MAX_LISTED
    return ", ".join(found if more <= 0 else [*found[:_MAX_LISTED], f"{more} more"])
