"""A plan runs what may depend on an edit, however the edit reaches it, and leaves what is shown not to.

In each notebook the cell after the imports is edited, the one after that depends on it, and the last two do not.
"""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import pytest
from nbformat import NotebookNode

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import cell_tags, code_cells, source_hash
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.plan import plan_resume
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook

TABLE = "import numpy as np\nimport pandas as pd\ndf = pd.DataFrame({'k': ['a', 'b'], 'x': [1, 2]})\na = np.ones(3)"
APART = ("apart = [1, 2, 3]", "total = sum(apart)")
LISTED = [
    (TABLE, "scale = 2", "scale = 10", "new = df.groupby('k').agg(t=('x', lambda s: s.sum() * scale))"),
    (TABLE, "np.random.seed(0)", "np.random.seed(1)", "new = {'n': np.random.normal}['n']()"),
    (
        "from decimal import Decimal, getcontext",
        "getcontext().prec = 6",
        "getcontext().prec = 10",
        "new = Decimal(1) / 3",
    ),
    (TABLE, "np.nan_to_num(a, copy=False, nan=7)", "np.nan_to_num(a, copy=False, nan=9)", "new = a * 2"),
    (TABLE, "limit = 1", "limit = 2", "q = 'x > @limit'; new = df.query(q)"),
    (
        "class A:\n    @property\n    def v(self):\n        return 1\n    @v.setter\n    def v(self, value):\n        self.w = value * scale\nobj = A()",
        "scale = 2",
        "scale = 3",
        "obj.v = 1",
    ),
    (
        "registry = []\nclass Registers(type):\n    def __init__(cls, name, bases, body):\n        registry.append(name)",
        "class B(metaclass=Registers):\n    pass",
        "class C(metaclass=Registers):\n    pass",
        "new = list(registry)",
    ),
    (
        "hits = []\nclass Base:\n    def __mro_entries__(self, bases):\n        hits.append(1)\n        return ()\nbase = Base()",
        "class U(base):\n    pass",
        "class U(base):\n    pass\nclass V(base):\n    pass",
        "new = len(hits)",
    ),
    (
        "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    v: list = field(default_factory=lambda: [base])",
        "base = 1",
        "base = 2",
        "new = A()",
    ),
    (
        "import json\nclass Enc(json.JSONEncoder):\n    def default(self, o):\n        return scale",
        "scale = 2",
        "scale = 3",
        "new = json.dumps({1}, cls=Enc)",
    ),
    (
        "import matplotlib.pyplot as plt",
        "plt.plot([1, 2])",
        "plt.plot([1, 2], [3, 4])",
        "new = len(plt.gca().lines)",
    ),
    ("n = 1", "limit = 1", "limit = 2", "%time n = 2\nnew = f'''\n{limit}?'''"),
    (
        "n = 1",
        "%config InteractiveShell.ast_node_interactivity = 'all'",
        "%config InteractiveShell.ast_node_interactivity = 'last_expr'",
        "1\n2",
    ),
    (
        "import calendar",
        "calendar.setfirstweekday(0)",
        "calendar.setfirstweekday(6)",
        "new = calendar.weekheader(3)",
    ),
    (
        "import os",
        "os.makedirs('d/one', exist_ok=True)",
        "os.makedirs('d/two', exist_ok=True)",
        "new = os.listdir('d')",
    ),
]


def ended(nb: NotebookNode, evidence: list[CellEvidence | None]) -> EndedRun:
    """A run whose cells all finished but the last, which failed."""
    cells = code_cells(nb)
    records = [
        CellRecord(
            index=index, cell_id=cell.id, source_hash=source_hash(cell.source), tags=cell_tags(cell), seconds=1.0,
            state=CellState.EXECUTED if index + 1 < len(cells) else CellState.FAILED, evidence=seen,
        )
        for (index, cell), seen in zip(cells, evidence, strict=True)
    ]  # fmt: skip
    points = [Checkpoint(cell=index, manifest=f"m{index}", variables=1, size=1) for index, _ in cells[:-1]]
    return EndedRun("run-1", "python3", "lock", records, points, nb)


def planned(cells: list[str], place: int, source: str, seen: dict[int, CellEvidence] | None = None) -> Plan:
    """The plan for a notebook of which one cell was edited; `seen` says what was seen of cells."""
    cells = [*cells, "1 / 0"]
    evidence = [(seen or {}).get(number) for number in range(len(cells))]
    fixed = [source if number == place else cell for number, cell in enumerate(cells)]
    return plan_resume(
        ended(notebook(*cells), evidence), notebook(*fixed), kernel="python3", lock="lock", language="python"
    )


def runs(plan: Plan) -> list[int]:
    return [cell.index for cell in plan.cells if cell.action is PlanAction.RUN]


@pytest.mark.parametrize(("first", "before", "after", "dependent"), LISTED)
def test_what_depends_on_an_edit_runs_however_it_depends(first, before, after, dependent):
    again = runs(planned([first, before, dependent, *APART], 1, after))
    assert {1, 2} <= set(again)


@pytest.mark.parametrize(
    ("first", "before", "after"),
    [
        (TABLE, "limit = 1", "limit = 2"),
        (TABLE, "np.random.seed(0)", "np.random.seed(1)"),
        (TABLE, "df['y'] = 1", "df['y'] = 2"),
        (TABLE, "df.to_csv('a.csv')", "df.to_csv('a.csv', index=False)"),
        (TABLE, "other = pd.read_csv('a.csv')", "other = pd.read_csv('b.csv')"),
        ("import os", "os.makedirs('d', exist_ok=True)", "os.makedirs('e', exist_ok=True)"),
    ],
)
def test_what_does_not_depend_on_it_is_reused(first, before, after):
    again = runs(planned([first, before, *APART], 1, after))
    assert not {2, 3} & set(again)


def test_what_was_seen_to_read_an_edited_name_runs():
    cells = [TABLE, "scale = 2", "new = len(apart_from_it)", *APART]
    assert 2 not in runs(planned(cells, 1, "scale = 3", {2: CellEvidence()}))
    assert 2 in runs(planned(cells, 1, "scale = 3", {2: CellEvidence(reads=("scale",))}))
    assert 2 in runs(planned(cells, 1, "scale = 3", {2: CellEvidence(frames=("patsy",))}))


def test_what_reads_a_file_that_an_edited_cell_was_seen_to_write_runs():
    cells = [TABLE, "n = 1", "new = len([])", *APART]
    seen = {1: CellEvidence(written=("/place/a.csv",)), 2: CellEvidence(opened=("/place/a.csv",))}
    assert 2 in runs(planned(cells, 1, "n = 2", seen))
    assert 2 not in runs(planned(cells, 1, "n = 2", {**seen, 2: CellEvidence(opened=("/place/b.csv",))}))


def test_state_that_an_edited_cell_was_seen_to_change_makes_its_readers_run():
    cells = [TABLE, "n = 1", "new = df.x.mean()", *APART]
    for part, dependent in (("#numpy.errors", True), ("#in", False), ("#of.a.plugin", True)):
        again = runs(planned(cells, 1, "n = 2", {1: CellEvidence(changed=(part,))}))
        assert (2 in again) is dependent


def test_cells_that_draw_run_alone_where_figures_are_closed_after_each_cell():
    cells = ["import matplotlib.pyplot as plt", "plt.plot([1])", "plt.plot([2])", *APART]
    closed = {place: CellEvidence() for place in range(6)}
    assert runs(planned(cells, 1, "plt.plot([3])", closed)) == [1, 5]
    kept = {**closed, 1: CellEvidence(changed=("#figures",))}
    assert 2 in runs(planned(cells, 1, "plt.plot([3])", kept))
    assert 2 in runs(planned(cells, 1, "plt.plot([3])"))


ASKING = (
    "%history -n 2-4",
    "print(vars().keys(), len(In))",
    "n = get_ipython().execution_count",
    "x = eval('1') + _3",
)


@pytest.mark.parametrize("last", ["Out[4]", "_3", "_", "In[2]", "%rerun 2", *ASKING])
def test_a_cell_that_asks_for_a_prompt_has_the_prompts_of_a_run_from_the_top(last):
    cells = ["a = 1", "b = 1", "b + 5", "b + 6", last]
    assert runs(planned(cells, 1, "b = 2")) == [1, 2, 3, 4, 5]
    assert 3 not in runs(planned([*cells[:3], "c = a + 6", "c"], 1, "b = 2"))


def test_annotations_depend_on_the_features_of_future():
    cells = ["import math", "from __future__ import annotations", "def f(a: int): pass", "n: int = 1", *APART]
    found = planned(cells, 1, "pass")
    assert {2, 3} <= set(runs(found))
    assert [cell.why.partition(" of ")[0] for cell in found.cells[2:4]] == ["reads features"] * 2
    assert not any(cell.why.startswith("reads features") for cell in found.cells[4:])


def test_what_a_cell_that_runs_code_nobody_can_see_may_set_makes_others_run():
    cells = ["import helpers, calendar", "helpers.configure(1)", "new = calendar.weekheader(3)", *APART]
    again = runs(planned(cells, 1, "helpers.configure(2)"))
    assert 2 in again


def test_whoever_wrote_a_file_before_it_is_read_again_writes_it_again():
    cells = [
        "from pathlib import Path",
        "open('a.txt', 'w').write('one')",
        "scale = 1",
        "new = Path('a.txt').read_text() * scale",
        "open('a.txt', 'w').write('two')",
        *APART,
    ]
    again = runs(planned(cells, 2, "scale = 2"))
    assert {1, 2, 3, 4} <= set(again)


def test_a_cell_that_may_depend_on_anything_runs_below_whatever_runs_again():
    again = runs(planned(["n = 1", "1 + 1", "new = _ + 1", *APART], 1, "1 + 2"))
    assert 2 in again
    assert not {3, 4} & set(runs(planned(["n = 1", "1 + 1", "m = n", *APART], 1, "1 + 2")))
