"""The inbox on a real object store."""

from __future__ import annotations

from typing import Any

import fsspec
import pytest

from respawn_jobs.blobs.inbox import Inbox
from respawn_jobs.errors import Unavailable
from support.s3 import S3


@pytest.fixture
def bucket(s3_env: S3) -> str:
    return s3_env.bucket("inbox")


def _filesystem() -> Any:
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


@pytest.mark.long
def test_objects_are_seen_at_once_and_marked_by_what_was_written(bucket: str) -> None:
    store = _filesystem()
    inbox = Inbox(f"s3://{bucket}/drop")
    assert inbox.list_objects("user/ada", "in") == []
    store.pipe_file(f"{bucket}/drop/user/ada/in/deep/a b.csv", b"1")
    store.pipe_file(f"{bucket}/drop/user/ada/in/.part", b"1")
    store.pipe_file(f"{bucket}/drop/user/ada/inner/b.csv", b"1")
    store.pipe_file(f"{bucket}/drop/user/bob/in/c.csv", b"1")
    (first,) = inbox.list_objects("user/ada", "in")
    assert (first.name, first.address) == ("deep/a b.csv", f"s3://{bucket}/drop/user/ada/in/deep/a b.csv")
    assert inbox.list_objects("user/ada", "in") == [first]
    store.pipe_file(f"{bucket}/drop/user/ada/in/deep/a b.csv", b"2")
    (second,) = inbox.list_objects("user/ada", "in")
    assert second.mark != first.mark


@pytest.mark.long
def test_a_bucket_that_is_not_there_is_told_without_credentials(bucket: str) -> None:
    with pytest.raises(Unavailable, match="does not answer") as caught:
        Inbox("s3://key:hidden@no-such-bucket-here/drop").list_objects("user/ada", "in")
    assert "hidden" not in caught.value.message
