"""What a cell reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

from respawn_jobs.model.hidden_state import (
    ANYTHING,
    FILES,
    RANDOM_STATES,
    WORLD_STATE,
    hidden,
    is_file,
    matters,
    overlap,
)


@dataclass(frozen=True)
class Footprint:
    """What a cell may read and change, by the names that lead there."""

    reads: frozenset[str] = frozenset()
    """Names whose value from before the cell may matter to it."""
    writes: frozenset[str] = frozenset()
    """Names that it may bind or delete, or whose objects it may change."""
    sure: frozenset[str] = frozenset()
    """Names that it binds in any case, whatever they were before."""
    opaque: str | None = None
    """Why it may read and change everything; None for a cell that is understood."""
    uses: frozenset[str] = frozenset()
    """Modules whose code it may run or whose values it may use (see `hidden.matters`)."""
    reads_all: str | None = None
    """Why every variable may matter to it; None when only `reads` may."""
    looked_up: frozenset[str] = frozenset()
    """Libraries that look up names of texts which are known, so that `reads` has them all."""
    unwatched: str | None = "nothing was recorded of it while it ran"
    """Why all of this rests on the analysis alone; None when the cell was watched while it ran."""
    seen: frozenset[str] = frozenset()
    """Of `reads` and `writes`, those that were seen while the cell ran; the others rest on the analysis."""
    files_seen: bool = False
    """Whether `writes` has every file that it changed when it ran, because somebody watched."""
    undone: frozenset[str] = frozenset()
    """Parts of the session's state that it writes, but that were seen to be afterwards what they were."""
    by_prompts: bool = False
    """Whether it asks for what earlier prompts were given or gave, or for the number of the next."""
    by_import: frozenset[str] = frozenset()
    """Parts that were seen to change though its own code does not: modules change them as they are loaded."""

    def may_read(self, name: str) -> bool:
        """Return whether the value of a name from before may matter."""
        if self.opaque is not None or name in self.reads:
            return True
        if not hidden(name):
            return self.reads_all is not None
        if name in RANDOM_STATES and name in self.sure and ANYTHING not in self.uses:
            return False  # it is seeded here, and each draw before that is in `reads`
        return matters(name, self.uses) or (is_file(name) and any(overlap(name, one) for one in self.reads))

    def may_write(self, name: str) -> bool:
        """Return whether a name may have another value after it."""
        if self.opaque is not None or name in self.writes:
            return True
        if not hidden(name):
            return False
        # That files of any name may have changed is more than that one has.
        some_file = is_file(name) and name != FILES
        return WORLD_STATE in self.writes or (some_file and any(overlap(name, one) for one in self.writes))


NOTHING = Footprint()
