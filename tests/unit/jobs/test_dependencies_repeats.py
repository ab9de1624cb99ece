"""Functions that may all call each other are followed, and once each: not along every chain of calls."""

from __future__ import annotations

from respawn_jobs.dataflow import footprints

FUNCTIONS = 14


def notebook() -> list[str]:
    """Functions that each call whatever lies in a table, which leads to all of them."""
    cells = ["table = {}", *(f"weight{i} = {i}" for i in range(FUNCTIONS))]
    cells += [
        f"def step{i}(x):\n    seen.append(weight{i})\n    return [table[k](x) for k in table][-1]"
        for i in range(FUNCTIONS)
    ]
    cells.insert(0, "seen = []")
    cells += [f"table[{i}] = step{i}" for i in range(FUNCTIONS)]
    return [*cells, "result = table[3](1)", "other = [len(table), 2]"]


def test_functions_that_reach_each_other_are_followed_to_all_that_they_read() -> None:
    *_, call, apart = footprints(notebook())
    assert call.opaque is None
    assert {f"weight{i}" for i in range(FUNCTIONS)} | {"seen", "table"} <= call.reads
    assert "seen" in call.writes
    assert apart.opaque is None
    assert "weight3" not in apart.reads


def test_what_is_learnt_after_a_call_counts_for_the_next_one() -> None:
    cells = [
        "limit = 1\nhooks = []",
        "def all_hooks():\n    return [hook() for hook in hooks]",
        "before = all_hooks()",
        "hooks.append(lambda: limit)",
        "after = all_hooks()",
    ]
    found = footprints(cells)
    assert "limit" not in found[2].reads
    assert "limit" in found[4].reads


def test_what_is_learnt_within_a_cell_counts_for_its_next_call() -> None:
    source = "first = all_hooks()\nhooks.append(lambda: limit)\nsecond = all_hooks()"
    *_, last = footprints(
        ["limit = 1\nhooks = []", "def all_hooks():\n    return [h() for h in hooks]", source]
    )
    assert "limit" in last.reads


def test_a_name_that_only_a_branch_has_made_is_read_by_a_call_after_it() -> None:
    *_, last = footprints(
        [
            "x, hooks = 1, []",
            "hooks.append(lambda: x)",
            "if len(hooks) > 3:\n    x = 2\n    [h() for h in hooks]\n[h() for h in hooks]",
        ]
    )
    assert "x" in last.reads


def test_calls_of_pythons_own_functions_out_of_a_table_teach_nothing_the_second_time() -> None:
    """Each such call once made new objects for the analysis: nothing was ever known to be the same."""
    cells = notebook()
    cells[2:2] = ["table['sort'] = sorted", "table['list'] = list", "table['all'] = [dict, set, filter, map]"]
    cells += ["again = [table[k](table) for k in table]"] * 25
    found = footprints(cells)
    assert [one.opaque for one in found] == [None] * len(found)
