"""Settings that cells make through libraries and that no probe sees.

A library may keep what its functions set in C, in a thread's own storage, or in an object that nothing names.
The cell's own code shows that something was set; its record and the checkpoint then list it.
"""

from __future__ import annotations

from respawn_kernels.session_state.calls.library_settings import LibrarySettings as LibrarySettings
from respawn_kernels.session_state.calls.library_settings import settings as settings
