"""Which names of functions say that a call sets something: `set_num_threads`, `listens_for`.

The words are those of functions that set something for the whole process in the standard library and in
joblib, threadpoolctl, PyTorch, TensorFlow, JAX, SQLAlchemy, networkx, pyparsing, altair, plotly, bokeh,
mlflow, structlog and OpenCV. A word that mostly begins names of functions which make or change an object
(`make`, `create`, `remove`, `update`, `apply`, `load`) is not among them.
"""

from __future__ import annotations

import re
from functools import cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SETTERS = frozenset(
    ["set", "reset", "unset", "configure", "reconfigure", "init", "initialize", "initialise", "add"]
)
"""First words; they may stand for a change of the call's first argument, too."""
_GLOBAL = frozenset(
    [
        *("register", "unregister", "enable", "disable", "use", "install", "uninstall", "activate"),
        *("deactivate", "listen", "listens", "subscribe", "unsubscribe", "patch", "unpatch", "autolog"),
        *("inject", "eject"),
    ]
)
"""First words; whatever is given, it is the library that keeps it."""
_LAST = frozenset(["config", "limits"])
_NOT_BEFORE_LAST = frozenset(
    [*("get", "read", "load", "make", "create", "show", "print", "dump", "save", "write"), "parse", "check"]
)
_WHOLE = frozenset(
    ["output_notebook", "extension", "seed", "manual_seed", "set_random_seed", "putenv", "unsetenv"]
)
_JOINED = re.compile(r"set(?!up|default$|attr|ting|item|state$|s$)[a-z]+")
"""As the standard library and NumPy write it: `setlocale`, `seterr`."""
_DECORATORS = frozenset(["register", "listen", "listens", "subscribe", "install"])
CONFIGURATIONS = frozenset(["config", "settings", "options"])
"""Objects whose `update` and `set` count."""
GIVING = frozenset(["get", "current", "default", "instance", "running"])
"""First words of functions that give an object which the library keeps: `asyncio.get_running_loop()`."""
_PUTS = frozenset(
    [
        *("add", "append", "appendleft", "extend", "insert", "update", "setdefault"),
        *("remove", "discard", "pop", "popitem", "clear", "sort", "reverse"),
    ]
)


def first_word(name: str) -> str:
    """Return the first word of a name, in small letters."""
    return _words(name)[0] if _words(name) else ""


@cache
def sets(name: str, owner: str = "") -> bool:
    """Return whether a function's name says that a call, whose result nobody uses, sets something.

    Args:
        name: the function's name.
        owner: the name before it: of the module or object that has the function.
    """
    words = _words(name)
    if not words:
        return False
    if name in _WHOLE or words[0] in _SETTERS | _GLOBAL or _JOINED.fullmatch(name):
        return True
    if words[-1] in _LAST and words[0] not in _NOT_BEFORE_LAST:
        return True
    return owner in CONFIGURATIONS and name in ("update", "set", "merge")


def sets_and_returns(name: str) -> bool:
    """Return whether a call whose result is kept sets something: `limiter = threadpool_limits(1)`."""
    words = _words(name)
    return bool(words) and (words[0] in ("set", "reset", "register", "enable") or words[-1] == "limits")


def decorates(name: str) -> bool:
    """Return whether a decorator gives the function that follows to a library."""
    return first_word(name) in _DECORATORS


def may_set_its_argument(name: str) -> bool:
    """Return whether a call may change its first argument: `nx.set_node_attributes(graph, values)`."""
    return first_word(name) in _SETTERS


def puts(name: str) -> bool:
    """Return whether a method changes a list, dict or set."""
    return name in _PUTS


@cache
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))
