"""How pandas' blocks are taken apart: memory that tables share, and the record of who shares it.

Under copy on write (PDEP-7) a write to one of two tables that share memory makes a copy first, because both
refer to one `BlockValuesRefs`. Shared memory without that record would let a write to one change the other.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_LABELS = 10_000
"""Texts of an index up to so many are stored in the stream itself, not as an array beside it."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for this version of pandas; none for one that is built otherwise."""
    try:
        from pandas._libs.internals import BlockValuesRefs
        from pandas.core.internals import blocks, managers
    except ImportError:
        return {}
    found: dict[type, Reducer] = {
        cls: _block
        for cls in vars(blocks).values()
        if isinstance(cls, type) and issubclass(cls, blocks.Block) and cls is not blocks.Block
    }
    found[BlockValuesRefs] = _refs
    found[managers.SingleBlockManager] = _single
    with suppress(ImportError):
        from pandas.core.arrays import ArrowExtensionArray
        from pandas.core.arrays.string_arrow import ArrowStringArray

        found |= {ArrowExtensionArray: _arrow, ArrowStringArray: _arrow}
    pandas: Any = sys.modules["pandas"]
    found[pandas.Timestamp] = _timestamp
    found[pandas.Flags] = _flags
    for name in ("Index", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex"):
        found[getattr(pandas, name)] = _index
    return found


def _flags(flags: Any, pickler: NamespacePickler) -> Any:
    """Store the flags of a table as what the table has, which keeps them and is told by them."""
    owner = flags._obj()
    if owner is None or owner.flags is not flags:
        return flags.__reduce_ex__(pickler.proto)
    return getattr, (owner, "flags")


def _timestamp(stamp: Any, pickler: NamespacePickler) -> Any:
    """Store which of two hours of one name it is of: pandas leaves that out of a stamp without a zone."""
    reduced = stamp.__reduce__()
    if not stamp.fold or stamp.tzinfo is not None:
        return reduced
    return make_second_hour, reduced[1]


@stable_name
def make_second_hour(*given: Any) -> Any:
    """Return a stamp of pandas in the second of two hours that a clock calls alike.

    Args:
        *given: what pandas makes it of (`Timestamp.__reduce__`).
    """
    from pandas._libs.tslibs.timestamps import _unpickle_timestamp

    return _unpickle_timestamp(*given).replace(fold=1)


def _block(block: Any, pickler: NamespacePickler) -> Any:
    refs = block.refs if len(_alive(block.refs)) > 1 else None
    placement = block.mgr_locs.indexer
    return make_pandas_block, (block.values, placement, block.ndim, refs)


def _alive(refs: Any) -> list[Any]:
    return [one for one in (reference() for reference in refs.referenced_blocks) if one is not None]


def _refs(refs: Any, pickler: NamespacePickler) -> Any:
    return make_block_references, ()


def _single(manager: Any, pickler: NamespacePickler) -> Any:
    return make_single_block_manager, (manager.blocks, manager.axes)


def _arrow(array: Any, pickler: NamespacePickler) -> Any:
    """Store the chunks of an Arrow array as they are, and set them as they are: pandas would copy them.

    Columns of a copied table have the same chunks, and must have them when they come back.
    """
    state = {**array.__dict__, **({"_cache": {}} if "_cache" in array.__dict__ else {})}
    new: Any = copyreg.__newobj__  # type: ignore[attr-defined]
    return new, (type(array),), state, None, None, fill_arrow_array


@stable_name
def fill_arrow_array(array: Any, state: dict[str, Any]) -> None:
    """Set the chunks of an Arrow array, which others may have too."""
    array.__dict__.update(state)


def _index(index: Any, pickler: NamespacePickler) -> Any:
    """Store an index, and who shares memory with it: a write to that makes a copy, as long as it is there."""
    reduced = _alone(index, pickler)
    refs = getattr(index, "_references", None)
    if refs is None or len(_alive(refs)) < 2 or any(one is not None for one in reduced[2:]):
        return reduced
    return *reduced[:2], (refs,), None, None, fill_index_references


@stable_name
def fill_index_references(index: Any, state: tuple[Any]) -> None:
    """Record that an index shares the memory of a block."""
    index._references = state[0]
    state[0].add_index_reference(index)


def _alone(index: Any, pickler: NamespacePickler) -> Any:
    """Store an index with memory of its own: it never changes, but what shares memory with it may."""
    labels = _labels(index)
    if labels is not None:
        return make_text_index, (labels, index.dtype, index.name)
    reduced = index.__reduce__()
    data = reduced[1][1].get("data") if len(reduced[1]) == 2 and isinstance(reduced[1][1], dict) else None
    numpy: Any = sys.modules["numpy"]
    if data is None or type(data) is not numpy.ndarray:
        return reduced
    own = data[:]
    pickler.keep.append(own)  # its address must not be given to another object
    pickler.unaliased.add(id(own))
    return reduced[0], (reduced[1][0], {**reduced[1][1], "data": own}), *reduced[2:]


def _labels(index: Any) -> tuple[str, ...] | None:
    """Return what an index holds if that is a little text, such as the names of columns."""
    pandas: Any = sys.modules["pandas"]
    text = index.dtype == object or isinstance(index.dtype, pandas.StringDtype)
    if type(index) is not pandas.Index or not text or len(index) > _LABELS:
        return None
    labels = tuple(index.tolist())
    return labels if {*map(type, labels)} <= {str} and type(index.name) in (str, type(None)) else None


@stable_name
def make_text_index(labels: tuple[str, ...], dtype: Any, name: str | None) -> Any:
    """Return an index of text.

    Args:
        labels: the texts.
        dtype: `object` or a string type of pandas.
        name: of the index; None for none.
    """
    import pandas as pd

    return pd.Index(list(labels), dtype=dtype, name=name)


@stable_name
def make_pandas_block(values: Any, placement: Any, ndim: int, refs: Any) -> Any:
    """Return a block of a table, recorded as sharing its memory where it does.

    Args:
        values: an array of columns by rows, or an extension array of one column.
        placement: places of its columns in the table: a slice or an array of int.
        ndim: 2 in a DataFrame, 1 in a Series.
        refs: the record that it has in common with other blocks; None for a block that shares nothing.
    """
    from pandas._libs.internals import BlockPlacement
    from pandas.core.internals.blocks import ensure_block_shape, maybe_coerce_values, new_block

    values = ensure_block_shape(maybe_coerce_values(values), ndim)
    return new_block(values, placement=BlockPlacement(placement), ndim=ndim, refs=refs)


@stable_name
def make_block_references() -> Any:
    """Return an empty record of who shares memory."""
    from pandas._libs.internals import BlockValuesRefs

    return BlockValuesRefs()


@stable_name
def make_single_block_manager(blocks: Any, axes: Any) -> Any:
    """Return the manager of a Series."""
    from pandas.core.internals.managers import SingleBlockManager

    return SingleBlockManager(blocks[0], axes[0])
