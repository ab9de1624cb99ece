"""The example notebooks are what a reader expects to find in a repository."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    """One of the example notebooks, validated."""
    notebook = nbformat.reads(request.param.read_text(), as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


def test_examples_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"wine_report", "diabetes_scores", "digits_sweep"}


def test_example_is_current_nbformat_without_outputs(example: nbformat.NotebookNode) -> None:
    assert (example.nbformat, example.nbformat_minor) == (4, 5)
    code = [cell for cell in example.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_example_names_the_standardized_kernel(example: nbformat.NotebookNode) -> None:
    assert example.metadata.kernelspec == {
        "display_name": "Science (Respawn)",
        "language": "python",
        "name": "respawn-science",
    }


def test_example_declares_typed_parameters_with_help(example: nbformat.NotebookNode) -> None:
    (cell,) = (cell for cell in example.cells if "parameters" in cell.metadata.get("tags", []))
    lines = cell.source.splitlines()
    assert len(lines) >= 3
    for line in lines:
        declared, _, told = line.partition("  # ")
        assert ": " in declared.split(" = ")[0], line
        assert told, line
