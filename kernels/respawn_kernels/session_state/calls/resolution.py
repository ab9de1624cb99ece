"""From the names in a cell to the objects of installed libraries that they lead to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from respawn_kernels.session_state.calls import setting_verbs
from respawn_kernels.session_state.calls.uses import CALLED, Use
from respawn_kernels.session_state.patching.baseline import baseline
from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.patching.value_marks import ATOMS

UNKNOWN: Any = object()
"""What a call returned."""
_COMPILED = ("builtin_function_or_method", "cython_function_or_method", "nb_func", "fused_cython_function")
"""Names of the types of functions that C, Cython, pybind11 and nanobind make."""
_OWN_PACKAGES = ("builtins", "__main__", "respawn", "respawn_kernels", "respawn_jobs", "respawn_widgets")


@dataclass(frozen=True)
class Reached:
    """Something that a cell sets in an installed library."""

    module: str
    """From which one gets to it by `names`."""
    names: tuple[str, ...]
    """The last is what is set or called."""
    owner: Any
    """What has the last name; `UNKNOWN` where only a call gives it."""
    packages: frozenset[str]

    @property
    def is_compiled(self) -> bool:
        """Whether it is a function that is not Python's: what it sets may lie where no Python object does."""
        if self.owner is UNKNOWN or not self.names:
            return False
        return type(_attribute(self.owner, self.names[-1])).__name__ in _COMPILED

    @property
    def title(self) -> str:
        """How people write it."""
        return dotted(self.module, self.names)


def dotted(module: str, names: tuple[str, ...]) -> str:
    """Return names in a module as people write them."""
    return ".".join((module, *names)).replace(f".{CALLED}", CALLED)


def reach(use: Use, namespace: Mapping[str, Any]) -> Reached | None:
    """Follow the names of a cell; return None when they do not lead into an installed library.

    Nothing is called. Attributes are asked for as the cell itself did.

    Args:
        use: what the cell sets, as its code names it.
        namespace: the notebook's variables, after the cell.
    """
    start = _start(use, namespace)
    if start is None:
        return None
    value, module, names = start
    names = (*names, *use.path[1:])
    owner, giver = value, names[0] if names else ""
    packages = {_top(module), _package(value)}
    for name in use.path[1:-1]:
        if name == CALLED:
            if setting_verbs.first_word(giver) not in setting_verbs.GIVING:
                return None  # an object that nobody else may have
            owner = UNKNOWN
        elif owner is not UNKNOWN:
            owner = _attribute(owner, name)
            packages.add(_package(owner))
        giver = name
    if type(owner).__module__ == "__main__" or packages & {"__main__"}:
        return None
    return Reached(module, names, owner, frozenset(packages - {""}))


def acts_on_variable(use: Use, reached: Reached, namespace: Mapping[str, Any]) -> bool:
    """Return whether a call changes its first argument, which is a variable and is stored as such.

    Args:
        use: the call, as the cell's code names it.
        reached: the function that it leads to.
        namespace: the notebook's variables, after the cell.
    """
    name = reached.names[-1]
    if isinstance(reached.owner, type):
        method = next((vars(cls)[name] for cls in reached.owner.__mro__ if name in vars(cls)), None)
        if type(method) is FunctionType and len(use.path) > 1:
            return True  # called with the object that it belongs to
    if use.argument is None or use.argument not in namespace or not setting_verbs.may_set_its_argument(name):
        return False
    value = namespace[use.argument]
    return not issubclass(
        type(value), (*ATOMS, type, ModuleType, FunctionType, BuiltinFunctionType, list, tuple, dict, set)
    )


def installed(value: Any) -> str | None:
    """Return the package of a module, or of a function or class of one, that is installed; else None."""
    if not issubclass(type(value), (ModuleType, type, FunctionType, BuiltinFunctionType)):
        return None
    module = _module_of(value)
    package = _top(module)
    if not module or package in _OWN_PACKAGES or baseline.is_local(module) or module not in sys.modules:
        return None
    return package


def _start(use: Use, namespace: Mapping[str, Any]) -> tuple[Any, str, tuple[str, ...]] | None:
    """Return what a path begins with, and the module and the names in it that lead there."""
    name = use.path[0]
    if use.imported is not None and (found := _imported(*use.imported)) is not UNKNOWN:
        module, inside = use.imported
        if name not in namespace or namespace[name] is found:
            if installed(sys.modules[module]) is None or type(found).__module__ == "__main__":
                return None
            if inside is None or issubclass(type(found), ModuleType):
                return found, _module_of(found), ()
            return found, module, (inside,)
    value: Any = namespace.get(name)
    if installed(value) is None:
        return None
    if issubclass(type(value), ModuleType):
        return value, _module_of(value), ()
    return value, _module_of(value), tuple(str(value.__qualname__).split("."))


def _imported(module: str, name: str | None) -> Any:
    """Return what an import bound; `UNKNOWN` when it is not there any more."""
    found = sys.modules.get(module, UNKNOWN)
    if name is None or found is UNKNOWN:
        return found
    inside = getattr(found, "__dict__", {}).get(name, UNKNOWN)
    return sys.modules.get(f"{module}.{name}", UNKNOWN) if inside is UNKNOWN else inside


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except Exception:  # noqa: BLE001  anybody's code; the cell did the same, and it may be gone since
        return UNKNOWN


def _module_of(value: Any) -> str:
    if issubclass(type(value), ModuleType):
        name = value.__name__
    elif issubclass(type(value), type):
        name = attributes_of(value).get("__module__")
    else:
        name = getattr(value, "__module__", None)
    return name if type(name) is str else ""


def _package(value: Any) -> str:
    if value is UNKNOWN or (type(value).__module__ == "builtins" and not callable(value)):
        return ""
    kinds = (ModuleType, type, FunctionType, BuiltinFunctionType)
    module = _module_of(value) if issubclass(type(value), kinds) else type(value).__module__
    return "" if module == "builtins" else _top(str(module))


def _top(module: str) -> str:
    """Return a module's package; the part in C of `asyncio`, `_asyncio`, counts as its own."""
    return module if module == "__main__" else module.partition(".")[0].lstrip("_")
