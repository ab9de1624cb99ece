"""How a process ended, in words."""

from __future__ import annotations

import signal

import pytest

from respawn_kernels.process_ends import ending, how_it_ended


@pytest.mark.parametrize(
    ("code", "noun", "verb"),
    [
        (0, "exit status 0", "exited with status 0"),
        (3, "exit status 3", "exited with status 3"),
        (-9, "SIGKILL", "was ended by SIGKILL"),
        (-signal.SIGRTMIN, "SIGRTMIN", "was ended by SIGRTMIN"),
        (-signal.SIGRTMIN - 2, "SIGRTMIN+2", "was ended by SIGRTMIN+2"),
        (-signal.SIGRTMIN + 1, f"signal {signal.SIGRTMIN - 1}", f"was ended by signal {signal.SIGRTMIN - 1}"),
    ],
)
def test_each_end_has_words(code: int, noun: str, verb: str) -> None:
    assert (ending(code), how_it_ended(code)) == (noun, verb)
