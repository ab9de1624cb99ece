"""A plan leaves exactly what running the fixed notebook from the top leaves, for random notebooks and edits."""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from respawn_jobs.models import CellRecord, CellState, Checkpoint, PlanAction
from respawn_jobs.notebooks import cell_tags, code_cells, parameterize, source_hash
from respawn_jobs.plan import Ended, plan_resume
from support.notebooks import notebook
from support.small_programs import checkpoint, empty, execute, shape

EXAMPLES = int(os.environ.get("RESPAWN_PLAN_EXAMPLES", "600"))
NAMES = st.sampled_from(["a", "b", "c", "d", "x", "y"])
FUNCTIONS = st.sampled_from(["f", "g"])
NUMBERS = st.integers(0, 3)


@st.composite
def statement(draw: st.DrawFn) -> str:
    """One thing that cells do, with lists, names and functions of a few names so that they meet."""
    n, m, k = draw(NAMES), draw(NAMES), draw(NAMES)
    i, j, f, g = draw(NUMBERS), draw(NUMBERS), draw(FUNCTIONS), draw(FUNCTIONS)
    return draw(
        st.sampled_from(
            [
                f"{n} = {i}", f"{n} = {i}", f"{n} = []", f"{n} = [{i}]", f"{n} = {{'k': [{i}]}}",
                f"{n} = {m}", f"{n} = {m}", f"{n} = [{m}, {k}]", f"{n} = [{m}]", f"{n} = {{'k': {m}}}",
                f"{n} = list({m})", f"{n} = {m} + {k}", f"{n} = len({m})", f"{n} = {m} + {i}",
                f"{n} = rate", f"{n} = [rate, size]", f"{n} = rate + {i}", "rate = 9", f"{n} = size; {n} += [1]",
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
                f"{n} = [{f}]", f"{n} = {m}[0]()", f"{f}.note = {n}", f"{n} = {f}.note", f"{n} = iter({m}) if isinstance({m}, list) else 0", f"{n} = next({m})",
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
        )
    )  # fmt: skip


FIRST = """import random
random.seed(7)
a, c, x = [1, 2], 2, [5, 6, 7]
b, y, d = [a], a, {'k': [3]}
def f(v=None):
    return v
g = f
class K:
    shared = []
    def __init__(self, v=0):
        self.v = v
    def up(self):
        self.v += 1
    def add(self, w):
        self.shared.append(w)
        return self
"""
"""What all names are at first, so that most of what is drawn does not raise."""

CELLS = st.lists(st.lists(statement(), min_size=1, max_size=2).map("\n".join), min_size=4, max_size=14)
PARAMETERS = "rate = 1\nsize = [1]"
VALUES = st.fixed_dictionaries({"rate": NUMBERS, "size": st.lists(NUMBERS, max_size=2)})


def runnable(cells: list[str], values: dict) -> list[str]:
    """The first cell and those of the others that do not raise one after another; the last may."""
    namespace, found = empty(), []
    for cell in [FIRST, *(f"{name} = {value!r}" for name, value in values.items()), *cells]:
        trial = checkpoint(namespace)
        if execute(trial, [cell]) is None:
            execute(namespace, [cell])
            found.append(cell)
        elif cell is cells[-1]:
            found.append(cell)
    return [found[0], *found[1 + len(values) :]]


@st.composite
def edited(draw: st.DrawFn, cells: list[str]) -> list[str]:
    """The cells with up to two edits: replaced, inserted, deleted, moved."""
    fixed = list(cells)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, max(0, len(fixed) - 1)))
        how = draw(st.sampled_from(["replace", "replace", "insert", "delete", "move"]))
        if how in ("replace", "delete", "move") and fixed:
            gone = fixed.pop(place)
            if how == "move":
                fixed.insert(draw(st.integers(0, len(fixed))), gone)
        if how in ("replace", "insert"):
            fixed.insert(place, draw(statement()))
    return fixed


def ran(cells: list[str], values: dict, kept: set[int]) -> tuple[Ended, dict[int, dict], list[str]]:
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
            states[index] = checkpoint(namespace), random.getstate()
        records.append(
            CellRecord(
                index=index, cell_id=cell.id, state=state, source_hash=source_hash(cell.source), tags=cell_tags(cell),
                seconds=1.0,
            )
        )  # fmt: skip
    points = [Checkpoint(cell=index, manifest=f"m{index}", variables=1, size=1) for index in states]
    past = Ended("run-1", "python3", "lock", records, points, executed, values)
    return past, states, sources


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_a_plan_leaves_what_the_fixed_notebook_leaves(data: st.DataObject) -> None:
    before = data.draw(VALUES, label="values")
    cells = runnable(data.draw(CELLS, label="cells"), before)
    fixed = data.draw(edited(cells), label="fixed")
    note(f"{cells} -> {fixed}")
    after = data.draw(st.one_of(st.just(before), VALUES), label="new values")
    kept = data.draw(st.sets(st.integers(2, 15), min_size=1), label="kept")
    past, states, _ = ran(cells, before, kept)
    executed = parameterize(notebook(*fixed, parameters=PARAMETERS), after, "python3", "python")
    plan = plan_resume(past, executed, kernel="python3", lock="lock", language="python", parameters=after)
    sources = {index: cell.source for index, cell in code_cells(executed)}

    truth = empty()
    expected = execute(truth, list(sources.values()))
    drawn = random.getstate()

    note(f"from {plan.checkpoint} without {plan.stale}")
    note("\n".join(f"{cell.index} {cell.action.value}: {cell.why}" for cell in plan.cells))
    namespace = empty()
    if plan.checkpoint is not None:
        start = int(plan.checkpoint.manifest[1:])
        namespace, state = states[start]
        random.setstate(state)
        for name in plan.stale:
            namespace.pop(name, None)
        assert len(plan.rerun) < len(sources)
    order = [*plan.rerun, *(index for index in sources if plan.first is not None and index >= plan.first)]
    assert order == [cell.index for cell in plan.cells if cell.action is PlanAction.RUN]
    stopped = execute(namespace, [sources[index] for index in order])
    if expected is None or stopped is None:
        assert (expected, stopped) == (None, None)
        assert shape(namespace) == shape(truth)
        assert FIRST not in fixed or random.getstate() == drawn
    else:
        assert (list(sources)[expected[0]], expected[1]) == (order[stopped[0]], stopped[1])


def test_most_plans_reuse_something() -> None:
    """The proof would be worth little if everything always ran."""
    reused = total = 0

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def count(data: st.DataObject) -> None:
        nonlocal reused, total
        cells = runnable(data.draw(CELLS), {"rate": 1, "size": [2]})
        past, _, _ = ran(cells, {"rate": 1, "size": [2]}, set(range(20)))
        done = sum(record.state is CellState.EXECUTED for record in past.cells)
        fixed = data.draw(edited(cells))
        executed = parameterize(notebook(*fixed, parameters=PARAMETERS), past.parameters, "python3", "python")
        plan = plan_resume(past, executed, kernel="python3", lock="lock", language="python")
        reused += sum(cell.action is PlanAction.REUSE for cell in plan.cells)
        total += done

    count()
    assert reused > total / 2
