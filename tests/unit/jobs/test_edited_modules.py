"""A module beside the notebook that is edited after the run is as an edit of the cells that import it."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.model.evidence import left
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_kernels.evidence import CellEvidence
from support.plans import planned_after

REUSE, RUN = PlanAction.REUSE, PlanAction.RUN
NOTHING = CellEvidence()


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("cleaning.py", "tools/rates.py"):
        (tmp_path / name).write_text("def clean(x): return x\n")
    return tmp_path


def plan_after_edit(modules: Path, edited: str, first: str, *below: str) -> Plan:
    read = CellEvidence(inputs=tuple((str(path), *left(str(path))) for path in sorted(modules.rglob("*.py"))))
    cells = [(first, read), *((source, NOTHING) for source in below), ("1/0", NOTHING)]
    if edited:
        (modules / edited).write_text("def clean(x): return x + 1\n")
    return planned_after(cells, {len(cells) - 1: "pass"}, look=left)


def actions(plan: Plan) -> list[PlanAction]:
    return [cell.action for cell in plan.cells[:-1]]


def test_a_module_that_is_as_it_was_changes_nothing(modules: Path) -> None:
    assert actions(plan_after_edit(modules, "", "import cleaning", "y = cleaning.clean(1)")) == [REUSE, REUSE]


@pytest.mark.parametrize(
    ("imports", "use"),
    [
        ("import json, cleaning", "cleaning.clean(1)"),
        ("import json, cleaning as c", "c.clean(1)"),
        ("import json\nfrom cleaning import clean", "clean(1)"),
        ("import json\nfrom cleaning import clean as cc", "cc(1)"),
        ("import json\nimport tools.rates", "tools.rates.clean(1)"),
        ("import json\nfrom tools import rates", "rates.clean(1)"),
        ("import json\nfrom tools.rates import clean", "clean(1)"),
    ],
)
@pytest.mark.parametrize("edited", ["cleaning.py", "tools/rates.py"])
def test_what_uses_a_module_beside_the_notebook_runs_and_what_else_is_imported_stays(
    modules: Path, imports: str, use: str, edited: str
) -> None:
    # One module may use the other, so both are others when one is.
    plan = plan_after_edit(modules, edited, imports, "a = json.dumps(1)", "d = a", f"b = {use}", "e = b")
    assert actions(plan) == [RUN, REUSE, REUSE, RUN, RUN]
    assert plan.cells[0].why.startswith(f"{Path(edited).name} has changed since")


@pytest.mark.parametrize(
    "more", ["limit = 3", "from cleaning import *", "cleaning.setup()", "if 1: import re"]
)
def test_a_cell_that_does_more_than_to_import_is_edited_as_a_whole(modules: Path, more: str) -> None:
    plan = plan_after_edit(modules, "cleaning.py", f"import json, cleaning\n{more}", "a = json.dumps(1)")
    assert actions(plan) == [RUN, RUN]


def test_a_source_that_is_gone_is_no_edit_but_told(modules: Path) -> None:
    read = ((str(modules / "away.py"), 5, 1),)
    plan = planned_after(
        [("import away", CellEvidence(inputs=read)), ("1/0", NOTHING)], {1: "pass"}, look=left
    )
    assert plan.cells[0].action is REUSE
    assert plan.cells[0].changed_inputs == ["away.py is gone"]


def test_a_module_that_the_notebook_writes_itself_is_its_own(modules: Path) -> None:
    path = str(modules / "cleaning.py")
    cells = [
        ("%%writefile cleaning.py\nx = 1", CellEvidence(written=(path,))),
        ("import cleaning", CellEvidence(inputs=((path, 5, 1),))),
        ("1/0", NOTHING),
    ]
    plan = planned_after(cells, {2: "pass"}, look=left)
    assert "has changed" not in plan.cells[1].why
