"""What the notebook gave to IPython to call: magics, aliases, callbacks, transformers, formatters.

Functions of libraries come again with their extensions and imports; those that are the notebook's own, or
that it registered, are stored as the objects that they are.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Hashable, Iterator
from contextlib import suppress
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.probe.duplicates import is_twin
from respawn_kernels.session_state.probe.interface import NotSet, Parts

_PASSED_BY = (
    "IPython",
    "ipykernel",
    "ipywidgets",
    "matplotlib_inline",
    "respawn",
    "respawn_kernels",
    "debugpy",
)
_LISTS = {
    "input_transformers_cleanup": "input transformer",
    "input_transformers_post": "input transformer",
    "ast_transformers": "transformer of syntax trees",
}
_PUBLISHERS = ("display_pub", "displayhook")
"""What sends outputs; ipykernel lets functions look at each message (`register_hook`), one list a thread."""
_PRINTERS = ("type_printers", "singleton_printers", "deferred_printers")


def load_magics() -> None:
    """Load the magics of IPython's own that come when they are asked for: the probe asks all of them.

    So they are there before anything is noted, and count as no change.
    """
    manager = getattr(live_shell(), "magics_manager", None)
    load = getattr(manager, "load_all_lazy_magics", None)
    if load is not None:
        with suppress(Exception):  # one that a person has declared may be of a package that is not there
            load()


class ShellHooks:
    """The functions and objects that the notebook registered with its shell."""

    name = "#ipython"
    before_fork = False

    def __init__(self) -> None:
        self._start = {key: id(value) for key, value in _everything()}
        self._values: list[Any] = []
        self._mark: tuple[Any, ...] = ()

    def fingerprint(self) -> Hashable:
        """Return which ones of the notebook there are."""
        values = list(_values())
        if len(values) == len(self._values) and all(map(operator.is_, values, self._values)):
            return self._mark
        self._values = values
        self._mark = tuple(
            (key, id(value))
            for key, value in _everything()
            if self._start.get(key) != id(value) and registered_by_notebook(value)
        )
        return self._mark

    def capture(self) -> Parts | None:
        """Return those that were not there at the beginning."""
        found = Parts()
        for key, value in _everything():
            if self._start.get(key) != id(value) and registered_by_notebook(value):
                found[" ".join(map(str, key[:2])) + f" {len(found)}"] = (key, value)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Register them again. Raises NotSet with those that could not be."""
        if shell is None:
            return
        failed: dict[str, str] = {}
        for key, one in value.values():
            try:
                _GIVE[key[0]](shell, key, one)
            except Exception as error:  # noqa: BLE001  another version may refuse anything
                failed[" ".join(map(str, key[:2]))] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)

    def withdraw(self, value: dict[str, Any]) -> None:
        """Take out of lists and tables what is in them; the rest has a name, under which it is set anew."""
        shell = live_shell()
        if shell is None:
            return
        for key, one in value.values():
            if key[0] == "callback":
                _remove(shell.events.callbacks[key[1]], one)
            elif key[0] == "transformer":
                _remove(getattr(shell, key[1]), one)
            elif key[0] == "hook":
                chain = shell.hooks[key[1]].chain
                chain[:] = [other for other in chain if not is_twin(_unbound(shell, other[1]), one)]
            elif key[0] == "message hook":
                _remove(_message_hooks(shell, key[1]), one)
            elif key[0] == "completer":
                matchers = _matchers(shell)
                matchers[:] = [other for other in matchers if not is_twin(_function(other), one)]
            elif key[0] == "formatter" and key[1] in shell.display_formatter.formatters:
                table = getattr(shell.display_formatter.formatters[key[1]], key[2])
                if table.get(key[3]) is one:
                    del table[key[3]]


def _remove(those: list[Any], one: Any) -> None:
    those[:] = [other for other in those if not is_twin(other, one)]


def _values() -> Iterator[Any]:
    """Return the functions that are registered, quickly; methods are other objects each time."""
    shell = live_shell()
    if shell is None:
        return
    for magics in shell.magics_manager.magics.values():
        yield from magics.values()
    for callbacks in shell.events.callbacks.values():
        yield from callbacks
    for name in _LISTS:
        yield from getattr(shell, name, ())
    for formatter in shell.display_formatter.formatters.values():
        yield formatter
        for table in _PRINTERS:
            yield from getattr(formatter, table, {}).values()
    for chain in _chains(shell).values():
        yield from (_unbound(shell, one) for _, one in chain)
    for name in _PUBLISHERS:
        yield from _message_hooks(shell, name)
    yield from map(_function, _matchers(shell))
    yield shell.custom_exceptions


def _chains(shell: Any) -> dict[str, list[tuple[int, Any]]]:
    """Return the functions of each hook of the shell with their priorities (`set_hook`)."""
    hooks = getattr(shell, "hooks", {})
    return {name: chain for name in hooks if type(chain := getattr(hooks[name], "chain", None)) is list}


def _matchers(shell: Any) -> list[Any]:
    matchers = getattr(getattr(shell, "Completer", None), "custom_matchers", None)
    return matchers if type(matchers) is list else []


def _function(method: Any) -> Any:
    """Return the function that `set_custom_completer` was given; it keeps a method of the completer."""
    return getattr(method, "__func__", method)


def _unbound(shell: Any, function: Any) -> Any:
    """Return the function that `set_hook` was given; it keeps a method of the shell."""
    return function.__func__ if getattr(function, "__self__", None) is shell else function


def _message_hooks(shell: Any, name: str) -> list[Any]:
    hooks = getattr(getattr(shell, name, None), "_hooks", None)
    return hooks if type(hooks) is list else []


def _everything() -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Return all that is registered: where (the kind first), and what."""
    shell = live_shell()
    if shell is None:
        return
    for kind, magics in shell.magics_manager.magics.items():
        for name, function in magics.items():
            yield ("magic", kind, name), function
    for event, callbacks in shell.events.callbacks.items():
        for callback in callbacks:
            yield ("callback", event, _mark(callback)), callback
    for name in _LISTS:
        for place, one in enumerate(getattr(shell, name, ())):
            yield ("transformer", name, place, _mark(one)), one
    for kind, formatter in shell.display_formatter.formatters.items():
        yield ("display", kind), formatter
        for table in _PRINTERS:
            for cls, function in list(getattr(formatter, table, {}).items()):
                yield ("formatter", kind, table, cls), function
    for name, chain in _chains(shell).items():
        for priority, function in chain:
            one = _unbound(shell, function)
            yield ("hook", name, priority, _mark(one)), one
    for name in _PUBLISHERS:
        for one in _message_hooks(shell, name):
            yield ("message hook", name, _mark(one)), one
    for place, matcher in enumerate(_matchers(shell)):
        yield ("completer", place, _mark(_function(matcher))), _function(matcher)
    if shell.custom_exceptions:
        yield ("handler", "exceptions"), (shell.custom_exceptions, _handler(shell.CustomTB))


def _mark(function: Any) -> Hashable:
    """Return a mark of a function; a bound method is a new object whenever it is asked for."""
    return id(getattr(function, "__func__", function)), id(getattr(function, "__self__", None))


def _handler(wrapped: Any) -> Any:
    """Return the function that `set_custom_exc` was given; IPython keeps it in a closure."""
    function = wrapped.__func__
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return cells["handler"].cell_contents


def registered_by_notebook(value: Any) -> bool:
    """Return whether what a shell calls is the notebook's own, or something that it registered."""
    if isinstance(value, tuple):
        return True
    while isinstance(value, functools.partial):
        value = value.func
    owner = getattr(value, "__self__", None)
    for one in (value, type(value), owner, type(owner)):
        module = getattr(one, "__module__", None)
        if module == "__main__":
            return True
    module = getattr(value, "__module__", None) or type(value).__module__
    return module.partition(".")[0] not in _PASSED_BY and "<locals>" not in getattr(value, "__qualname__", "")


def _give_magic(shell: Any, key: tuple[Any, ...], function: Any) -> None:
    shell.magics_manager.magics[key[1]][key[2]] = function


def _give_callback(shell: Any, key: tuple[Any, ...], callback: Any) -> None:
    if callback not in shell.events.callbacks[key[1]]:
        shell.events.register(key[1], callback)


def _give_transformer(shell: Any, key: tuple[Any, ...], one: Any) -> None:
    transformers = getattr(shell, key[1])
    if one not in transformers:
        transformers.insert(key[2], one)


def _give_formatter(shell: Any, key: tuple[Any, ...], function: Any) -> None:
    getattr(shell.display_formatter.formatters[key[1]], key[2])[key[3]] = function


def _give_display(shell: Any, key: tuple[Any, ...], formatter: Any) -> None:
    shell.display_formatter.formatters[key[1]] = formatter


def _give_hook(shell: Any, key: tuple[Any, ...], function: Any) -> None:
    if not any(_unbound(shell, one) is function for _, one in shell.hooks[key[1]].chain):
        shell.set_hook(key[1], function, key[2])


def _give_completer(shell: Any, key: tuple[Any, ...], function: Any) -> None:
    if not any(_function(one) is function for one in _matchers(shell)):
        shell.set_custom_completer(function, key[1])


def _give_message_hook(shell: Any, key: tuple[Any, ...], hook: Any) -> None:
    if hook not in _message_hooks(shell, key[1]):
        getattr(shell, key[1]).register_hook(hook)


def _give_handler(shell: Any, _key: tuple[Any, ...], value: Any) -> None:
    shell.set_custom_exc(*value)


_GIVE: dict[str, Any] = {
    "magic": _give_magic,
    "callback": _give_callback,
    "transformer": _give_transformer,
    "formatter": _give_formatter,
    "display": _give_display,
    "hook": _give_hook,
    "message hook": _give_message_hook,
    "completer": _give_completer,
    "handler": _give_handler,
}


class Aliases:
    """The aliases of system commands that `%alias` made."""

    name = "#aliases"

    def __init__(self) -> None:
        self._start = dict(_aliases())

    def fingerprint(self) -> Hashable:
        """Return names and commands."""
        return tuple(_aliases())

    def capture(self) -> dict[str, str] | None:
        """Return those that are not IPython's."""
        return {name: command for name, command in _aliases() if self._start.get(name) != command} or None

    def restore(self, value: dict[str, str], shell: Any | None) -> None:
        """Define them."""
        if shell is not None:
            for name, command in value.items():
                shell.alias_manager.soft_define_alias(name, command)


def _aliases() -> list[tuple[str, str]]:
    manager = getattr(live_shell(), "alias_manager", None)
    return list(getattr(manager, "aliases", ()))
