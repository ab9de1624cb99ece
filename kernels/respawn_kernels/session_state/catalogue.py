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
    "#polars": Part("options of polars", _through("polars")),
    "#sklearn": Part("options of scikit-learn", _through("sklearn")),
    "#scipy": Part("error state of scipy.special", _through("scipy", "sklearn", "statsmodels")),
    "#dask": Part("the configuration of Dask", _through("dask", "distributed")),
    "#torch": Part("defaults of PyTorch", _through("torch")),
    "#matplotlib": Part("settings of matplotlib", _through("matplotlib")),
    "#figures": Part("open figures of matplotlib", _through("matplotlib")),
    "#logging": Part("loggers and their handlers"),
    "#warnings": Part("warning filters"),
    "#cwd": Part("the working directory"),
    "#env": Part("environment variables"),
    "#timezone": Part("the time zone"),
    "#zoneinfo": Part("the path of time zones"),
    "#locale": Part("the locale"),
    "#umask": Part("permissions of new files"),
    "#limits": Part("limits of the process"),
    "#signals": Part("signal handlers"),
    "#sockets": Part("the timeout of sockets"),
    "#interpreter": Part("limits and switches of the interpreter"),
    "#hooks": Part("functions that the interpreter calls"),
    "#streams": Part("replaced output streams"),
    "#asyncio": Part("the event loop policy and the loop's exception handler"),
    "#contextvars": Part("values of context variables"),
    "#running": Part("what was running"),
    "#descriptors": Part("descriptors and processes known by their numbers"),
    "#forks": Part("handlers of forks"),
    "#scheduling": Part("priority and processors of the process"),
    "#audit": Part("audit hooks"),
    "#atexit": Part("functions to call at the end"),
    "#sys.path": Part("the import path"),
    "#finders": Part("finders of modules"),
    "#modules": Part("loaded modules"),
    "#sys.modules": Part("names of modules"),
    "#stdlib": Part("settings of csv, calendar and tempfile", _through("csv", "calendar", "tempfile")),
    "#codecs": Part("codecs and their error handlers"),
    "#sqlite3": Part("adapters and converters of sqlite3", _through("sqlite3", "pandas", "sqlalchemy")),
    "#mimetypes": Part("added MIME types", _through("mimetypes")),
    "#copyreg": Part("reducers of copyreg"),
    "#abc": Part("virtual subclasses"),
    "#subclasses": Part("the order of subclasses", _through()),
    "#singledispatch": Part("implementations of generic functions"),
    "#config": Part("the configuration of IPython"),
    "#extensions": Part("extensions of IPython"),
    "#aliases": Part("aliases of IPython"),
    "#ipython": Part("functions that IPython calls"),
    "#shell": Part("features of __future__ and the stack of %pushd", _through()),
    "#sources": Part("the text of cells", _through()),
    "#annotations": Part("annotations of variables"),
    "#in": Part("the history of inputs"),
    "#last": Part("the last results"),
    "#error": Part("the last error", _through("sys", "traceback", "pdb", "IPython")),
    "#patches": Part("assignments into modules and foreign classes"),
    "#helpers": Part("the state of modules beside the notebook"),
    "#registries": Part("what was registered with libraries"),
    "#settings": Part("settings of libraries", _through()),
    "#counters": Part("counters of libraries", _through()),
}
"""By the probe's name."""
