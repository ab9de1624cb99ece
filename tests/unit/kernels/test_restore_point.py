"""Where downloads lie, and the table that a restore shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.manifest import Manifest, StoredVariable, UnstoredVariable
from respawn_kernels.restore import AlwaysCell, RestorePoint, restore_root, run_directory
from respawn_kernels.snapshot import RestoreReport
from respawn_kernels.state_table import RerunCell, StateTable

POINT = RestorePoint("run-0123456789", 3, "python3", None, 4, "KeyError: 'x'", [AlwaysCell(1, "db = 1")])


def test_restore_point_survives_json() -> None:
    assert RestorePoint.from_json(POINT.to_json()) == POINT


@pytest.mark.parametrize("text", ["[]", "{}", '{"run": 1, "what": 2}', "no json"])
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a restore point|Expecting value"):
        RestorePoint.from_json(text)


def test_downloads_lie_where_the_environment_says(own_home: Path) -> None:
    assert run_directory("run-0123456789") == own_home / "respawn" / "restore" / "run-0123456789"


def test_downloads_lie_in_the_cache_by_default(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    monkeypatch.delenv("RESPAWN_RESTORE")
    assert restore_root() == own_home / "cache" / "respawn" / "restore"


@pytest.mark.parametrize("run", ["../x", "run-../..", "", "run-", "/etc", "run-a/b", "job-0123456789"])
def test_what_is_not_a_run_names_no_directory(run: str) -> None:
    with pytest.raises(ValueError, match="not the id of a run"):
        run_directory(run)


def _table() -> StateTable:
    manifest = Manifest(
        cell=3,
        engine="plain",
        python="3.11.0",
        cwd="/gone",
        execution_count=4,
        variables=[StoredVariable("df", "pandas.DataFrame", "<b>2 × 2</b>", 1_500_000)],
        unstored=[UnstoredVariable("gen", "generator", "<script>", 2)],
        blobs=[],
    )
    report = RestoreReport(manifest, ["df"], [], cwd=None)
    return StateTable(POINT, report, [RerunCell(1, None), RerunCell(2, "ValueError: <i>")])


def test_table_tells_variables_losses_and_reruns() -> None:
    text = repr(_table())
    assert "run-0123456789 (it failed in cell 4): 1 variable, as just after cell 3." in text
    assert "df    pandas.DataFrame  <b>2 × 2</b>  1.5 MB" in text
    assert "gen (generator, made by cell 2): <script>" in text
    assert "cell 1\n" in text
    assert "cell 2 failed: ValueError: <i>" in text
    assert "/gone" in text


def test_table_escapes_what_notebooks_wrote() -> None:
    html = _table()._repr_html_()
    for wild in ("<b>", "<script>", "<i>"):
        assert wild not in html
    assert "&lt;script&gt;" in html
