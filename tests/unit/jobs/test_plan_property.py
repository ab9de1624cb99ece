"""A plan leaves exactly what running the fixed notebook from the top leaves, for random notebooks and edits."""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import cell_tags, code_cells, source_hash
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.plan import plan_resume
from support.notebooks import notebook
from support.small_programs import checkpoint, empty, execute, shape

EXAMPLES = int(os.environ.get("RESPAWN_PLAN_EXAMPLES", "400"))
_EXAMPLES = [pytest.param(100, id="some"), pytest.param(EXAMPLES, id="many", marks=pytest.mark.slow)]
NAMES = ("a", "b", "c", "d", "x", "y")
FUNCTIONS = ("f", "g")


def statements(chance: random.Random, names: Sequence[str]) -> list[str]:
    """All that cells do, with lists, names and functions of a few names so that they meet."""
    n, m, k = (chance.choice(names) for _ in range(3))
    i, j = chance.randint(0, 3), chance.randint(0, 3)
    f, g = chance.choice(FUNCTIONS), chance.choice(FUNCTIONS)
    return (
            [
                f"{n} = {i}", f"{n} = {i}", f"{n} = []", f"{n} = [{i}]", f"{n} = {{'k': [{i}]}}",
                f"{n} = {m}", f"{n} = {m}", f"{n} = [{m}, {k}]", f"{n} = [{m}]", f"{n} = {{'k': {m}}}",
                f"{n} = list({m})", f"{n} = {m} + {k}", f"{n} = len({m})", f"{n} = {m} + {i}",
                f"{n}[0].append(rate)", f"{n}[0].append(rate)", f"{n}['k'].append(rate)", f"{n}[0] = rate", f"{n}.v = rate", f"{n} = rate", f"{n} = [rate, size]", f"{n} = rate + {i}", "rate = 9", f"{n} = size; {n} += [1]",
                f"{n}.append({i})", f"{n}.append({m})", f"{n}.append(rate)", f"{n}[0] = {m}", f"{n}[0] = {i}",
                f"{n} += [{i}]", f"{n} += {m}", f"{n}[0].append({i})", f"{n}['k'] = {m}", f"{n}['k'].append({i})",
                f"for {n} in {m}: pass", f"for {n} in {m}:\n    {k} = {n}", f"for _t in list({m}): {k}.append(_t)",
                f"{n} = [t for t in {m}]", f"{n} = [{m} for t in range({i})]", f"{n} = sorted(t if isinstance(t, int) else 0 for t in {m})",
                f"if {n}:\n    {m} = {k}", f"if {n}:\n    {m} = {i}\nelse:\n    {m} = [{j}]",
                f"{n}, {m} = {m}, {n}", f"{n} = {m}.pop()", f"{n} = {m} or {k}", f"del {n}",
                f"try:\n    {n} = {m}\nexcept NameError:\n    {n} = {i}",
                f"try:\n    {n}.append({m})\nexcept (NameError, AttributeError) as e:\n    {k} = {i}",
                f"def {f}(v=None):\n    return {n}", f"def {f}(v=[]):\n    v.append({i})\n    return v",
                f"def {f}(v={m}):\n    {n}.append({i})\n    return v", f"def {f}(v=0):\n    global {n}\n    {n} = v\n    return {n}",
                f"def {f}(v=[]):\n    w = {n}\n    w.append(v)\n    return w", f"def {f}(v=1):\n    return {g}()",
                f"def {f}(v=1):\n    return v * rate", f"def {f}(v=None):\n    return [v, {n}]",
                f"def _make():\n    kept = [{n}]\n    def inner(v=1):\n        kept.append(v)\n        return kept\n    return inner\n{f} = _make()",
                f"def _count():\n    number = {i}\n    def inner(v=1):\n        nonlocal number\n        number += 1\n        return number\n    return inner\n{f} = _count()",
                f"{f} = lambda v=0: {n}", f"{n} = {f}()", f"{n} = {f}({m})", f"{f}({m})", f"{f}()", f"{g} = {f}",
                f"{n} = [{f}]", f"{n} = {m}[0]()", f"{f}.note = {n}", f"{n} = {f}.note", f"{n} = iter([*{m}])", f"{n} = next({m})",
                f"{n} = map({f}, {m}) if isinstance({m}, list) else 0", f"{n} = list({m})", f"{n} = [{f}(t) for t in {m}]", f"{n} = list(filter({f}, {m}))",
                f"class K:\n    shared = [{i}]\n    def __init__(self, v={i}):\n        self.v = v\n    def up(self):\n        self.v += 1\n        return self.v\n    def add(self, w):\n        self.shared.append(w)\n        return self",
                f"{n} = K()", f"{n} = K({m})", f"{n}.up()", f"{n}.add({m})", f"{n} = {m}.v", f"{n}.v = {m}", f"K.shared.append({n})", f"{n} = K.shared",
                f"{n} = {m}.add({i})", f"{n} = K.shared is {m}.shared", "import random", f"random.seed({i})", f"{n} = random.random()", "random.shuffle(x)",
                f"exec('{n} = {i}')", f"globals()['{n}'] = {m}", f"{n} = 'w' in globals()", f"{n} = {m} is {k}", f"{n} = {m} == {k}",
                f"{n} = [{m}] * 2", f"{n} = {m}[:1]", f"{n} = dict(k={m})", f"{n} = {{**{m}}}", f"{n} = [*{m}, *{k}]", f"{n} = {m}.copy()",
                f"{n} = (lambda: {m}.append({i}) or {m})()", f"{n} = sum(({m}.append(t) or t) for t in range({i}))", f"{n} = (t for t in {m})" if False else f"{n} = {i}",
                f"while {n} and len({n}) < 3: {n}.append({m})", f"with __import__('contextlib').suppress(Exception):\n    {n} = {m}[5]", f"({n} := [{m}]).append({k})",
                f"match {n}:\n    case [{m}, *_]:\n        {k} = {m}\n    case _:\n        pass", f"{n} = setattr({m}, 'v', {i})", f"{n} = max({m}, {k})", f"{n} = max({m})",
                f"{n} = [{m}].pop()", f"{n} = {{'k': {m}}}.get('k', {k})", f"{n} = {m}.setdefault('k', {k})", f"{n}.extend({m})", f"{n} = {m}['k']", f"{n} = dict(zip('ab', {m}))",
            ]
    )  # fmt: skip


FIRST = [
    "import random\nrandom.seed(7)",
    "a = [1, 2]",
    "c = 2",
    "x = [5, 6, 7]",
    "y = a",
    "b = [a]",
    "d = {'k': [3]}",
    "def f(v=None):\n    return v",
    "g = f",
    "class K:\n    shared = []\n    def __init__(self, v=0):\n        self.v = v\n    def up(self):\n        self.v += 1\n    def add(self, w):\n        self.shared.append(w)\n        return self",
]
"""What all names are at first, so that most of what is drawn does not raise."""

PARAMETERS = "rate = 1\nsize = [1]"


THEMES = (
    r"^\w = \w$|^\w = \[\w\]|append|\['k'\]|rate",  # names for one object, and boxes that hold it
    r"\[0\]|'k'|append|rate",
    r"iter|map|next|list\(|for ",
    r"def |\(\)$|lambda|rate",
    r"K|\.v|up|add|shared",
    r"random|if |try|while|del",
    r"",
)
"""Patterns of statements that have something to do with each other: a case is made of one such group and a few more."""


@dataclass
class Case:
    """A notebook, its fixed form, the parameters of both, and the cells after which a state is kept."""

    cells: list[str]
    fixed: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    kept: set[int]


def case(chance: random.Random) -> Case:
    """Make a case up. Each one has only some kinds of statements and names, so that they meet more often."""
    names = chance.sample(NAMES, chance.randint(2, 5))
    every = statements(chance, names)
    theme = chance.choice(THEMES)
    about = [kind for kind, text in enumerate(every) if re.search(theme, text)]
    kinds = [
        *chance.sample(about, min(len(about), 10)),
        *chance.sample(range(len(every)), chance.randint(1, 8)),
    ]

    def cell() -> str:
        return "\n".join(statements(chance, names)[chance.choice(kinds)] for _ in range(chance.randint(1, 2)))

    def values() -> dict[str, Any]:
        return {
            "rate": chance.randint(0, 3),
            "size": [chance.randint(0, 3) for _ in range(chance.randint(0, 2))],
        }

    before = values()
    cells = runnable([cell() for _ in range(chance.randint(4, 16))], before)
    fixed = list(cells)
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        place, how = (
            chance.randrange(len(fixed)),
            chance.choice(["replace", "replace", "insert", "delete", "move"]),
        )
        if how in ("replace", "delete", "move") and len(fixed) > 1:
            gone = fixed.pop(place)
            if how == "move":
                fixed.insert(chance.randint(0, len(fixed)), gone)
        if how in ("replace", "insert"):
            fixed.insert(place, cell())
    after = chance.choice([before, values()])
    kept = {chance.randint(2, 26) for _ in range(chance.randint(0, 2))} | {len(cells), len(cells) + 1}
    return Case(cells, fixed, before, after, kept)


def runnable(cells: list[str], values: dict) -> list[str]:
    """The first cells and those of the others that do not raise one after another; the last may."""
    namespace, found = empty(), []
    execute(namespace, [*FIRST, *(f"{name} = {value!r}" for name, value in values.items())])
    for cell in cells:
        trial = checkpoint(namespace)
        if execute(trial, [cell]) is None:
            execute(namespace, [cell])
            found.append(cell)
        elif cell is cells[-1]:
            found.append(cell)
    return [*FIRST, *found]


def ran(cells: list[str], values: dict, kept: set[int]) -> tuple[EndedRun, dict[int, dict], list[str]]:
    """Run a notebook as far as it goes: what is recorded of it, and copies of the kept states."""
    executed = parameterize(notebook(*cells, parameters=PARAMETERS), values, "python3", "python")
    sources = [cell.source for _, cell in code_cells(executed)]
    namespace, states, records = empty(), {}, []
    failed = False
    for index, cell in code_cells(executed):
        state = CellState.SKIPPED
        if not failed:
            failed = execute(namespace, [cell.source]) is not None
            state = CellState.FAILED if failed else CellState.EXECUTED
        if state is CellState.EXECUTED and index in kept:
            copied = checkpoint(namespace)
            # `deepcopy` makes two of an object that an iterator over it leads back to; a kernel's state is whole.
            if shape(copied) == shape(namespace):
                states[index] = copied, random.getstate()
        records.append(
            CellRecord(
                index=index, cell_id=cell.id, state=state, source_hash=source_hash(cell.source), tags=cell_tags(cell),
                seconds=1.0,
            )
        )  # fmt: skip
    points = [Checkpoint(cell=index, manifest=f"m{index}", variables=1, size=1) for index in states]
    past = EndedRun("run-1", "python3", "lock", records, points, executed, values)
    return past, states, sources


def check(made: Case) -> Plan:
    """Execute the plan of a case, and compare what it leaves with what the fixed notebook leaves."""
    past, states, _ = ran(made.cells, made.before, made.kept)
    executed = parameterize(notebook(*made.fixed, parameters=PARAMETERS), made.after, "python3", "python")
    plan = plan_resume(
        past, executed, kernel="python3", lock="lock", language="python", parameters=made.after
    )
    sources = {index: cell.source for index, cell in code_cells(executed)}
    truth = empty()
    expected = execute(truth, list(sources.values()))
    drawn = random.getstate()

    told = "\n".join(
        f"{cell.index} {cell.action.value}: {cell.why}\n    {sources[cell.index]!r}" for cell in plan.cells
    )
    told += f"\nbefore: {[cell.source for _, cell in code_cells(past.notebook)]}\nfrom {plan.checkpoint} without {plan.stale}"
    namespace = empty()
    if plan.checkpoint is not None:
        namespace, state = states[int(plan.checkpoint.manifest[1:])]
        random.setstate(state)
        for name in plan.stale:
            namespace.pop(name, None)
    order = [*plan.rerun, *(index for index in sources if plan.first is not None and index >= plan.first)]
    assert order == [cell.index for cell in plan.cells if cell.action is PlanAction.RUN], told
    stopped = execute(namespace, [sources[index] for index in order])
    if expected is None or stopped is None:
        assert (expected, stopped) == (None, None), told
        assert shape(namespace) == shape(truth), told
        assert FIRST[0] not in made.fixed[:1] or random.getstate() == drawn, told
    else:
        assert (list(sources)[expected[0]], expected[1]) == (order[stopped[0]], stopped[1]), told
    return plan


@pytest.mark.parametrize("examples", _EXAMPLES)
def test_a_plan_leaves_what_the_fixed_notebook_leaves(examples: int) -> None:
    @settings(max_examples=examples // 4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(chance=st.randoms(use_true_random=False))
    def tried(chance: random.Random) -> None:
        check(case(chance))

    tried()


@pytest.mark.parametrize("examples", _EXAMPLES)
def test_many_plans_leave_what_their_notebooks_leave_and_most_cells_are_reused(examples: int) -> None:
    reused = cells = again = 0
    for seed in range(examples):
        plan = check(case(random.Random(seed)))
        reused += sum(cell.action is PlanAction.REUSE for cell in plan.cells)
        cells += len(plan.cells)
        again += bool(plan.rerun)
    # The proof would be worth little if everything always ran.
    assert reused > cells / 4
    assert again > examples / 10
