"""What a recorder sends of the outputs of running cells, and in which order."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest

from respawn_jobs.api.runner_protocol import CellEvent
from respawn_jobs.errors import Unavailable
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.runner.recorder import Recorder
from respawn_kernels.checkpoint.manifest import Manifest
from support.notebooks import notebook, text


class Port:
    """Keeps what it is told; `gate` holds up uploads while it is closed, `away` refuses them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.told: list[tuple[CellState, str | None]] = []
        self.blobs: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.away = False

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        self.gate.wait(30)
        if self.away:
            raise Unavailable("away")
        self.sizes.append(len(source) if isinstance(source, bytes) else 0)
        self.blobs.add(digest)

    def missing(self, digests: list[str]) -> list[str]:
        self.gate.wait(30)
        return digests

    def record(self, events: list[CellEvent]) -> None:
        for event in events:
            assert event.outputs is None or event.outputs in self.blobs
            self.told.append((event.state, event.outputs))


class Playing:
    """A recorder of one cell that prints."""

    def __init__(self) -> None:
        self.port = Port()
        self.notebook = read_notebook(text(notebook("print()")))
        self.now = 0.0
        self.recorder = Recorder(self.port, self.notebook, monotonic=lambda: self.now)  # type: ignore[arg-type]

    def print(self, printed: str) -> None:
        outputs = self.notebook.cells[0].outputs
        if outputs:
            outputs[0]["text"] += printed
        else:
            outputs.append({"output_type": "stream", "name": "stdout", "text": printed})
        self.recorder.changed(0)


@pytest.fixture
def playing():
    playing = Playing()
    yield playing
    playing.recorder.close()


@pytest.mark.long
def test_a_growing_output_takes_a_few_times_its_size_in_all(playing: Playing) -> None:
    async def play() -> None:
        await playing.recorder.start(0)
        for _ in range(100):
            playing.print("x" * 100_000)
            playing.now += 1
            await playing.recorder.flush()
        await playing.recorder.end(0, CellState.EXECUTED)

    asyncio.run(play())
    assert 10 < len(playing.port.sizes) < 60
    assert sum(playing.port.sizes) < 5.1 * 10_000_000
    assert playing.port.sizes[-1] > 10_000_000


def test_a_small_output_is_sent_each_time_for_ever(playing: Playing) -> None:
    async def play() -> None:
        await playing.recorder.start(0)
        for step in range(2000):
            playing.notebook.cells[0].outputs = []
            playing.print(f"{step:1000}")
            playing.now += 1
            await playing.recorder.flush()

    asyncio.run(play())
    assert len(playing.port.sizes) == 2000


def test_the_end_comes_after_outputs_that_were_on_their_way(playing: Playing) -> None:
    async def play() -> None:
        await playing.recorder.start(0)
        playing.print("one")
        playing.port.gate.clear()
        flush = asyncio.ensure_future(playing.recorder.flush())
        await asyncio.sleep(0)
        flush.cancel()
        playing.print("two")
        end = asyncio.ensure_future(playing.recorder.end(0, CellState.EXECUTED))
        await asyncio.sleep(0)
        playing.port.gate.set()
        await end

    asyncio.run(play())
    assert playing.port.told[-1][0] is CellState.EXECUTED
    assert playing.port.sizes[-1] > playing.port.sizes[0]


def test_outputs_that_could_not_be_stored_are_sent_the_next_time(playing: Playing) -> None:
    async def play() -> None:
        await playing.recorder.start(0)
        playing.print("one")
        playing.port.away = True
        with pytest.raises(Unavailable):
            await playing.recorder.flush()
        playing.port.away = False
        await playing.recorder.flush()

    asyncio.run(play())
    assert playing.port.told[-1][1] in playing.port.blobs


def test_notes_about_a_cell_are_all_kept(playing: Playing) -> None:
    async def play() -> None:
        await playing.recorder.note(0, "not restored: model")
        await playing.recorder.end(0, CellState.EXECUTED)
        await playing.recorder.note(0, "no checkpoint")

    asyncio.run(play())
    assert playing.recorder.events[0].note == "not restored: model; no checkpoint"


def test_a_checkpoint_that_the_end_of_the_run_cuts_off_is_no_error_in_the_log(
    playing: Playing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = tmp_path / "0.json"
    manifest.write_text(Manifest(0, "3.11", "", 1, [], [], []).to_json())

    async def play() -> None:
        playing.port.gate.clear()
        commit = asyncio.ensure_future(playing.recorder.commit(manifest, tmp_path))
        await asyncio.sleep(0)
        playing.recorder.close()
        commit.cancel()
        await asyncio.wait({commit})
        playing.port.gate.set()
        while any(thread.name.startswith("respawn-uploader") for thread in threading.enumerate()):
            await asyncio.sleep(0.01)

    asyncio.run(play())
    gc.collect()
    assert playing.port.sizes == []
    assert caplog.records == []
