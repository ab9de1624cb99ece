"""What was seen of each cell while it ran.

It promises that what it reports was seen, and that what it could not watch is said, in
`CellEvidence.unwatched`. It does not say what a cell would do with other inputs.
"""

from __future__ import annotations

from respawn_kernels.evidence.record import CellEvidence as CellEvidence
