"""The example notebooks do what they tell, in a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

EXAMPLES = Path(__file__).parents[3] / "examples"

QUICK = "\ntrees = 30  # the failure and its fix matter here, not the model"

pytestmark = pytest.mark.integration


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def execute(notebook: nbformat.NotebookNode, directory: Path = EXAMPLES) -> None:
    NotebookClient(
        notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(directory)}}
    ).execute()


def cell(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


def mime_types(notebook: nbformat.NotebookNode, name: str) -> set[str]:
    outputs: list[dict[str, Any]] = cell(notebook, name).outputs
    return {kind for output in outputs for kind in output.get("data", {})}


@pytest.mark.long
def test_wine_report_shows_a_table_and_a_plot() -> None:
    notebook = read("wine_report")
    execute(notebook)
    assert "text/html" in mime_types(notebook, "report")
    assert "image/png" in mime_types(notebook, "plot")


def test_diabetes_scores_fails_late_at_the_renamed_column_and_a_rename_fixes_it() -> None:
    notebook = read("diabetes_scores")
    cell(notebook, "parameters").source += QUICK
    with pytest.raises(CellExecutionError) as failure:
        execute(notebook)
    assert failure.value.ename == "ValueError"
    for word in ("feature names", "body_mass_index", "bmi"):
        assert word in failure.value.evalue
    ran = [c.id for c in notebook.cells if c.cell_type == "code" and c.execution_count]
    assert ran[-1] == "score"
    assert len(ran) >= 8

    notebook = read("diabetes_scores")
    fixed = cell(notebook, "score")
    fixed.source = 'patients = patients.rename(columns={"body_mass_index": "bmi"})\n' + fixed.source
    cell(notebook, "parameters").source += QUICK
    execute(notebook)
    assert "image/png" in mime_types(notebook, "plot")


@pytest.mark.long
def test_digits_sweep_computes_on_its_own_cluster() -> None:
    notebook = read("digits_sweep")
    cell(notebook, "parameters").source += "\nsteps = 2"
    execute(notebook)
    (told,) = (o.text for o in cell(notebook, "tasks").outputs if o.output_type == "stream")
    assert "4 settings tried on 2 workers" in told
    assert "image/png" in mime_types(notebook, "plot")
