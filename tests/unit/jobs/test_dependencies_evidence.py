"""What was seen of a cell while it ran is added to what the analysis tells of it."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints, observed, overlap
from respawn_kernels.evidence import CellEvidence

PLAIN = Footprint(reads=frozenset({"a"}), writes=frozenset({"b"}), sure=frozenset({"b"}))


def test_without_evidence_the_analysis_stands_and_says_so():
    assert observed(PLAIN, None) == PLAIN
    assert PLAIN.unwatched
    seen = observed(PLAIN, CellEvidence())
    assert (seen.reads, seen.writes, seen.unwatched) == (PLAIN.reads, PLAIN.writes, None)


def test_names_that_functions_which_ran_may_read_are_read():
    seen = observed(PLAIN, CellEvidence(reads=("scale",), writes=("total",)))
    assert seen.reads == {"a", "scale"}
    assert seen.writes == {"b", "total"}
    assert seen.seen == {"scale", "total"}


def test_code_that_was_not_watched_says_nothing_of_what_it_did_not_do():
    seen = observed(PLAIN, CellEvidence(unwatched="a debugger is there", libraries=("decimal",)))
    assert seen.unwatched == "a debugger is there"
    assert not seen.may_read("#random")


def test_a_part_of_the_state_that_changed_is_written_and_read():
    seen = observed(PLAIN, CellEvidence(changed=("#decimal", "#of.some.plugin")))
    assert {"#decimal", "#of.some.plugin"} <= seen.reads & seen.writes
    seeded = Footprint(writes=frozenset({"#random"}), sure=frozenset({"#random"}))
    assert "#random" not in observed(seeded, CellEvidence(changed=("#random",))).reads


def test_a_part_that_matters_through_modules_is_read_when_one_of_them_ran():
    for module in ("matplotlib", "matplotlib.axes._axes"):
        assert observed(PLAIN, CellEvidence(libraries=(module,))).may_read("#figures")
    assert not observed(PLAIN, CellEvidence(libraries=("matplotlibx", "json"))).may_read("#figures")


def test_a_part_that_nobody_described_matters_to_every_cell_that_runs_library_code():
    assert observed(PLAIN, CellEvidence(libraries=("json",))).may_read("#of.some.plugin")
    assert not observed(PLAIN, CellEvidence()).may_read("#of.some.plugin")


def test_a_library_that_looks_into_frames_reads_every_variable():
    seen = observed(PLAIN, CellEvidence(frames=("pandas",)))
    assert seen.may_read("anything_at_all")
    assert not seen.may_write("anything_at_all")


def test_what_lives_on_after_a_cell_may_do_anything():
    for evidence in (CellEvidence(background_work=("thread worker-1",)), CellEvidence(overflow=True)):
        seen = observed(PLAIN, evidence)
        assert seen.may_write("anything_at_all")
        assert seen.may_read("#figures")
    assert "thread worker-1" in str(
        observed(PLAIN, CellEvidence(background_work=("thread worker-1",))).opaque
    )


def test_files_in_the_notebooks_directory_have_the_names_that_cells_use():
    evidence = CellEvidence(opened=("/place/a/in.csv", "/data/all.csv"), written=("/place/a/out/b.csv",))
    seen = observed(PLAIN, evidence, directory="/place/a")
    assert {"#file:in.csv", "#file:/data/all.csv"} <= seen.reads
    assert "#file:out/b.csv" in seen.writes
    assert observed(PLAIN, CellEvidence(opened=("/place",)), directory="/place/a").may_read("#file:x")


def test_other_processes_may_use_every_file():
    seen = observed(PLAIN, CellEvidence(outside=("process",)))
    assert seen.may_read("#file:a.csv")
    assert seen.may_write("#file:a.csv")
    assert "#network" in observed(PLAIN, CellEvidence(outside=("socket",))).reads


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.csv", "a.csv", True),
        ("a.csv", "b.csv", False),
        ("out", "out/a.csv", True),
        ("out", "output/a.csv", False),
        (".", "out/a.csv", True),
        ("/data/a.csv", "a.csv", True),
        ("/data/a.csv", "data/a.csv", True),
        ("/data/a.csv", "b/a.csv", False),
        ("/data", "data/a.csv", True),
        ("/data/a.csv", "/data", True),
        ("/data/a.csv", "/other", False),
        ("../a.csv", "/data/b.csv", True),
    ],
)
def test_paths_overlap_where_they_may_be_the_same_file_or_one_holds_the_other(one, other, same):
    for pair in ((one, other), (other, one)):
        assert overlap(*(f"#file:{path}" for path in pair)) is same
    assert overlap(f"#file:{one}", "#files")
    assert not overlap(f"#file:{one}", "#cwd")


def test_a_query_whose_text_is_known_reads_what_it_names():
    cells = ["import pandas as pd\ndf = pd.DataFrame({'a': [1]})\nlimit = 1", "n = df.query('a > @limit')"]
    (_, query), seen = footprints(cells), CellEvidence(frames=("pandas.core.computation.scope",))
    assert observed(query, seen).may_read("limit")
    assert not observed(query, seen).may_read("other")
    assert observed(query, CellEvidence(frames=("patsy.eval",))).may_read("other")


def test_what_runs_in_every_cell_tells_nothing_of_one():
    seen = observed(PLAIN, CellEvidence(libraries=("codeop", "respawn_kernels.evidence.recording")))
    assert not seen.may_read("#warnings")
    assert observed(PLAIN, CellEvidence(libraries=("pandas.core.frame",))).may_read("#warnings")
