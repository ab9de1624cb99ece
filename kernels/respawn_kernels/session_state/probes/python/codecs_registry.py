"""Codecs and error handlers (PEP 293) that the notebook registered with `codecs`.

The module does not list them. The interpreter keeps them in a dict and in a list, which are found through
`gc.get_referrers` of a handler and a function that Python itself registers first.
"""

from __future__ import annotations

import codecs
import encodings
import gc
from collections.abc import Hashable
from functools import cache
from typing import Any

from respawn_kernels.session_state.patching import is_own
from respawn_kernels.session_state.probe.interface import Parts

_SEARCH = "search function "
_HANDLER = "error handler "
_FOUND = "found codec "


class Codecs:
    """Error handlers (`codecs.register_error`), search functions (`codecs.register`), what those have found.

    The interpreter asks a search function once for each name, whatever it would answer later.
    """

    name = "#codecs"
    before_fork = False

    def __init__(self) -> None:
        self._handlers = _registry(codecs.strict_errors, dict)
        self._searches = _registry(encodings.search_function, list)
        self._start = {name: id(handler) for name, handler in self._handlers.items()}
        self._known = set(map(id, self._searches))
        self._cache = _found_codecs()

    def fingerprint(self) -> Hashable:
        """Return which ones they are."""
        handlers = ((name, id(handler)) for name, handler in self._handlers.items())
        found = ((name, id(one)) for name, one in self._found().items())
        return (*handlers, *map(id, self._searches), *found)

    def capture(self) -> Parts | None:
        """Return those that were not there at the beginning."""
        found = Parts()
        for name, handler in self._handlers.items():
            if self._start.get(name) != id(handler):
                found[_HANDLER + name] = handler
        for place, search in enumerate(self._searches):
            if id(search) not in self._known:
                found[f"{_SEARCH}{place}"] = search
        found |= {_FOUND + name: _parts(one) for name, one in self._found().items()}
        return found or None

    def _found(self) -> dict[str, Any]:
        """Return what the notebook's search functions have found, by the names that were asked for."""
        if all(id(one) in self._known for one in self._searches):
            return {}
        return {name: one for name, one in self._cache.items() if one is not None and any(map(is_own, one))}

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Register them, in the place of those of the notebook that are registered."""
        searches = [one for name, one in value.items() if name.startswith(_SEARCH)]
        for search in [one for one in self._searches if id(one) not in self._known]:
            codecs.unregister(search)
        for search in searches:
            codecs.register(search)
        for name, one in value.items():
            if name.startswith(_HANDLER):
                codecs.register_error(name.removeprefix(_HANDLER), one)
            elif name.startswith(_FOUND):
                functions, options = one
                self._cache[name.removeprefix(_FOUND)] = codecs.CodecInfo(*functions, **options)


def _parts(codec: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what makes a codec again; pickle would give its class one tuple."""
    functions = (*codec, codec.incrementalencoder, codec.incrementaldecoder)
    return functions, {"name": codec.name, "_is_text_encoding": codec._is_text_encoding}


def _found_codecs() -> dict[str, Any]:
    """Return the dict of the codecs that were found, as long as no notebook can have one like it."""
    known = codecs.lookup("utf-8")
    for one in gc.get_referrers(known):
        # The package `encodings` has such a dict of its own, with None for what it does not know.
        if type(one) is dict and one is not vars(encodings)["_cache"]:
            found: dict[str, Any] = one
            return found
    return {}


@cache
def _registry(first: Any, kind: type) -> Any:
    """Return the container in which the interpreter registered something; an empty one if none is found.

    It has the same one for as long as it lives, also in a fork; to look for it takes long.
    """
    for one in gc.get_referrers(first):
        if type(one) is kind:
            known: Any = one
            begins = known.get("strict") if kind is dict else known[0] if known else None
            if begins is first:
                return known
    return kind()
