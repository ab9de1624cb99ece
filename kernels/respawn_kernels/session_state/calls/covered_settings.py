"""What probes see wholly: a call into these packages that no fingerprint shows has set nothing.

The functions of a library that its probe covers are listed; every other one of the library may set more.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

_WHOLLY = frozenset(
    [
        *(
            "sys",
            "os",
            "posix",
            "warnings",
            "logging",
            "random",
            "decimal",
            "locale",
            "time",
            "signal",
            "socket",
        ),
        *(
            "gc",
            "threading",
            "csv",
            "calendar",
            "tempfile",
            "codecs",
            "sqlite3",
            "mimetypes",
            "copyreg",
            "abc",
        ),
        *(
            "atexit",
            "functools",
            "contextvars",
            "resource",
            "tracemalloc",
            "site",
            "linecache",
            "unittest",
            "shutil",
        ),
        *("zoneinfo", "IPython", "ipykernel", "matplotlib_inline", "matplotlib", "mpl_toolkits", "numpy"),
    ]
)
"""Packages of which probes, with assignments and registries, see everything that their functions set."""
_FUNCTIONS: dict[str, frozenset[str]] = {
    "asyncio": frozenset(
        ["set_event_loop_policy", "set_exception_handler", "set_event_loop", "set_task_factory"]
    ),
    "dask": frozenset(["set", "update", "refresh"]),
    "pandas": frozenset(["set_option", "reset_option", "set_eng_float_format", "register_option"]),
    "seaborn": frozenset(
        [
            *("set", "set_theme", "set_style", "set_context", "set_palette"),
            *("reset_defaults", "reset_orig"),
        ]
    ),
    "sklearn": frozenset(["set_config"]),
    "scipy": frozenset(["seterr"]),
    "torch": frozenset(
        [
            *(
                "set_default_dtype",
                "set_default_tensor_type",
                "use_deterministic_algorithms",
                "set_grad_enabled",
            ),
            *("set_float32_matmul_precision", "set_detect_anomaly", "set_printoptions", "manual_seed"),
        ]
    ),
}
_OUT_OF_SIGHT = frozenset(f"{module}.{name}" for module in ("os", "posix") for name in ("putenv", "unsetenv"))
"""Functions of such packages that set what only C and child processes see."""
_PLACES = ("pandas.options.", "polars.Config.", "polars.config.Config.", "dask.config.")
_OWNERS: dict[str, frozenset[str]] = {
    name: frozenset(packages.split())
    for name, packages in {
        "#random": "random",
        "#numpy.random": "numpy",
        "#torch.random": "torch",
        "#decimal": "decimal",
        "#numpy.errors": "numpy",
        "#numpy.print": "numpy",
        "#pandas": "pandas",
        "#polars": "polars",
        "#sklearn": "sklearn",
        "#scipy": "scipy",
        "#dask": "dask",
        "#torch": "torch",
        "#matplotlib": "matplotlib seaborn",
        "#figures": "matplotlib seaborn pandas",
        "#logging": "logging",
        "#warnings": "warnings",
        "#cwd": "os",
        "#env": "os dotenv polars",
        "#timezone": "time os",
        "#zoneinfo": "zoneinfo",
        "#locale": "locale",
        "#umask": "os",
        "#limits": "resource",
        "#signals": "signal",
        "#sockets": "socket",
        "#interpreter": "sys gc threading tracemalloc",
        "#hooks": "sys gc threading",
        "#streams": "sys",
        "#asyncio": "asyncio",
        "#forks": "os",
        "#audit": "sys",
        "#atexit": "atexit",
        "#sys.path": "sys site",
        "#finders": "sys",
        "#stdlib": "csv calendar tempfile",
        "#codecs": "codecs",
        "#sqlite3": "sqlite3",
        "#mimetypes": "mimetypes",
        "#copyreg": "copyreg",
        "#singledispatch": "functools",
        "#config": "IPython matplotlib_inline",
        "#extensions": "IPython",
        "#aliases": "IPython",
        "#ipython": "IPython",
    }.items()
}
"""The packages through which cells mostly change a part: who names one of them changed the part by it."""
_RANDOM = frozenset(["#random", "#numpy.random", "#torch.random"])
_TELLS_NOTHING = frozenset(
    [
        *(
            "#in",
            "#last",
            "#running",
            "#modules",
            "#sys.modules",
            "#subclasses",
            "#rectangle",
            "#sources",
            "#shown",
        ),
        *(
            "#shell",
            "#helpers",
            "#annotations",
            "#descriptors",
            "#contextvars",
            "#settings",
            "#patches",
            "#registries",
        ),
    ]
)
"""Parts that cells change by being executed, and parts whose changes are distinguished by package."""


def is_covered(packages: Set[str], title: str) -> bool:
    """Return whether probes see all that a function sets.

    Args:
        packages: the packages that lie on the way to the function.
        title: its dotted name.
    """
    name = title.rpartition(".")[2]
    return title not in _OUT_OF_SIGHT and (
        not _WHOLLY.isdisjoint(packages)
        or any(name in _FUNCTIONS.get(package, ()) for package in packages)
        or title.startswith(_PLACES)
    )


def is_seen(
    packages: Set[str], title: str, changed: Set[str], named: Set[str], marks: Mapping[str, Set[str]]
) -> bool:
    """Return whether a part of the session's state changed that a call may have changed.

    Args:
        packages: the packages that lie on the way to the function.
        title: its dotted name.
        changed: the parts that changed in the cell, and not by imports.
        named: the packages that the cell names.
        marks: by parts of which each piece has its package: the packages of the pieces that changed.
    """
    if title in _OUT_OF_SIGHT:
        return False
    if any(not packages.isdisjoint(one) for one in marks.values()):
        return True
    for part in changed - _TELLS_NOTHING:
        if part in _RANDOM:
            if "seed" in title.rpartition(".")[2].lower() and _OWNERS[part].isdisjoint(named - packages):
                return True
        elif _OWNERS.get(part, frozenset()).isdisjoint(named | packages):
            return True
    return False
