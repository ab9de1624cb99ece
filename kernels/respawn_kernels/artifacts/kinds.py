"""How each sort of object is kept: as other tools read it, where loading then gives back an equal object.

| object | kind | file |
| --- | --- | --- |
| pandas, Polars, PyArrow tables | parquet | Parquet |
| NumPy arrays | npy | `.npy` |
| tensors, modules, state dicts of torch | torch | what `torch.save` writes |
| text | text | UTF-8 |
| bytes | bytes | as they are |
| numbers, booleans, None; lists and dicts of them | json | JSON |
| a figure of matplotlib | picture | PNG |
| a `pathlib.Path` to a file | file | a copy of it |
| a `pathlib.Path` to a directory | directory | tar |
| anything else; what the above would not give back the same | pickle | see `pickles` |
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels.artifacts import tables
from respawn_kernels.artifacts.pickles import read_pickle, write_pickle
from respawn_kernels.originals import dumps, loads

_MAX_JSON_ITEMS = 10_000
_SAFE_SUFFIX = 20


@dataclass(frozen=True)
class Writing:
    """How one object is to be written."""

    kind: str
    """A kind of the table above."""
    suffix: str
    """Of the file, with its dot."""
    write: Callable[[Path], None]
    meta: dict[str, Any] = field(default_factory=dict)
    """What reading needs besides; JSON."""


def writing_of(value: Any) -> Writing:
    """Return how an object is kept. Raises OSError for a path that is not there."""
    ways = (_plain, _table, _array, _torch, _figure, _path)
    return next((writing for way in ways if (writing := way(value)) is not None), None) or pickled(value)


def pickled(value: Any) -> Writing:
    """Return how any object may be kept."""
    return Writing("pickle", ".pickle", lambda path: write_pickle(path, value))


def read(kind: str, path: Path, meta: dict[str, Any]) -> Any:
    """Return the object that a file holds.

    Args:
        kind: how it was written, a kind of the table above.
        path: the file; for a `file` or `directory`, what is returned is a path beside it.
        meta: the `meta` of `writing_of`.

    Raises:
        ValueError: the kind is not known here.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise ValueError(f"artifacts of the kind {kind!r} are not known to this version of Respawn")
    return reader(path, meta)


def _plain(value: Any) -> Writing | None:
    kind = type(value)
    if kind is str:
        try:
            text = value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return None
        return Writing("text", ".txt", lambda path: _write_bytes(path, text))
    if kind in (bytes, bytearray):
        return Writing("bytes", ".bin", lambda path: _write_bytes(path, value), {"type": kind.__name__})
    if _is_json(value):
        return Writing("json", ".json", lambda path: _write_bytes(path, dumps(value, indent=1).encode()))
    return None


def _is_json(value: Any) -> bool:
    """Return whether JSON gives the same value back, with every list and dict in one place only."""
    seen: set[int] = set()
    waiting = [value]
    for item in waiting:
        kind = type(item)
        if kind in (list, dict):
            if id(item) in seen or len(waiting) + len(item) > _MAX_JSON_ITEMS:
                return False
            seen.add(id(item))
            if kind is dict and not all(type(key) is str for key in item):
                return False
            waiting.extend(item.values() if kind is dict else item)
        elif kind is str:
            if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
                return False
        elif kind is int:
            if item.bit_length() > 2048:  # beyond what Python reads as digits
                return False
        elif kind is float:
            if item - item != 0:  # infinities and NaN are not JSON
                return False
        elif kind is not bool and item is not None:
            return False
    return True


def _table(value: Any) -> Writing | None:
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library == "pandas" and kind is sys.modules["pandas"].DataFrame:
        meta = tables.pandas_meta(value)
        write: Callable[[Path, Any], None] = tables.write_pandas
    elif library == "polars" and kind is sys.modules["polars"].DataFrame:
        meta, write = tables.polars_meta(value), tables.write_polars
    elif library == "pyarrow" and kind is sys.modules["pyarrow"].Table:
        meta, write = tables.arrow_meta(value), tables.write_arrow
    else:
        return None
    if meta is None:
        return None
    return Writing("parquet", ".parquet", lambda path: write(path, value), {"library": library, **meta})


def _array(value: Any) -> Writing | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.dtype.hasobject or value.dtype.metadata:
        return None

    def write(path: Path) -> None:
        with path.open("wb") as file:  # given a name, NumPy would change it
            numpy.save(file, value, allow_pickle=False)

    return Writing("npy", ".npy", write)


def _torch(value: Any) -> Writing | None:
    torch = sys.modules.get("torch")
    if torch is None or not _has_tensors(value, torch, depth=4):
        return None

    def write(path: Path) -> None:
        import cloudpickle

        torch.save(value, path, pickle_module=cloudpickle)

    return Writing("torch", ".pt", write)


def _has_tensors(value: Any, torch: Any, depth: int) -> bool:
    """Return whether this is a tensor or a container of builtin types with one in it.

    Modules of the notebook's own classes are pickled, which finds the class again by its name.
    """
    if isinstance(value, torch.Tensor):
        return True
    if isinstance(value, torch.nn.Module):
        return all(type(module).__module__ != "__main__" for module in value.modules())
    if depth and isinstance(value, dict) and type(value).__module__ in ("builtins", "collections"):
        return any(_has_tensors(item, torch, depth - 1) for item in value.values())
    if depth and type(value) in (list, tuple):
        return any(_has_tensors(item, torch, depth - 1) for item in value)
    return False


def _figure(value: Any) -> Writing | None:
    figures = sys.modules.get("matplotlib.figure")
    if figures is None or type(value) is not figures.Figure:
        return None

    def write(path: Path) -> None:
        value.savefig(path, format="png", bbox_inches="tight")

    return Writing("picture", ".png", write, {"name": "figure.png"})


def _path(value: Any) -> Writing | None:
    if not isinstance(value, Path):
        return None
    source = value.absolute()
    if source.is_dir():
        return Writing("directory", ".tar", lambda path: _write_tar(path, source), {"name": source.name})
    source.stat()  # raises when there is no such path, before anything is written
    suffix = "".join(source.suffixes)
    plain = len(suffix) <= _SAFE_SUFFIX and suffix.replace(".", "").isalnum() and suffix.isascii()
    return Writing(
        "file",
        suffix if plain else "",
        lambda path: _copy(source, path),
        {"name": source.name, "executable": os.access(source, os.X_OK)},
    )


def _write_bytes(path: Path, data: bytes | bytearray) -> None:
    path.write_bytes(data)


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)


def _write_tar(path: Path, source: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(source, arcname=".")


def _read_bytes(path: Path, meta: dict[str, Any]) -> bytes | bytearray:
    data = path.read_bytes()
    return bytearray(data) if meta.get("type") == "bytearray" else data


def _read_table(path: Path, meta: dict[str, Any]) -> Any:
    readers = {"pandas": tables.read_pandas, "polars": tables.read_polars, "pyarrow": tables.read_arrow}
    return readers[meta["library"]](path, meta)


def _read_array(path: Path, _meta: dict[str, Any]) -> Any:
    import numpy

    return numpy.load(path, allow_pickle=False)


def _read_torch(path: Path, _meta: dict[str, Any]) -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore]

    return torch.load(path, weights_only=False)


def _own_place(path: Path, meta: dict[str, Any]) -> Path:
    """Return a new directory's path of a loaded file or directory, under the name that it had."""
    place = path.with_name(f"{path.name}.loaded-{os.urandom(4).hex()}")
    place.mkdir()
    return place / (Path(meta["name"]).name or "artifact")


def _read_file(path: Path, meta: dict[str, Any]) -> Path:
    copy = _own_place(path, meta)
    shutil.copyfile(path, copy)
    if meta.get("executable"):
        copy.chmod(0o755)
    return copy


def _read_tar(path: Path, meta: dict[str, Any]) -> Path:
    directory = _own_place(path, meta)
    with tarfile.open(path) as archive:
        archive.extractall(directory, filter="data")  # refuses what would lie outside of it (PEP 706)
    return directory


_READERS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    "text": lambda path, _: path.read_bytes().decode(),
    "bytes": _read_bytes,
    "json": lambda path, _: loads(path.read_bytes()),
    "parquet": _read_table,
    "npy": _read_array,
    "torch": _read_torch,
    "file": _read_file,
    "picture": _read_file,
    "directory": _read_tar,
    "pickle": lambda path, _: read_pickle(path),
}
