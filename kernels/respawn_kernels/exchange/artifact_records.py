"""What is known of an artifact, and the directory that a kernel and its runner share.

    <artifacts>/files/<file>            the artifact's bytes, one whole file
    <artifacts>/records/<name>.json     what this kernel saved last under a name; written after its file
    <artifacts>/before/<name>.json      what the runs or attempts before kept; its file comes when asked for
    <artifacts>/wanted/<name>           the kernel asks for the file of a record in `before`, or for another
                                        job's artifact, record and file; in it is the name or the address
    <artifacts>/answers/<name>.json     the runner has brought it, or says why it could not
    <artifacts>/stored/<name>.json      the number that the runner has stored last, or why it could not
    <artifacts>/cell                    the cell that runs

Every document is written whole or not at all. An address, which is `job/name`, has a file name of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels.exchange.versions import known_fields
from respawn_kernels.originals import dumps, loads

MAX_NAMES = 1000
"""Names that one run may save under; the artifacts of a name replace each other."""
FORMAT = 1
PREVIEW = "preview"
"""Where `meta` has the first rows or lines: see `artifacts.previews`."""
MAX_ADDRESS = 450
"""Characters of a namespace, a job's name and an artifact's name, with `/` between them."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_OF_ADDRESS = "%"
"""Begins the file names of addresses; no name does."""
_PLACES = ("files", "records", "before", "wanted", "answers", "stored")


class ArtifactError(Exception):
    """An artifact could not be saved or loaded; the message names it, why, and what to do."""


class ArtifactNotFound(ArtifactError, LookupError):
    """There is no artifact of that name, and no default was given."""


@dataclass(frozen=True)
class ArtifactRecord:
    """One saved artifact."""

    name: str
    number: int
    """Counts the saves under this name, from 1, also over the runs that resume each other."""
    kind: str
    """How it is stored, such as `parquet` or `npy`: see `artifacts.kinds`."""
    type: str
    """The class that was saved, such as `pandas.DataFrame`."""
    description: str
    """A few words: shape, length or value."""
    size: int
    saved_at: str
    """UTC, in ISO 8601."""
    file: str
    """Its name in `files`."""
    cell: int | None = None
    """The cell that saved it; None outside a run."""
    meta: dict[str, Any] = field(default_factory=dict, repr=False)
    """What loading needs to know beside the bytes."""

    def to_json(self) -> str:
        """Return it as a JSON document."""
        return dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> ArtifactRecord:
        """Read what `to_json` wrote. Raises ValueError when it is something else."""
        try:
            data: dict[str, Any] = loads(text)
            if data.pop("format") != FORMAT:
                raise ValueError("not an artifact's record of a format that is known here")
            return known_fields(cls, data)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"not an artifact's record: {error}") from error


def check_name(name: Any) -> str:
    """Return a name that can be used. Raises ArtifactError saying what a name is."""
    if not isinstance(name, str):
        raise ArtifactError(
            f"the name of an artifact is a text, not {type(name).__name__}: respawn.save('model', model)"
        )
    if _NAME.fullmatch(name) is None:
        raise ArtifactError(
            f"{name[:120]!r} cannot be the name of an artifact: take 1 to 100 letters (a-z), digits, "
            "'_', '-' and '.', and begin with a letter, a digit or '_'"
        )
    return name


def check_address(address: Any) -> tuple[str, str]:
    """Return the job and the name of an address. Raises ArtifactError saying what an address is."""
    job, _, name = address.rpartition("/") if isinstance(address, str) else ("", "", "")
    if not job.strip("/ ") or len(address) > MAX_ADDRESS:
        raise ArtifactError(
            f"{str(address)[:120]!r} is not an artifact of a job: give the job and the name that it saves "
            "under, as in respawn.latest('nightly/model')"
        )
    return job, check_name(name)


def is_address(name: str) -> bool:
    """Return whether it is the address of another job's artifact, and no name of the run's own."""
    return "/" in name


def file_name(name: str) -> str:
    """Return what files are named for an artifact: its name, or a short one for an address."""
    return _OF_ADDRESS + hashlib.blake2s(name.encode()).hexdigest()[:32] if is_address(name) else name


@dataclass(frozen=True)
class Shelf:
    """The directory of one run's artifacts."""

    root: Path

    def make(self) -> Shelf:
        """Make the directories that are missing, and return it. Raises OSError."""
        for place in _PLACES:
            (self.root / place).mkdir(parents=True, exist_ok=True)
        return self

    def file(self, record: ArtifactRecord) -> Path:
        """Return where an artifact's bytes are, or will be."""
        return self.root / "files" / Path(record.file).name

    def path(self, place: str, name: str) -> Path:
        """Return the document of a name or an address in one of the places."""
        file = file_name(name)
        return self.root / place / (file if place == "wanted" else f"{file}.json")

    def record(self, place: str, name: str) -> ArtifactRecord | None:
        """Return a record, None when there is none. Raises ArtifactError when it is not one."""
        path = self.path(place, name)
        try:
            return ArtifactRecord.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ArtifactError(f"the record of artifact {name!r} cannot be read: {error}") from error

    def latest(self, name: str) -> ArtifactRecord | None:
        """Return what `load` returns: what was saved here, else what an earlier run or attempt kept."""
        return self.record("records", name) or self.record("before", name)

    def names(self, place: str) -> set[str]:
        """Return the names that have a document in a place; addresses are not among them."""
        found = (path for path in (self.root / place).glob("*.json") if not path.name.startswith("."))
        return {path.stem for path in found if not path.name.startswith(_OF_ADDRESS)}

    def addresses(self) -> set[str]:
        """Return the addresses of what the run has read of other jobs. Raises ArtifactError."""
        found: set[str] = set()
        for path in (self.root / "before").glob(f"{_OF_ADDRESS}*.json"):
            try:
                found.add(ArtifactRecord.from_json(path.read_bytes()).name)
            except ValueError as error:
                raise ArtifactError(f"{path} cannot be read: {error}") from error
        return found

    def document(self, place: str, name: str) -> dict[str, Any] | None:
        """Return the runner's answer; None as long as there is none."""
        try:
            found: dict[str, Any] = loads(self.path(place, name).read_bytes())
        except FileNotFoundError:
            return None
        return found

    def cell(self) -> int | None:
        """Return the cell that runs, as the runner wrote it down."""
        try:
            return int((self.root / "cell").read_bytes())
        except (OSError, ValueError):
            return None

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Let one process and thread at a time change what is latest."""
        with (self.root / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # A child that another thread forked meanwhile has the file open, too, and would keep the lock
                # when this one only closed it (flock(2)).
                fcntl.flock(lock, fcntl.LOCK_UN)
