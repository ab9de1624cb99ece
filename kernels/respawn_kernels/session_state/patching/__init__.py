"""What was assigned into modules and foreign classes, found by comparing them with what their import left.

It promises that an assignment which a cell makes, or that brings in what is the notebook's or another
package's, is found, in containers of libraries too; and that what a library does to itself is left alone.
Other data that changed in place is found in modules that lie beside the notebook only.
"""

from __future__ import annotations

from respawn_kernels.session_state.patching.assigned_names import mentioned_words as mentioned_words
from respawn_kernels.session_state.patching.assigned_names import named_pairs as named_pairs
from respawn_kernels.session_state.patching.assigned_names import written_words as written_words
from respawn_kernels.session_state.patching.baseline import baseline as baseline
from respawn_kernels.session_state.patching.helper_modules import Helpers as Helpers
from respawn_kernels.session_state.patching.helper_modules import helper_parts as helper_parts
from respawn_kernels.session_state.patching.library_registries import Registries as Registries
from respawn_kernels.session_state.patching.patches import Patches as Patches
from respawn_kernels.session_state.patching.value_origin import is_own as is_own
from respawn_kernels.session_state.patching.value_origin import package_in_loops as package_in_loops
