"""How matplotlib's registries of callbacks are taken apart: with the callbacks, which matplotlib leaves out.

`ax.callbacks.connect('xlim_changed', f)` and what ties a colorbar to its image would be gone. And each time
that matplotlib pickles a registry it draws a number, so that the next callback of the notebook would get
another one than without a checkpoint.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer

_OF_WINDOWS = ("matplotlib.backend", "matplotlib.pyplot", "matplotlib_inline", "ipympl")
"""Modules whose callbacks are made again with the window. Those of `matplotlib.widgets` are the widget's."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reduction of matplotlib's registries of callbacks."""
    registry: Any = getattr(sys.modules["matplotlib.cbook"], "CallbackRegistry", None)
    return {} if registry is None else {registry: _registry}


def _registry(obj: Any, _pickler: NamespacePickler) -> Any:
    """Return what `CallbackRegistry.__getstate__` does (matplotlib 3.5 to 3.11), with all callbacks."""
    state = dict(vars(obj))
    try:
        callbacks = {
            signal: {cid: function for cid, proxy in some.items() if _is_kept(obj, cid, function := proxy())}
            for signal, some in state["callbacks"].items()
        }
        number = state.pop("_cid_gen").__reduce__()[1][0]
    except (AttributeError, KeyError, TypeError):  # of a version that is made otherwise
        return NotImplemented
    # The number last, as `__setstate__` leaves it: what was restored is stored as the same bytes.
    state |= {"callbacks": callbacks, "_func_cid_map": None, "_cid_gen": number}
    return copyreg.__newobj__, (type(obj),), state  # type: ignore[attr-defined]  # it is how pickle makes objects


def _is_kept(obj: Any, cid: int, function: Any) -> bool:
    if function is None:
        return False
    owner = type(getattr(function, "__self__", function))
    module = getattr(function, "__module__", None) if owner is type(function) else owner.__module__
    return cid in obj._pickled_cids or not str(module).startswith(_OF_WINDOWS)
