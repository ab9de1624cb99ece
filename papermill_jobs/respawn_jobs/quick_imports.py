"""A second less of start-up for the programs of this package; libraries are left as they are.

Where `rfc3987_syntax` is installed, as JupyterLab brings it, importing jsonschema compiles some forty
grammars for the formats of IRIs, which takes longer than everything else that a run imports. jsonschema does
without when the package is missing. Notebooks have no IRIs to check, so our own programs let it be missing.
"""

from __future__ import annotations

import sys
from importlib import import_module

_GRAMMARS = "rfc3987_syntax"


def import_jsonschema() -> None:
    """Import jsonschema without its grammars for IRIs, unless either is imported already."""
    if "jsonschema" in sys.modules or _GRAMMARS in sys.modules:
        return
    sys.modules[_GRAMMARS] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        import_module("jsonschema")
    finally:
        del sys.modules[_GRAMMARS]
