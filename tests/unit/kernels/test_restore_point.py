"""Where downloads and saved states lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.exchange.restore_point import (
    AlwaysCell,
    RestorePoint,
    point_directory,
    restore_root,
    run_directory,
)

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


@pytest.mark.parametrize("reference", ["run-0123456789@", "run-0123456789@../x", "run-0123456789@.hidden"])
def test_what_is_not_a_name_names_no_saved_state(reference: str) -> None:
    with pytest.raises(ValueError, match="not the name of a checkpoint"):
        point_directory(reference)


def test_saved_state_lies_beside_the_run() -> None:
    assert point_directory("run-0123456789@one").is_relative_to(run_directory("run-0123456789"))
