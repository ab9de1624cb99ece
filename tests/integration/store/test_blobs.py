"""Blobs on files and on a real S3 server: one promise, two stores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from respawn_jobs.blobs import BlobStore
from respawn_jobs.errors import Corrupt, InvalidInput, NotFound, Unavailable
from respawn_kernels.digest import digest_of

pytestmark = pytest.mark.integration


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.s3)])
def store(request, tmp_path, monkeypatch):
    if request.param == "file":
        return BlobStore((tmp_path / "blobs with spaces").as_uri())
    server = request.getfixturevalue("s3_server")
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return BlobStore(f"s3://{server.bucket()}/some/prefix")


def test_bytes_come_back(store):
    for data in (b"", b"hello", os.urandom(3_000_000)):
        digest = store.put_bytes(data)
        assert digest == digest_of(data)
        assert store.get(digest) == data
        assert store.exists(digest)


def test_a_file_is_stored_under_its_digest(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"content" * 1000)
    digest = digest_of(source.read_bytes())
    store.put(digest, source)
    store.put(digest, source)
    target = tmp_path / "target"
    store.open_to(digest, target)
    assert target.read_bytes() == source.read_bytes()


def test_bytes_that_do_not_match_are_refused_and_not_stored(store):
    digest = digest_of(b"right")
    with pytest.raises(Corrupt, match=digest):
        store.put(digest, b"wrong")
    assert not store.exists(digest)


def test_what_is_not_stored_is_told_in_order(store):
    there = store.put_bytes(b"there")
    gone = [digest_of(b"1"), digest_of(b"2")]
    assert store.missing([gone[1], there, gone[0], gone[1]]) == [gone[1], gone[0]]
    assert store.missing([]) == []
    with pytest.raises(NotFound, match=gone[0]):
        store.get(gone[0])


@pytest.mark.parametrize("bad", ["", "abc", "../../etc/passwd", "A" * 64, "g" * 64])
def test_a_name_that_is_no_digest_is_refused(store, bad):
    for call in (store.get, store.exists, lambda digest: store.missing([digest])):
        with pytest.raises(InvalidInput, match="not a digest"):
            call(bad)


def test_the_same_blob_from_many_threads_is_stored_once_and_whole(store):
    data = os.urandom(500_000)
    with ThreadPoolExecutor(6) as pool:
        digests = set(pool.map(store.put_bytes, [data] * 12))
    assert store.get(digests.pop()) == data
    assert not digests


def test_a_damaged_file_is_noticed_when_it_is_read(tmp_path):
    store = BlobStore(tmp_path.as_uri())
    digest = store.put_bytes(b"content")
    (tmp_path / digest[:2] / digest).write_bytes(b"c0ntent")
    with pytest.raises(Corrupt, match=digest):
        store.get(digest)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "blobs").write_text("a file where a directory should be")
    store = BlobStore((tmp_path / "blobs").as_uri())
    with pytest.raises(Unavailable, match="blobs"):
        store.put_bytes(b"content")


def test_an_object_store_that_is_down_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = BlobStore("s3://bucket/prefix")
    with pytest.raises(Unavailable, match="s3://bucket"):
        store.get(digest_of(b"x"))


@pytest.mark.s3
def test_a_bucket_that_does_not_exist_is_unavailable(s3_server, monkeypatch):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match="s3://no-such-bucket"):
        BlobStore("s3://no-such-bucket").put_bytes(b"x")


def test_a_scheme_that_nobody_knows_is_refused():
    with pytest.raises(InvalidInput, match="nope"):
        BlobStore("nope://x").exists(digest_of(b"x"))
