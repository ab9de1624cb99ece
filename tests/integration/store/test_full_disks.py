"""A disk that is full: it is said, nothing is half-written, and all goes on when there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
_KILOBYTE = 1024


@contextmanager
def no_room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_database_without_room_says_so_and_goes_on_when_there_is_some(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    with ledger.database.session(write=True) as session:
        connection = session.connection()
        room = connection.exec_driver_sql("PRAGMA max_page_count").scalar()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    def run_many() -> None:
        for number in range(1000):
            ada.run(RunRequest(job="report", parameters={}))
            made.append(number)

    made: list[int] = []
    with pytest.raises(Unavailable, match="no room left"):
        run_many()
    assert len(ada.runs(limit=1000)) == len(made), "what was refused left nothing"
    assert ledger.verify_audit() == 1 + len(made)
    with ledger.database.session() as session:
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={room}")
    ada.run(RunRequest(job="report"))
    assert len(ada.runs(limit=1000)) == len(made) + 1
    ledger.close()


def test_a_blob_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path.as_uri())
    data = bytes(range(256)) * 4 * _KILOBYTE
    with no_room_for(100 * _KILOBYTE), pytest.raises(Unavailable, match="blob store"):
        blobs.put_bytes(data)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    digest = blobs.put_bytes(data)
    assert digest == digest_of(data)
    assert blobs.get(digest) == data


def test_a_promotion_that_does_not_fit_makes_no_version(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path)
    ada = ledger.as_actor(Actor.owner("ada"))
    request = Promotion(name="report", notebook=text(notebook(f"a = {'1' * 300 * _KILOBYTE!r}")))
    ada.jobs()
    with no_room_for(200 * _KILOBYTE), pytest.raises(Unavailable):
        ada.promote(request)
    assert ada.jobs() == []
    assert ada.promote(request).number == 1
    ledger.close()
