"""The record of one cell's evidence: what kernel, runner, store and plan pass on.

The kernel writes it to `<spool>/evidence/<execution count>.json` before it answers the request that executed
the cell, so the runner finds it there as soon as the cell has ended.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from respawn_kernels.exchange.versions import known_fields
from respawn_kernels.originals import dumps, loads

DIRECTORY, GONE = (-1, 0), (-2, 0)
"""In the place of size and time: of a directory only that it is there counts."""


@dataclass(frozen=True)
class CellEvidence:
    """What was seen of one cell. An empty tuple says: looked for, and not seen."""

    unwatched: str | None = None
    """Why the code that ran could not be watched; None when it was. Then the next three say nothing."""
    reads: tuple[str, ...] = ()
    """Global names that the notebook's functions which ran may read; the cell's own code is not counted."""
    writes: tuple[str, ...] = ()
    """Global names that those functions may bind or delete."""
    bound: tuple[str, ...] = ()
    """The user's names that stand for another object than before the cell, or for none any more. One that
    was bound anew to the same object, or to one at the address of the old one, is not among them."""
    libraries: tuple[str, ...] = ()
    """Modules whose Python code ran, by dotted name; `package.*` for a package of which many may have run.

    What runs cells is left out, and so are modules of Python that keep no state (`libraries.STATELESS`)."""
    frames: tuple[str, ...] = ()
    """Libraries that looked into the frames of the notebook, where they see every variable."""
    changed: tuple[str, ...] = ()
    """Parts of the session state (names of `session_state.CATALOGUE`) that differ after the cell."""
    by_import: tuple[str, ...] = ()
    """Of these, the parts that changed while modules were imported."""
    settings: tuple[str, ...] = ()
    """What the cell set in libraries and no part of the state has, such as `joblib.parallel_config`."""
    opened: tuple[str, ...] = ()
    """Absolute paths of files and directories that were read or looked at, whether they exist or not.

    Whoever lists a directory sees what is written below it; `/` stands for every file."""
    inputs: tuple[tuple[str, int, int], ...] = ()
    """Files of `opened` that the cell only read: path, size, and time of the last change in nanoseconds."""
    written: tuple[str, ...] = ()
    """Absolute paths of files and directories that were made, changed or removed."""
    found: tuple[tuple[str, int, int], ...] = ()
    """Of `written`, how the cell found them, as in `outputs`, where that is known."""
    outputs: tuple[tuple[str, int, int], ...] = ()
    """Of `written`, how the cell left them, as in `inputs`; a directory has size -1, what is gone size -2."""
    files_unwatched: str | None = None
    """Why changes that native code made in the run's directory were not looked for; None when they were."""
    addresses: tuple[str, ...] = ()
    """Results that hold addresses of objects: `hash of Node`, `text in keys`."""
    outside: tuple[str, ...] = ()
    """What went out of the process: `process`, `socket`."""
    background_work: tuple[str, ...] = ()
    """What lives on after the cell, such as `thread worker-1`: it may do anything at any time."""
    overflow: bool = False
    """More was seen than is kept: the cell must be taken to read and write everything."""

    def to_json(self) -> str:
        """Return the record as a JSON document, without what is empty."""
        return dumps({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str | bytes) -> CellEvidence:
        """Read a record; fields of a newer version are passed over.

        Raises:
            ValueError: it is no such document.
        """
        document: Any = loads(text)
        if not isinstance(document, dict):
            raise ValueError("a cell's evidence is a JSON object")  # noqa: TRY004  bad text, not a bad type
        values = {
            name: tuple(map(_frozen, value)) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return known_fields(cls, values)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
