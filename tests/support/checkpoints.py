"""A notebook in this process whose checkpoints the engine takes as the agent does, and their way back.

The namespace is that of a module `__main__`, as in a kernel: what cells define belongs to it.
"""

from __future__ import annotations

import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.cell_code.write_set import WriteSet
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import write_whole
from respawn_kernels.restore.group_loader import GroupLoader
from respawn_kernels.restore.mapped_blobs import MappedBlobs


@contextmanager
def main_module() -> Iterator[dict[str, Any]]:
    """Give the namespace of an empty `__main__`, and put the process's own back afterwards."""
    module, before = types.ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        yield vars(module)
    finally:
        sys.modules["__main__"] = before


def run(source: str, namespace: dict[str, Any]) -> None:
    """Run a cell."""
    exec(compile(source, "<cell>", "exec"), namespace)


class Notebook:
    """Cells run one by one, with checkpoints between them that know what the cells may have touched."""

    def __init__(self, namespace: dict[str, Any], spool: Path) -> None:
        self.namespace = namespace
        self.spool = spool
        self.cell = -1
        self._engine = GroupsEngine()
        self._write_set = WriteSet(namespace)
        self._parent: int | None = None
        for part in ("blobs", "manifests"):
            (spool / part).mkdir(parents=True, exist_ok=True)

    def run(self, source: str) -> None:
        """Run the next cell."""
        self.cell += 1
        self._write_set.note(source)
        try:
            run(source, self.namespace)
        finally:
            self._write_set.mark(self.cell)

    def checkpoint(
        self, *, incremental: bool = True, forked: bool = False, seconds: float = 20.0
    ) -> Manifest:
        """Take the checkpoint of this boundary, on top of the last one that was taken.

        Args:
            incremental: take over what is known unchanged.
            forked: this process is a child made for this.
            seconds: how long one variable, and the check of all, may take.
        """
        parent = self._parent if incremental else None
        manifest = self._engine.capture(
            self.namespace,
            self.cell,
            self.spool,
            first_seen={},
            execution_count=self.cell + 1,
            parent=parent,
            write_set=None if parent is None else self._write_set.since(parent),
            forked=forked,
            variable_seconds=seconds,
        )
        write_whole(
            self.spool / "manifests" / f"{self.cell}.json", manifest.to_json().encode(), durable=False
        )
        self._parent = self.cell
        return manifest

    def stored(self) -> Manifest:
        """Return the checkpoint of this boundary that a child took; the next one goes on top of it."""
        self._parent = self.cell
        return Manifest.from_json((self.spool / "manifests" / f"{self.cell}.json").read_bytes())


def in_a_child(work: Callable[[], object]) -> None:
    """Do work in a forked child, as a writer does; what it changes in memory is lost."""
    # In here: this module lies beside the tests' notebooks, and what it holds would count as theirs.
    from respawn_kernels.session_state import registry
    from respawn_kernels.session_state.patching import baseline

    baseline.look()  # as the agent does at its start: each child would look at every module anew
    registry.probes()
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the child that took the checkpoint failed; its error is above")


def bring_back(spool: Path, cell: int, namespace: dict[str, Any]) -> dict[str, str]:
    """Load everything of a checkpoint into a namespace; return the reason for each variable that failed."""
    manifest = Manifest.from_json((spool / "manifests" / f"{cell}.json").read_bytes())
    loader = GroupLoader(manifest, MappedBlobs(spool / "blobs"), namespace)
    for group in range(len(manifest.groups)):
        values = loader.load(group)
        namespace.update({name: value for name, value in values.items() if not name.startswith("#")})
    return dict(loader.failed)
