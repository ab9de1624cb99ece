"""Which warnings were shown, so that those which are shown once are not shown again.

A module whose code warns keeps in `__warningregistry__` what it has shown, together with the version of the
filters that it was shown under; under another version Python forgets it all (PEP 230, `Python/_warnings.c`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.session_state.probe.interface import Parts
from respawn_kernels.session_state.probes.python.warning_filters import category_of, named_category

_REGISTRY = "__warningregistry__"
_ONCE = "<once>"
"""What filters with the action `once` have let through, among the names of modules."""


class _Asked(Warning):
    """A warning that is given to learn the version of the filters; it is not shown."""


class ShownWarnings:
    """What modules, the notebook among them, have shown, and what `once` has; a library's categories by name.

    It has no fingerprint: a cell that warned is no reason for all later ones to run again. The writer takes
    it, since a fork changes none of it.
    """

    name = "#shown"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing that differs."""
        return None

    def capture(self) -> Parts | None:
        """Return what was shown, by module; nothing of what the filters of today make Python forget."""
        found = Parts()
        version = _version()
        for module, registry in _registries():
            if registry.get("version") == version and (shown := _named(registry)):
                found[module] = shown
        if _once().get("version") == version and (once := _named(_once())):
            found[_ONCE] = once
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Note in modules that are loaded what was shown; after all that may change filters."""
        version = _version()
        for name, shown in value.items():
            known = _known(shown)
            module = sys.modules.get(name)
            if name in (_ONCE, ""):
                once = _once()
                if once.get("version") != version:
                    once.clear()
                once["version"] = version
                once.update(known)
            elif module is not None:  # it may be any object
                setattr(module, _REGISTRY, {"version": version, **known})


def _version() -> Any:
    """Return the version of the filters, which is found only in a registry that a warning went to.

    The warning goes to a registry of ours. `catch_warnings` would make another version.
    """
    registry: dict[Any, Any] = {}
    show = warnings._showwarnmsg  # type: ignore[attr-defined]
    once = dict(_once())
    warnings._showwarnmsg = _silent  # type: ignore[attr-defined]
    try:
        warnings.warn_explicit("", _Asked, "", 0, registry=registry)
    except _Asked:
        pass  # the notebook's filters make errors of warnings
    finally:
        warnings._showwarnmsg = show  # type: ignore[attr-defined]
        for key in _once().keys() - once.keys():
            del _once()[key]
    return registry.get("version")


def _silent(message: object) -> None: ...


def _once() -> dict[Any, Any]:
    """Return what filters with the action `once` have let through."""
    found: dict[Any, Any] = warnings.onceregistry  # type: ignore[attr-defined]
    return found


def _registries() -> Iterator[tuple[str, dict[Any, Any]]]:
    for name, module in list(sys.modules.items()):
        registry = getattr(module, "__dict__", {}).get(_REGISTRY)
        if type(registry) is dict and registry:
            yield name, registry


def _named(registry: dict[Any, Any]) -> list[tuple[Any, ...]]:
    """Return the keys of a registry: (text, category, line), of `once` (text, category)."""
    return [
        (key[0], named_category(key[1]), *key[2:])
        for key, shown in registry.items()
        if shown and type(key) is tuple and len(key) in (2, 3) and type(key[0]) is str
    ]


def _known(shown: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], bool]:
    """Return the keys whose categories are there."""
    found = ((text, category_of(named), *line) for text, named, *line in shown)
    return {key: True for key in found if key[1] is not None}
