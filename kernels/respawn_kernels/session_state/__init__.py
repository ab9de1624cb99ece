"""The state of a session besides its variables: settings, generators, registrations, patches.

Each part is a *probe*: it can be compared with what it was (fingerprint), stored (capture) and set again
(restore). It promises that a part which changed and cannot be set again is named. It does not see what
libraries keep in C, unless a probe asks for it.

Plans read the catalogue alone; the probes are loaded when one of the functions is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from respawn_kernels.session_state.catalogue import CATALOGUE as CATALOGUE
from respawn_kernels.session_state.probe.interface import Lost as Lost

if TYPE_CHECKING:
    from respawn_kernels.session_state.state import capture as capture
    from respawn_kernels.session_state.state import capture_before_fork as capture_before_fork
    from respawn_kernels.session_state.state import changed_by_imports as changed_by_imports
    from respawn_kernels.session_state.state import comes_first as comes_first
    from respawn_kernels.session_state.state import fingerprints as fingerprints
    from respawn_kernels.session_state.state import note as note
    from respawn_kernels.session_state.state import note_settings as note_settings
    from respawn_kernels.session_state.state import prepare as prepare
    from respawn_kernels.session_state.state import reached_by_libraries as reached_by_libraries
    from respawn_kernels.session_state.state import reaching_notebook as reaching_notebook
    from respawn_kernels.session_state.state import registered_by_notebook as registered_by_notebook
    from respawn_kernels.session_state.state import restore as restore
    from respawn_kernels.session_state.state import title as title
    from respawn_kernels.session_state.state import watch as watch

_OF_STATE = {
    *(
        "changed_by_imports",
        "capture",
        "capture_before_fork",
        "comes_first",
        "fingerprints",
        "note",
        "note_settings",
        "prepare",
        "reached_by_libraries",
        "reaching_notebook",
        "registered_by_notebook",
        "restore",
        "title",
        "watch",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _OF_STATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.state"), name)
