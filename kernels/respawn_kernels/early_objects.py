"""What was there before the first cell, kept out of garbage collections.

A kernel that has come up holds hundreds of thousands of objects, which it shares with its zygote: the
collection at its end would look at each, and so copy its page. Code that asks the collector for objects gets
all of them: they are put back as soon as it does.
"""

from __future__ import annotations

import gc
import re

_ASKS = re.compile(r"\bgc\b")
_apart = False


def set_apart() -> None:
    """Keep out what is there now; called before the first cell."""
    global _apart
    if not _apart and not gc.get_freeze_count():
        gc.freeze()
        _apart = True


def put_back(*_event: object) -> None:
    """Let collections look at all objects from now on."""
    global _apart
    if _apart:
        _apart = False
        gc.unfreeze()


def put_back_for(source: str) -> None:
    """Put them back if a cell's code may ask how many there are, of which Python tells nobody else."""
    if _apart and _ASKS.search(source):
        put_back()
