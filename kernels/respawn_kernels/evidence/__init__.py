"""What was seen of each cell while it ran.

It promises that what it reports was seen, and that `CellEvidence.unwatched` names what it could not watch.
It does not predict what a cell would do with other inputs.
"""

from __future__ import annotations

from respawn_kernels.exchange.cell_evidence import CellEvidence as CellEvidence
