"""Which schema this code knows, and what it may do with a database whose schema is another one.

A database says of each migration that it has had what kind it is, which release brought it, and the oldest
release that may use the database since (`SchemaVersionRow`, written with the migration). So code that knows
nothing of a newer migration can decide. Nothing here needs Alembic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

MigrationKind = Literal["expand", "contract"]
"""`expand` adds what older code passes over; `contract` removes or narrows what no supported release uses."""
KINDS: tuple[str, ...] = get_args(MigrationKind)
_RELEASE = re.compile(r"(\d+)\.(\d+)")


def release_number(release: str) -> tuple[int, int]:
    """Return a release, such as `0.10`, as what sorts. Raises ValueError for anything else."""
    found = _RELEASE.fullmatch(release)
    if found is None:
        raise ValueError(f"{release!r} is no release, such as 0.1")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class KnownSchema:
    """The migrations that some code has. Their revisions sort as text: `0001`, `0002`."""

    release: str
    """The code's own release, its major and minor number."""
    needed: str
    """The newest expansion: the code works on it and on what follows, and brings older ones to it."""
    head: str
    """The newest migration; what lies between `needed` and it are contractions, which may wait."""
    scripts: Path
    """Alembic's directory."""


OURS = KnownSchema(release="0.1", needed="0001", head="0001", scripts=Path(__file__).with_name("migrations"))
"""Constants, so that opening a store that is up to date costs one SELECT; tests compare them."""


@dataclass(frozen=True)
class AppliedMigration:
    """What a database says of a migration that it has had."""

    revision: str
    kind: str
    release: str
    oldest: str


@dataclass(frozen=True)
class SchemaStanding:
    """How a database stands to the code that asks."""

    revision: str | None
    """None for a database without tables."""
    older: bool = False
    """Whether it lacks what the code needs."""
    newer: str | None = None
    """The release of a newer version that has changed it; None when the code knows all its migrations."""
    refusal: str | None = None
    """Why the code may not use it, newer as it is."""

    @property
    def usable(self) -> bool:
        """Whether the code may use it as it is."""
        return not self.older and self.refusal is None

    @property
    def message(self) -> str:
        """What to tell people of it; empty when there is nothing to tell."""
        if self.refusal is not None:
            return f"a newer version of Respawn changed it: {self.refusal}"
        if self.newer is not None:
            return f"a newer version of Respawn ({self.newer}) extended it; this version can go on using it"
        return "an older version of Respawn made it" if self.older else ""


def standing_of(
    known: KnownSchema, revision: str | None, unknown: Sequence[AppliedMigration]
) -> SchemaStanding:
    """Judge a database.

    Args:
        known: what the code knows.
        revision: the database's revision.
        unknown: what the database says of migrations after the code's newest, oldest first.
    """
    if revision is None or revision < known.needed:
        return SchemaStanding(revision, older=True)
    if revision <= known.head:
        return SchemaStanding(revision)
    if not unknown or unknown[-1].revision != revision:
        return SchemaStanding(
            revision,
            newer="unknown",
            refusal=f"its schema is {revision}, and it does not say which versions can use that",
        )
    return SchemaStanding(revision, newer=unknown[-1].release, refusal=_refusal(known, unknown))


def _refusal(known: KnownSchema, unknown: Sequence[AppliedMigration]) -> str | None:
    oldest = max((one.oldest for one in unknown), key=release_number)
    for one in unknown:
        if one.kind != "expand":
            return (
                f"migration {one.revision} of release {one.release} removed what release {known.release} "
                f"uses; it needs release {max(oldest, one.release, key=release_number)} or newer"
            )
    if release_number(oldest) > release_number(known.release):
        newest = unknown[-1].release
        return (
            f"release {newest} extended it, and only release {oldest} and newer can use it beside that; this "
            f"is release {known.release}"
        )
    return None
