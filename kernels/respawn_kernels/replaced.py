"""Functions and classes that the notebook has replaced in their module, and keeps: `real = time.time`.

Another session finds them where the import put them, whatever the module has under the name by then.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from respawn_kernels.session_state.patching import baseline


def reduce_replaced(obj: Any) -> Any:
    """Refer to a function or class by its name at the end of the import, where its module has another now."""
    name, module = getattr(obj, "__qualname__", None), getattr(obj, "__module__", None)
    if type(name) is not str or type(module) is not str or module == "__main__":
        return NotImplemented
    if getattr(sys.modules.get(module), name, None) is obj or baseline.of_import(module, name) is not obj:
        return NotImplemented
    return make_of_import, (module, name)


def make_of_import(module: str, name: str) -> Any:
    """Return what a module had under a name when its import had ended. Streams call it: it stays."""
    importlib.import_module(module)
    return baseline.of_import(module, name)
