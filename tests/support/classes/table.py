"""Write docs/reference/coverage.md from what the journey of every class found.

PYTHONPATH=tests python -m support.classes.table
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from json import loads
from pathlib import Path
from typing import Any

from support.classes.cases import Case
from support.classes.registry import CASES, LIBRARIES
from support.sources import ROOT

PAGE = ROOT / "docs" / "reference" / "coverage.md"
COMMAND = "PYTHONPATH=tests .venv/bin/python -m support.classes.table"
_DISTRIBUTIONS = {
    **{"NumPy": "numpy", "SciPy": "scipy", "Polars": "polars", "PyArrow": "pyarrow", "LightGBM": "lightgbm"},
    **{"PyTorch": "torch", "Pillow": "pillow", "NLTK": "nltk", "Dask": "dask"},
}
_HEAD = """\
# Which classes survive

Made by `tests/coverage`; this command writes it anew:

    {command}

Each of these is made in a notebook's cell, stored, changed in place, stored again on top of the first checkpoint,
and restored in another process. There it is compared, by the meaning of equality in the last column (`a` made anew,
`b` restored), with one that was made by the same cells. It is also looked whether names of one object, and what
holds it, still are one object, and whether views share the memory that they shared. Then both are changed once more
and compared again. What cannot be changed (numbers, texts, types, Arrow's tables) is set to another value instead, and
may come back as an equal object.

{stored} of {all} kinds of {classes} classes come back. {refused} cannot be stored: each is listed with the reason,
and hurts nothing else.
"""


@dataclass(frozen=True)
class Outcome:
    """What the journey of one case found."""

    case: Case
    type: str
    problems: list[str]


def journey(directory: Path) -> list[Outcome]:
    """Take every class through its journey, in two processes."""
    found = [_step(step, directory) for step in ("store", "load")]
    return [_outcome(case, found[0][str(n)], found[1][str(n)]) for n, case in enumerate(CASES)]


def _step(step: str, directory: Path) -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "support.classes.journey", step, str(directory)]
    subprocess.run(command, check=True, env=environment, cwd=directory, timeout=1500)
    found: dict[str, dict[str, Any]] = loads((directory / f"{step}.json").read_text())
    return found


def _outcome(case: Case, stored: dict[str, Any], loaded: dict[str, Any]) -> Outcome:
    errors = [step["error"] for step in (stored, loaded) if "error" in step]
    if errors:
        return Outcome(case, stored.get("type", ""), errors)
    if case.refused:
        return Outcome(case, stored["type"], list(_not_as_refused(case, stored, loaded)))
    problems = [f"{name} was not stored: {why}" for name, why in stored["unstored"].items()]
    problems += [f"{name} was not loaded: {why}" for name, why in loaded["failed"].items()]
    return Outcome(case, stored["type"], problems or loaded["problems"])


def _not_as_refused(case: Case, stored: dict[str, Any], loaded: dict[str, Any]) -> Any:
    why = stored["unstored"].get("x")
    if why is None:
        yield "was stored, though it is declared as what cannot be"
    elif not re.search(case.reason, why):
        yield f"the reason {why!r} does not tell of {case.reason!r}"
    if loaded["beside"] != ["untouched", 1] or loaded["failed"] or loaded["placed"]:
        yield f"harmed another variable: {loaded}"


def page(outcomes: list[Outcome]) -> str:
    """Return the published page."""
    refused = [one for one in outcomes if one.case.refused]
    text = _HEAD.format(
        command=COMMAND,
        stored=len(outcomes) - len(refused),
        all=len(outcomes),
        classes=len({one.type for one in outcomes}),
        refused=len(refused),
    )
    for library in LIBRARIES:
        rows = [one for one in outcomes if one.case.library == library.name]
        text += f"\n## {library.name}{_version(library.name)}\n"
        kept = [one for one in rows if not one.case.refused]
        text += _table(("class", "changed by", "equal when"), [_row(one) for one in kept])
        lost = [(f"`{_name(one.type)}`", one.case.refused) for one in rows if one.case.refused]
        if lost:
            text += _table(("cannot be stored", "because"), lost)
    return text


def _row(one: Outcome) -> tuple[str, str, str]:
    note = f" ({one.case.note})" if one.case.note else ""
    change = one.case.change.replace("\nalias = holder['x'] = x", "")
    equal = f"`{_line(one.case.equal)}`" + (f", still `{_line(one.case.keeps)}`" if one.case.keeps else "")
    return f"`{_name(one.type)}`{note}", f"`{_line(change)}`", equal


def _line(code: str) -> str:
    return re.sub(r"\s*\n\s*", "; ", code.strip()).replace("|", "\\|").replace(":; ", ": ")


def _name(kind: str) -> str:
    return kind.removeprefix("builtins.").replace("__main__.", "").replace("<locals>.", "")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _version(library: str) -> str:
    if library in ("Python", "Standard library"):
        return f" {sys.version_info.major}.{sys.version_info.minor}"
    return f" {version(_DISTRIBUTIONS.get(library, library)).partition('+')[0]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        outcomes = journey(Path(name))
    for one in outcomes:
        for problem in one.problems:
            print(f"{one.case.library}: {one.case.make.splitlines()[-1]}: {problem.splitlines()[-1]}")
    PAGE.write_text(page(outcomes))
    print(f"wrote {PAGE.relative_to(ROOT)}")
