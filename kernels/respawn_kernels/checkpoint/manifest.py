"""The manifest of a checkpoint: which variables it holds, in which blobs, and what it could not hold.

A checkpoint directory, whether a spool that a kernel writes or a download that a kernel restores from, is

    <directory>/manifests/<cell>.json     one manifest per boundary, written last and whole
    <directory>/blobs/<digest>            content-addressed data, named by the BLAKE3 of its bytes

Manifests are JSON and never need unpickling to be read. docs/reference/checkpoint-format.md describes them.
Variables that share objects are one *group*: a group is loaded as a whole, and apart from all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels.checkpoint.errors import SnapshotError
from respawn_kernels.host.gc_pause import collecting_later
from respawn_kernels.originals import dumps, loads

FORMAT = 1


@dataclass(frozen=True)
class StoredVariable:
    """A variable that the checkpoint holds."""

    name: str
    type: str
    """Qualified name of its class, such as `pandas.DataFrame`."""
    description: str
    """Shape, length or a short value; safe to show."""
    size: int | None
    """Bytes in memory, where that is known cheaply."""
    cell: int | None = None
    """The cell that made its present value."""
    group: int | None = None
    """Which of the manifest's groups holds it."""


@dataclass(frozen=True)
class UnstoredVariable:
    """A variable that the checkpoint could not hold."""

    name: str
    type: str
    reason: str
    cell: int | None = None
    place: int | None = None
    """Its place among all names of the notebook, from 0; None for a part of the session."""


@dataclass(frozen=True)
class Blob:
    """A blob that the checkpoint needs."""

    digest: str
    size: int


@dataclass(frozen=True)
class BlobPiece:
    """A run of bytes in a blob; compressed with Zstandard when `stored` differs from `raw`."""

    blob: int
    """Place of the blob in the manifest's list."""
    offset: int
    stored: int
    """Bytes in the blob."""
    raw: int
    """Bytes when decoded."""


@dataclass(frozen=True)
class Extent:
    """Bytes that were cut into pieces: a stream of pickles, or the memory of an array."""

    pieces: list[BlobPiece]
    digest: str | None = None
    """BLAKE3 of all the bytes, decoded; None when every piece is a whole blob, whose name is its digest."""

    @property
    def size(self) -> int:
        """Bytes when decoded."""
        return sum(piece.raw for piece in self.pieces)


@dataclass(frozen=True)
class VariableFrame:
    """One variable's pickle in the stream of its group."""

    name: str
    start: int
    end: int
    buffers: tuple[int, int]
    """Which of the group's buffers are its own: first, and one past the last."""


@dataclass(frozen=True)
class Group:
    """Variables that share objects, and so are stored and loaded together."""

    frames: list[VariableFrame]
    """The variables in the order of their pickles, which have one memo. Names with `#` are the session's."""
    stream: Extent
    buffers: list[Extent]
    """What left the stream (pickle protocol 5), in order."""
    requires: list[int]
    """Groups whose variables this one refers to by name."""
    unchecked: str | None = None
    """Why nobody knows whether it comes back as it was; None when it was loaded and compared."""


@dataclass(frozen=True)
class Manifest:
    """What a kernel's namespace was just after a cell."""

    cell: int
    python: str
    cwd: str
    execution_count: int
    variables: list[StoredVariable]
    unstored: list[UnstoredVariable]
    blobs: list[Blob]
    seconds: float = 0.0
    """How long the kernel was kept waiting."""
    mode: str = "inline"
    """`fork`: written by a forked child; `inline`: by the kernel itself."""
    parent: int | None = None
    """Cell of the checkpoint whose unchanged groups are reused; None when everything was pickled anew."""
    groups: list[Group] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    """What the capture noted besides."""
    format: int = FORMAT
    hash_seed: str | None = None
    """The seed by which the kernel hashed texts, or `random`; None where an older version wrote it."""
    front_end: str | None = None
    """Blob of what a front end knew then, which the runner added; None where there was nothing to know."""

    def unchecked(self) -> dict[str, list[str]]:
        """Return the variables that nobody compared with what they were, by the reason; sorted."""
        found: dict[str, list[str]] = {}
        for group in self.groups:
            if group.unchecked is not None:
                names = [frame.name for frame in group.frames if not frame.name.startswith("#")]
                found.setdefault(group.unchecked, []).extend(names)
        return {reason: sorted(names) for reason, names in sorted(found.items()) if names}

    def names(self) -> list[str]:
        """Return the notebook's names, stored or not, in the order that its namespace had."""
        found = [variable.name for variable in self.variables]
        places = {item.place: item.name for item in self.unstored if item.place is not None}
        for place, name in sorted(places.items()):
            found.insert(place, name)
        return found

    def to_json(self) -> str:
        """Return the manifest as a JSON document."""
        document = {name: getattr(self, name) for name in _MANIFEST}
        for name in _PARTS:
            document[name] = [vars(part) for part in document[name]]
        document["groups"] = [_group_to_json(group) for group in self.groups]
        return dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest; who wrote it need not be trusted.

        Raises:
            ValueError: the format is not known to this version, or a field is wrong, which the message names.
        """
        with collecting_later():
            return cls._read(text)

    @classmethod
    def _read(cls, text: str | bytes) -> Manifest:
        try:
            data = loads(text)
        except RecursionError as error:
            raise ValueError("the manifest is nested too deeply") from error
        if not _is_object(data):
            raise ValueError("the manifest is not a JSON object")
        if data.get("format") != FORMAT or isinstance(data["format"], bool):
            raise ValueError(f"checkpoint format {data.get('format')!r} is not known here (known: {FORMAT})")
        _check(data, _MANIFEST, "manifest")
        for name, (_, checks) in _PARTS.items():
            for place, part in enumerate(data[name]):
                _check(part, checks, f"{name}[{place}]")
        parts = {name: [of(**part) for part in data[name]] for name, (of, _) in _PARTS.items()}
        groups = data.pop("groups", [])
        reader = _GroupReader(parts["blobs"], len(groups))
        read = [reader.group(group, f"groups[{place}]") for place, group in enumerate(groups)]
        for place, variable in enumerate(parts["variables"]):
            if variable.group is not None and variable.group >= len(read):
                raise ValueError(f"variables[{place}].group is not a group")
        return cls(**{**data, **parts, "groups": read})


def read_manifest(directory: Path, cell: int) -> Manifest:
    """Read the manifest of a cell's checkpoint. Raises SnapshotError when there is none that can be read."""
    path = directory / "manifests" / f"{cell}.json"
    try:
        return Manifest.from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SnapshotError(f"no checkpoint after cell {cell} in {directory}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the manifest {path} cannot be read: {error}") from error


def _group_to_json(group: Group) -> dict[str, Any]:
    """Return a group in the manifest's short form: there may be very many of them."""
    return {
        "frames": [[f.name, f.start, f.end, *f.buffers] for f in group.frames],
        "stream": _extent_to_json(group.stream),
        "buffers": [_extent_to_json(extent) for extent in group.buffers],
        "requires": group.requires,
        **({"unchecked": group.unchecked} if group.unchecked is not None else {}),
    }


def _extent_to_json(extent: Extent) -> list[Any]:
    return [extent.digest, [[p.blob, p.offset, p.stored, p.raw] for p in extent.pieces]]


class _GroupReader:
    """Reads groups and checks that all they refer to is there."""

    def __init__(self, blobs: list[Blob], groups: int) -> None:
        self._blobs = blobs
        self._groups = groups

    def group(self, data: Any, where: str) -> Group:
        _check(data, _GROUP, where)
        buffers = [self._extent(item, f"{where}.buffers") for item in data["buffers"]]
        stream = self._extent(data["stream"], f"{where}.stream")
        frames = [
            self._frame(item, stream.size, len(buffers), f"{where}.frames[{place}]")
            for place, item in enumerate(data["frames"])
        ]
        if not all(_is_count(item) and item < self._groups for item in data["requires"]):
            raise ValueError(f"{where}.requires names no group")
        return Group(frames, stream, buffers, data["requires"], data.get("unchecked"))

    def _extent(self, data: Any, where: str) -> Extent:
        if not (_is_list(data) and len(data) == 2 and _is_list(data[1])):
            raise ValueError(f"{where} is not an extent")
        digest, pieces = data
        if digest is not None and not _is_digest(digest):
            raise ValueError(f"{where} has no digest")
        if not all(self._is_piece(piece) for piece in pieces):
            raise ValueError(f"{where} lies outside its blobs")
        return Extent([BlobPiece(*piece) for piece in pieces], digest)

    def _is_piece(self, data: Any) -> bool:
        if not (_is_list(data) and len(data) == 4 and all(_is_count(number) for number in data)):
            return False
        blob, offset, stored, _ = data
        return bool(blob < len(self._blobs) and offset + stored <= self._blobs[blob].size)

    def _frame(self, data: Any, size: int, buffers: int, where: str) -> VariableFrame:
        if not (_is_list(data) and len(data) == 5 and _is_text(data[0]) and all(map(_is_count, data[1:]))):
            raise ValueError(f"{where} is not a frame")
        name, start, end, first, last = data
        if not (start <= end <= size and first <= last <= buffers):
            raise ValueError(f"{where} lies outside its stream")
        return VariableFrame(name, start, end, (first, last))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_hash_seed(value: Any) -> bool:
    return value is None or (isinstance(value, str) and re.fullmatch("random|[0-9]{1,10}", value) is not None)


def _is_digest_or_none(value: Any) -> bool:
    return value is None or _is_digest(value)


def _is_text_or_none(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


_Checks = dict[str, Callable[[Any], bool]]
_MANIFEST: _Checks = {
    "cell": _is_count,
    "python": _is_text,
    "cwd": _is_text,
    "execution_count": _is_count,
    "variables": _is_list,
    "unstored": _is_list,
    "blobs": _is_list,
    "seconds": _is_seconds,
    "mode": _is_text,
    "parent": _is_count_or_none,
    "groups": _is_list,
    "payload": _is_object,
    "format": _is_count,
    "hash_seed": _is_hash_seed,
    "front_end": _is_digest_or_none,
}
_GROUP: _Checks = {
    **{"frames": _is_list, "stream": _is_list, "buffers": _is_list, "requires": _is_list},
    "unchecked": _is_text_or_none,
}
_NAMED: _Checks = {"name": _is_text, "type": _is_text, "cell": _is_count_or_none}
_PARTS: dict[str, tuple[type[Any], _Checks]] = {
    "variables": (
        StoredVariable,
        {**_NAMED, "description": _is_text, "size": _is_count_or_none, "group": _is_count_or_none},
    ),
    "unstored": (UnstoredVariable, {**_NAMED, "reason": _is_text, "place": _is_count_or_none}),
    "blobs": (Blob, {"digest": _is_digest, "size": _is_count}),
}
_OPTIONAL = {"manifest": {"seconds", "mode", "parent", "groups", "payload", "hash_seed", "front_end"}}


def _check(document: Any, checks: _Checks, where: str) -> None:
    """Raise ValueError naming the field of `document` that is missing, unknown or of another kind."""
    if not _is_object(document):
        raise ValueError(f"{where} is not an object")
    for name, value in document.items():
        right = checks.get(name)
        if right is None:
            raise ValueError(f"{where}.{name} is not a known field")
        if not right(value):
            raise ValueError(f"{where}.{name} is not {right.__name__.removeprefix('_is_').replace('_', ' ')}")
    if len(document) < len(checks):
        optional = _OPTIONAL.get(where, {"cell", "group", "unchecked", "place"})
        for name in checks:
            if name not in document and name not in optional:
                raise ValueError(f"{where}.{name} is missing")
