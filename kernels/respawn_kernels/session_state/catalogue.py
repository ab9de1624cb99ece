"""The parts of a session's state, as data: what they are called, and through what they matter to a cell.

Plans are made from this table without loading a probe.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StatePart:
    """One part of the session's state."""

    title: str
    """What people call it, in the middle of a sentence."""
    read_through: frozenset[str] | None = None
    """Modules (dotted names; submodules count) through which alone it can matter to a cell; None: through
    anything, the interpreter itself included."""


def _through(*modules: str) -> frozenset[str]:
    return frozenset(modules)


CATALOGUE: dict[str, StatePart] = {
    "#random": StatePart("random numbers", _through("random")),
    "#numpy.random": StatePart("NumPy's random numbers"),
    "#torch.random": StatePart("PyTorch's random numbers", _through("torch")),
    "#decimal": StatePart("the context of decimal"),
    "#numpy.errors": StatePart("NumPy's error state"),
    "#numpy.print": StatePart("NumPy's print options"),
    "#pandas": StatePart("options of pandas"),
    "#polars": StatePart("options of polars", _through("polars")),
    "#sklearn": StatePart("options of scikit-learn", _through("sklearn")),
    "#scipy": StatePart("error state of scipy.special", _through("scipy", "sklearn", "statsmodels")),
    "#dask": StatePart("the configuration of Dask", _through("dask", "distributed")),
    "#torch": StatePart("defaults of PyTorch", _through("torch")),
    "#matplotlib": StatePart("settings of matplotlib", _through("matplotlib")),
    "#rectangle": StatePart("the points of matplotlib's bars", _through()),
    "#figures": StatePart("open figures of matplotlib", _through("matplotlib")),
    "#logging": StatePart("loggers and their handlers"),
    "#warnings": StatePart("warning filters"),
    "#shown": StatePart("warnings that were shown", _through()),
    "#cwd": StatePart("the working directory"),
    "#env": StatePart("environment variables"),
    "#timezone": StatePart("the time zone"),
    "#zoneinfo": StatePart("the path of time zones"),
    "#locale": StatePart("the locale"),
    "#umask": StatePart("permissions of new files"),
    "#limits": StatePart("limits of the process"),
    "#signals": StatePart("signal handlers"),
    "#blocked": StatePart("blocked signals"),
    "#sockets": StatePart("the timeout of sockets"),
    "#interpreter": StatePart("limits and switches of the interpreter"),
    "#hooks": StatePart("functions that the interpreter calls"),
    "#streams": StatePart("replaced output streams"),
    "#asyncio": StatePart("the event loop policy and the loop's exception handler"),
    "#contextvars": StatePart("values of context variables"),
    "#running": StatePart("what was running"),
    "#descriptors": StatePart("descriptors and processes known by their numbers"),
    "#forks": StatePart("handlers of forks"),
    "#scheduling": StatePart("priority and processors of the process"),
    "#audit": StatePart("audit hooks"),
    "#atexit": StatePart("functions to call at the end"),
    "#sys.path": StatePart("the import path"),
    "#finders": StatePart("finders of modules"),
    "#packages": StatePart("the paths of packages"),
    "#modules": StatePart("loaded modules"),
    "#sys.modules": StatePart("names of modules"),
    "#stdlib": StatePart("settings of csv, calendar and tempfile", _through("csv", "calendar", "tempfile")),
    "#codecs": StatePart("codecs and their error handlers"),
    "#sqlite3": StatePart("adapters and converters of sqlite3", _through("sqlite3", "pandas", "sqlalchemy")),
    "#mimetypes": StatePart("added MIME types", _through("mimetypes")),
    "#copyreg": StatePart("reducers of copyreg"),
    "#abc": StatePart("virtual subclasses"),
    "#answers": StatePart("what abstract classes have answered", _through()),
    "#subclasses": StatePart("the order of subclasses", _through()),
    "#singledispatch": StatePart("implementations of generic functions"),
    "#config": StatePart("the configuration of IPython"),
    "#extensions": StatePart("extensions of IPython"),
    "#aliases": StatePart("aliases of IPython"),
    "#ipython": StatePart("functions that IPython calls"),
    "#attributes": StatePart("attributes of the shell"),
    "#shell": StatePart("features of __future__ and the stack of %pushd", _through()),
    "#sources": StatePart("the text of cells", _through()),
    "#annotations": StatePart("annotations of variables"),
    "#in": StatePart("the history of inputs"),
    "#last": StatePart("the last results"),
    "#error": StatePart("the last error", _through("sys", "traceback", "pdb", "IPython")),
    "#patches": StatePart("assignments into modules and foreign classes"),
    "#helpers": StatePart("the state of modules beside the notebook"),
    "#registries": StatePart("what was registered with libraries"),
    "#settings": StatePart("settings of libraries", _through()),
    "#counters": StatePart("counters of libraries", _through()),
}
"""By the probe's name."""
