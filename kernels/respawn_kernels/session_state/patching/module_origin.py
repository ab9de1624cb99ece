"""Where a module comes from: Respawn, an installed library, or a file beside the notebook."""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

_PLACES = (sys.prefix, sys.base_prefix, *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
_INSTALLED = tuple({place for one in _PLACES if one for place in (one, str(Path(one).resolve()))})
_NOTEBOOK = re.compile(rb"\b(?:__main__|user_ns|user_global_ns)\b")
_RUN_AS_SCRIPT = re.compile(rb"__name__\s*==\s*['\"]__main__['\"]")
_OURS = (
    *("respawn", "respawn_environments", "respawn_hub", "respawn_jobs"),
    *("respawn_kernels", "respawn_server", "respawn_widgets"),
)


def is_ours(name: str) -> bool:
    """Return whether a module of this name is one of Respawn's."""
    return name.partition(".")[0] in _OURS


def is_beside_notebook(module: ModuleType) -> bool:
    """Return whether a module was made from a source file that is not installed."""
    file = vars(module).get("__file__")
    if not isinstance(file, str) or not file.endswith(".py") or file.startswith(_INSTALLED):
        return False
    return not str(Path(file).resolve()).startswith(_INSTALLED)


def source_of(module: ModuleType) -> bytes | None:
    """Return a module's source file; None when it cannot be read."""
    try:
        return Path(str(module.__file__)).read_bytes()
    except OSError:
        return None


def source_digest(module: ModuleType) -> str | None:
    """Return a digest of a module's source file; None when it cannot be read."""
    source = source_of(module)
    return None if source is None else hashlib.sha256(source).hexdigest()


def mentions_notebook(source: bytes) -> bool:
    """Return whether a module's source mentions the notebook's variables, as `import __main__` does."""
    return _NOTEBOOK.search(_RUN_AS_SCRIPT.sub(b"", source)) is not None
