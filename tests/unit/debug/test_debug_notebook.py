"""What a person finds when they open a failed run."""

from __future__ import annotations

import nbformat
import pytest

from respawn_jobs.debug.notebook import code_span, debug_notebook, header_text, restore_source
from respawn_jobs.debug.rerun_cells import cells_to_run
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellError, RunState
from respawn_jobs.notebook.document import read_notebook, strip_debug
from support.bundles import RUN, failed_bundle

SOURCES = ["df = load()", "df = df.dropna()", "df['price'].mean()", "report(df)"]
AFTER_1 = Checkpoint(cell=1, manifest="a" * 64, variables=2, size=10)


def test_header_and_restore_cell_come_first_and_the_failing_cell_is_named() -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 2, checkpoint=AFTER_1))
    roles = [cell.metadata.get("respawn", {}).get("role") for cell in notebook.cells]
    assert roles == ["header", "restore", None, None, None, None]
    assert notebook.cells[1].source == restore_source(RUN)
    assert notebook.metadata.respawn.run == RUN
    assert notebook.metadata.respawn.failing_cell_id == notebook.cells[4].id == "cell-2"
    assert notebook.metadata.kernelspec.name == "python3"
    nbformat.validate(notebook)


def test_header_says_run_version_parameters_cell_and_error() -> None:
    bundle = failed_bundle(SOURCES, 2, checkpoint=AFTER_1, parameters={"year": 2026, "name": "a|b"})
    text = header_text(bundle, read_notebook(bundle.notebook), cells_to_run(bundle))
    for part in (
        RUN,
        "user/ada/report",
        "version 3",
        "`year = 2026`",
        "2: `df['price'].mean()`",
        "KeyError: 'price'",
    ):
        assert part in text
    assert r'`name = "a\|b"`' in text, "a bar in a value must not end the table's cell"
    assert f"(http://hub.example/services/respawn/runs/{RUN})" in text
    assert "just before the failing cell" in text


def test_earlier_outputs_stay_and_the_failing_cell_shows_its_error() -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 2))
    assert notebook.cells[2].outputs[0].text == "output 0\n"
    assert notebook.cells[4].outputs[-1].ename == "KeyError"
    assert notebook.cells[5].outputs == []


def test_dead_kernel_leaves_its_error_in_the_cell_that_it_had_reached() -> None:
    died = CellError(cell=1, name="DeadKernel", value="the kernel died")
    notebook = debug_notebook(failed_bundle(SOURCES, 1, error=died))
    assert notebook.cells[3].outputs[-1].traceback == ["DeadKernel: the kernel died"]


def test_traceback_that_the_run_recorded_is_not_doubled() -> None:
    bundle = failed_bundle(SOURCES, 2)
    once = debug_notebook(bundle)
    executed = nbformat.v4.new_notebook(cells=once.cells[2:], metadata=once.metadata)
    again = debug_notebook(bundle.model_copy(update={"notebook": nbformat.writes(executed)}))
    assert len([o for o in again.cells[4].outputs if o.output_type == "error"]) == 1


def test_run_lost_between_two_cells_opens_at_the_first_that_did_not_finish() -> None:
    lost = CellError(cell=None, name="RunnerLost", value="the runner stopped answering")
    notebook = debug_notebook(failed_bundle(SOURCES, 2, error=lost, state=RunState.LOST))
    assert notebook.metadata.respawn.failing_cell_id == "cell-2"


def test_same_run_always_gives_the_same_notebook() -> None:
    bundle = failed_bundle(SOURCES, 2, checkpoint=AFTER_1)
    assert debug_notebook(bundle) == debug_notebook(bundle)


def test_building_from_a_debug_notebook_does_not_add_the_cells_again() -> None:
    bundle = failed_bundle(SOURCES, 2)
    first = debug_notebook(bundle)
    lists = {"notebook": nbformat.writes(first), "run": bundle.run.model_copy(update={"error": None})}
    assert len(debug_notebook(bundle.model_copy(update=lists)).cells) == len(first.cells)


def test_fixed_version_has_the_sources_of_the_original_and_nothing_of_the_debug_notebook() -> None:
    fixed = strip_debug(debug_notebook(failed_bundle(SOURCES, 2)))
    assert [cell.source for cell in fixed.cells] == SOURCES
    assert "respawn" not in fixed.metadata


def test_kernel_is_the_one_that_ran_also_when_the_notebook_names_another() -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 2, kernel="respawn-science"))
    assert notebook.metadata.kernelspec.name == "respawn-science"


def test_language_without_snapshots_gets_no_restore_cell_and_is_told_so() -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 2, language="R"))
    assert [cell.cell_type for cell in notebook.cells[:2]] == ["markdown", "code"]
    assert "R kernel has no snapshots" in notebook.cells[0].source
    assert notebook.cells[1].id == "cell-0"


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        (None, "No state was kept"),
        (
            Checkpoint(cell=0, manifest="a" * 64, variables=1, size=1),
            "after cell 0; run again what came after it (cell 1)",
        ),
    ],
)
def test_cells_that_the_state_does_not_hold_are_named(checkpoint: Checkpoint | None, said: str) -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 2, checkpoint=checkpoint))
    assert said in notebook.cells[0].source


def test_failure_in_the_very_first_cell_starts_with_an_empty_kernel() -> None:
    notebook = debug_notebook(failed_bundle(SOURCES, 0))
    assert "just before the failing cell" in notebook.cells[0].source


@pytest.mark.parametrize("text", ["plain", "with `ticks`", "``", "two\nlines", "ends with `"])
def test_code_span_survives_whatever_it_shows(text: str) -> None:
    span = code_span(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence)
    assert "\n" not in span
    assert fence not in span[len(fence) : -len(fence)].strip("` ").split()


def test_cells_above_that_asked_for_addresses_are_named() -> None:
    sources = ["states = {id(SOURCES): 1}", "x = 1", "1/0"]
    header = debug_notebook(failed_bundle(sources, 2, checkpoint=AFTER_1)).cells[0].source
    assert "Cell 0 asks for addresses (`id`)" in header
    assert "addresses" not in debug_notebook(failed_bundle(SOURCES, 2, checkpoint=AFTER_1)).cells[0].source
