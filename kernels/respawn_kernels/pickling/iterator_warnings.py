"""Iterators of `itertools`, stored and loaded without the warning that Python 3.12 and 3.13 give.

https://github.com/python/cpython/issues/101588: in Python 3.14 they cannot be copied or pickled any more. The
warning would be the notebook's: recorded by it, or an error where its filters make errors of warnings.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MESSAGE = "Pickle, copy, and deepcopy support will be removed from itertools"
_IGNORED: Any = ("ignore", re.compile(_MESSAGE), DeprecationWarning, None, 0)


@contextmanager
def unwarned() -> Iterator[None]:
    """Keep this one warning from everybody.

    The filter is ours alone and leaves the list that it came to, as in `host.forking.fork_without_warning`.
    """
    if not (3, 12) <= sys.version_info < (3, 14):
        yield
        return
    filters: Any = warnings.filters
    filters.insert(0, _IGNORED)
    try:
        yield
    finally:
        place = next((at for at, one in enumerate(filters) if one is _IGNORED), None)
        if place is not None:
            del filters[place]
