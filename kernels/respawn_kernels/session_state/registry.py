"""Which probes there are: Respawn's own, in the order in which they are restored, and those of libraries.

A library announces its probe as an entry point (https://packaging.python.org/specifications/entry-points/).
The probe is loaded once the library is, or when a checkpoint names it: looking for session state never
imports a library that the notebook does not use.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache

from respawn_kernels.session_start import at_session_start
from respawn_kernels.session_state.calls import settings
from respawn_kernels.session_state.catalogue import CATALOGUE
from respawn_kernels.session_state.patching import Helpers, Patches, Registries
from respawn_kernels.session_state.probe.interface import Probe
from respawn_kernels.session_state.probes.ipython.cell_sources import Sources
from respawn_kernels.session_state.probes.ipython.last_error import LastError
from respawn_kernels.session_state.probes.ipython.shell_attributes import ShellAttributes
from respawn_kernels.session_state.probes.ipython.shell_data import (
    Annotations,
    Configuration,
    Extensions,
    Inputs,
    LastResults,
)
from respawn_kernels.session_state.probes.ipython.shell_hooks import Aliases, ShellHooks, load_magics
from respawn_kernels.session_state.probes.ipython.shell_internals import KeptByShell
from respawn_kernels.session_state.probes.libraries import options
from respawn_kernels.session_state.probes.libraries.numeric import DecimalContext, NumpyErrors, NumpyPrinting
from respawn_kernels.session_state.probes.libraries.plotting import (
    FigureState,
    MatplotlibSettings,
    UnitRectangle,
)
from respawn_kernels.session_state.probes.libraries.randomness import NumpyRandom, PythonRandom, TorchRandom
from respawn_kernels.session_state.probes.python import interpreter, process
from respawn_kernels.session_state.probes.python.abstract_answers import AbstractAnswers
from respawn_kernels.session_state.probes.python.codecs_registry import Codecs
from respawn_kernels.session_state.probes.python.context import AtExit, AuditHooks, ContextVariables, Running
from respawn_kernels.session_state.probes.python.counters import Counters
from respawn_kernels.session_state.probes.python.descriptors import Descriptors
from respawn_kernels.session_state.probes.python.fork_handlers import ForkHandlers
from respawn_kernels.session_state.probes.python.imports import (
    Finders,
    ImportPath,
    LoadedModules,
    ModuleNames,
    PackagePaths,
)
from respawn_kernels.session_state.probes.python.logging_setup import Logging
from respawn_kernels.session_state.probes.python.registrations import (
    Dispatch,
    MimeTypes,
    Reducers,
    StandardLibrary,
    VirtualSubclasses,
)
from respawn_kernels.session_state.probes.python.shown_warnings import ShownWarnings
from respawn_kernels.session_state.probes.python.sqlite import Sqlite
from respawn_kernels.session_state.probes.python.subclasses import Subclasses
from respawn_kernels.session_state.probes.python.time_zones import ZonePath
from respawn_kernels.session_state.probes.python.warning_filters import WarningFilters

GROUP = "respawn.session_state"


def _made() -> tuple[Probe, ...]:
    """Return Respawn's probes; what they compare with later is as it is now."""
    load_magics()
    return (
        process.WorkingDirectory(),
        process.Environment(),
        process.TimeZone(),
        ZonePath(),
        process.locales(),
        ImportPath(),
        Finders(),
        PackagePaths(),
        LoadedModules(),
        ModuleNames(),
        Configuration(),
        MatplotlibSettings(),
        UnitRectangle(),
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
        ShellAttributes(),
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
        options.pandas(),
        options.polars(),
        options.sklearn(),
        options.scipy(),
        options.dask(),
        options.torch(),
        FigureState(),
        ContextVariables(),
        Annotations(),
        Inputs(),
        LastResults(),
        LastError(),
        Logging(),
        interpreter.Streams(),
        process.Signals(),
        process.blocked_signals(),
        Running(),
        Descriptors(),
        ForkHandlers(),
        process.scheduling(),
        AuditHooks(),
        AtExit(),
        # An import that registers classes has answers asked for anew.
        AbstractAnswers(),
        # Importing and restoring the parts above may draw numbers and add filters.
        NumpyRandom(),
        TorchRandom(),
        PythonRandom(),
        WarningFilters(),
        ShownWarnings(),
    )


_own: tuple[Probe, ...] = ()


@at_session_start
def _make() -> None:
    global _own
    _own = _made()


_of_libraries: dict[str, Probe] = {}
_failed: dict[str, str] = {}
"""Why a library's probe could not be loaded, by its name."""


def probes() -> Iterator[Probe]:
    """Return Respawn's probes and those of the libraries that are loaded."""
    for name, point in announced().items():
        package = point.module.partition(".")[0]
        known = name in _of_libraries or name in _failed
        # Loading a probe imports its module, and an import asks for all probes: for the others of this module
        # too.
        if not known and _is_there(package) and (point.module not in sys.modules or _is_there(point.module)):
            _load(name, point)
    yield from _of_libraries.values()
    yield from _own


def own() -> tuple[Probe, ...]:
    """Return Respawn's probes in the order in which they are restored; those of libraries come before."""
    return _own


def broken() -> dict[str, str]:
    """Return why probes of libraries that are loaded could not be, by the probe's name."""
    return _failed


def find(name: str) -> Probe | None:
    """Return the probe of a name that a checkpoint holds; a library's is imported for it."""
    for probe in _own:
        if probe.name == name:
            return probe
    if name not in _of_libraries and (point := announced().get(name)) is not None:
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
    """Return whether a library is loaded, wholly: its probe may be in a module that is being executed."""
    # importlib has a module in `sys.modules` before it executes it, and marks its spec meanwhile (PEP 451).
    module = sys.modules.get(package)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


@cache
def announced() -> dict[str, importlib.metadata.EntryPoint]:
    """Return what libraries announce, by the names of their probes; nothing of it is imported."""
    return {f"#{point.name}": point for point in importlib.metadata.entry_points(group=GROUP)}
