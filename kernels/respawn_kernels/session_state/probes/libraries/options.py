"""Options of single libraries: pandas, polars, scikit-learn, SciPy, Dask, PyTorch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Hashable
from typing import Any

from respawn_kernels.session_state.patching import baseline


class LibraryOptions:
    """A probe for a library whose options can be read and set.

    Args:
        name: of the probe; it starts with `#`.
        module: name of the module that is given to the functions below, when it is loaded.
        read: returns what differs from the library's defaults; empty for nothing.
        give: called with the module and what `read` returned, to set that.
        mark: returns a value that differs when an option does, where that is quicker than `read`; None:
            `read`.
    """

    before_fork = False

    def __init__(
        self,
        name: str,
        module: str,
        read: Callable[[Any], Any],
        give: Callable[[Any, Any], None],
        mark: Callable[[Any], Hashable] | None = None,
    ) -> None:
        self.name = name
        self._module = module
        self._read = read
        self._give = give
        self._mark = mark or (lambda module: repr(read(module)))

    def fingerprint(self) -> Hashable:
        """Return what the options are, as text."""
        module = sys.modules.get(self._module)
        return None if module is None or _is_partly_loaded(module) else self._mark(module)

    def capture(self) -> Any | None:
        """Return what differs from the library's defaults."""
        module = sys.modules.get(self._module)
        return None if module is None or _is_partly_loaded(module) else self._read(module) or None

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set the options; the library is loaded for that."""
        self._give(importlib.import_module(self._module), value)


def _is_partly_loaded(module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def pandas() -> LibraryOptions:
    """Return the probe of pandas' options."""
    return LibraryOptions(
        "#pandas",
        "pandas._config.config",
        _pandas_changed,
        _set_pandas,
        lambda config: repr(config._global_config),
    )


def _set_pandas(config: Any, options: dict[str, Any]) -> None:
    own = _own_options(config)
    for key, value in options.items():
        if key not in own:
            config.set_option(key, value)
            continue
        # `set_option` would call what the notebook wants to be told of changes.
        *path, last = key.split(".")
        place = config._global_config
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value


def _pandas_changed(config: Any) -> dict[str, Any]:
    own = _own_options(config)
    values = {
        key: (config.get_option(key), option.defval)
        for key, option in config._registered_options.items()
        if key not in config._deprecated_options
    }
    return {key: value for key, (value, default) in values.items() if key in own or value != default}


def _own_options(config: Any) -> set[str]:
    """Return the options that pandas has not registered itself; `Registries` brings back what they are."""
    known = (kept for kept in baseline.containers({"pandas"}) if kept.container is config._registered_options)
    imported = next(known, None)
    return set() if imported is None else {*config._registered_options} - {*imported.keys}


def sklearn() -> LibraryOptions:
    """Return the probe of `sklearn.set_config`."""

    def read(module: Any) -> dict[str, Any]:
        start = module._global_config
        return {k: v for k, v in module.get_config().items() if k not in start or v != start[k]}

    return LibraryOptions("#sklearn", "sklearn._config", read, lambda m, options: m.set_config(**options))


def scipy() -> LibraryOptions:
    """Return the probe of `scipy.special.seterr`."""

    def read(special: Any) -> dict[str, str]:
        return {
            key: action for key, action in special.geterr().items() if action != _SCIPY.get(key, "ignore")
        }

    return LibraryOptions("#scipy", "scipy.special", read, lambda special, actions: special.seterr(**actions))


_SCIPY = {"memory": "raise"}
"""What SciPy does by itself; it ignores every other error."""


def dask() -> LibraryOptions:
    """Return the probe of `dask.config`."""
    return LibraryOptions(
        "#dask", "dask.config", _dask_changed, _set_dask, lambda module: repr(module.config)
    )


def _dask_changed(module: Any) -> dict[str, Any]:
    fresh: dict[str, Any] = {}
    for default in module.defaults:
        module.update(fresh, default, priority="old")
    module.update(fresh, module.collect())
    before = dict(_flat(fresh))
    return {key: value for key, value in _flat(module.config) if key not in before or before[key] != value}


def _set_dask(module: Any, options: dict[str, Any]) -> None:
    module.set(options)


def _flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        whole = f"{prefix}{key}"
        found += _flat(value, f"{whole}.") if isinstance(value, dict) and value else [(whole, value)]
    return found


_POLARS = {
    "set_fmt_float": "mixed",
    "set_float_precision": None,
    "set_thousands_separator": "",
    "set_decimal_separator": ".",
    "set_trim_decimal_zeros": False,
}
"""What polars keeps by itself. The other options are environment variables, and belong to `#env`."""


def polars() -> LibraryOptions:
    """Return the probe of `polars.Config`."""
    return LibraryOptions("#polars", "polars.config", _polars_changed, _set_polars)


def _polars_changed(module: Any) -> dict[str, Any]:
    state = module.Config.state(if_set=True)
    return {key: state[key] for key, usual in _POLARS.items() if key in state and state[key] != usual}


def _set_polars(module: Any, options: dict[str, Any]) -> None:
    for key, value in options.items():
        getattr(module.Config, key)(value)


_TORCH: dict[str, tuple[str, str, Any]] = {
    "dtype": ("get_default_dtype", "set_default_dtype", None),
    "deterministic": ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms", False),
    "gradients": ("is_grad_enabled", "set_grad_enabled", True),
    "precision": ("get_float32_matmul_precision", "set_float32_matmul_precision", "highest"),
    "anomalies": ("is_anomaly_enabled", "autograd.set_detect_anomaly", False),
}


def torch() -> LibraryOptions:
    """Return the probe of PyTorch's defaults and how it shows tensors."""
    return LibraryOptions("#torch", "torch", _torch_changed, _set_torch)


def _torch_changed(torch: Any) -> dict[str, Any]:
    found = {key: getattr(torch, get)() for key, (get, _, _) in _TORCH.items() if hasattr(torch, get)}
    if found.get("dtype") is torch.float32:
        del found["dtype"]
    changed = {key: value for key, value in found.items() if value != _TORCH[key][2]}
    options = vars(torch._tensor_str.PRINT_OPTS)
    fresh = vars(type(torch._tensor_str.PRINT_OPTS)())
    return changed | ({"print": dict(options)} if options != fresh else {})


def _set_torch(torch: Any, options: dict[str, Any]) -> None:
    shown = options.pop("print", None)
    for key, value in options.items():
        target = torch
        *path, name = _TORCH[key][1].split(".")
        for part in path:
            target = getattr(target, part)
        getattr(target, name)(value)
    if shown is not None:
        vars(torch._tensor_str.PRINT_OPTS).update(shown)
