"""Which cell made the present value of each name, found from what changed between two boundaries."""

from __future__ import annotations

from typing import Any

from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.namespace import user_names


class Provenance:
    """The cells that made the variables.

    A value is the same while it is the same object. Limit: a new object of the same type may get the address
    of one that was freed; then the older cell is named.
    """

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}
        self._seen: dict[str, tuple[int, type]] = {}

    def note(self, namespace: dict[str, Any], cell: int) -> None:
        """Note what a cell made."""
        now = {name: (id(namespace[name]), type(namespace[name])) for name in user_names(namespace)}
        self.cells = {
            name: self.cells.get(name, cell) if self._seen.get(name) == mark else cell
            for name, mark in now.items()
        }
        self._seen = now

    def take_over(self, manifest: Manifest, namespace: dict[str, Any]) -> None:
        """Continue from a restored checkpoint: what it names as a variable's cell counts from now on."""
        self.note(namespace, manifest.cell)
        known = {variable.name: variable.cell for variable in manifest.variables}
        known |= {variable.name: variable.cell for variable in manifest.unstored}
        self.cells |= {n: cell for n, cell in known.items() if cell is not None and n in self.cells}
