"""All declared classes, in the order of the published table."""

from __future__ import annotations

from support.classes import drawings, learning, networks, numerics, others, standard, statistical, tables
from support.classes.cases import Case, Library

LIBRARIES: tuple[Library, ...] = (
    *numerics.LIBRARIES,
    *tables.LIBRARIES,
    *learning.LIBRARIES,
    *statistical.LIBRARIES,
    *networks.LIBRARIES,
    *drawings.LIBRARIES,
    *others.LIBRARIES,
    *standard.LIBRARIES,
)
CASES: list[Case] = [case for library in LIBRARIES for case in library.cases]
