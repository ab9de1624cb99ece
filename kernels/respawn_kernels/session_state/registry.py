"""Which probes there are: Respawn's own, in the order in which they are restored, and those of libraries.

A library's probe is loaded once the library is, or when a checkpoint names it: looking for session state
never imports a library that the notebook does not use.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache

from respawn_kernels.session_state.calls import settings
from respawn_kernels.session_state.catalogue import CATALOGUE
from respawn_kernels.session_state.patching import Helpers, Patches, Registries
from respawn_kernels.session_state.probe import Probe
from respawn_kernels.session_state.probes import interpreter, libraries, process
from respawn_kernels.session_state.probes.codecs_registry import Codecs
from respawn_kernels.session_state.probes.context import AtExit, AuditHooks, ContextVariables, Running
from respawn_kernels.session_state.probes.counters import Counters
from respawn_kernels.session_state.probes.descriptors import Descriptors
from respawn_kernels.session_state.probes.forks import ForkHandlers
from respawn_kernels.session_state.probes.imports import Finders, ImportPath, LoadedModules, ModuleNames
from respawn_kernels.session_state.probes.ipython import (
    Annotations,
    Configuration,
    Extensions,
    Inputs,
    LastResults,
)
from respawn_kernels.session_state.probes.ipython_hooks import Aliases, ShellHooks
from respawn_kernels.session_state.probes.kept_by_shell import KeptByShell
from respawn_kernels.session_state.probes.last_error import LastError
from respawn_kernels.session_state.probes.logging_setup import Logging
from respawn_kernels.session_state.probes.numeric import DecimalContext, NumpyErrors, NumpyPrinting
from respawn_kernels.session_state.probes.plotting import Figures, MatplotlibSettings
from respawn_kernels.session_state.probes.randomness import NumpyRandom, PythonRandom, TorchRandom
from respawn_kernels.session_state.probes.registrations import (
    Dispatch,
    MimeTypes,
    Reducers,
    StandardLibrary,
    VirtualSubclasses,
)
from respawn_kernels.session_state.probes.sources import Sources
from respawn_kernels.session_state.probes.sqlite import Sqlite
from respawn_kernels.session_state.probes.subclasses import Subclasses
from respawn_kernels.session_state.probes.warning_filters import WarningFilters
from respawn_kernels.session_state.probes.zones import ZonePath

GROUP = "respawn.session_state"

_OWN: tuple[Probe, ...] = (
    process.WorkingDirectory(),
    process.Environment(),
    process.TimeZone(),
    ZonePath(),
    process.locales(),
    ImportPath(),
    Finders(),
    LoadedModules(),
    ModuleNames(),
    Configuration(),
    MatplotlibSettings(),
    # Variables are loaded here.
    interpreter.interpreter(),
    interpreter.Hooks(),
    interpreter.Umask(),
    interpreter.Loop(),
    process.limits(),
    process.sockets(),
    Extensions(),
    Aliases(),
    ShellHooks(),
    KeptByShell(),
    Sources(),
    Patches(),
    Helpers(),
    Registries(),
    settings,
    Counters(),
    StandardLibrary(),
    Codecs(),
    Sqlite(),
    Reducers(),
    VirtualSubclasses(),
    Subclasses(),
    Dispatch(),
    MimeTypes(),
    DecimalContext(),
    NumpyErrors(),
    NumpyPrinting(),
    libraries.pandas(),
    libraries.polars(),
    libraries.sklearn(),
    libraries.scipy(),
    libraries.dask(),
    libraries.torch(),
    Figures(),
    ContextVariables(),
    Annotations(),
    Inputs(),
    LastResults(),
    LastError(),
    Logging(),
    interpreter.Streams(),
    process.Signals(),
    Running(),
    Descriptors(),
    ForkHandlers(),
    process.scheduling(),
    AuditHooks(),
    AtExit(),
    # Importing and restoring the parts above may draw numbers and add filters.
    NumpyRandom(),
    TorchRandom(),
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
        known = name in _of_libraries or name in _failed
        # Loading one probe imports its module, which asks for all probes, the others of this module too.
        if not known and _is_there(package) and (point.module not in sys.modules or _is_there(point.module)):
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
    return f"{part} ({called})" if part else called


def _load(name: str, point: importlib.metadata.EntryPoint) -> None:
    try:
        found = point.load()
        _of_libraries[name] = found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001  anybody's code, and a session without this part is still one
        _failed[name] = f"its probe could not be loaded: {type(error).__name__}: {error}"


def _is_there(package: str) -> bool:
    """Tell whether a library is loaded, wholly: its probe may lie in a module that is just being executed."""
    module = sys.modules.get(package)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


@cache
def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {f"#{point.name}": point for point in importlib.metadata.entry_points(group=GROUP)}
