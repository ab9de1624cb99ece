"""Which cells depend on which: the face of `respawn_jobs.analysis`.

What it promises: a name that a cell could read or change, in any way that Python code reads and changes
variables, is in the cell's footprint. Where the code cannot be followed the footprint is everything. What it
does not see: files, databases and servers that cells talk to, and threads that go on after their cell.
"""

from __future__ import annotations

from respawn_jobs.analysis.cells import NOTHING, Footprint, footprints
from respawn_jobs.analysis.library import NOT_NAMES, RANDOM, TOLD


def told(name: str) -> str:
    """Return what a name of a footprint is called when it is told to people."""
    return TOLD.get(name, name)


__all__ = ["NOTHING", "NOT_NAMES", "RANDOM", "Footprint", "footprints", "told"]
