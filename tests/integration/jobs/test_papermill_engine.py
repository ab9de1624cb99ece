"""`papermill --engine respawn` gives what papermill gives, and keeps the run beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.embedded.local_store import data_directory, owner
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunDetail, RunState
from support.lengths import quick
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration

_TIMES = ("start_time", "end_time", "duration", "output_path", "execution")


def _timeless(document: Any) -> Any:
    """Return a notebook without what differs between any two executions."""
    if isinstance(document, dict):
        kept = {k: _timeless(v) for k, v in document.items() if k not in _TIMES}
        if "injected-parameters" in document.get("metadata", {}).get("tags", []):
            del kept["id"]
        return kept
    return [_timeless(item) for item in document] if isinstance(document, list) else document


def _recorded() -> RunDetail:
    ledger = Ledger.embedded(data_directory())
    try:
        service = ledger.as_actor(owner())
        return service.show(service.runs()[0].id)
    finally:
        ledger.close()


def _both(tmp_path: Path, *cells: str, **more: Any) -> tuple[Any, Any]:
    """Execute with papermill's engine and with ours; return both output notebooks."""
    parameters = more.pop("values", None)
    source = tmp_path / "in.ipynb"
    nb = notebook(*cells, **more)
    nb.metadata["language_info"] = {"name": "python"}
    source.write_text(text(nb))
    made = []
    for engine in (None, "respawn"):
        out = tmp_path / f"{engine}.ipynb"
        try:
            execute_notebook(source, out, parameters, engine_name=engine, progress_bar=False, cwd=tmp_path)
        except PapermillExecutionError as error:
            made.append((error.ename, _timeless(nbformat.read(out, 4))))
        else:
            made.append((None, _timeless(nbformat.read(out, 4))))
    return made[0], made[1]


def test_output_is_the_same_and_the_run_is_kept(tmp_path: Path) -> None:
    theirs, ours = _both(
        tmp_path, "md:# Title", "print(n)", "n + 1", parameters="n: int = 1", values={"n": 41}
    )
    assert ours == theirs
    detail = _recorded()
    assert (detail.run.state, detail.run.parameters) == (RunState.SUCCEEDED, {"n": 41})
    assert detail.run.job.endswith("/~in")


def test_a_failing_notebook_fails_the_same_with_its_state_kept(tmp_path: Path) -> None:
    def placeless(made: tuple[str | None, Any]) -> Any:
        # papermill's own marker cells and messages count from the kernel's process, which differs.
        return made[0], [cell["cell_type"] for cell in made[1]["cells"]]

    theirs, ours = _both(tmp_path, "x = 1", "1/0", "x")
    assert placeless(ours) == placeless(theirs)
    detail = _recorded()
    assert (detail.run.state, detail.run.error.cell) == (RunState.FAILED, 1)
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [0]


@pytest.mark.long
def test_parameters_that_a_notebook_does_not_declare_are_injected_all_the_same(tmp_path: Path) -> None:
    theirs, ours = _both(tmp_path, "print(m)", values={"m": 2})
    assert ours == theirs
    assert _recorded().run.state is RunState.SUCCEEDED


@pytest.mark.long
def test_parameters_get_the_types_that_the_notebook_declares(tmp_path: Path) -> None:
    declares = "from datetime import date\nfrom pathlib import Path\n"
    declares += "day: date = None\nwhere: Path = Path()\nn: int = 1"
    source, out = tmp_path / "typed.ipynb", tmp_path / "out.ipynb"
    nb = notebook("print(repr(day), repr(where), repr(n))", parameters=declares)
    nb.metadata["language_info"] = {"name": "python"}
    source.write_text(text(nb))
    values = {"day": "2026-01-31", "where": "/data", "n": "seven"}
    execute_notebook(source, out, values, engine_name="respawn", progress_bar=False, cwd=tmp_path)
    assert (
        printed_by(nbformat.read(out, 4).cells[-1])
        == "datetime.date(2026, 1, 31) PosixPath('/data') 'seven'\n"
    ), "what does not fit stays"
    execute_notebook(source, out, {"n": 2}, engine_name="respawn", progress_bar=False, cwd=tmp_path)
    assert printed_by(nbformat.read(out, 4).cells[-1]).endswith(" 2\n")


def test_scratch_cells_are_left_out(tmp_path: Path) -> None:
    source, out = tmp_path / "looked.ipynb", tmp_path / "out.ipynb"
    nb = notebook("a = 1", "raise SystemExit('only to look')", "print(a)")
    nb.cells[1].metadata["tags"] = ["respawn:scratch"]
    source.write_text(text(nb))
    execute_notebook(source, out, engine_name="respawn", progress_bar=True, cwd=tmp_path)
    done = nbformat.read(out, 4)
    assert [cell.source for cell in done.cells] == ["a = 1", "print(a)"]
    assert [cell.index for cell in _recorded().cells] == [0, 1]


def test_a_typed_run_that_failed_is_resumed_from_its_state(tmp_path: Path) -> None:
    source, out = tmp_path / "typed.ipynb", tmp_path / "out.ipynb"
    nb = notebook("year = day.year", "1 / 0", parameters="from datetime import date\nday: date = None")
    nb.metadata["language_info"] = {"name": "python"}
    source.write_text(text(nb))
    with pytest.raises(PapermillExecutionError):
        execute_notebook(
            source, out, {"day": "2026-01-31"}, engine_name="respawn", progress_bar=False, cwd=tmp_path
        )
    failed = _recorded().run
    ledger = Ledger.embedded(data_directory())
    plan = ledger.as_actor(owner()).plan(failed.id, ResumeRequest())
    ledger.close()
    assert (plan.problems, [cell.action.value for cell in plan.cells]) == (
        [],
        ["reuse", "reuse", "reuse", "run"],
    )


@pytest.mark.parametrize(
    "first",
    quick(
        {1, 2},
        [
            "papermill",
            "respawn_jobs.embedded.entry_point",
            "respawn_jobs.embedded.papermill_engine",
            "respawn_jobs.runner.session",
        ],
    ),
)
def test_papermill_finds_the_engine_whatever_is_imported_first(first: str) -> None:
    code = f"import {first}, papermill.engines as e; print(e.papermill_engines.get_engine('respawn'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RespawnEngine" in done.stdout, done.stderr
