"""The state after one cell, ready to be written: by a held child, or in line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from respawn_kernels.manifest import Manifest, UnstoredVariable
from respawn_kernels.names import live_shell
from respawn_kernels.touch import Touched


@dataclass
class Session:
    """What a kernel remembers from boundary to boundary of one notebook."""

    spool: Path
    namespace: dict[str, Any]
    touched: Touched
    cells: list[int]
    """The boundaries that were passed."""

    def before_cell(self, info: Any) -> None:
        """Note what a cell that starts now may touch; IPython calls this, see `follow`."""
        shell = live_shell()
        try:
            self.touched.note(shell.transform_cell(info.raw_cell))  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001  input transformers are anybody's, and the cell will tell what is wrong
            self.touched.everything()

    def follow(self, shell: Any) -> None:
        """Have IPython tell of each cell that is run."""
        shell.events.register("pre_run_cell", self.before_cell)

    def leave(self, shell: Any) -> None:
        """Be told no more."""
        with suppress(ValueError):  # the notebook removed it
            shell.events.unregister("pre_run_cell", self.before_cell)

    def pass_by(self, cell: int) -> None:
        """Note that the boundary after a cell is reached."""
        self.touched.mark(cell)
        self.cells.append(cell)

    def parent_of(self, cell: int) -> int | None:
        """Return the latest boundary before `cell` whose checkpoint is in the spool."""
        earlier = [c for c in self.cells if c < cell and (self.spool / "manifests" / f"{c}.json").exists()]
        return max(earlier, default=None)


@dataclass
class Boundary:
    """What is captured after a cell; see `writing.Capture`."""

    session: Session
    engine: Any
    cell: int
    first_seen: Mapping[str, int]
    execution_count: int
    lost: list[UnstoredVariable]
    """What a restored checkpoint could not give back."""
    variable_seconds: float
    forked: bool
    before_fork: Mapping[str, Any] | None = None
    """Parts of the session's state that forking changes; None when this is no forked child."""

    def __call__(self, *, progress: Callable[[str | None], None], leave_out: Mapping[str, str]) -> Manifest:
        """Write the blobs and return the manifest."""
        namespace = self.session.namespace
        parent = self.session.parent_of(self.cell)
        manifest: Manifest = self.engine.capture(
            namespace,
            self.cell,
            self.session.spool,
            first_seen=self.first_seen,
            execution_count=self.execution_count,
            parent=parent,
            touched=None if parent is None else self.session.touched.since(parent),
            progress=progress,
            leave_out=leave_out,
            variable_seconds=self.variable_seconds,
            forked=self.forked,
            before_fork=self.before_fork,
        )
        lost = [item for item in self.lost if item.name not in namespace]
        before = {item.name for item in lost}  # these know the cell that made it
        found = [item for item in manifest.unstored if item.name not in before]
        return replace(manifest, unstored=[*found, *lost])
