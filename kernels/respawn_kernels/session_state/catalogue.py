"""The parts of a session's state, as data: what they are called, and through what they matter to a cell.

Plans are made from this table without loading a probe.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part of the session's state."""

    title: str
    """What people call it, in the middle of a sentence."""
    read_through: frozenset[str] | None = None
    """Modules (dotted names; submodules count) through which alone it can matter to a cell; None: through
    anything, the interpreter itself included."""


def _through(*modules: str) -> frozenset[str]:
    return frozenset(modules)


CATALOGUE: dict[str, Part] = {
    "#random": Part("random numbers", _through("random")),
    "#numpy.random": Part("NumPy's random numbers"),
    "#torch.random": Part("PyTorch's random numbers", _through("torch")),
    "#decimal": Part("the context of decimal"),
    "#numpy.errors": Part("NumPy's error state"),
    "#numpy.print": Part("NumPy's print options"),
    "#pandas": Part("options of pandas"),
    "#matplotlib": Part("settings of matplotlib", _through("matplotlib")),
    "#figures": Part("open figures of matplotlib", _through("matplotlib")),
    "#warnings": Part("warning filters"),
    "#cwd": Part("the working directory"),
    "#env": Part("environment variables"),
    "#sys.path": Part("the import path"),
    "#extensions": Part("extensions of IPython"),
    "#in": Part("the history of inputs"),
    "#patches": Part("assignments into modules and foreign classes"),
}
"""By the probe's name."""
