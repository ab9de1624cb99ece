"""Arguments by which a function that leaves what it is given as it is changes it after all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from respawn_jobs.dataflow.interpreter.values import Constant, Kind, Value

HARMLESS = {
    "out": (None,),
    "copy": (None, True),
    "inplace": (False,),
    "overwrite_input": (False,),
    "overwrite_a": (False,),
    "overwrite_b": (False,),
    "overwrite_x": (False,),
    "overwrite_y": (False,),
}
"""Names of such arguments, and with which literals they change nothing."""

FLAGS = {
    "numpy.nan_to_num": {1: "copy"},
    "numpy.median": {3: "overwrite_input"},
    "numpy.nanmedian": {3: "overwrite_input"},
    "numpy.percentile": {4: "overwrite_input"},
    "numpy.nanpercentile": {4: "overwrite_input"},
    "numpy.quantile": {4: "overwrite_input"},
    "numpy.nanquantile": {4: "overwrite_input"},
}
"""By function: those that can be given by place without being an array (from NumPy 1.21 to 2.4)."""


def harmless(name: str, value: Value) -> bool:
    """Return whether an argument of this name and value leaves the others as they are."""
    if name not in HARMLESS:
        return True
    return isinstance(value.what, Constant) and any(value.what.value is one for one in HARMLESS[name])


def all_harmless(
    path: str, positional: Sequence[Value], named: Mapping[str, Value], more: Value | None
) -> bool:
    """Return whether none of the arguments of a call says that others are to be changed.

    Args:
        path: dotted name of what is called.
        positional: the arguments that are given by place.
        named: those that are given by keyword.
        more: what `*` and `**` unpack, which may say so; None where nothing is unpacked.
    """
    if more is not None:
        return False
    flags = FLAGS.get(path, {})
    return all(harmless(name, value) for name, value in named.items()) and all(
        place not in flags or harmless(flags[place], value) for place, value in enumerate(positional)
    )


def is_flag(value: Value) -> bool:
    """Return whether a value may be True or False."""
    return value.kind is Kind.PLAIN and (not isinstance(value.what, Constant) or value.what.type is bool)
