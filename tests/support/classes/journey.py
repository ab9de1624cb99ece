"""Takes every declared class through two checkpoints in one process and back in another.

    python -m support.classes.journey store DIRECTORY [ONLY]
    python -m support.classes.journey load DIRECTORY [ONLY]

Each writes what it found to `DIRECTORY/<step>.json`, one entry per case. The value to compare with is made
anew beside the restored one, by the same cells: nothing that was pickled tells what is right.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from respawn_kernels.capture.ownership import immutables
from support.checkpoints import Notebook, bring_back, in_a_child, main_module, run
from support.classes.cases import Case, cells, comparison
from support.classes.registry import CASES

_BEFORE, _AFTER = 0, 1
"""The cells of the two checkpoints."""


def store(case: Case, place: Path) -> dict[str, Any]:
    """Make a variable, store it, change it, store it again on top of the first checkpoint."""
    with main_module() as namespace:
        notebook = Notebook(namespace, place)
        first, second = cells(case)
        notebook.run(first)
        notebook.checkpoint()
        notebook.run(second)
        in_a_child(lambda: notebook.checkpoint(forked=True))
        manifest = notebook.stored()
        unstored = {variable.name: variable.reason for variable in manifest.unstored}
        kind = type(namespace["x"])
        _same_in_place(namespace)
        unchecked = [group.unchecked for group in manifest.groups if group.unchecked is not None]
        named = f"{kind.__module__}.{kind.__qualname__}"
        return {"type": named, "unstored": unstored, "unchecked": unchecked}


def load(case: Case, place: Path) -> dict[str, Any]:
    """Restore a variable and compare it with one that was made anew."""
    with main_module() as expected:
        _quietly(run, cells(case)[0], expected)
        with main_module() as judge:
            run(comparison(case), judge)
            before = _copy_of(case)
            _quietly(run, cells(case)[1], expected)
            restored, failed = _restored(place, _AFTER)
            if case.refused:
                return {"failed": failed, "beside": restored.get("beside"), "placed": "x" in restored}
            if failed or "x" not in restored:
                return {"failed": failed or {"x": "was not stored"}}
            return {
                "failed": {},
                "problems": list(_problems(case, judge["equal"], before, expected, restored)),
            }


def _problems(
    case: Case,
    equal: Callable[[Any, Any], bool],
    before: Any,
    expected: dict[str, Any],
    restored: dict[str, Any],
) -> Any:
    if equal(before, expected["x"]):
        yield "the change cannot be seen by this comparison"
    if not equal(expected["x"], restored["x"]):
        yield f"is not equal: {expected['x']!r:.300} became {restored['x']!r:.300}"
    yield from _aliasing(case, restored)
    if case.again and not case.keeps:
        _quietly(_go_on, case, expected)
        _quietly(_go_on, case, restored)
        if not equal(expected["x"], restored["x"]):
            yield "is not equal after the same change was made once more"
        yield from _aliasing(case, restored)


def _aliasing(case: Case, restored: dict[str, Any]) -> Any:
    x = restored["x"]
    one = restored["alias"] is x and restored["holder"]["x"] is x
    if not one and not (case.fixed and isinstance(x, (*immutables(), frozenset))):
        yield "its names are different objects"
    if case.keeps and not eval(case.keeps, restored):
        yield f"does not hold: {case.keeps}"


def _go_on(case: Case, namespace: dict[str, Any]) -> None:
    run(case.setup, namespace)
    run(cells(case)[1], namespace)


def _copy_of(case: Case) -> Any:
    """Make the variable as it is before the change, apart from all else."""
    with main_module() as namespace:
        _quietly(run, cells(case)[0], namespace)
        return namespace["x"]


def _restored(place: Path, cell: int) -> tuple[dict[str, Any], dict[str, str]]:
    with main_module() as namespace:
        failed = _quietly(bring_back, place, cell, namespace)
        return namespace, failed


def _same_in_place(namespace: dict[str, Any]) -> None:
    if not (namespace["alias"] is namespace["x"] and namespace["holder"]["x"] is namespace["x"]):
        raise AssertionError("the declared change leaves names of different objects")


def _quietly(function: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def main(step: str, directory: Path, only: str = "") -> None:
    """Take one step with all cases whose code has the word `only`."""
    work = {"store": store, "load": load}[step]
    found: dict[str, Any] = {}
    for number, case in enumerate(CASES):
        if only and only not in f"{case.library}: {case.make}":
            continue
        started = time.perf_counter()
        try:
            answer = _quietly(work, case, directory / str(number))
        except Exception:
            answer = {"error": traceback.format_exc(limit=-6)}
        found[str(number)] = {**answer, "seconds": time.perf_counter() - started}
    (directory / f"{step}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
