"""How variables that hold a part of the session itself are taken apart: its loop, its main thread, its shell.

A copy of the running loop would never run, and one of the shell's events would call nobody. So each is stored
as the way to it from the shell or the module that has it, and the session that loads it has its own there.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_SHELLS = frozenset(["IPython", "ipykernel", "traitlets", "comm", "asyncio", "uvloop"])
"""Packages whose objects a shell is made of; what else it refers to is the notebook's."""
_NO_PARTS = frozenset(["parent", "user_module", "user_ns", "last_execution_result"])
"""What a shell refers to and is not made of: another session has it of other cells, or not yet."""
_LOOP = ("kernel", "io_loop", "asyncio_loop")
Way = tuple[str, ...]
"""From the shell to one of its parts: names of attributes, and keys of dicts on the way."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for what this session has."""
    main = threading.main_thread()
    found: dict[type, Reducer] = {type(main): _main_thread} | {type(part): _part for _, part in _parts()}
    options = getattr(sys.modules.get("pandas._config.config"), "DictWrapper", None)
    return found if options is None else {**found, options: _options}


def parts() -> Iterator[Any]:
    """Return the objects that are stored as references to whatever the session has in their place."""
    yield threading.main_thread()
    for _, part in _parts():
        yield part


def _main_thread(thread: Any, pickler: NamespacePickler) -> Any:
    own = thread is threading.main_thread()
    return (threading.main_thread, ()) if own else pickler.reduced_otherwise(thread)


def _options(options: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a part of pandas' options, which shows those of the session: `pd.options.display`."""
    names = ["options", *filter(None, object.__getattribute__(options, "prefix").split("."))]
    return functools.reduce, (getattr, names, sys.modules["pandas"])


def _part(part: Any, pickler: NamespacePickler) -> Any:
    way = next((way for way, one in _parts() if one is part), None)
    return pickler.reduced_otherwise(part) if way is None else (part_of_shell, way)


def _parts() -> Iterator[tuple[Way, Any]]:
    shell = live_shell()
    if shell is None:
        return
    names = {*vars(shell), *getattr(shell, "_trait_values", ())}
    for name in sorted(names - _NO_PARTS):
        part = getattr(shell, name, None)
        if isinstance(part, type) or part is shell:
            continue  # a reduction for the class of classes would be one for the notebook's own
        if type(part).__module__.partition(".")[0] in _SHELLS:
            yield (name,), part
    for mime, formatter in shell.display_formatter.formatters.items():
        yield ("display_formatter", "formatters", mime), formatter
    loop = _followed(shell, _LOOP)
    if loop is not None and "asyncio" in sys.modules:
        yield _LOOP, loop


def _followed(shell: Any, way: Way) -> Any:
    found = shell
    for name in way:
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return found


@stable_name
def part_of_shell(*way: str) -> Any:
    """Return a part of this session's shell, such as the loop that runs cells.

    Args:
        way: names of attributes from the shell on, and keys of dicts.

    Raises:
        LookupError: this session has none.
    """
    found = _followed(live_shell(), way)
    if found is None:
        raise LookupError(f"this session's shell has no {'.'.join(way)}")
    return found
