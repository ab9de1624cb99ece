"""Documents between processes of different versions: fields that a reader does not know harm nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.exchange.artifact_records import ArtifactRecord
from respawn_kernels.exchange.cell_evidence import CellEvidence
from respawn_kernels.exchange.download_state import DownloadState
from respawn_kernels.exchange.messages import Held, HeldChildFiles, HoldReport, KernelFacts, Options
from respawn_kernels.exchange.restore_point import RestorePoint

_RECORD = ArtifactRecord("table", 1, "json", "dict", "2 keys", 10, "2026-03-01T03:00:00Z", "table.1.json")
_POINT = RestorePoint("run-0a1b2c3d4e", 3, "python3")


def _held(directory: Path, text: str) -> object:
    (directory / "holds").mkdir(exist_ok=True)
    place = HeldChildFiles(directory, 1)
    place.held.write_text(text)
    return place.read_held()


def _report(directory: Path, text: str) -> object:
    (directory / "holds").mkdir(exist_ok=True)
    place = HeldChildFiles(directory, 1)
    place.report.write_text(text)
    return place.read_report()


def _facts(directory: Path, text: str) -> object:
    (directory / "holds").mkdir(exist_ok=True)
    (directory / "holds" / "kernel.json").write_text(text)
    return KernelFacts.read(directory)


def _download(directory: Path, text: str) -> object:
    (directory / "download.json").write_text(text)
    return DownloadState.read(directory)


_READERS: dict[str, tuple[dict[str, Any], Callable[[Path, str], object], object]] = {
    "held": (
        {"pid": 7, "mode": "fork", "reason": None, "seconds": 0.1, "bytes": 5},
        _held,
        Held(7, "fork", None, 0.1, 5),
    ),
    "report": ({"state": "saved"}, _report, HoldReport("saved")),
    "facts": ({"hash_seed": "0", "can": ["settle"]}, _facts, KernelFacts("0", 1, ("settle",))),
    "facts of the first agent": ({"hash_seed": "0"}, _facts, KernelFacts("0", 1, ())),
    "options": ({"fork": False}, lambda _, text: Options.from_json(text), Options(fork=False)),
    "evidence": (
        {"writes": ["x"]},
        lambda _, text: CellEvidence.from_json(text),
        CellEvidence(writes=("x",)),
    ),
    "artifact": (
        json.loads(_RECORD.to_json()),
        lambda _, text: ArtifactRecord.from_json(text),
        _RECORD,
    ),
    "restore point": (json.loads(_POINT.to_json()), lambda _, text: RestorePoint.from_json(text), _POINT),
    "download": ({"there": 1, "total": 2}, _download, DownloadState(1, 2)),
}


@pytest.mark.parametrize("name", _READERS)
def test_fields_that_a_newer_writer_adds_are_passed_over(tmp_path: Path, name: str) -> None:
    document, read, expected = _READERS[name]
    assert read(tmp_path, json.dumps(document)) == expected
    assert read(tmp_path, json.dumps({**document, "added_later": {"deep": [1]}})) == expected


def test_a_cell_of_a_restore_point_may_have_fields_of_a_newer_server() -> None:
    cell = {"index": 2, "source": "x = 1", "why": "tagged respawn:always", "seconds": 1.0}
    point = RestorePoint.from_json(json.dumps({**json.loads(_POINT.to_json()), "always": [cell]}))
    assert [(one.index, one.source) for one in point.always] == [(2, "x = 1")]
