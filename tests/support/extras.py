"""What installing the project with one extra would bring, and imports with nothing but that.

Run as a program on a JSON file it imports the modules listed there, while distributions outside the extra's
needs look as if they were not installed; see `tests/integration/test_extras.py`.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import ClassVar

PROJECT = "jupyterhub-respawn"
LEFT_OUT = frozenset(["rfc3987-syntax"])
"""What `make packages` takes out again: it compiles grammars, and jsonschema does without."""


def closure(project: metadata.Distribution, extra: str) -> set[str]:
    """Return the normalized names of all distributions that `project[extra]` needs here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[tuple[str, str]] = set()
    todo: list[tuple[str, str]] = [(PROJECT, extra)]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        distribution = project if name == PROJECT else metadata.distribution(name)
        for text in distribution.requires or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": wanted}):
                continue
            key = canonicalize_name(requirement.name)
            if key not in LEFT_OUT:
                todo.extend((key, more) for more in {"", *requirement.extras})
    return {name for name, _ in found}


def hidden_modules(installed: set[str]) -> set[str]:
    """Return the top-level modules that only distributions outside `installed` provide."""
    from packaging.utils import canonicalize_name

    return {
        module
        for module, providers in metadata.packages_distributions().items()
        if not installed & {canonicalize_name(name) for name in providers}
    }


class Visible(PathFinder):
    """Finds modules as ever, except that some look as if they were not installed."""

    hidden: ClassVar[set[str]] = set()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find no hidden module."""
        if fullname.partition(".")[0] in cls.hidden:
            return None
        return super().find_spec(fullname, path, target)


def main(order: Path) -> None:
    """Import what the order asks for, and print where each module came from as JSON."""
    wanted = json.loads(order.read_text())
    sys.path.insert(0, wanted["root"])
    Visible.hidden = set(wanted["hidden"])
    sys.meta_path[sys.meta_path.index(PathFinder)] = Visible
    loaded = {name: importlib.import_module(name).__file__ for name in wanted["modules"]}
    print(json.dumps(loaded))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
