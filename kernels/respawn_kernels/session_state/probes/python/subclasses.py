"""The order in which a class lists its subclasses: `Base.__subclasses__()`, a registry of every class."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching import mentioned_words


class Subclasses:
    """The order of the notebook's classes among the subclasses of each of its classes.

    Of a library's class it is kept where a cell asks for subclasses at all. Classes come back in the order in
    which they are loaded, and each base class lists them in that order. One that is alone is kept as well: in
    a debug notebook it would be loaded after a class that is made there.
    """

    name = "#subclasses"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: a cell that defines a class contains its name."""
        return None

    def capture(self) -> list[list[type]] | None:
        """Return the subclasses that are variables of the notebook, for each class that has some."""
        classes = [cls for cls in _variables() if cls.__module__ == "__main__"]
        asked = "__subclasses__" in mentioned_words()
        bases = {
            id(base): base
            for cls in classes
            for base in cls.__bases__
            if base.__module__ == "__main__" or (asked and base is not object)
        }
        known = set(map(id, classes))
        found = [[cls for cls in _subclasses(base) if id(cls) in known] for base in bases.values()]
        return [there for there in found if there] or None

    def restore(self, value: list[list[type]], shell: Any | None) -> None:
        """Put them into this order: setting the bases of a class, to the same ones, adds it at the end."""
        # `type_set_bases` in Objects/typeobject.c removes the class from the lists of its bases and adds it
        # anew.
        classes: list[type]
        cls: type
        for classes in value:
            if all(type(cls).mro is type.mro for cls in classes):  # setting bases would run it
                for cls in classes:
                    cls.__bases__ = cls.__bases__


def _subclasses(base: type) -> list[type]:
    return type.__subclasses__(base)


def _variables() -> list[type]:
    namespace = getattr(live_shell(), "user_ns", {})
    return [one for one in list(namespace.values()) if issubclass(type(one), type)]
