"""Which probes there are: Respawn's own, in the order in which they are restored, and those of libraries.

A library's probe is loaded once the library is, or when a checkpoint names it: looking for session state
never imports a library that the notebook does not use.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache

from respawn_kernels.session_state.catalogue import CATALOGUE
from respawn_kernels.session_state.imports import ImportPath
from respawn_kernels.session_state.ipython import Extensions, Inputs
from respawn_kernels.session_state.pandas_options import PandasOptions
from respawn_kernels.session_state.plotting import MatplotlibSettings
from respawn_kernels.session_state.probe import Probe
from respawn_kernels.session_state.process import Environment, WorkingDirectory
from respawn_kernels.session_state.randomness import NumpyRandom, PythonRandom, TorchRandom
from respawn_kernels.session_state.warning_filters import WarningFilters

GROUP = "respawn.session_state"

_OWN: tuple[Probe, ...] = (
    WorkingDirectory(),
    Environment(),
    ImportPath(),
    Extensions(),
    PandasOptions(),
    MatplotlibSettings(),
    Inputs(),
    NumpyRandom(),
    TorchRandom(),
    # Importing and restoring the parts above may draw numbers and add filters.
    PythonRandom(),
    WarningFilters(),
)
_of_libraries: dict[str, Probe] = {}
_failed: dict[str, str] = {}
"""Why a library's probe could not be loaded, by its name."""


def probes() -> Iterator[Probe]:
    """Return Respawn's probes and those of the libraries that are loaded."""
    for name, point in _entry_points().items():
        package = point.module.partition(".")[0]
        if name not in _of_libraries and name not in _failed and package in sys.modules:
            _load(name, point)
    yield from _of_libraries.values()
    yield from _OWN


def own() -> tuple[Probe, ...]:
    """Return Respawn's probes in the order in which they are restored; those of libraries come before."""
    return _OWN


def broken() -> dict[str, str]:
    """Return why probes of libraries that are loaded could not be, by the probe's name."""
    return _failed


def find(name: str) -> Probe | None:
    """Return the probe of a name that a checkpoint holds; a library's is imported for it."""
    for probe in _OWN:
        if probe.name == name:
            return probe
    if name not in _of_libraries and (point := _entry_points().get(name)) is not None:
        _load(name, point)
    return _of_libraries.get(name)


def title(name: str) -> str:
    """Return what people call a part, or one of several values of a part: `#patches:pandas.DataFrame.x`."""
    whole, _, part = name.partition(":")
    called = CATALOGUE[whole].title if whole in CATALOGUE else None
    if called is None:
        called = getattr(_of_libraries.get(whole), "title", whole)
    return f"{called}: {part}" if part else called


def _load(name: str, point: importlib.metadata.EntryPoint) -> None:
    try:
        found = point.load()
        _of_libraries[name] = found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001  anybody's code, and a session without this part is still one
        _failed[name] = f"its probe could not be loaded: {type(error).__name__}: {error}"


@cache
def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {f"#{point.name}": point for point in importlib.metadata.entry_points(group=GROUP)}
