"""What `functools.lru_cache` remembers, read and put back.

The cache is written in C and has no method for it; `gc.get_referents` returns its content, from the oldest
on. To put it back, the code of the function behind the cache is exchanged for code that returns the stored
results, and the cache is called with the stored arguments: keys are then made as this process makes them, and
nothing of the notebook runs but the `__hash__` and `__eq__` of the arguments.
"""

from __future__ import annotations

import collections
import functools
import gc
import itertools
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any

from respawn_kernels.counting import how_many

CACHED = type(functools.lru_cache(len))
_MAX_CALLS = 30_000_000
"""The counts of hits and misses are restored by so many calls: they take about a second."""


def cache_content(function: Any) -> tuple[list[Any], int, int, dict[str, Any]]:
    """Return what `fill_cached` gives a function with an empty cache: calls, hits, misses, attributes.

    Args:
        function: made by `functools.lru_cache`.

    Raises:
        pickle.PicklingError: the content cannot be read, or the counts are too high to be restored.
    """
    inside = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
    info, parameters = function.cache_info(), function.cache_parameters()
    if not (info.hits or info.misses):
        return [], 0, 0, inside
    if type(function.__wrapped__) is not FunctionType:
        raise pickle.PicklingError("a cache of what is no function of Python")
    if info.hits + info.misses > _MAX_CALLS:
        raise pickle.PicklingError(f"a cache that was asked {how_many(info.hits + info.misses, 'time')}")
    calls = [(*_call_of(key, parameters["typed"]), result) for key, result in _content(function)]
    if len(calls) != info.currsize:
        raise pickle.PicklingError("a cache that does not tell what it holds")
    return calls, info.hits, info.misses, inside


def fill_cache(function: Any, state: tuple[list[Any], int, int, dict[str, Any]]) -> None:
    """Set the content of a function's cache, its statistics and the function's attributes."""
    calls, hits, misses, inside = state
    if hits or misses:
        with _behind(function) as results:
            _ask_in_vain(function, misses - len(calls), results)
            for place, (arguments, named, result) in enumerate(calls):
                results.append((result,))
                function(*arguments, **named)
                if not place:  # a hit makes an entry the youngest: now it is the only one
                    _ask(functools.partial(function, *arguments, **named), hits)
    vars(function).update(inside)


def _ask(question: Callable[[], Any], times: int) -> None:
    collections.deque(itertools.starmap(question, itertools.repeat((), times)), maxlen=0)


def _ask_in_vain(function: Any, times: int, results: list[Any]) -> None:
    """Have a cache count misses whose results it does not keep any more."""
    for _ in range(times):
        with suppress(_Nothing):
            function()


class _Nothing(Exception):
    """There is no result for this call."""


@contextmanager
def _behind(function: Any) -> Iterator[list[Any]]:
    """Have the function behind a cache return what is put into a list, and raise `_Nothing` else."""
    results: list[Any] = []

    def give() -> Any:
        if not results:
            raise _Nothing
        return results.pop()[0]

    behind = function.__wrapped__
    code, defaults, more = behind.__code__, behind.__defaults__, behind.__kwdefaults__
    behind.__code__ = _calling.__code__.replace(
        co_consts=tuple(give if one == "respawn" else one for one in _calling.__code__.co_consts),
        co_freevars=code.co_freevars,
    )
    behind.__defaults__ = behind.__kwdefaults__ = None
    try:
        yield results
    finally:
        behind.__code__, behind.__defaults__, behind.__kwdefaults__ = code, defaults, more


def _calling(*_arguments: Any, **_named: Any) -> Any:
    give: Any = "respawn"  # this text is exchanged for a function
    return give()


def _content(function: Any) -> Iterator[tuple[Any, Any]]:
    """Return the keys and results of a cache, from the oldest on."""
    parts = gc.get_referents(function)
    if function.cache_parameters()["maxsize"] is None:
        return iter(_table(function, parts).items())
    # type, (key, result, type of the link)*, and then the parts of the wrapper itself
    found: list[tuple[Any, Any]] = []
    link = next((one for one in parts if isinstance(one, type) and one.__name__ == "_lru_list_elem"), None)
    places = [place for place, one in enumerate(parts) if one is link]
    for place in places[: function.cache_info().currsize]:
        found.append((parts[place - 2], parts[place - 1]))
    return iter(found)


def _table(function: Any, parts: list[Any]) -> dict[Any, Any]:
    inside = vars(function)
    size = function.cache_info().currsize
    return next(one for one in parts if type(one) is dict and one is not inside and len(one) == size)


def _call_of(key: Any, typed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a key was made of."""
    if type(key) is not tuple and not _is_sequence(key):
        return (key,), {}
    parts = list(key)
    marks = [place for place, one in enumerate(parts) if type(one) is object and one is _mark()]
    if not marks:
        return tuple(parts[: len(parts) // 2] if typed else parts), {}
    positional, rest = parts[: marks[0]], parts[marks[0] + 1 :]
    if typed:
        pairs = (len(rest) - len(positional)) // 3
        rest = rest[: 2 * pairs]
    return tuple(positional), dict(zip(rest[::2], rest[1::2], strict=True))


def _is_sequence(key: Any) -> bool:
    return type(key).__name__ == "_HashedSeq" and type(key).__module__ == "functools"


@functools.cache
def _mark() -> Any:
    """Return what stands between the arguments by place and those by name in a key."""

    @functools.cache
    def probe(*_arguments: Any, **_named: Any) -> None: ...

    probe(a=1)
    [key] = _table(probe, gc.get_referents(probe))
    return key[0]
