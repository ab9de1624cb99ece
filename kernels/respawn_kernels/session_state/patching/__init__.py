"""What was assigned into modules and foreign classes, found by comparing them with what their import left.

It promises that an assignment which a cell makes, or that brings in what is the notebook's or another
package's, is found; and that what a library does to itself is left alone. In-place changes of data are found
in modules that lie beside the notebook only.
"""

from __future__ import annotations

from respawn_kernels.session_state.patching.patches import Patches as Patches
from respawn_kernels.session_state.patching.patches import baseline as baseline
from respawn_kernels.session_state.patching.words import mentioned_words as mentioned_words
from respawn_kernels.session_state.patching.words import written_words as written_words
