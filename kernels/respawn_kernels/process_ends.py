"""How a process ended, in words, by the code that `subprocess` and `os.waitstatus_to_exitcode` give."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return what a signal is called.

    Python names the first and the last signal of real time alone (signal(7)), and none that a library of C
    keeps for itself.

    Args:
        number: of the signal.
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        first = getattr(signal, "SIGRTMIN", None)
        return f"SIGRTMIN+{number - first}" if first is not None and number > first else f"signal {number}"


def ending(code: int) -> str:
    """Return an end as a noun: "exit status 3", "SIGKILL".

    Args:
        code: the exit status; less than nothing for a signal.
    """
    return f"exit status {code}" if code >= 0 else signal_name(-code)


def how_it_ended(code: int) -> str:
    """Return an end as what the process did: "exited with status 3", "was ended by SIGKILL".

    Args:
        code: the exit status; less than nothing for a signal.
    """
    return f"exited with status {code}" if code >= 0 else f"was ended by {signal_name(-code)}"
