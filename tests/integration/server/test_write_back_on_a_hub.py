"""A fix that a debug notebook made, written to the file of its job: nothing else of it is touched."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import nbformat
import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from support.hub import RunningHub
from support.servers import Server, finished

pytestmark = pytest.mark.integration

BY_HAND = """\
{ "nbformat": 4, "nbformat_minor": 5, "extra": 1.50,
  "metadata": {"kernelspec": {"name": "python3", "display_name": "Caf\\u00e9", "language": "python"}},
  "cells": [
    {"cell_type": "code", "id": "c0", "source": "x = 0", "metadata": {"mine": 1.0}, "outputs": [ ],
     "execution_count": 7},
    {"cell_type": "code", "id": "c1", "source": "y = 1 / x", "metadata": {}, "outputs": [],
     "execution_count": 8},
    {"cell_type": "code", "id": "c2", "source": "y", "metadata": {}, "execution_count": 9,
     "outputs": [{"output_type": "stream", "name": "stdout", "text": "kept"}]}
  ]
}
"""
OLD, FIXED = '"y = 1 / x"', '"y = 1 / (x + 1)"'
FIXED_TEXT = BY_HAND.replace(OLD, FIXED).replace('"execution_count": 8', '"execution_count": null')


class Fixed:
    """A run of ada's that failed, was debugged, and succeeded with a fix."""

    def __init__(self, hub: RunningHub, server: Server, name: str, source: Path | str, how: str) -> None:
        self.server, self.file = server, Path(source)
        ada = hub.service("ada")
        directory = str(self.file.parent)
        ada.promote(Promotion(name=name, notebook=BY_HAND, source=str(source), directory=directory))
        self.run = finished(hub, ada.run(RunRequest(job=f"user/ada/{name}")).id)
        assert self.run.state is RunState.FAILED
        self.path = server.open(self.run.id)[-1]["path"]
        edit(server.home / self.path, "c1", json.loads(FIXED))
        answer = server.call("POST", f"respawn/api/{how}", json={"path": self.path})
        assert answer.status_code == 201, answer.text
        assert finished(hub, answer.json()["run"]["id"]).state is RunState.SUCCEEDED

    def look(self) -> dict[str, Any]:
        answer = self.server.call("GET", "respawn/api/write-back", params={"path": self.path})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def write(self, seen: str) -> tuple[int, dict[str, Any]]:
        body = {"path": self.path, "seen": seen}
        answer = self.server.call("POST", "respawn/api/write-back", json=body)
        return answer.status_code, answer.json()

    def assert_refused(self, why: str) -> None:
        """Look and write are refused with a word, also for those who looked before."""
        seen = self.look()
        assert seen["target"] is None
        assert why in seen["why"]
        assert str(self.file) in seen["why"]
        status, told = self.write(seen["seen"])
        assert (status, why in told["message"]) == (409, True), told


def edit(file: Path, cell: str, source: str) -> None:
    notebook = nbformat.read(file, as_version=4)
    next(one for one in notebook.cells if one.id == cell).source = source
    nbformat.write(notebook, file)


@pytest.fixture(scope="module")
def fixed(hub: RunningHub, server: Server) -> Fixed:
    directory = server.home / "jobs"
    directory.mkdir()
    return Fixed(hub, server, "fixed", directory / "fixed.ipynb", "resume")


@pytest.fixture(autouse=True)
def file(fixed: Fixed) -> Path:
    """The job's file as it was promoted, in an ordinary directory."""
    for held in (fixed.file.parent, fixed.server.home / "elsewhere"):
        if held.is_symlink():
            held.unlink()
        shutil.rmtree(held, ignore_errors=True)
    fixed.file.parent.mkdir()
    fixed.file.write_text(BY_HAND)
    return fixed.file


@pytest.mark.long
def test_fix_is_written_to_its_cell_and_every_other_byte_stays(fixed: Fixed, file: Path) -> None:
    file.chmod(0o640)
    seen = fixed.look()
    assert (seen["target"], seen["state"], seen["by"]) == ("jobs/fixed.ipynb", "write", "ada")
    assert (seen["base"], seen["fixed"], seen["current"]) == (1, 2, True)
    assert [(cell["cell"], cell["state"]) for cell in seen["cells"]] == [(1, "write")]
    assert file.read_text() == BY_HAND
    status, told = fixed.write(seen["seen"])
    assert (status, told["state"]) == (200, "written")
    assert file.read_text() == FIXED_TEXT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]
    assert fixed.look()["state"] == "there"


def test_promoting_the_file_with_the_fix_makes_no_version(hub: RunningHub, fixed: Fixed, file: Path) -> None:
    fixed.write(fixed.look()["seen"])
    body = {"path": "jobs/fixed.ipynb", "name": "fixed"}
    answer = fixed.server.call("POST", "respawn/api/promote/preview", json=body).json()
    assert (answer["preview"]["outcome"], answer["problems"]) == ("unchanged", [])


def test_cell_that_was_changed_in_the_file_is_told_and_left(fixed: Fixed, file: Path) -> None:
    mine = BY_HAND.replace(OLD, '"y = 2 / x"').replace('"x = 0"', '"x = 1"')
    file.write_text(mine)
    seen = fixed.look()
    assert (seen["state"], [cell["state"] for cell in seen["cells"]]) == ("otherwise", ["otherwise"])
    status, told = fixed.write(seen["seen"])
    assert (status, told["state"]) == (200, "otherwise")
    assert file.read_text() == mine


def test_file_that_was_changed_after_the_look_is_left_as_it_is_now(fixed: Fixed, file: Path) -> None:
    seen = fixed.look()
    held = file.stat()
    mine = BY_HAND.replace('"x = 0"', '"x = 5"')
    file.write_text(mine)
    os.utime(file, ns=(held.st_atime_ns, held.st_mtime_ns))  # its content tells, whatever its times say
    status, told = fixed.write(seen["seen"])
    assert (status, "changed meanwhile" in told["message"]) == (409, True)
    assert file.read_text() == mine
    assert fixed.write(fixed.look()["seen"])[1]["state"] == "written"
    assert file.read_text() == FIXED_TEXT.replace('"x = 0"', '"x = 5"')


def test_file_that_is_gone_is_not_made_anew(fixed: Fixed, file: Path) -> None:
    seen = fixed.look()
    file.unlink()
    assert fixed.write(seen["seen"])[0] == 409
    fixed.assert_refused("is no longer there")
    assert not file.exists()


def test_link_is_not_followed_out_of_the_server(fixed: Fixed, file: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.ipynb"
    file.rename(outside)
    file.symlink_to(outside)
    fixed.assert_refused("is a link")
    assert outside.read_text() == BY_HAND
    assert file.is_symlink()


def test_directory_that_is_a_link_is_not_followed(fixed: Fixed, file: Path) -> None:
    elsewhere = fixed.server.home / "elsewhere"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere, target_is_directory=True)
    fixed.assert_refused("is behind a link")
    assert (elsewhere / file.name).read_text() == BY_HAND


def test_file_that_is_read_only_is_left(fixed: Fixed, file: Path) -> None:
    seen = fixed.look()
    file.chmod(0o444)
    fixed.assert_refused("is read-only")
    assert fixed.write(seen["seen"])[0] == 409
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (BY_HAND, 0o444)


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "not JSON"), ('{"nbformat": 3, "worksheets": [], "metadata": {}}', "old version")],
)
def test_file_that_is_no_notebook_of_today_is_left(fixed: Fixed, file: Path, text: str, why: str) -> None:
    file.write_text(text)
    fixed.assert_refused(why)
    assert file.read_text() == text


@pytest.mark.slow
def test_path_that_goes_up_is_refused(hub: RunningHub, server: Server) -> None:
    source = f"{server.home}/jobs/../up.ipynb"
    (server.home / "up.ipynb").write_text(BY_HAND)
    Fixed(hub, server, "goes-up", source, "resume").assert_refused("is no plain path")
    assert (server.home / "up.ipynb").read_text() == BY_HAND


@pytest.mark.long
def test_fix_of_a_restart_is_offered_too(hub: RunningHub, server: Server) -> None:
    file = server.home / "restarted.ipynb"
    file.write_text(BY_HAND)
    restarted = Fixed(hub, server, "restarted", file, "restart")
    outcome = server.call("GET", "respawn/api/outcome", params={"path": restarted.path}).json()
    assert (outcome["run"]["resumed_by"], outcome["restarted"]) == (None, True)
    seen = restarted.look()
    assert (seen["state"], seen["current"]) == ("write", True)
    assert restarted.write(seen["seen"])[1]["state"] == "written"
    assert file.read_text() == FIXED_TEXT
