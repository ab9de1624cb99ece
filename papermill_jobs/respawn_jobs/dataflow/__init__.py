"""Which cells depend on which, by what their code may read and change.

What it promises: a name that a cell could read or change, in any way that Python code reads and changes
variables, is in the cell's footprint. Where the code cannot be followed the footprint is everything. What
it does not see: what servers keep, and threads that go on after their cell; `observed` adds what was seen
of these. Names that start with `#` stand for what is no variable: parts of the session's state, and files.
"""

from __future__ import annotations

from respawn_jobs.dataflow.cell_footprints import footprints
from respawn_jobs.dataflow.observation import observed
from respawn_jobs.model.footprint import NOTHING, Footprint
from respawn_jobs.model.hidden_state import RANDOM, hidden, is_file, label_of, overlap

__all__ = [
    "NOTHING",
    "RANDOM",
    "Footprint",
    "footprints",
    "hidden",
    "is_file",
    "label_of",
    "observed",
    "overlap",
]
