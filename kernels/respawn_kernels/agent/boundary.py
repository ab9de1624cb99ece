"""The state after one cell, ready to be written: by a held child, or in line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from respawn_kernels.cell_code.write_set import WriteSet
from respawn_kernels.checkpoint.manifest import Manifest, UnstoredVariable
from respawn_kernels.namespace import live_shell


@dataclass
class KernelSession:
    """What a kernel remembers from boundary to boundary of one notebook."""

    spool: Path
    namespace: dict[str, Any]
    write_set: WriteSet
    cells: list[int]
    """The boundaries that were passed."""

    def before_cell(self, info: Any) -> None:
        """Note what a cell that starts now may touch; IPython calls this, see `follow`."""
        shell = live_shell()
        try:
            self.write_set.note(shell.transform_cell(info.raw_cell))  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001  input transformers are anybody's, and the cell will raise it again
            self.write_set.everything()

    def follow(self, shell: Any) -> None:
        """Register with IPython, to be called before each cell that is run."""
        shell.events.register("pre_run_cell", self.before_cell)

    def leave(self, shell: Any) -> None:
        """Register no longer."""
        with suppress(ValueError):  # the notebook removed it
            shell.events.unregister("pre_run_cell", self.before_cell)

    def pass_by(self, cell: int) -> None:
        """Note that the boundary after a cell is reached."""
        self.write_set.mark(cell)
        self.cells.append(cell)

    def parent_of(self, cell: int) -> int | None:
        """Return the latest boundary before `cell` whose checkpoint is in the spool."""
        earlier = [c for c in self.cells if c < cell and (self.spool / "manifests" / f"{c}.json").exists()]
        return max(earlier, default=None)


@dataclass
class Boundary:
    """What is captured after a cell; see `fork.writer.Capture`."""

    session: KernelSession
    engine: Any
    """A `capture.engine.GroupsEngine`."""
    cell: int
    """Index of the cell that just finished."""
    first_seen: Mapping[str, int]
    """By variable and by part of the session's state, the cell that made its present value."""
    execution_count: int
    """Number of the next prompt."""
    lost: list[UnstoredVariable]
    """What a restored checkpoint could not give back."""
    variable_seconds: float
    """How long the pickling of one variable may take."""
    forked: bool
    """Whether a forked child calls this."""
    before_fork: Mapping[str, Any] | None = None
    """Parts of the session's state that forking changes; None when this is no forked child."""

    def __call__(self, *, progress: Callable[[str | None], None], leave_out: Mapping[str, str]) -> Manifest:
        """Write the blobs and return the manifest; see `fork.writer.Capture` for the arguments."""
        namespace = self.session.namespace
        parent = self.session.parent_of(self.cell)
        manifest: Manifest = self.engine.capture(
            namespace,
            self.cell,
            self.session.spool,
            first_seen=self.first_seen,
            execution_count=self.execution_count,
            parent=parent,
            write_set=None if parent is None else self.session.write_set.since(parent),
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
