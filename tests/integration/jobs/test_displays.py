"""Displays and widgets of reused cells live on in a resume, as they do in a run from the top."""

from __future__ import annotations

from typing import Any

import papermill
import pytest

from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from respawn_jobs.notebook.document import read_notebook
from support.lengths import quick
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

SHOWS = """
import os
print('before')
handle = display('one', display_id=True)
display('one', display_id='twin');
"""
UPDATES = """
from IPython.display import update_display
handle.update('two'); update_display('zwei', display_id='twin')
"""
AGAIN = "handle.display('three'); handle.update('four')"
FAILS = "if not os.path.exists('mark'):\n    open('mark', 'w').close()\n    {}"


def displayed(nb: Any) -> list[list[Any]]:
    return [[output.get("data", output.get("text")) for output in cell.outputs] for cell in nb.cells]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What plain papermill shows when the notebook runs from the top."""
    directory = tmp_path_factory.mktemp("plain")
    (directory / "mark").touch()
    path = directory / "nb.ipynb"
    path.write_text(text(notebook(SHOWS, "x = 1", FAILS.format("1/0"), UPDATES, AGAIN)))
    return displayed(papermill.execute_notebook(str(path), None, cwd=str(directory), progress_bar=False))


def executed(bench: Any, run: str) -> Any:
    return read_notebook(bench.service.notebook(run))


@pytest.mark.long
def test_a_later_cell_updates_what_a_reused_cell_displays(bench, plain: list[list[Any]]) -> None:
    fails = FAILS.format("1/0")
    failed = bench.run(SHOWS, "x = 1", fails, UPDATES, AGAIN)
    resumed = bench.resume(failed.run.id, notebook(SHOWS, "x = 1", fails, UPDATES, AGAIN))
    assert [cell.state.value for cell in resumed.cells] == ["reused"] * 2 + ["executed"] * 3
    assert displayed(executed(bench, resumed.run.id)) == plain
    assert bench.service.outputs(resumed.run.id, 0)[1]["data"] == plain[0][1]


@pytest.mark.long
def test_displays_are_known_where_cells_moved_and_in_a_second_resume(bench) -> None:
    failed = bench.run(SHOWS, "1/0", "x = 1", "2/0", UPDATES)
    first = bench.resume(failed.run.id, notebook("md:# New", SHOWS, "", "x = 1", "2/0", UPDATES))
    assert first.run.error.cell == 4
    second = bench.resume(first.run.id, notebook("md:# New", "md:More", SHOWS, "", "x = 1", "", UPDATES))
    assert second.cells[0].state.value == "reused"
    data = [output.get("data") for output in bench.service.outputs(second.run.id, second.cells[0].index)]
    assert data == [None, {"text/plain": "'two'"}, {"text/plain": "'zwei'"}]


@pytest.mark.long
def test_a_retry_after_a_dead_kernel_knows_displays(bench, plain: list[list[Any]]) -> None:
    fails = FAILS.format("os._exit(1)")
    settings = JobSettings(retries={Cause.DEAD_KERNEL: RetryPolicy(attempts=2, delay_seconds=0)})
    run = bench.queue(SHOWS, "x = 1", fails, UPDATES, AGAIN, settings=settings)
    bench.execute(run)
    bench.execute(run)
    assert displayed(executed(bench, run)) == plain


STATUS = "display('first', display_id='status')"
SECOND = "update_display('second', display_id='status')"
THIRD = "update_display('third', display_id='status')"
IMPORT = "from IPython.display import update_display"
EDITS = {
    "the failing cell, which had updated it": (
        [IMPORT, STATUS, "x = 1", f"{SECOND}\n1/0"],
        [IMPORT, STATUS, "x = 1", "y = 2"],
    ),
    "a cell that updated it and does so no more": (
        [IMPORT, STATUS, SECOND, "x = 1", "1/0"],
        [IMPORT, STATUS, "y = 2", "x = 1", "0"],
    ),
    "the cell that updated it is gone": (
        [IMPORT, STATUS, SECOND, "x = 1", "1/0"],
        [IMPORT, STATUS, "x = 1", "0"],
    ),
    "a cell above one that updates it too": (
        [IMPORT, STATUS, "x = 1", THIRD, "1/0"],
        [IMPORT, STATUS, f"x = 2\n{SECOND}", THIRD, "0"],
    ),
    "a cell below one that updates it too": (
        [IMPORT, STATUS, SECOND, THIRD, "1/0"],
        [IMPORT, STATUS, SECOND, "x = 2", "0"],
    ),
    "the cell that displays it": (
        [IMPORT, STATUS, SECOND, "1/0"],
        [IMPORT, f"x = 2\n{STATUS}", SECOND, "0"],
    ),
    "the cell that displays it twice": (
        [IMPORT, STATUS, SECOND, STATUS, "1/0"],
        [IMPORT, f"x = 2\n{STATUS}", SECOND, STATUS, "0"],
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("edit", quick({0, 3}, EDITS))
def test_reused_cells_show_what_cells_of_the_fixed_notebook_gave_them(bench, tmp_path, edit: str) -> None:
    before, after = EDITS[edit]
    failed = bench.run(*before)
    resumed = bench.resume(failed.run.id, notebook(*after))
    path = tmp_path / "nb.ipynb"
    path.write_text(text(notebook(*after)))
    plain = papermill.execute_notebook(str(path), None, cwd=str(tmp_path), progress_bar=False)
    assert resumed.run.state.value == "succeeded"
    assert "reused" in [cell.state.value for cell in resumed.cells]
    assert displayed(executed(bench, resumed.run.id)) == displayed(plain)
    for index, cell in enumerate(plain.cells):
        told = [one.get("data", one.get("text")) for one in bench.service.outputs(resumed.run.id, index)]
        assert told == [one.get("data", one.get("text")) for one in cell.outputs]


WIDGET = "import ipywidgets\ndisplay(ipywidgets.Image(value=b'bytes', layout={'width': '7px'}))"


def test_the_state_of_widgets_of_reused_cells_is_kept(bench) -> None:
    failed = bench.run(WIDGET, "x = 1", "1/0", "ipywidgets.IntText(5)")
    before = executed(bench, failed.run.id).metadata.widgets
    resumed = bench.resume(failed.run.id, notebook(WIDGET, "x = 1", "", "ipywidgets.IntText(5)"))
    assert [cell.state.value for cell in resumed.cells] == ["reused"] * 2 + ["executed"] * 2
    nb = executed(bench, resumed.run.id)
    (kind,) = before
    models = nb.metadata.widgets[kind]["state"]
    assert before[kind]["state"].items() <= models.items()
    for cell in (0, 3):
        shown = nb.cells[cell].outputs[0].data["application/vnd.jupyter.widget-view+json"]["model_id"]
        assert models[shown]["model_name"] == ("ImageModel" if cell == 0 else "IntTextModel")
    assert any(model.get("buffers") for model in models.values())
