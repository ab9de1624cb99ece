"""What a capture leaves for the next one in the same kernel: which groups may be known unchanged.

It speaks of addresses, so it holds only in the process that it was learned in, and in children forked from
it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respawn_kernels.chunks import Draft, drafted
from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.manifest import Blob, Extent, Frame, Manifest, StoredVariable
from respawn_kernels.originals import dumps, getpid, loads, monotonic_ns

if TYPE_CHECKING:
    from respawn_kernels.streams import Stream

_LINEAGE = f"{getpid()}-{monotonic_ns()}"
"""Marks this kernel and the children forked from it."""
_SPARSE = 0.5
"""A pack of which less than this share is still used is not kept for the rest."""


@dataclass
class Reusable:
    """A group of the parent checkpoint as a part of the next one."""

    frames: list[Frame]
    stream: Draft
    buffers: list[Draft]
    requires: set[str]
    reads: list[str]
    unchecked: str | None = None

    @property
    def names(self) -> list[str]:
        """The variables of the group."""
        return [frame.name for frame in self.frames]


class Knowledge:
    """What is known of the parent checkpoint."""

    def __init__(self, manifest: Manifest, learned: Mapping[str, Any] | None) -> None:
        self._manifest = manifest
        self._learned = learned
        self.cell = manifest.cell
        self._dense_blobs: set[str] = set()

    @classmethod
    def read(cls, spool: Path, cell: int | None) -> Knowledge | None:
        """Return what the spool tells of a checkpoint; None when it has none."""
        if cell is None:
            return None
        try:
            manifest = Manifest.from_json((spool / "manifests" / f"{cell}.json").read_bytes())
        except (OSError, ValueError):
            return None
        learned = None
        with suppress(OSError, ValueError):
            learned = loads((spool / "knowledge" / f"{cell}.json").read_bytes())
        if learned is not None and learned.get("lineage") != _LINEAGE:
            learned = None
        return cls(manifest, learned)

    @staticmethod
    def write(
        spool: Path,
        cell: int,
        ids: Mapping[str, tuple[int, int]],
        closed: list[bool],
        reads: list[list[str]],
        compressed: Mapping[str, Blob],
    ) -> None:
        """Leave what was learned; without it the next capture only has to look at everything."""
        document: dict[str, Any] = {"lineage": _LINEAGE, "ids": ids, "closed": closed, "reads": reads}
        document["compressed"] = {digest: [blob.digest, blob.size] for digest, blob in compressed.items()}
        with suppress(OSError):
            (spool / "knowledge").mkdir(exist_ok=True)
            write_whole(spool / "knowledge" / f"{cell}.json", dumps(document).encode(), durable=False)

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

    def unchanged(self, values: Mapping[str, Any], touched: Collection[str]) -> list[Reusable]:
        """Return the groups whose variables cannot have changed.

        Args:
            values: the variables as they are now.
            touched: names that the cells since could have touched.
        """
        if self._learned is None:
            return []
        reached = self._reached(set(touched))
        ids, groups = self._learned["ids"], self._manifest.groups
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
            and self._learned["closed"][place]
            and all(same[other] for other in group.requires)
        ]
        return [self._reusable(place) for place in self._dense(found)]

    def expect(self, taken_over: Iterable[Reusable], streams: Iterable[Stream]) -> None:
        """Learn what the next checkpoint will hold, to know which packs are worth keeping.

        Args:
            taken_over: the groups that are known unchanged.
            streams: what was pickled anew; some of it may turn out the same.
        """
        used: dict[str, int] = {}
        same = [draft for stream in streams if (draft := self._found(stream)) is not None]
        for draft in [*(group.stream for group in taken_over), *same]:
            for piece in draft.pieces:
                assert isinstance(piece.blob, Blob)  # noqa: S101  of the parent: written
                used[piece.blob.digest] = used.get(piece.blob.digest, 0) + piece.stored
        self._dense_blobs = {digest for digest, size in used.items() if size >= _SPARSE * self.blobs[digest]}

    def same_stream(self, stream: Stream) -> Draft | None:
        """Return where the parent has the bytes of a stream, if it has and that is worth keeping."""
        draft = self._found(stream)
        if draft is None or any(
            isinstance(piece.blob, Blob) and piece.blob.digest not in self._dense_blobs
            for piece in draft.pieces
        ):
            return None
        return draft

    def _found(self, stream: Stream) -> Draft | None:
        extent = None if stream.pieces else self._streams.get(digest_of(stream.tail))
        return drafted(extent, self._manifest.blobs) if extent is not None else None

    @cached_property
    def _streams(self) -> dict[str, Extent]:
        return {g.stream.digest: g.stream for g in self._manifest.groups if g.stream.digest is not None}

    def _reached(self, touched: set[str]) -> set[int]:
        """Return the groups that touched names lead to, through functions and classes."""
        assert self._learned is not None  # noqa: S101  asked by the caller
        groups = self._manifest.groups
        place_of = {frame.name: place for place, group in enumerate(groups) for frame in group.frames}
        waiting = [place_of[name] for name in touched if name in place_of]
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
        """Leave out small groups that alone would keep a pack alive: they are written anew."""
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
