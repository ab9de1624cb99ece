"""Which modules of an environment's `preload` list a zygote can import; tried when it is built."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment
from respawn_environments.definition import DEFINITION, EnvironmentSource
from respawn_environments.errors import EnvironmentFailed
from respawn_environments.kernel_variables import kernel_environment
from respawn_environments.kernelspec_contents import ours
from respawn_environments.programs import Progress
from respawn_environments.warm.warm_kernels import IMPORTS
from respawn_environments.warm.zygote_process import NeverWarm, ZygoteProcess

_SECONDS = 300.0
_POOLS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "2",
)
"""Gives each pool threads, as a runner with more cores does: on one core a library starts none."""


@dataclass(frozen=True)
class Preloadable:
    """What was found."""

    fit: list[str]
    """What kernels find imported."""
    unfit: dict[str, str] = field(default_factory=dict)
    """Why each of the others is left to the kernels."""

    @property
    def lines(self) -> list[str]:
        """What people are told."""
        return [f"{name} is not preloaded: {why}" for name, why in self.unfit.items()]


def preloadable(source: EnvironmentSource, built: BuiltEnvironment, progress: Progress) -> Preloadable:
    """Return what the kernels of a build may find imported: as was found before, else by trying it.

    Args:
        source: The environment, which says what is wanted.
        built: Its build.
        progress: Called with a line of text before it is tried.

    Raises:
        EnvironmentFailed: The import of a module fails, ends the process or does not come to an end.
        OSError: The build's interpreter cannot be started.
    """
    wanted, kernel = source.definition.preload, f"respawn-{source.name}"
    if not wanted or built.record.own is None:  # without Respawn there are no warm kernels
        return Preloadable(wanted)
    known = _found_before(catalog.kept_kernelspec(built.directory, kernel), wanted)
    if known is not None:
        return known
    progress(f"trying what is preloaded: {', '.join(wanted)}")
    try:
        return check_preload(built.python, wanted)
    except EnvironmentFailed as error:
        where = source.directory / DEFINITION
        raise EnvironmentFailed(f"{where}: preload: {error}; the kernel {kernel} is as it was") from error


def _found_before(kernelspec: Mapping[str, Any] | None, wanted: Sequence[str]) -> Preloadable | None:
    """Return what was found as a kernelspec was installed; None where that was of other modules."""
    before = ours((kernelspec or {}).get("metadata"))
    fit, unfit = before.get("preload", []), before.get("not_preloaded", {})
    if set(unfit) <= set(wanted) and [name for name in wanted if name not in unfit] == fit:
        return Preloadable(fit, unfit)
    return None


def check_preload(python: Path, wanted: Sequence[str]) -> Preloadable:
    """Have a zygote of an environment import modules, and leave out what a fork would not bear.

    Args:
        python: The environment's interpreter.
        wanted: The modules, in the order of their import.

    Raises:
        EnvironmentFailed: The import of one fails, ends the process or does not come to an end.
        OSError: The interpreter cannot be started.
    """
    fit, unfit = list(wanted), dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="respawn-preload-") as home:
        # What libraries keep at home must not be made by a build: an image would have other bytes each time.
        places = dict.fromkeys(
            ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "IPYTHONDIR"), home
        )
        variables = {**kernel_environment(os.environ), **places, **_POOLS, "PYTHONDONTWRITEBYTECODE": "1"}
        while fit and (error := _problem(python, fit, variables)) is not None:
            if error.failed:
                raise EnvironmentFailed(str(error)) from error
            # Where ipykernel itself is to blame, a `.pth` file of a package say, no kernel is warm.
            blamed = [error.module] if error.module in fit else list(fit)
            unfit |= dict.fromkeys(blamed, str(error))
            fit = [name for name in fit if name not in unfit]
    return Preloadable(fit, unfit)


def _problem(python: Path, modules: Sequence[str], variables: dict[str, str]) -> NeverWarm | None:
    zygote = ZygoteProcess([str(python)], variables, IMPORTS, modules)
    try:
        if zygote.wait(_SECONDS):
            return None
        slow = python if zygote.importing is None else f"the import of {zygote.importing}"
        come_up = " to come up" if zygote.importing is None else ""
        return NeverWarm(f"{slow} takes longer than {_SECONDS:g} s{come_up}", failed=True)
    except NeverWarm as error:
        return error
    finally:
        zygote.close()
