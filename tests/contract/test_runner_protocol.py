"""What every `RunnerPort` promises, held against the ledger in-process and the service over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import (
    PROTOCOL,
    CellEvent,
    CheckpointCommit,
    Outcome,
    RunnerPort,
    RunnerVersion,
)
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.errors import Conflict, Corrupt, Fenced, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.resume.carry_over import recorded
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellError, CellState, RunState
from respawn_jobs.notebook.document import source_hash
from respawn_jobs.remote.client import RemoteRunner
from respawn_jobs.store.tables import RunRow
from respawn_kernels.digest import digest_of
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.service import served

pytestmark = pytest.mark.integration

Connect = Callable[[str, str], RunnerPort]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def ledger(data: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(data)
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def url(ledger: Ledger, data: Path) -> Iterator[str]:
    with served(ledger, data) as url:
        yield url


@pytest.fixture(params=["in-process", "http"])
def connect(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Connect]:
    """How a runner gets at its port: from the attempt and a token."""
    opened: list[RunnerPort] = []

    def connect(attempt: str, token: str) -> RunnerPort:
        if request.param == "in-process":
            opened.append(ledger.runner(attempt, token))
        else:
            opened.append(RemoteRunner(request.getfixturevalue("url"), attempt, token))
        return opened[-1]

    yield connect
    for port in opened:
        port.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor.owner("ada"))


@pytest.fixture
def run(ada: Service) -> str:
    """A queued run of a notebook with two cells."""
    version = ada.promote(Promotion(name="report", notebook=text(notebook("x = 1", "x + 1"))))
    return ada.run(RunRequest(job=version.job)).id


@pytest.fixture
def attempt(ledger: Ledger, run: str) -> tuple[str, str]:
    return ledger.open_attempt(run, "test")


@pytest.fixture
def port(connect: Connect, attempt: tuple[str, str]) -> RunnerPort:
    return connect(*attempt)


def put(port: RunnerPort, data: bytes) -> str:
    port.put_blob(digest_of(data), data)
    return digest_of(data)


def event(index: int, state: CellState = CellState.PENDING, outputs: str | None = None) -> CellEvent:
    return CellEvent(index=index, cell_id=f"cell-{index}", state=state, source_hash="0" * 64, outputs=outputs)


def test_claim_tells_all_that_the_attempt_needs(port: RunnerPort, run: str) -> None:
    assignment = port.claim()
    assert (assignment.run, assignment.kernel, assignment.number) == (run, "python3", 1)
    assert b"x + 1" in port.get_blob(assignment.notebook)


def test_runner_and_service_name_the_protocol_that_they_speak(
    port: RunnerPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("api.runner_protocol", "ledger.attempts.runner_port"):
        monkeypatch.setattr(f"respawn_jobs.{module}.PROTOCOL", PROTOCOL + 1)
    assert port.claim(RunnerVersion(protocol=PROTOCOL + 1)).protocol == PROTOCOL + 1


def test_a_second_claim_is_refused(port: RunnerPort) -> None:
    port.claim()
    with pytest.raises(Conflict):
        port.claim()


def test_nothing_is_taken_before_the_claim(port: RunnerPort) -> None:
    with pytest.raises(Conflict):
        port.heartbeat()


def test_another_token_is_refused(connect: Connect, attempt: tuple[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        connect(attempt[0], "another").claim()


def test_cells_and_outputs_can_be_seen_as_they_come(port: RunnerPort, ada: Service, run: str) -> None:
    port.claim()
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), [event(0), event(1)])
    outputs = put(port, b'[{"output_type": "stream", "name": "stdout", "text": "so far"}]')
    port.record([event(0, CellState.RUNNING, outputs)])
    assert [cell.state for cell in ada.show(run).cells] == [CellState.RUNNING, CellState.PENDING]
    assert ada.outputs(run, 0)[0]["text"] == "so far"


def test_what_was_seen_of_a_cell_is_kept_and_comes_to_the_plan(
    port: RunnerPort, ada: Service, run: str, ledger: Ledger
) -> None:
    port.claim()
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), [event(0), event(1)])
    seen = CellEvidence(reads=("scale",), changed=("#random",), inputs=(("/in.csv", 7, 1_700_000_000_123),))
    ended = event(0, CellState.EXECUTED).model_copy(update={"evidence": seen})
    port.record([ended])
    port.record([ended.model_copy(update={"note": "noted later"}), event(1, CellState.FAILED)])
    port.finish(Outcome(state="failed", error=CellError(cell=1, name="E", value="")))

    with ledger.database.session() as session:
        recorded_run = recorded(session, session.get_one(RunRow, run))
    assert [cell.evidence for cell in recorded_run.cells] == [seen, None]
    assert [cell.evidence for cell in ada.debug(run).cells] == [seen, None]
    assert [cell.evidence for cell in ada.show(run).cells] == [None, None], "lists of cells stay small"


def test_what_was_seen_of_a_reused_cell_goes_on_with_it(
    port: RunnerPort, ada: Service, run: str, ledger: Ledger, connect: Connect
) -> None:
    cells = [(index, cell) for index, cell in enumerate(notebook("x = 1", "x + 1").cells)]
    events = [
        event(index).model_copy(update={"source_hash": source_hash(cell.source)}) for index, cell in cells
    ]
    port.claim()
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), events)
    seen = CellEvidence(libraries=("pandas.core.frame",))
    port.record([events[0].model_copy(update={"state": CellState.EXECUTED, "evidence": seen})])
    manifest = put(port, b"a manifest")
    checkpoint = Checkpoint(cell=0, manifest=manifest, variables=1, size=0)
    port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=[]))
    port.finish(Outcome(state="failed", error=CellError(cell=1, name="E", value="")))

    resumed = ada.resume(run, ResumeRequest()).id
    following = connect(*ledger.open_attempt(resumed, "test"))
    following.claim()
    following.begin(put(following, text(notebook("x = 1", "x + 1")).encode()), events)
    reused = events[0].model_copy(update={"state": CellState.REUSED})
    following.record([reused])
    following.finish(Outcome(state="failed", error=CellError(cell=1, name="E", value="")))
    assert [cell.evidence for cell in ada.debug(resumed).cells] == [seen, None]


def test_a_plan_is_made_anew_with_what_a_cell_was_seen_to_do(
    ada: Service, ledger: Ledger, connect: Connect
) -> None:
    sources = ("x = 1", "a = 1", "y = x", "1/0")
    over_the_other = Promotion(name="anew", notebook=text(notebook(*sources)), agreed=["replace_fix"])
    version = ada.promote(over_the_other)
    first = ada.run(RunRequest(job=version.job)).id
    played = PlayedRunner(ledger, first)
    played.begin()
    for index in range(3):
        played.execute(index)
    played.fail(3)
    fixed = notebook(sources[0], "a = 2", *sources[2:])
    resumed = ada.resume(first, ResumeRequest(notebook=text(fixed))).id
    port = connect(*ledger.open_attempt(resumed, "test"))
    start = port.claim().resume
    assert start is not None
    assert (start.rerun, [one.index for one in start.predictions], start.basis) == ([1], [1], first)
    assert start.predictions[0].footprint.may_write("a")
    cells = [
        event(index).model_copy(update={"source_hash": source_hash(cell.source)})
        for index, cell in enumerate(fixed.cells)
    ]
    port.begin(put(port, text(fixed).encode()), cells)
    ran = cells[1].model_copy(
        update={"state": CellState.EXECUTED, "evidence": CellEvidence(bound=("a", "x"))}
    )
    port.record([ran])
    answer = port.reconsider([1])
    assert (answer.rerun, answer.forget, answer.stop) == ([2], ["y"], None)


def test_evidence_beyond_all_bounds_is_refused(port: RunnerPort) -> None:
    with pytest.raises(ValidationError, match="larger than"):
        CellEvent(**{**dict(event(0)), "evidence": CellEvidence(reads=("x" * 70_000,))})


def test_an_event_that_names_a_blob_which_was_not_put_is_refused_whole(
    port: RunnerPort, ada: Service, run: str
) -> None:
    port.claim()
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), [event(0), event(1)])
    with pytest.raises(InvalidInput):
        port.record([event(0, CellState.EXECUTED), event(1, CellState.EXECUTED, "f" * 64)])
    assert {cell.state for cell in ada.show(run).cells} == {CellState.PENDING}


def test_bytes_that_do_not_match_their_digest_are_refused(port: RunnerPort) -> None:
    port.claim()
    digest = digest_of(b"what was promised")
    with pytest.raises(Corrupt):
        port.put_blob(digest, b"something else")
    assert port.missing([digest]) == [digest]


def test_only_missing_blobs_are_named_missing(port: RunnerPort, tmp_path: Path) -> None:
    port.claim()
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * 200_000)
    digest = digest_of(large.read_bytes())
    port.put_blob(digest, large)
    assert port.missing([digest, "e" * 64]) == ["e" * 64]


def test_a_checkpoint_counts_once_its_blobs_are_there(port: RunnerPort, ada: Service, run: str) -> None:
    port.claim()
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), [event(0), event(1)])
    manifest = put(port, f"manifest of {run}".encode())
    checkpoint = Checkpoint(cell=0, manifest=manifest, variables=1, size=3)
    with pytest.raises(InvalidInput):
        port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=["d" * 64]))
    assert ada.show(run).checkpoints == []
    blob = put(port, b"abc")
    port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=[blob]))
    assert [kept.manifest for kept in ada.show(run).checkpoints] == [manifest]


def test_blobs_of_others_cannot_be_read(port: RunnerPort, ledger: Ledger) -> None:
    port.claim()
    with pytest.raises(NotFound):
        port.get_blob(ledger.blobs.put_bytes(b"the secret of another run"))


def test_the_heartbeat_tells_that_the_run_was_cancelled(port: RunnerPort, ada: Service, run: str) -> None:
    port.claim()
    assert port.heartbeat().command == "continue"
    ada.cancel(run)
    assert port.heartbeat().command == "cancel"


def test_a_finished_attempt_takes_nothing_more(port: RunnerPort, ada: Service, run: str) -> None:
    port.claim()
    port.finish(Outcome(state="succeeded"))
    for call in (port.heartbeat, lambda: port.record([event(0)]), lambda: put(port, b"late")):
        with pytest.raises(Fenced):
            call()
    with pytest.raises(Fenced):
        port.finish(Outcome(state="failed"))
    assert ada.show(run).run.state is RunState.SUCCEEDED


def test_an_end_may_be_told_again(port: RunnerPort, ada: Service, run: str) -> None:
    """The answer to the first may have been lost on its way."""
    port.claim()
    error = CellError(cell=0, name="KeyError", value="'price'")
    for _ in range(2):
        port.finish(Outcome(state="failed", error=error))
    with pytest.raises(Fenced):
        port.finish(Outcome(state="failed", error=error.model_copy(update={"value": "'cost'"})))
    assert ada.show(run).run.error == error


def test_an_attempt_that_was_lost_is_fenced(
    port: RunnerPort, ledger: Ledger, attempt: tuple[str, str], ada: Service, run: str
) -> None:
    port.claim()
    ledger.lose(attempt[0], "its machine is gone")
    with pytest.raises(Fenced):
        port.finish(Outcome(state="succeeded"))
    assert ada.show(run).run.state is RunState.LOST


def test_bytes_that_another_namespace_stored_must_be_put_before_they_are_named(
    port: RunnerPort, ledger: Ledger, ada: Service, run: str
) -> None:
    port.claim()
    data = f"known to others before {run}".encode()
    digest = ledger.blobs.put_bytes(data)
    port.begin(put(port, text(notebook("x = 1", "x + 1")).encode()), [event(0), event(1)])
    assert port.missing([digest]) == [digest]
    with pytest.raises(InvalidInput):
        port.record([event(0, CellState.EXECUTED, digest)])
    with pytest.raises(Corrupt):
        port.put_blob(digest, b"")
    port.put_blob(digest, data)
    port.record([event(0, CellState.EXECUTED, digest)])
    assert ada.blob(run, digest) == data
