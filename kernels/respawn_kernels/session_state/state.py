"""All probes at once: what changed, what is stored, what comes back. One that fails leaves out its part."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, suppress
from types import ModuleType
from typing import Any

from respawn_kernels.session_start import begin_session
from respawn_kernels.session_state import registry
from respawn_kernels.session_state.calls import settings
from respawn_kernels.session_state.patching import baseline, helper_parts
from respawn_kernels.session_state.probe.interface import Lost, Marks, NotSet, Parts, Probe
from respawn_kernels.session_state.probes.ipython.shell_hooks import load_magics
from respawn_kernels.session_state.probes.ipython.shell_hooks import (
    registered_by_notebook as registered_by_notebook,
)
from respawn_kernels.session_state.registry import title as title


class _Seen:
    """What was seen of the session so far.

    An import of an installed library loads what a probe reads, and adds filters, loggers, environment
    variables and virtual subclasses of its own: that alone is no change, since importing it again adds the
    same.
    """

    _BY_IMPORTS = frozenset(
        {"#warnings", "#logging", "#abc", "#singledispatch", "#dask", "#env", "#packages"}
    )

    def __init__(self) -> None:
        self.latest: dict[str, Hashable] = {}
        self.noted: dict[str, Hashable] = {}
        self.cells: dict[str, int] = {}
        self._same: dict[tuple[str, Hashable], Hashable] = {}
        """Fingerprints that only imports made, by part; each stands for the fingerprint before."""
        self._before: dict[str, Hashable] | None = None
        self._helpers = 0
        """How many modules beside the notebook there were."""
        self.by_imports: set[str] = set()
        """Parts that imports changed since `changed_by_imports`: importing the same again changes nothing."""

    def fingerprints(self) -> dict[str, Hashable]:
        self.latest = {name: self._same.get((name, mark), mark) for name, mark in _fingerprints().items()}
        return self.latest

    def note(self, cell: int) -> None:
        now = self.latest or self.fingerprints()
        changed = [name for name, mark in now.items() if mark != self.noted.get(name)]
        self.cells |= dict.fromkeys(changed, cell)
        for name in changed:
            if isinstance(mark := now[name], Marks):
                before = self.noted.get(name)
                new = set(mark).difference(before if isinstance(before, Marks) else ())
                self.cells |= {f"{name}:{part}": cell for part, _ in new}
        if len(baseline.local) != self._helpers:
            # What helpers hold has no fingerprint: the cell that imports them counts as the one that made it.
            self._helpers = len(baseline.local)
            for part in helper_parts():
                self.cells.setdefault(f"#helpers:{part}", cell)
        self.cells |= {f"{settings.name}:{part}": cell for part in settings.new()}
        self.noted, self.latest = now, {}

    def import_began(self) -> None:
        self._before = _fingerprints()

    def import_ended(self, *, local: bool) -> None:
        before, self._before = self._before or {}, None
        for name, mark in _fingerprints().items():
            old = before.get(name)
            if mark == old:
                continue
            if not local and (old is None or name in self._BY_IMPORTS):
                self._same[name, mark] = self._same.get((name, old), old)
            else:
                self.by_imports.add(name)


_seen = _Seen()
_restored: dict[str, Any] = {}
"""What was set in this session last, of parts that can take it back (`withdraw`), by the probe's name."""


def prepare(hidden: Mapping[str, ModuleType]) -> Callable[[str], AbstractContextManager[None]]:
    """Note, in a process that forks kernels, what each would note at its beginning.

    Args:
        hidden: modules that are imported and do not show until a notebook imports them, by name.

    Returns:
        What must surround the import of such a module, by its name.
    """
    registry.announced()
    baseline.look()
    baseline.look_at(hidden)
    return baseline.revealing


def watch() -> None:
    """Begin: from now on modules are noted as soon as they are imported. A second call changes nothing."""
    load_magics()
    begin_session()
    if _seen not in baseline.listeners:
        baseline.listeners.append(_seen)
    baseline.watch()
    _seen.noted = _seen.fingerprints()


def fingerprints() -> dict[str, Hashable]:
    """Return a value for each part of the session's state that differs when the part does, by its name."""
    return _seen.fingerprints()


def changed_by_imports() -> set[str]:
    """Return the parts that changed while modules were imported since this was asked last."""
    found, _seen.by_imports = _seen.by_imports, set()
    return found


def note(cell: int) -> dict[str, int]:
    """Note that a cell ended; return the cell that changed each part last, by the part's name.

    It compares with what `fingerprints` returned last.
    """
    _seen.note(cell)
    return _seen.cells


note_settings = settings.note
reached_by_libraries = settings.reached


def _fingerprints() -> dict[str, Hashable]:
    found: dict[str, Hashable] = {}
    for probe in registry.probes():
        try:
            found[probe.name] = probe.fingerprint()
        except Exception as error:  # noqa: BLE001  a library of another version may refuse anything
            found[probe.name] = ("unknown", type(error).__name__)
    return found


def capture_before_fork() -> dict[str, Any]:
    """Return the parts that must be captured in the kernel itself, for `capture` in the child."""
    return _captured(filter(_before_fork, registry.probes()))


def capture(before_fork: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the session's state by names that start with `#`; a part that has nothing to keep is left out.

    Args:
        before_fork: what `capture_before_fork` returned in the process that this one was forked from; None
            in the kernel itself.

    Returns:
        Values to be pickled; `Lost` in the place of what cannot be kept.
    """
    if before_fork is None:
        return _captured(registry.probes())
    rest = (probe for probe in registry.probes() if not _before_fork(probe))
    return {**before_fork, **_captured(rest)}


def reaching_notebook() -> set[str]:
    """Return the modules beside the notebook whose source mentions the notebook's variables."""
    return set(baseline.reaching)


def restore(
    values: Mapping[str, Any], shell: Any | None = None, settled: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Set a session to what `capture` returned of another.

    Args:
        values: what was captured, or a part of it, by names that start with `#`.
        shell: the IPython shell; None where there is none.
        settled: called after each part that is set, before the next one is.

    Returns:
        The reason for each name that could not be set.
    """
    failed: dict[str, str] = {}
    together: dict[str, Any] = {}
    for name, value in values.items():
        whole, _, part = name.partition(":")
        if part:
            together.setdefault(whole, {})[part] = value
        else:
            together[whole] = value
    for name in sorted(together, key=_order):
        probe = registry.find(name)
        if probe is None:
            failed[name] = registry.broken().get(name, "nothing here knows how to set it")
            continue
        _withdraw(probe, together[name])
        try:
            probe.restore(together[name], shell)
        except Exception as error:  # noqa: BLE001  a library of another version may refuse anything
            failed[name] = _reason(error)
        settled()
    return failed


def _withdraw(probe: Probe, following: Any) -> None:
    """Take back what was restored here before: it is of classes that the variables restored now replace."""
    withdraw = getattr(probe, "withdraw", None)
    if withdraw is not None:
        value, _restored[probe.name] = _restored.get(probe.name), following
        if value is not None:
            with suppress(Exception):  # what is left of it stays beside what comes now
                withdraw(value)


def comes_first(name: str) -> bool:
    """Return whether a part is restored before variables are loaded."""
    return bool(getattr(registry.find(name.partition(":")[0]), "first", False))


def _before_fork(probe: Probe) -> bool:
    return bool(getattr(probe, "before_fork", True))


def _captured(probes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {name: Lost(why) for name, why in registry.broken().items()}
    for probe in probes:
        try:
            value = probe.capture()
        except Exception as error:  # noqa: BLE001  a library of another version may refuse anything
            value = Lost(_reason(error))
        if isinstance(value, Parts):
            found |= {f"{probe.name}:{part}": one for part, one in value.items()}
        elif value is not None:
            found[probe.name] = value
    return found


def _order(name: str) -> int:
    return next((place for place, probe in enumerate(registry.own()) if probe.name == name), -1)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, NotSet):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
