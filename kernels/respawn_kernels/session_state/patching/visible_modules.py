"""Which installed modules the notebook's cells can reach by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching.assigned_names import mentioned_words
from respawn_kernels.session_state.patching.baseline import baseline


def visible_modules() -> Iterator[ModuleType]:
    """Return installed modules that are variables of the notebook, and parts of packages that it imports."""
    namespace = getattr(live_shell(), "user_ns", {})
    named = (sys.modules.get(name) for name in mentioned_words() if "." in name)
    for value in {id(v): v for v in (*namespace.values(), *named) if type(v) is ModuleType}.values():
        if not baseline.is_local(value.__name__):
            yield value
