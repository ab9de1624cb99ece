"""The output streams that a kernel has of its own: each session has its own in their place."""

from __future__ import annotations

import sys
from typing import Any

from respawn_kernels.rebuild import stable_name
from respawn_kernels.session_start import at_session_start

_NAMES = ("stdout", "stderr", "stdin")
_own: dict[str, Any] = {}


@at_session_start
def _note_streams() -> None:
    _own.update((name, getattr(sys, name)) for name in _NAMES)


def is_own(name: str, stream: Any) -> bool:
    """Return whether a stream is what this kernel began with as `sys.stdout` and so on."""
    return stream is _own[name] or type(stream).__module__ == "ipykernel.iostream"


def name_of(stream: Any) -> str | None:
    """Return which of the kernel's own streams this one is; None when it is none of them."""
    for name in _NAMES:
        if stream is _own[name] or stream is getattr(sys, f"__{name}__"):
            return name
    if type(stream).__module__ == "ipykernel.iostream":
        return str(stream.name)
    return None


@stable_name
def own_stream(name: str) -> Any:
    """Return the kernel's own stream of a name; streams name this function."""
    now = getattr(sys, name)
    return now if is_own(name, now) else _own[name]
