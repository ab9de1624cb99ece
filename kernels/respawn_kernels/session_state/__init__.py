"""The state of a session besides its variables: settings, generators, registrations, patches.

Each part is a *probe*: it can be told apart from what it was (fingerprint), kept (capture) and given back
(restore). It promises that a part which changed and cannot be given back is named. It does not see what
libraries keep in C, unless a probe asks for it.
"""

from __future__ import annotations

from respawn_kernels.session_state.catalogue import CATALOGUE as CATALOGUE
from respawn_kernels.session_state.catalogue import Part as Part
from respawn_kernels.session_state.probe import Lost as Lost
from respawn_kernels.session_state.probe import Probe as Probe
from respawn_kernels.session_state.registry import title as title
from respawn_kernels.session_state.state import capture as capture
from respawn_kernels.session_state.state import capture_before_fork as capture_before_fork
from respawn_kernels.session_state.state import comes_first as comes_first
from respawn_kernels.session_state.state import fingerprints as fingerprints
from respawn_kernels.session_state.state import restore as restore
