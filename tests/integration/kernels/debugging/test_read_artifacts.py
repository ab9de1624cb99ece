"""A debug notebook is given what the failed run read of other jobs, and says so of all else."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.artifact_records import ArtifactRecord, Shelf
from support.debug_kernels import restored
from support.kernels import Kernel

pytestmark = pytest.mark.integration


def place(directory: Path, name: str, content: bytes | None) -> None:
    shelf = Shelf(directory / "artifacts").make()
    record = ArtifactRecord(
        name=name, number=2, kind="json", type="dict", description="1 item", size=9,
        saved_at="2026-12-01T04:00:00.000+00:00", file=f"{name.replace('/', '-')}.json",
    )  # fmt: skip
    if content is not None:
        shelf.file(record).write_bytes(content)
    write_whole(shelf.path("before", name), record.to_json().encode())


def test_what_the_run_read_is_there_and_nothing_else(kernel: Kernel, fetched: Path) -> None:
    place(fetched, "train/model", b'{"n": 5}')
    place(fetched, "train/large", None)
    place(fetched, "own", b'{"n": 6}')
    restored(kernel)
    kernel.run("import respawn")
    assert kernel.value("respawn.latest('train/model')") == {"n": 5}
    assert kernel.value("[one.name for one in respawn.artifacts()]") == ["own"]
    assert kernel.value("respawn.latest('train/other', 'none')") == "none"
    tried = "\ntry: respawn.latest({!r})\nexcept Exception as error: told = str(error)\n"
    kernel.run(tried.format("train/other"))
    assert "did not read it" in kernel.value("told")
    kernel.run(tried.format("train/large"))
    assert "train/large --debug" in kernel.value("told")
    kernel.run(tried.format("model"))
    assert "respawn.latest('nightly/model')" in kernel.value("told")
