"""What abstract classes have answered about a class: they ask their hook once and keep the answer (PEP 3119).

`isinstance(bag, Iterable)` stays False after `Bag.__iter__ = ...`, and a `__subclasshook__` that reads a
variable is not asked again when the variable changes. Kept are answers of the notebook's own hooks, and those
of Python's that would differ now. Limits: answers of libraries' hooks, and answers about classes whose
metaclass answers for their attributes.
"""

from __future__ import annotations

import abc
import sys
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.session_state.probes.python.registrations import abstract_classes

_MISSING = object()


class AbstractAnswers:
    """The answers that abstract classes keep, by class and class asked about."""

    name = "#answers"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: an answer that is kept changes what no cell sees but those that ask again."""
        return None

    def capture(self) -> list[tuple[type, type, bool]] | None:
        """Return the abstract class, the class asked about, and whether it was taken for a subclass."""
        return [one for base in abstract_classes() for one in _answers(base)] or None

    def restore(self, value: list[tuple[type, type, bool]], shell: Any | None) -> None:
        """Have the abstract classes keep the answers; their hooks are not asked."""
        for base, cls, answer in value:
            _keep(base, cls, answer)


def _answers(base: Any) -> Iterator[tuple[type, type, bool]]:
    if not _is_plain(base) or not hasattr(abc, "_get_dump"):  # another Python than CPython has no such dump
        return
    hook = getattr(base.__subclasshook__, "__func__", None)
    if hook is None:
        return
    of_notebook = getattr(hook, "__module__", None) == "__main__"
    of_python = str(getattr(hook, "__module__", "")).partition(".")[0] in sys.stdlib_module_names
    _, yes, no, version = abc._get_dump(base)
    for answer, kept in ((True, yes), (False, no if version == abc.get_cache_token() else ())):
        for reference in kept:
            cls = reference()
            if cls is None or not _is_plain(cls) or base in cls.__mro__:
                continue
            if of_notebook or (of_python and is_notebooks(cls) and hook(base, cls) is (not answer)):
                yield base, cls, answer


def _is_plain(cls: type) -> bool:
    """Whether a class can be asked for an attribute without running code of its metaclass."""
    return type(cls).__getattribute__ is type.__getattribute__


def _keep(base: Any, cls: type, answer: bool) -> None:
    """Have an abstract class ask once more, with a hook that gives the answer."""
    own = vars(base).get("__subclasshook__", _MISSING)
    type.__setattr__(base, "__subclasshook__", classmethod(lambda _base, _cls: answer))
    try:
        abc.ABCMeta.__subclasscheck__(base, cls)
    finally:
        if own is _MISSING:
            type.__delattr__(base, "__subclasshook__")
        else:
            type.__setattr__(base, "__subclasshook__", own)
