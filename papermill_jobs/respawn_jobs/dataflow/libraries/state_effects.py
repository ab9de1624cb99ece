"""Which parts of the session's state functions of libraries set, and which objects stand for such a part.

The default is suspicion: a function of a library that no table names sets what its library keeps when its
name says so, or when nobody takes what it returns. What the entries here say is more exact than that, not
more lenient.
"""

from __future__ import annotations

from respawn_jobs.model.hidden_state import ANYTHING, CWD, ENV, NUMPY_RANDOM, RANDOM, WARNINGS, library_state

FIGURES, DECIMAL, LOCALE, TIME_ZONE = "#figures", "#decimal", "#locale", "#timezone"
MATPLOTLIB, PANDAS = "#matplotlib", "#pandas"
FEATURES = "#shell"
"""Features of `__future__`, among what the shell keeps: they hold for all later cells."""
NUMPY_ERRORS, NUMPY_PRINT = "#numpy.errors", "#numpy.print"

SETTERS = {
    "numpy.random.seed": (NUMPY_RANDOM, True),
    "numpy.random.set_state": (NUMPY_RANDOM, True),
    "numpy.seterr": (NUMPY_ERRORS, False),
    "numpy.seterrcall": (NUMPY_ERRORS, False),
    "numpy.set_printoptions": (NUMPY_PRINT, False),
    "random.seed": (RANDOM, True),
    "random.setstate": (RANDOM, True),
    "decimal.setcontext": (DECIMAL, True),
    "os.chdir": (CWD, False),
    "os.putenv": (ENV, False),
    "os.unsetenv": (ENV, False),
    "os.umask": ("#umask", False),
    "pandas.set_option": (PANDAS, False),
    "pandas.reset_option": (PANDAS, False),
    "time.tzset": (TIME_ZONE, False),
    "locale.setlocale": (LOCALE, False),
    "calendar.setfirstweekday": (library_state("calendar"), True),
    "warnings.filterwarnings": (WARNINGS, False),
    "warnings.simplefilter": (WARNINGS, False),
    "warnings.resetwarnings": (WARNINGS, False),
}
"""Functions that set a part of the state, and whether what it was before then no longer matters."""

_OF_ARRAYS = frozenset(
    ["numpy", "pandas", "scipy", "sklearn", "statsmodels", "matplotlib", "seaborn", ANYTHING]
)
CALLED_BY = {
    PANDAS: frozenset(["pandas", ANYTHING]),
    NUMPY_ERRORS: _OF_ARRAYS,
    NUMPY_PRINT: _OF_ARRAYS,
}
"""Which libraries call functions that a part of the state was given: formats, and what is told of errors."""

THINGS = {
    "os.environ": ENV,
    "os.environb": ENV,
    "matplotlib.rcParams": MATPLOTLIB,
    "matplotlib.pyplot.rcParams": MATPLOTLIB,
    "pandas.options": PANDAS,
    "warnings.filters": WARNINGS,
    "decimal.DefaultContext": DECIMAL,
    "decimal.BasicContext": DECIMAL,
    "decimal.ExtendedContext": DECIMAL,
}
"""Objects of libraries that are a part of the state."""

HANDLES = {
    "decimal.getcontext": DECIMAL,
    "decimal.localcontext": DECIMAL,
    "matplotlib.pyplot.gca": FIGURES,
    "matplotlib.pyplot.gcf": FIGURES,
    "matplotlib.pyplot.get_fignums": FIGURES,
    "matplotlib.pyplot.figure": FIGURES,
    "matplotlib.pyplot.subplots": FIGURES,
    "matplotlib.pyplot.subplot": FIGURES,
    "matplotlib.pyplot.axes": FIGURES,
    "matplotlib.pyplot.subplot_mosaic": FIGURES,
}
"""Functions that return an object whose changes change a part of the state."""

_OPTIONS = {"matplotlib": MATPLOTLIB, "seaborn": MATPLOTLIB, "pandas": PANDAS}


def options_of(path: str) -> str:
    """Return the part of the state that holds the options of a library."""
    root = path.partition(".")[0]
    return _OPTIONS.get(root, library_state(root))


_SETTING = (
    *("set", "reset", "rc", "use", "style", "config", "register", "unregister", "deregister", "enable"),
    *("disable", "install", "uninstall", "init", "activate", "deactivate", "clear", "purge", "push", "patch"),
    *("add_", "option_context", "switch_", "subscribe", "monkey", "captureWarnings", "basicConfig"),
)
_SETTING_ALSO = frozenset(["ion", "ioff", "interactive", "xkcd", "context", "despine", "field_size_limit"])
_PLAIN_NAMES = frozenset(
    ["set", "setdiff1d", "setxor1d", "setattr", "add_prefix", "add_suffix", "setup", "settings"]
) - {"set", "setup"}


def sets(path: str) -> bool:
    """Return whether a function's name says that it sets something of its library."""
    last = path.rpartition(".")[2]
    return (last.startswith(_SETTING) and last not in _PLAIN_NAMES) or last in _SETTING_ALSO


ARGUMENT_CHANGERS = (
    *("numpy.testing.", "numpy.random.", "random.", "heapq.", "bisect.", "numpy.add.at", "numpy.save"),
    *("numpy.copyto", "numpy.put", "numpy.place", "numpy.fill_diagonal", "numpy.lib.stride_tricks."),
    *("time.sleep", "json.dump", "pickle.dump", "joblib.dump", "pprint.pprint", "pandas.testing."),
    *("pandas.to_pickle", "operator.", "copy.", "statistics.", "dataclasses.", "pandas.plotting."),
)
"""What is called for what it does to its arguments, to files or to random numbers, and keeps nothing
besides."""


def keeps(path: str, *, statement: bool) -> bool:
    """Return whether calling something of a known library may set what the library keeps.

    Args:
        path: what is called.
        statement: whether nobody takes what it returns, so that it is called for something else.
    """
    if path.startswith(ARGUMENT_CHANGERS):
        return False
    return statement or sets(path)


TEMPORARY = {
    "warnings.catch_warnings": WARNINGS,
    "decimal.localcontext": DECIMAL,
    "matplotlib.rc_context": MATPLOTLIB,
    "matplotlib.pyplot.rc_context": MATPLOTLIB,
    "matplotlib.style.context": MATPLOTLIB,
    "matplotlib.pyplot.style.context": MATPLOTLIB,
    "numpy.errstate": NUMPY_ERRORS,
    "numpy.printoptions": NUMPY_PRINT,
    "contextlib.chdir": CWD,
}
"""Context managers that put a part of the state back as it was, whatever happened inside."""
