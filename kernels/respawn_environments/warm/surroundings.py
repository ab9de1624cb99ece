"""What imports in a zygote find around them, as they would in a kernel: the output's encoding, and a shell.

pandas notes both as it is imported: how it writes signs, and whether it shows tables in a kernel, where
`display.max_columns` is 20, or in a terminal.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respawn_environments.warm.fork_safety import Unfit

_ENCODING = "UTF-8"
"""What `ipykernel.iostream.OutStream.encoding` is, letter by letter."""
_NAME = "get_ipython"
"""What IPython puts into the builtins."""


class _ShellToCome:
    """Stands for the shell that a kernel will have, and can only tell that there is a kernel."""

    kernel = True

    def __getattr__(self, name: str) -> Any:
        raise Unfit(f"an import asks the shell for {name}, and there is none before a kernel is started")


@contextmanager
def surroundings_of_kernels() -> Iterator[None]:
    """Let imports find an encoding and a shell as in a kernel; they raise `Unfit` where they need it."""
    stream: Any = sys.stdout
    usual, outside = stream.encoding, vars(builtins).get(_NAME)
    stream.reconfigure(encoding=_ENCODING)
    setattr(builtins, _NAME, _ShellToCome)
    try:
        yield
    finally:
        stream.reconfigure(encoding=usual)
        if outside is None:
            delattr(builtins, _NAME)
        else:
            setattr(builtins, _NAME, outside)
