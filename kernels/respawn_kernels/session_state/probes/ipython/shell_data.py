"""What IPython keeps of a session as data: inputs, last results, extensions, aliases, configuration."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.host.prompt_results import LAST
from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.probe.interface import NotSet, Parts
from respawn_kernels.session_state.probe.write_marks import WriteMarks

_OWN_EXTENSIONS = {"respawn", "respawn_kernels", "storemagic", "IPython.extensions.storemagic"}
_MODE = ("tracebacks", "mode")
_CONFIG = "get_ipython().config"


class Inputs:
    """The history of inputs (`In`, `_i`, `_i5`) and of directories (`_dh`)."""

    name = "#in"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: every cell adds itself."""
        return None

    def capture(self) -> dict[str, list[str]] | None:
        """Return the inputs, as they were typed and as they were run."""
        shell = live_shell()
        history = getattr(shell, "history_manager", None)
        if shell is None or history is None:
            return None
        return {
            "parsed": list(history.input_hist_parsed),
            "raw": list(history.input_hist_raw),
            "directories": [str(one) for one in shell.user_ns.get("_dh", [])],
        }

    def restore(self, value: dict[str, list[str]], shell: Any | None) -> None:
        """Put them into the history."""
        if shell is None:
            return
        history, namespace, raw = shell.history_manager, shell.user_ns, value["raw"]
        for now, then in ((history.input_hist_parsed, value["parsed"]), (history.input_hist_raw, raw)):
            # In place, for `In` is this very list; what this session has beyond the other one stays.
            now[: len(then)] = then
        namespace.update({f"_i{number}": text for number, text in enumerate(raw) if number})
        if len(raw) >= len(history.input_hist_raw):
            last = [*reversed(raw[1:]), "", "", "", ""]
            history._i00, history._i, history._ii, history._iii = last[:4]
            namespace.update(_i=history._i, _ii=history._ii, _iii=history._iii)
        if value.get("directories"):
            namespace.get("_dh", [])[:] = value["directories"]


class Annotations:
    """The annotations of the notebook's variables: `__annotations__`, which `x: int = 3` fills."""

    name = "#annotations"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return which ones there are."""
        return tuple((name, id(one)) for name, one in _annotations(live_shell()).items()) or None

    def capture(self) -> Parts | None:
        """Return them by name, each with its place."""
        found = Parts()
        for place, (name, one) in enumerate(_annotations(live_shell()).items()):
            found[str(name)] = (place, one)
        return found or None

    def restore(self, value: dict[str, tuple[int, Any]], shell: Any | None) -> None:
        """Add them."""
        if shell is not None:
            ordered = sorted(value.items(), key=lambda item: item[1][0])
            held = shell.user_ns.setdefault("__annotations__", {})
            held.update((name, one) for name, (_, one) in ordered)


def _annotations(shell: Any | None) -> dict[Any, Any]:
    held = getattr(shell, "user_ns", {}).get("__annotations__")
    return held if type(held) is dict else {}


class LastResults:
    """The last three results (`_`, `__`, `___`): by number where they are results of prompts."""

    name = "#last"

    def fingerprint(self) -> Hashable:
        """Return nothing: most cells change them, and a cell that reads one contains its name."""
        return None

    def capture(self) -> Parts | None:
        """Return the numbers of the prompts, or the values themselves."""
        shell = live_shell()
        if shell is None:
            return None
        results = {id(value): number for number, value in shell.user_ns.get("_oh", {}).items()}
        found = Parts()
        for name in LAST:
            value = getattr(shell.displayhook, name, "")
            bound = shell.user_ns.get(name)
            values = {name: value}
            if bound is not value and shell.user_ns_hidden.get(name) is bound:
                # The notebook has bound one of them, and since then IPython binds none.
                values[f"{name} as bound"] = bound
            for key, one in values.items():
                if id(one) in results:
                    found[key] = ("prompt", results[id(one)])
                elif one is not None and not (type(one) is str and one == ""):
                    found[key] = ("value", one)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them; one that is still pending is loaded when code uses it."""
        if shell is None:
            return
        from respawn_kernels.host.lazy_variables import lazy_names

        lazy = lazy_names(shell.user_ns)
        # Those that are bound to something else than the hook has come last.
        for key, (kind, what) in sorted(value.items(), key=lambda item: " " in item[0]):
            name, _, bound = key.partition(" ")
            if kind == "prompt" and lazy.is_pending(f"_{what}"):
                # Where the notebook has a variable of that name, it is the notebook's.
                if bound or not (lazy.is_pending(name) or shell.user_ns.get(name)):
                    lazy.begin([name], _Result(shell, f"_{what}", last=not bound))
                continue
            if kind == "prompt" and what not in shell.user_ns["_oh"]:
                continue
            one = what if kind == "value" else shell.user_ns["_oh"][what]
            if bound:
                lazy.forget([name])
                shell.user_ns[name] = shell.user_ns_hidden[name] = one
            else:
                _set_last(shell, name, one, bind=not lazy.is_pending(name))


class _Result:
    """Loads the last result by its number."""

    def __init__(self, shell: Any, name: str, *, last: bool) -> None:
        self._shell = shell
        self._name = name
        self._last = last

    def load(self, names: Any) -> dict[str, Any]:
        from respawn_kernels.host.lazy_variables import lazy_names

        namespace = self._shell.user_ns
        lazy_names(namespace).load([self._name])
        if self._name not in namespace:
            return {}
        for name in names:
            if self._last:
                setattr(self._shell.displayhook, name, namespace[self._name])
            self._shell.user_ns_hidden[name] = namespace[self._name]
        return dict.fromkeys(names, namespace[self._name])

    def reason(self, _name: str) -> str:
        return f"{self._name} did not load"

    def release(self) -> None:
        """Nothing is held here."""


def _set_last(shell: Any, name: str, value: Any, *, bind: bool) -> None:
    before = getattr(shell.displayhook, name, "")
    setattr(shell.displayhook, name, value)
    now = shell.user_ns.get(name, before)
    # Where the notebook has a variable of that name, pending or not, it is the notebook's.
    if bind and (now is before or (type(now) is str and now == "")):
        shell.user_ns[name] = shell.user_ns_hidden[name] = value


class Extensions:
    """The extensions that were loaded by `%load_ext`, and what `%autoreload` is set to."""

    name = "#extensions"
    _SETTINGS = ("enabled", "check_all", "autoload_obj", "modules", "skip_modules", "hide_errors")

    def fingerprint(self) -> Hashable:
        """Return their names, and the settings."""
        return tuple(_loaded()), repr(self._settings())

    def capture(self) -> dict[str, Any] | None:
        """Return their names, and the settings."""
        names = _loaded()
        return {"names": names, "autoreload": self._settings()} if names else None

    def restore(self, value: Any, shell: Any | None) -> None:
        """Load those that are not loaded. Raises NotSet with those that could not be."""
        if shell is None:
            return
        value = value if isinstance(value, dict) else {"names": value, "autoreload": {}}
        failed: dict[str, str] = {}
        for name in value["names"]:
            if name in shell.extension_manager.loaded:
                continue
            try:
                if reason := shell.extension_manager.load_extension(name):
                    failed[name] = reason
            except Exception as error:  # noqa: BLE001  anybody's code
                failed[name] = f"{type(error).__name__}: {error}"
        if (reloader := _reloader()) is not None:
            for name, one in value["autoreload"].items():
                setattr(reloader, name, one)
        if failed:
            raise NotSet(failed)

    def _settings(self) -> dict[str, Any]:
        reloader = _reloader()
        return {name: getattr(reloader, name) for name in self._SETTINGS if hasattr(reloader, name)}


def _loaded() -> list[str]:
    manager = getattr(live_shell(), "extension_manager", None)
    return sorted(set(getattr(manager, "loaded", ())) - _OWN_EXTENSIONS)


def _reloader() -> Any | None:
    magics = getattr(live_shell(), "magics_manager", None)
    return getattr(getattr(magics, "registry", {}).get("AutoreloadMagics"), "_reloader", None)


class Configuration:
    """Settings of IPython and its parts that differ from those at the beginning: `%config`, `%precision`.

    Those of parts that are not there yet, such as matplotlib's inline backend, wait in the configuration.
    """

    name = "#config"
    first = True
    before_fork = False

    def __init__(self) -> None:
        self._start = dict(_traits()) | _traceback_mode({}) | dict(_configured())
        self._held: list[dict[str, Any]] = []
        """The traits of each part when they were compared last."""
        self._marks = WriteMarks(self._held)
        self._values: dict[int, list[Any]] = {}
        """By part: its settings when they were compared last; one that is set is a new object."""
        self._found: dict[tuple[str, str], Any] = {}

    def fingerprint(self) -> Hashable:
        """Return what differs, as text."""
        return repr(self._changed())

    def capture(self) -> dict[tuple[str, str], Any] | None:
        """Return what differs, by class and name."""
        return self._changed() or None

    def restore(self, value: dict[tuple[str, str], Any], shell: Any | None) -> None:
        """Set it. Raises NotSet with the settings that could not be set."""
        if shell is None:
            return
        failed: dict[str, str] = {}
        # Parts that are made here take their settings from the configuration.
        ordered = sorted(value.items(), key=lambda item: item[0][0] != _CONFIG)
        for (cls, name), one in ordered:
            try:
                if (cls, name) == _MODE:
                    shell.InteractiveTB.set_mode(one)
                    continue
                if cls == _CONFIG:
                    section, _, option = name.partition(".")
                    shell.config[section][option] = one
                    continue
                if cls == "InlineBackend":
                    _make_inline_backend(shell)
                owners = {type(part).__name__: part for part in _parts(shell)}
                setattr(owners[cls], name, one)
            except Exception as error:  # noqa: BLE001  another version may refuse anything
                failed[f"{cls}.{name}"] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)

    def _changed(self) -> dict[tuple[str, str], Any]:
        parts = _parts(live_shell())
        held = [getattr(part, "_trait_values", {}) for part in parts]
        if len(held) != len(self._held) or not all(map(operator.is_, held, self._held)):
            self._held, self._marks = held, WriteMarks(held)
            self._values = {}
        if self._is_other(parts):
            self._found = {
                key: value
                for key, value in _traits()
                if (key not in self._start or self._start[key] != value) and value != _default(key)
            }
        set_here = {key: one for key, one in _configured() if self._start.get(key) != one}
        return self._found | _traceback_mode(self._start) | set_here

    def _is_other(self, parts: list[Any]) -> bool:
        """Return whether a setting is another object; the shell's number of prompts is no setting."""
        other = False
        for at in self._marks.differing():
            values = [self._held[at].get(name) for name in _names(type(parts[at]))]
            before = self._values.get(at)
            other |= before is None or not all(map(operator.is_, values, before))
            self._values[at] = values
            self._marks.note(at)
        return other


def _traits() -> Iterator[tuple[tuple[str, str], Any]]:
    shell = live_shell()
    if shell is None:
        return
    for part in _parts(shell):
        for name in _names(type(part)):
            value = part._trait_values.get(name)
            if _is_setting(value):
                yield (type(part).__name__, name), _copy(value)


def _is_setting(value: Any) -> bool:
    """Return whether a trait is data. Tables of functions are `ShellHooks`' part; theirs know their owner."""
    if not isinstance(value, str | int | float | list | dict | set | tuple):
        return False
    held = (
        value.values()
        if isinstance(value, dict)
        else value
        if not isinstance(value, str | int | float)
        else ()
    )
    return not any(map(callable, held))


def _configured() -> Iterator[tuple[tuple[str, str], Any]]:
    """Return what the configuration holds, by section and option."""
    for section, options in getattr(live_shell(), "config", {}).items():
        for option, value in options.items() if isinstance(options, dict) else ():
            if isinstance(value, str | int | float | list | dict | set | tuple):
                yield (_CONFIG, f"{section}.{option}"), _copy(value)


def _traceback_mode(start: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    mode = getattr(getattr(live_shell(), "InteractiveTB", None), "mode", None)
    return {_MODE: mode} if mode != start.get(_MODE) else {}


def _names(cls: Any) -> list[str]:
    """Return the names of a class's settings; asked once for each class, for it takes long."""
    if cls not in _names_of:
        _names_of[cls] = [*cls.class_trait_names(config=True), "active_types", "pprint"]
    return _names_of[cls]


_names_of: dict[Any, list[str]] = {}


def _default(key: tuple[str, str]) -> Any:
    """Return what a setting is in a new object: its owner may have been made after the session began."""
    part = next((part for part in _parts(live_shell()) if type(part).__name__ == key[0]), None)
    return part.trait_defaults(key[1]) if part is not None and part.has_trait(key[1]) else None


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict | set) else value


def _parts(shell: Any | None) -> list[Any]:
    if shell is None:
        return []
    formatters = list(getattr(shell.display_formatter, "formatters", {}).values())
    plain = [one for one in formatters if type(one).__name__ == "PlainTextFormatter"]
    return [*shell.configurables, *plain]


def _make_inline_backend(shell: Any) -> None:
    import importlib

    backend = importlib.import_module("matplotlib_inline.config").InlineBackend.instance(parent=shell)
    if backend not in shell.configurables:
        shell.configurables.append(backend)
