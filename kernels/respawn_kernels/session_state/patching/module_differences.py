"""What modules have otherwise than their import left it, and which of them were written to since."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from respawn_kernels.session_state.patching.baseline import baseline, own_classes
from respawn_kernels.session_state.patching.class_attributes import attributes_of, own_dict_of
from respawn_kernels.session_state.patching.visible_modules import visible_modules
from respawn_kernels.session_state.probe.write_marks import WriteMarks

_IMMUTABLE = 1 << 8
"""`Py_TPFLAGS_IMMUTABLETYPE`: a class whose attributes nobody can set."""


@dataclass(frozen=True)
class Differences:
    """Names in a module or class that stand for another object than before."""

    other: list[tuple[str, Any]] = field(default_factory=list)
    """They and their values; new ones too."""
    gone: list[str] = field(default_factory=list)

    def has_classes_of(self, others: Differences) -> bool:
        """Return whether a module with these differences has the same classes as with others."""
        some, more = ([v for _, v in one.other if issubclass(type(v), type)] for one in (self, others))
        return _are_same(some, more) and self.gone == others.gone


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """Compare variables by identity; nobody's code runs.

    Args:
        before: what the import left.
        now: what there is.
    """
    if same_objects(before, now):
        return Differences()
    other = [(k, value) for k, value in list(now.items()) if k not in before or before[k] is not value]
    return Differences(other, list(before.keys() - now.keys()))


def same_objects(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two mappings have the same objects in the same order; keys are not compared."""
    return len(before) == len(now) and all(map(operator.is_, before.values(), now.values()))


class VisibleDifferences:
    """The differences of installed modules that the notebook can see, and of their classes.

    They are asked for after each cell: what was not written to is not looked at again.
    """

    def __init__(self) -> None:
        self._modules: list[ModuleType] = []
        self._befores: list[dict[str, Any]] = []
        self._marks = WriteMarks([])
        self._found: dict[int, Differences] = {}
        self._classes: list[type] = []
        self._class_marks = WriteMarks([])

    def look(self) -> list[tuple[ModuleType, Differences]]:
        """Return the modules, each with its differences."""
        modules = list(visible_modules())
        befores = [baseline.modules.get(one.__name__, (one, vars(one)))[1] for one in modules]
        if not _are_same(modules, self._modules) or not _are_same(befores, self._befores):
            self._modules, self._befores, self._found = modules, befores, {}
            self._marks = WriteMarks(map(vars, modules))
        others = False
        for at in self._marks.differing():
            found = differences(befores[at], vars(modules[at]))
            # A kernel puts another `input` into `builtins` for each request.
            others |= at not in self._found or not found.has_classes_of(self._found[at])
            self._found[at] = found
            self._marks.note(at)
        if others:
            self._note_classes()
        return [(module, self._found[at]) for at, module in enumerate(modules)]

    def _note_classes(self) -> None:
        classes = (cls for module in self._modules for cls in own_classes(module))
        self._classes = [cls for cls in classes if not cls.__flags__ & _IMMUTABLE]
        self._class_marks = WriteMarks(map(own_dict_of, self._classes))

    def changed_classes(self) -> Iterator[type]:
        """Return classes of the modules that `look` returned last that have not what their import left."""
        for at in self._class_marks.differing():
            cls = self._classes[at]
            if same_objects(baseline.classes.get(cls, attributes_of(cls)), attributes_of(cls)):
                self._class_marks.note(at)
            else:
                yield cls


def _are_same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))
