"""The table of a restore tells everything that matters, however much there is, and escapes all of it."""

from __future__ import annotations

from dataclasses import replace

from respawn_kernels.checkpoint.manifest import (
    Extent,
    Group,
    Manifest,
    StoredVariable,
    UnstoredVariable,
    VariableFrame,
)
from respawn_kernels.debug.state_table import MAX_ROWS, PENDING, RerunCell, StateTable
from respawn_kernels.exchange.restore_point import RestorePoint
from respawn_kernels.restore.report import RestoreReport

POINT = RestorePoint("run-0123456789", 3, "python3", failing_cell=4)
DF = StoredVariable("df", "pandas.DataFrame", "<b>2 × 2</b>", 1_500_000)
GEN = UnstoredVariable("gen", "generator", "<script>", 2)


def report(*variables: StoredVariable, unstored: list[UnstoredVariable] | None = None) -> RestoreReport:
    manifest = Manifest(3, "3.11.0", "/gone", 4, list(variables), unstored or [], [])
    return RestoreReport(manifest, [v.name for v in variables], [], cwd=None)


def table() -> StateTable:
    rerun = [RerunCell(1, None), RerunCell(2, "ValueError: <i>")]
    return StateTable(POINT, report(DF, unstored=[GEN]), rerun, {"df": PENDING})


def test_table_tells_variables_losses_and_reruns() -> None:
    text = repr(table())
    for words in (
        "run-0123456789 (it failed in cell 4): 1 variable, 1.43 MiB, as just after cell 3.",
        "Each is loaded when code first uses it.",
        "df    pandas.DataFrame  <b>2 × 2</b>  1.43 MiB  when used",
        "gen   generator  <script>  cell 2",
        "cell 1\n",
        "cell 2 failed: ValueError: <i>",
        "/gone",
    ):
        assert words in text


def test_table_names_what_nobody_compared_with_what_it_was() -> None:
    frames = [VariableFrame(f"v{number:02}", 0, 1, (0, 0)) for number in range(22)]
    group = Group([*frames, VariableFrame("#random", 0, 1, (0, 0))], Extent([]), [], [], "<too> large")
    known = report(DF)
    shown = StateTable(POINT, replace(known, manifest=replace(known.manifest, groups=[group])))
    assert "Not compared with what they were: v00, v01," in repr(shown)
    assert "v19 and 2 more; <too> large." in repr(shown)
    assert "&lt;too&gt; large" in shown._repr_html_()


def test_table_escapes_what_notebooks_wrote() -> None:
    html = table()._repr_html_()
    for wild in ("<b>", "<script>", "<i>", "<style"):
        assert wild not in html
    assert "&lt;script&gt;" in html


def test_thousands_of_variables_are_capped_with_a_line_that_says_so() -> None:
    many = [StoredVariable(f"v{number}", "int", "1", 28) for number in range(3000)]
    lost = [replace(GEN, name=f"g{number}") for number in range(MAX_ROWS + 7)]
    shown = StateTable(POINT, report(*many, unstored=lost))
    html = shown._repr_html_()
    assert html.count("<tr>") == 2 * (MAX_ROWS + 1)
    for text in (html, repr(shown)):
        assert "3,000 variables" in text
        assert "These are the first 200 of 3,000. To find another: %respawn state NAME" in text
        assert "… and 7 more" in text


def test_pattern_finds_what_the_cap_hides() -> None:
    many = [StoredVariable(f"v{number}", "int", "1", 28) for number in range(3000)]
    text = repr(StateTable(POINT, report(*many), pattern="v299?"))
    assert "v2995" in text
    assert "v1 " not in text
    assert "No restored variable matches x*" in repr(StateTable(POINT, report(*many), pattern="x*"))


def test_long_names_and_values_are_cut_and_stay_on_one_line() -> None:
    long = StoredVariable("n" * 300, "t" * 300, "value\n" * 300, None)
    rows = repr(StateTable(POINT, report(long))).splitlines()
    assert max(map(len, rows)) < 200
    assert "n" * 39 + "…" in rows[2]


def test_run_without_a_state_says_so() -> None:
    text = repr(StateTable(replace(POINT, cell=None), None))
    assert "no cell had finished before, so there is nothing to restore" in text


def test_saved_state_says_when_it_was_saved() -> None:
    point = replace(POINT, name="fixed", saved="21 Nov 2026 at 13:55")
    assert "run-0123456789@fixed: 1 variable, 1.43 MiB, as you saved them on 21 Nov" in repr(
        StateTable(point, report(DF))
    )


def test_session_s_state_that_could_not_be_set_has_a_name_for_people() -> None:
    failed = [UnstoredVariable("#random", "session", "ValueError: no such generator")]
    assert "random numbers" in repr(StateTable(POINT, replace(report(DF), failed=failed)))
