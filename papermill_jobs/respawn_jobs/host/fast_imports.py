"""Some seconds less of start-up for the programs of this package; libraries are left as they are.

Where `rfc3987_syntax` is installed, as JupyterLab brings it, importing jsonschema compiles some forty
grammars for the formats of IRIs, which takes longer than everything else that a run imports. jsonschema does
without when the package is missing. Notebooks have no IRIs to check, so our own programs let it be missing.
"""

from __future__ import annotations

import sys

_GRAMMARS = "rfc3987_syntax"


def leave_out_grammars() -> None:
    """Let whatever imports jsonschema in this program do without its grammars for IRIs.

    For programs of our own, before they import anything; not for a process that belongs to somebody else.
    """
    # None is the documented way to make an import fail.
    sys.modules.setdefault(_GRAMMARS, None)  # type: ignore[arg-type]
