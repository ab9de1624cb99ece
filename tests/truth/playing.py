"""Playing a case: run, fail, come back; what was found, and what Respawn said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from truth.commands import EndedElsewhere, Place
from truth.composing import CELL_SECONDS, MAX_CELL_SECONDS, Case


@dataclass
class Played:
    """How a case went on Respawn's side."""

    digest: dict[str, Any] | None
    """What the last cell wrote; None when the run was refused or ended before it."""
    notebook: Any | None
    """As executed; None for a debug notebook, whose outputs are its own."""
    seed: str | None
    """The hash seed that the run's kernel had."""
    words: list[str] = field(default_factory=list)
    """All that plan, notes and debug notebook said."""
    made_again: list[str] = field(default_factory=list)
    """Variables that the plan named as lost and made again when agreed to."""
    unstored: list[str] = field(default_factory=list)
    """Variables that the state does not hold, also those that a cell made again."""
    ended: str = ""
    """Why there is no digest."""
    refused: bool = False
    """Nothing was executed: a plan that names what is lost was refused."""
    ran: int = 0
    cells: int = 0
    """How many cells ran in the resume, of how many."""


def play(case: Case, place: Place) -> Played:
    """Run the case's notebook until it fails, and come back the case's way.

    Raises:
        Stuck: a command hung or printed nothing.
        EndedElsewhere: the run did not fail where it should.
    """
    nbformat.write(case.original(), place.directory / "story.ipynb")
    failed = place.respawn("run", "story.ipynb", "-o", "../failed.ipynb", *_capture(case))
    error = failed.get("error") or {}
    if failed.get("state") not in ("failed", "timed_out") or error.get("cell") != case.failing_index():
        told = f"the run ended as {failed.get('state')} at cell {error.get('cell')}: {_short(error)}"
        raise EndedElsewhere(told, case.stories_at(error.get("cell")))
    played = Played(None, None, _seed(place.root / "failed.ipynb"))
    played.words += _notes(failed)
    (place.directory / "story.ipynb").unlink()
    match case.way:
        case "debug":
            _debug(case, place, failed["run"], played)
        case "retry":
            played.words += _not_stored(place.respawn("show", failed["run"]))
            _ended(case, place, place.respawn("retry", failed["run"], "-o", "../resumed.ipynb"), played)
        case _:
            _resume(case, place, failed["run"], played)
    return played


def _capture(case: Case) -> list[str]:
    if case.capture == "no fork":
        return ["--no-fork", "--checkpoint-share", "1", "--cell-timeout", str(MAX_CELL_SECONDS)]
    return ["--cell-timeout", str(CELL_SECONDS if case.capture == "timed out" else MAX_CELL_SECONDS)]


def _resume(case: Case, place: Place, run: str, played: Played, again: int = 2) -> None:
    fixed = "../fixed.ipynb"
    nbformat.write(case.fixed(), place.root / "fixed.ipynb")
    given = ["--notebook", fixed, *_given(case)]
    plan = place.respawn("resume", run, *given, "--plan")
    if "error" in plan and "cells" not in plan:
        played.words.append(str(plan.get("message")))
        played.ended, played.refused = f"the plan was refused: {plan.get('message')}", True
        return
    played.words += [*plan["problems"], *plan["notices"], *_reasons(plan)]
    unstored = (plan.get("checkpoint") or {}).get("unstored") or []
    played.unstored += [one["name"] for one in unstored]
    if plan["problems"]:
        made = [one["name"] for one in unstored if one["cell"] in (plan.get("producers") or [])]
        played.made_again += made
        given.append("--rerun-producers")
    played.words += [f"cell {one['cell']}: {one['name']} {one['reason']}" for one in unstored]
    resumed = place.respawn("resume", run, *given, "-y", "-o", "../resumed.ipynb")
    error = resumed.get("error")
    if again and isinstance(error, dict) and error.get("name") == "PlanChanged":
        # The run did more than the plan foresaw, and asks with a new plan.
        _resume(case, place, resumed["run"], played, again - 1)
        return
    _ended(case, place, resumed, played)


def _given(case: Case) -> list[str]:
    return [part for name, value in case.parameters().items() for part in ("-p", name, str(value))]


def _ended(case: Case, place: Place, resumed: dict[str, Any], played: Played) -> None:
    if resumed.get("state") != "succeeded":
        error = resumed.get("error") or {}
        told = _short(error) if isinstance(error, dict) else f"{error}: {resumed.get('message')}"
        played.refused = not isinstance(error, dict) and error != "internal"
        at = error.get("cell") if isinstance(error, dict) else None
        owners = case.stories_at(at, injected=bool(case.parameters()))
        told += f" in a cell of {case.stories[owners[0]].prefix}story" if owners else ""
        played.ended = f"ended as {resumed.get('state')}: {told}"
        return
    played.words += _notes(resumed)
    played.digest = place.found()
    played.notebook = nbformat.read(place.root / "resumed.ipynb", 4)
    played.cells = len(resumed["cells"])
    played.ran = sum(cell["state"] == "executed" for cell in resumed["cells"])


def _debug(case: Case, place: Place, run: str, played: Played) -> None:
    """Open the debug notebook, restore, and run what remains in that kernel."""
    place.respawn("debug", run, "-o", "../debug.ipynb")
    played.unstored += [one["name"] for one in _unstored(place.respawn("show", run))]
    place.seed = played.seed  # as the server starts the kernel of a debug notebook
    opened = nbformat.read(place.root / "debug.ipynb", 4)
    front = [cell for cell in opened.cells if (cell.metadata.get("respawn") or {}).get("role")]
    played.words += [str(cell.source) for cell in front]
    rest = case.fixed().cells[case.failing_index() :]
    opened.cells = [*front, *rest]
    nbformat.write(opened, place.root / "remaining.ipynb")
    limit = ("--execution-timeout", str(MAX_CELL_SECONDS))
    command = ("../remaining.ipynb", "../resumed.ipynb", "--no-progress-bar", *limit)
    done = place.command("papermill", *command)
    if (place.root / "resumed.ipynb").exists():
        executed = nbformat.read(place.root / "resumed.ipynb", 4)
        played.words += [_texts(cell) for cell in executed.cells[: len(front) + 1]]
    played.digest = place.found()
    if done.returncode or played.digest is None:
        played.ended = f"the debug notebook failed: {done.stderr[-700:]}"
        played.words.append(done.stderr[-3000:])
    played.cells, played.ran = len(case.order), len(rest)


def _notes(document: dict[str, Any]) -> list[str]:
    return [f"cell {cell['index']}: {cell['note']}" for cell in document.get("cells", []) if cell.get("note")]


def _not_stored(document: dict[str, Any]) -> list[str]:
    """Return what `respawn show` says of states: what they do not hold, and which cell made it."""
    return [f"cell {one['cell']}: {one['name']} {one['reason']}" for one in _unstored(document)]


def _unstored(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for state in document["detail"]["checkpoints"] for one in state["unstored"]]


def _reasons(plan: dict[str, Any]) -> list[str]:
    return [
        f"cell {cell['index']}: {cell['why']}" for cell in plan["cells"] if cell["action"] == "cannot restore"
    ]


def _texts(cell: Any) -> str:
    told = [output.get("text") or "" for output in cell.get("outputs") or []]
    told += [str((output.get("data") or {}).get("text/plain", "")) for output in cell.get("outputs") or []]
    return "\n".join("".join(one) for one in told)


def _seed(executed: Path) -> str | None:
    """Return the hash seed that the first cell printed."""
    for cell in nbformat.read(executed, 4).cells[1:3]:
        words = _texts(cell).split()
        if words[:1] == ["seed"] and words[1] != "None":
            return words[1]
    return None


def _short(error: dict[str, Any]) -> str:
    return f"{error.get('name')}: {str(error.get('value'))[:300]}"
