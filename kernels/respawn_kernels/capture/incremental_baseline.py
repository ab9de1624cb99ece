"""What a capture writes down for the next one in the same kernel: which groups may be known unchanged.

It contains addresses, so it is valid only in the process that they are of, and in children forked from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respawn_kernels.checkpoint.chunks import DraftExtent, drafted
from respawn_kernels.checkpoint.manifest import Blob, Extent, Manifest, StoredVariable, VariableFrame
from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.originals import dumps, getpid, loads, monotonic_ns
from respawn_kernels.session_start import at_session_start

if TYPE_CHECKING:
    from respawn_kernels.streams.group_stream import Stream

_lineage = ""
"""Marks this kernel and the children forked from it. The time, since the system gives a process id again."""
_SPARSE = 0.5
"""A pack of which less than this share is still used is not kept for the rest: small groups are rewritten."""


@at_session_start
def _note_lineage() -> None:
    global _lineage
    _lineage = f"{getpid()}-{monotonic_ns()}"


@dataclass
class Reusable:
    """A group of the parent checkpoint as a part of the next one."""

    frames: list[VariableFrame]
    stream: DraftExtent
    buffers: list[DraftExtent]
    requires: set[str]
    """Variables of other groups that it refers to by name."""
    reads: list[str]
    """Global names that its functions read."""
    unchecked: str | None = None
    """Why nobody knows whether it comes back as it was; None when it was checked."""

    @property
    def names(self) -> list[str]:
        """The variables of the group."""
        return [frame.name for frame in self.frames]


class IncrementalBaseline:
    """What is known of the parent checkpoint.

    Args:
        manifest: the parent's.
        learned: what `write` wrote in this kernel or one that it was forked from; None when there is nothing.
    """

    def __init__(self, manifest: Manifest, learned: Mapping[str, Any] | None) -> None:
        self._manifest = manifest
        self._learned = learned
        self.cell = manifest.cell
        self._dense_blobs: set[str] = set()

    @classmethod
    def read(cls, spool: Path, cell: int | None) -> IncrementalBaseline | None:
        """Return what the spool has of a cell's checkpoint; None when it has none."""
        if cell is None:
            return None
        try:
            manifest = Manifest.from_json((spool / "manifests" / f"{cell}.json").read_bytes())
        except (OSError, ValueError):
            return None
        learned = None
        with suppress(OSError, ValueError):
            learned = loads((spool / "baselines" / f"{cell}.json").read_bytes())
        if learned is not None and learned.get("lineage") != _lineage:
            learned = None
        return cls(manifest, learned)

    @staticmethod
    def write(
        spool: Path,
        cell: int,
        ids: Mapping[str, tuple[int, int]],
        owned: list[bool],
        reads: list[list[str]],
        compressed: Mapping[str, Blob],
    ) -> None:
        """Write what was learned; without it the next capture only has to pickle everything.

        Args:
            spool: the directory of the checkpoints.
            cell: the cell after which the checkpoint was taken.
            ids: by variable, the ids of its value and of the value's type.
            owned: by group, in the manifest's order, whether nobody else refers to what it holds.
            reads: by group, the global names that its functions read.
            compressed: blobs that hold chunks compressed, by the digest of the chunk.
        """
        document: dict[str, Any] = {"lineage": _lineage, "ids": ids, "owned": owned, "reads": reads}
        document["compressed"] = {digest: [blob.digest, blob.size] for digest, blob in compressed.items()}
        with suppress(OSError):
            (spool / "baselines").mkdir(exist_ok=True)
            write_whole(spool / "baselines" / f"{cell}.json", dumps(document).encode(), durable=False)

    @cached_property
    def blobs(self) -> dict[str, int]:
        """Digests and sizes of the blobs that are stored."""
        return {blob.digest: blob.size for blob in self._manifest.blobs}

    @cached_property
    def variables(self) -> dict[str, StoredVariable]:
        """The variables of the checkpoint by name."""
        return {variable.name: variable for variable in self._manifest.variables}

    @cached_property
    def compressed(self) -> dict[str, Blob]:
        """Blobs that hold chunks compressed, by the digest of the chunk."""
        if self._learned is None:
            return {}
        return {digest: Blob(*blob) for digest, blob in self._learned["compressed"].items()}

    def unchanged(self, values: Mapping[str, Any], write_set: Collection[str]) -> list[Reusable]:
        """Return the groups whose variables cannot have changed.

        Args:
            values: the variables as they are now, by name.
            write_set: the write set of the cells since.
        """
        if self._learned is None:
            return []
        reached = self._reached(set(write_set))
        ids, groups = self._learned["ids"], self._manifest.groups
        # An address alone proves nothing, for it is given again. But who binds a name to another object has
        # the name in its write set.
        same = [
            all(
                frame.name in values
                and ids.get(frame.name) == [id(values[frame.name]), id(type(values[frame.name]))]
                for frame in group.frames
            )
            for group in groups
        ]
        found = [
            place
            for place, group in enumerate(groups)
            # What it refers to by name must be what it was, although it may have changed in itself.
            if same[place]
            and place not in reached
            and self._learned["owned"][place]
            and all(same[other] for other in group.requires)
        ]
        return [self._reusable(place) for place in self._dense(found)]

    def expect(self, taken_over: Iterable[Reusable], streams: Iterable[Stream]) -> None:
        """Learn what the next checkpoint will hold, to decide which packs are worth keeping.

        Args:
            taken_over: the groups that are reused, since they are known to be unchanged.
            streams: what was pickled anew; some of it may turn out the same.
        """
        used: dict[str, int] = {}
        same = [draft for stream in streams if (draft := self._found(stream)) is not None]
        for draft in [*(group.stream for group in taken_over), *same]:
            for piece in draft.pieces:
                assert isinstance(piece.blob, Blob)  # noqa: S101  of the parent: written
                used[piece.blob.digest] = used.get(piece.blob.digest, 0) + piece.stored
        self._dense_blobs = {digest for digest, size in used.items() if size >= _SPARSE * self.blobs[digest]}

    def same_stream(self, stream: Stream) -> DraftExtent | None:
        """Return where the parent has the bytes of a stream; None where it has not, or in a sparse pack."""
        draft = self._found(stream)
        if draft is None or any(
            isinstance(piece.blob, Blob) and piece.blob.digest not in self._dense_blobs
            for piece in draft.pieces
        ):
            return None
        return draft

    def _found(self, stream: Stream) -> DraftExtent | None:
        extent = None if stream.pieces else self._streams.get(digest_of(stream.tail))
        return drafted(extent, self._manifest.blobs) if extent is not None else None

    @cached_property
    def _streams(self) -> dict[str, Extent]:
        return {g.stream.digest: g.stream for g in self._manifest.groups if g.stream.digest is not None}

    def _reached(self, write_set: set[str]) -> set[int]:
        """Return the places of the groups that names lead to, also through functions and classes."""
        assert self._learned is not None  # noqa: S101  asked by the caller
        groups = self._manifest.groups
        place_of = {frame.name: place for place, group in enumerate(groups) for frame in group.frames}
        waiting = [place_of[name] for name in write_set if name in place_of]
        reached: set[int] = set()
        while waiting:
            place = waiting.pop()
            if place in reached:
                continue
            reached.add(place)
            waiting += groups[place].requires
            waiting += [place_of[name] for name in self._learned["reads"][place] if name in place_of]
        return reached

    def _dense(self, places: Collection[int]) -> list[int]:
        """Leave out small groups that alone would keep a pack: they are written anew."""
        blobs = self._manifest.blobs
        used: dict[int, int] = {}
        for place in places:
            for piece in self._manifest.groups[place].stream.pieces:
                used[piece.blob] = used.get(piece.blob, 0) + piece.stored
        sparse = {blob for blob, size in used.items() if size < _SPARSE * blobs[blob].size}
        return [
            place
            for place in places
            if self._manifest.groups[place].buffers
            or not any(piece.blob in sparse for piece in self._manifest.groups[place].stream.pieces)
        ]

    def _reusable(self, place: int) -> Reusable:
        assert self._learned is not None  # noqa: S101  asked by the caller
        group, groups, blobs = self._manifest.groups[place], self._manifest.groups, self._manifest.blobs
        return Reusable(
            frames=group.frames,
            stream=drafted(group.stream, blobs),
            buffers=[drafted(extent, blobs) for extent in group.buffers],
            requires={frame.name for other in group.requires for frame in groups[other].frames},
            reads=self._learned["reads"][place],
            unchecked=group.unchecked,
        )
