"""Takes every kind through a checkpoint in one process and back in another.

    python -m support.classes.trip store DIRECTORY [ONLY]
    python -m support.classes.trip load DIRECTORY [ONLY]

Each writes what it found to `DIRECTORY/<step>.json`, one entry per kind.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from support.checkpoints import Notebook, bring_back, in_a_child, main_module
from support.classes.kinds import Kind, kinds


def store(kind: Kind, place: Path) -> dict[str, Any]:
    """Make the variables, store them, and tell what code sees of them."""
    with main_module() as namespace:
        notebook = Notebook(namespace, place)
        notebook.run(kind.make)
        in_a_child(lambda: notebook.checkpoint(forked=True, seconds=120))
        manifest = notebook.stored()
        unstored = {variable.name: variable.reason for variable in manifest.unstored}
        unchecked = {g.frames[0].name: g.unchecked for g in manifest.groups if g.unchecked is not None}
        return {"unstored": unstored, "unchecked": unchecked, "seen": _seen(kind, namespace)}


def load(kind: Kind, place: Path) -> dict[str, Any]:
    """Bring the variables back and tell what code sees of them."""
    with main_module() as namespace:
        failed = bring_back(place, 0, namespace)
        return {"failed": failed, "seen": _seen(kind, namespace)}


def _seen(kind: Kind, namespace: dict[str, Any]) -> str:
    try:
        return re.sub("0x[0-9a-f]{6,}", "0x…", repr(eval(kind.see, namespace)))
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"


def main(step: str, directory: Path, only: str = "") -> None:
    """Take one step with all kinds whose name has the word `only`."""
    work = {"store": store, "load": load}[step]
    found: dict[str, Any] = {}
    for number, kind in enumerate(kinds()):
        if only not in kind.name:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[kind.name] = work(kind, directory / str(number))
        except Exception:
            found[kind.name] = {"error": traceback.format_exc(limit=-6)}
    (directory / f"{step}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
