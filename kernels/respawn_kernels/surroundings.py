"""What a notebook's state is besides its variables: directory, import path, generators, options, history.

Each is a named value, so that a snapshot stores it like a variable; its name starts with `#`, which no
variable can. Only libraries that the notebook has imported are looked at. Each stands by itself: one that
cannot be told or set harms no other.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from respawn_kernels.names import live_shell

RANDOM = "#random"
OUT = "#out:"
_OWN_EXTENSIONS = {"respawn", "respawn_kernels", "storemagic", "IPython.extensions.storemagic"}
_NOT_RESTORED = {"backend", "backend_fallback", "interactive", "toolbar", "webagg.port"}
"""matplotlib's settings that belong to a session's front end."""

_environment_before = dict(os.environ)
_filters_before = list(warnings.filters)


def working_directory() -> str:
    """Return the working directory; empty when it was removed under the process."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def enter(directory: str) -> str | None:
    """Change to a directory if it exists; return where the process is now, or None when it stayed."""
    if not directory or not Path(directory).is_dir():
        return None
    os.chdir(directory)
    return directory


def added_path() -> list[str]:
    """Return the entries of the import path that are not part of the Python installation or environment."""
    own = {sys.prefix, sys.exec_prefix, sys.base_prefix}
    return [entry for entry in sys.path if entry and not any(Path(entry).is_relative_to(p) for p in own)]


def extend_path(entries: Iterable[str]) -> None:
    """Add the entries of a recorded import path that are directories here and not on the path yet."""
    for entry in entries:
        if entry not in sys.path and Path(entry).is_dir():
            sys.path.append(entry)


def hidden_values() -> dict[str, Any]:
    """Return what a session's state is besides its variables, by names that start with `#`.

    A name is left out where there is nothing to tell: no option differs from its default, for instance.
    """
    values: dict[str, Any] = {}
    for name, (tell, _) in _KINDS.items():
        try:
            value = tell()
        except Exception:  # noqa: BLE001, S112  a library that does not tell its state keeps it
            continue
        if value:
            values[name] = value
    return values | _results()


def restore_hidden(values: Mapping[str, Any], shell: Any | None = None) -> dict[str, str]:
    """Set a session to what `hidden_values` told of another.

    Args:
        values: what was told, or a part of it; names that are not known here are passed over.
        shell: the IPython shell, if there is one: history and results are its own.

    Returns:
        The reason for each name that could not be set.
    """
    failed: dict[str, str] = {}
    for name, value in values.items():
        try:
            if name.startswith(OUT):
                set_result(int(name.removeprefix(OUT)), value, shell)
            elif name in _KINDS:
                _KINDS[name][1](value, shell)
        except Exception as error:  # noqa: BLE001  a library of another version may refuse anything
            failed[name] = f"{type(error).__name__}: {error}"
    return failed


def set_result(number: int, value: Any, shell: Any | None) -> None:
    """Make a value the result of a prompt: `Out[5]` and `_5`."""
    if shell is not None:
        shell.user_ns.get("_oh", {}).setdefault(number, value)
        shell.user_ns.setdefault(f"_{number}", value)


def random_state() -> dict[str, Any]:
    """Return the states of Python's and, where loaded, NumPy's and torch's global random generators."""
    states: dict[str, Any] = {"python": random.getstate()}
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        states["numpy"] = numpy_random.get_state()
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            states["cuda"] = [state.cpu().numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def set_random_state(states: dict[str, Any] | None, _shell: Any = None) -> None:
    """Set the generators to recorded states, so that drawing goes on where it stopped."""
    if not states:
        return
    random.setstate(states["python"])
    if "numpy" in states:
        importlib.import_module("numpy.random").set_state(states["numpy"])
    if "torch" in states:
        torch = importlib.import_module("torch")
        tensors = [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states.get("cuda", [])]
        torch.set_rng_state(torch.frombuffer(bytearray(states["torch"]), dtype=torch.uint8))
        if tensors and torch.cuda.is_available() and torch.cuda.device_count() >= len(tensors):
            torch.cuda.set_rng_state_all(tensors)


def _environment() -> dict[str, str | None]:
    """Return the variables that changed since the kernel began, None for those that are gone.

    Never the whole environment: a platform gives its secrets to a kernel by it.
    """
    changed: dict[str, str | None] = {
        name: value for name, value in os.environ.items() if _environment_before.get(name) != value
    }
    return changed | {name: None for name in _environment_before if name not in os.environ}


def _set_environment(changed: dict[str, str | None], _shell: Any) -> None:
    for name, value in changed.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _filters() -> list[Any]:
    """Return the filters, categories of libraries by name: loading them must not import the library."""
    if warnings.filters == _filters_before:
        return []
    return [(action, text, _named(category), *place) for action, text, category, *place in warnings.filters]


def _set_filters(filters: list[Any], _shell: Any) -> None:
    """Set filters, but those for categories of libraries that are not loaded: these bring their own."""
    found = [(action, text, _category(named), *place) for action, text, named, *place in filters]
    warnings.filters[:] = [one for one in found if one[2] is not None]  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _named(category: Any) -> Any:
    return category if category.__module__ == "__main__" else (category.__module__, category.__qualname__)


def _category(named: Any) -> type | None:
    if isinstance(named, type):
        return named
    found = getattr(sys.modules.get(named[0]), named[1], None)
    return found if isinstance(found, type) else None


def _pandas_options() -> dict[str, Any]:
    config = sys.modules.get("pandas._config.config")
    if config is None:
        return {}
    told = {
        key: (config.get_option(key), option.defval)
        for key, option in config._registered_options.items()
        if key not in config._deprecated_options
    }
    return {key: value for key, (value, default) in told.items() if value != default}


def _set_pandas_options(options: dict[str, Any], _shell: Any) -> None:
    pandas = importlib.import_module("pandas")
    for key, value in options.items():
        pandas.set_option(key, value)


def _matplotlib_settings() -> dict[str, Any]:
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParams"):
        return {}
    default = matplotlib.rcParamsDefault
    return {
        key: value
        for key, value in dict.items(matplotlib.rcParams)
        if key not in _NOT_RESTORED and value != dict.get(default, key)
    }


def _set_matplotlib(settings: dict[str, Any], _shell: Any) -> None:
    params = importlib.import_module("matplotlib").rcParams
    for key, value in settings.items():
        if key in params:
            params[key] = value


def _inputs() -> dict[str, list[str]]:
    history = getattr(live_shell(), "history_manager", None)
    if history is None:
        return {}
    return {"parsed": list(history.input_hist_parsed), "raw": list(history.input_hist_raw)}


def _set_inputs(inputs: dict[str, list[str]], shell: Any) -> None:
    if shell is None:
        return
    history = shell.history_manager
    for now, then in ((history.input_hist_parsed, inputs["parsed"]), (history.input_hist_raw, inputs["raw"])):
        # In place, for `In` is this very list; what this session has beyond the other one stays.
        now[: len(then)] = then


def _results() -> dict[str, Any]:
    shell = live_shell()
    results = dict(shell.user_ns.get("_oh") or {}) if shell is not None else {}
    return {f"{OUT}{number}": value for number, value in results.items() if type(number) is int}


def _extensions() -> list[str]:
    manager = getattr(live_shell(), "extension_manager", None)
    return sorted(set(getattr(manager, "loaded", ())) - _OWN_EXTENSIONS)


def _load_extensions(names: list[str], shell: Any) -> None:
    for name in names:
        if shell is not None and name not in shell.extension_manager.loaded:
            shell.extension_manager.load_extension(name)


_KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], None]]] = {
    RANDOM: (random_state, set_random_state),
    "#env": (_environment, _set_environment),
    "#warnings": (_filters, _set_filters),
    "#pandas": (_pandas_options, _set_pandas_options),
    "#matplotlib": (_matplotlib_settings, _set_matplotlib),
    "#in": (_inputs, _set_inputs),
    "#extensions": (_extensions, _load_extensions),
}
