"""What service and runner say of the files that a version carries, in-process and over HTTP."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from contract.test_runner_protocol import Connect as Connect
from contract.test_runner_protocol import ada, connect, data, event, ledger, put, url

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.runner_protocol import CellEvent, CheckpointCommit, Outcome, RunnerVersion
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.carried.archive import content_of
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.notebook.document import source_hash
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook, text

__all__ = ["ada", "connect", "data", "ledger", "url"]
pytestmark = pytest.mark.integration

CELLS = ("import helpers", "made = helpers.make('made.txt')", "1 / 0")
_numbers = count()
FILES = [NewFile.of("helpers.py", b"x = 1\n", modified=5), NewFile.of("rates.csv", b"1\n")]


@pytest.fixture
def job() -> str:
    return f"carries-{next(_numbers)}"


@pytest.fixture
def run(ada: Service, job: str) -> str:
    promotion = Promotion(name=job, notebook=text(notebook(*CELLS)), directory="/nb", files=FILES)
    return ada.run(RunRequest(job=ada.promote(promotion).job)).id


def test_an_attempt_is_told_its_own_directory_and_can_read_what_lies_in_it(
    connect: Connect, ledger: Ledger, run: str, job: str
) -> None:
    port = connect(*ledger.open_attempt(run, "test"))
    assignment = port.claim()
    own = assignment.own_directory
    assert own is not None
    assert (assignment.directory, own.name, own.edited, own.left) == (None, f"{job}-{run}", [], [])
    assert own.bundle is not None
    archive = port.get_blob(own.bundle)
    assert {file.path: content_of(archive, file) for file in own.files} == {
        "helpers.py": b"x = 1\n",
        "rates.csv": b"1\n",
    }
    assert own.files[0].modified == 5


def test_a_runner_that_cannot_lay_files_out_is_refused(connect: Connect, ledger: Ledger, run: str) -> None:
    with pytest.raises(Conflict, match="too old to lay them out"):
        connect(*ledger.open_attempt(run, "test")).claim(RunnerVersion(protocol=1))


def test_what_goes_on_is_told_what_was_edited_and_what_cells_have_left(
    connect: Connect, ledger: Ledger, ada: Service, run: str, job: str
) -> None:
    directory = f"/srv/ada/respawn-work/{job}-{run}"
    port = connect(*ledger.open_attempt(run, "test"))
    port.claim()
    port.begin(put(port, text(notebook(*CELLS)).encode()), [event(index) for index in range(3)])
    manifest = put(port, b"manifest")
    ran = [
        CellEvidence(opened=(f"{directory}/helpers.py",)),
        CellEvidence(
            written=(f"{directory}/made.txt", f"{directory}/gone.txt", "/elsewhere.txt"),
            outputs=(
                (f"{directory}/made.txt", 1, 1),
                (f"{directory}/gone.txt", -2, 0),
                ("/elsewhere.txt", 1, 1),
            ),
        ),
    ]
    port.record([_done(index, evidence) for index, evidence in enumerate(ran)])
    checkpoint = Checkpoint(cell=1, manifest=manifest, variables=1, size=1)
    port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=[], directory=directory))
    port.finish(Outcome(state="failed", error=CellError(cell=2, name="ZeroDivisionError", value="")))
    assert ada.show(run).attempts[-1].directory == directory
    assert ada.debug(run).worked_in == directory
    fixed = text(notebook(*CELLS[:2], "pass"))
    edited = [FILES[0], NewFile.of("rates.csv", b"2\n"), NewFile.of("new.csv", b"")]
    plan = ada.plan(run, ResumeRequest(notebook=fixed, files=edited))
    assert [cell.action.value for cell in plan.cells] == ["reuse", "reuse", "run"], (
        "no cell has used rates.csv"
    )
    again = ada.resume(run, ResumeRequest(notebook=fixed, files=edited))
    own = connect(*ledger.open_attempt(again.id, "test")).claim().own_directory
    assert own is not None
    assert (own.name, own.edited) == (f"{job}-{run}", ["new.csv", "rates.csv"])
    assert [(one.path, one.cell) for one in own.left] == [("made.txt", 1)]
    assert [file.path for file in ada.versions(job)[0].files or []] == [
        "helpers.py",
        "new.csv",
        "rates.csv",
    ]
    with pytest.raises(
        Conflict, match=r"holds a fix .* lacks it in cell 2 and comes without it in new.csv and rates.csv"
    ):
        ada.promote(Promotion(name=job, notebook=text(notebook(*CELLS)), files=FILES))
    with pytest.raises(Conflict, match=r"holds a fix .* this file comes without it in rates.csv"):
        ada.promote(Promotion(name=job, notebook=fixed, files=[*edited[:1], FILES[1], edited[2]]))
    assert ada.promote(Promotion(name=job, notebook=fixed, files=edited)).number == 2


def test_an_edit_of_a_module_runs_again_the_cells_that_have_used_it(
    connect: Connect, ledger: Ledger, ada: Service, run: str
) -> None:
    port = connect(*ledger.open_attempt(run, "test"))
    port.claim()
    port.begin(put(port, text(notebook(*CELLS)).encode()), [event(index) for index in range(3)])
    port.record([_done(0, CellEvidence(opened=("/own/helpers.py",))), _done(1, CellEvidence())])
    checkpoint = Checkpoint(cell=1, manifest=put(port, b"another manifest"), variables=1, size=1)
    port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=[], directory="/own"))
    port.finish(Outcome(state="failed", error=CellError(cell=2, name="ZeroDivisionError", value="")))
    edited = [NewFile.of("helpers.py", b"x = 2\n"), FILES[1]]
    plan = ada.plan(run, ResumeRequest(notebook=text(notebook(*CELLS[:2], "pass")), files=edited))
    assert [cell.action.value for cell in plan.cells] == ["run", "run", "run"]
    assert plan.cells[0].why == "helpers.py was edited"
    same = ada.plan(run, ResumeRequest(notebook=text(notebook(*CELLS[:2], "pass")), files=FILES))
    assert [cell.action.value for cell in same.cells] == ["reuse", "reuse", "run"]


def test_a_fix_carries_no_files_where_runs_work_beside_the_notebook(
    connect: Connect, ledger: Ledger, ada: Service, tmp_path: Path
) -> None:
    promotion = Promotion(name="beside", notebook=text(notebook(*CELLS)), directory=str(tmp_path))
    version = ada.promote(promotion)
    run = ada.run(RunRequest(job=version.job)).id
    port = connect(*ledger.open_attempt(run, "test"))
    assignment = port.claim()
    assert (assignment.directory, assignment.own_directory) == (str(tmp_path), None)
    port.finish(Outcome(state="failed", error=CellError(cell=None, name="KernelStart", value="")))
    with pytest.raises(InvalidInput, match="work where its notebook lies"):
        ada.resume(run, ResumeRequest(files=FILES))


def _done(index: int, evidence: CellEvidence) -> CellEvent:
    return CellEvent(
        index=index,
        cell_id=f"cell-{index}",
        state=CellState.EXECUTED,
        source_hash=source_hash(CELLS[index]),
        evidence=evidence,
    )
