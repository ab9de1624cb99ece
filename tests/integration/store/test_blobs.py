"""Blobs on files and on a real S3 server: one promise, two stores."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Corrupt, InvalidInput, NotFound, Unavailable
from respawn_kernels.digest import digest_of, digest_of_file

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


def test_a_proof_of_writes_leaves_nothing(store):
    store.prove_writes()
    store.prove_writes()
    assert list(store.listed()) == []


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


def test_a_blob_comes_back_in_pieces(store):
    data = os.urandom(9_000_000)
    pieces = list(store.stream(store.put_bytes(data)))
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    assert list(store.stream(store.put_bytes(b""))) == []
    with pytest.raises(NotFound):
        next(store.stream(digest_of(b"gone")))


def test_a_damaged_blob_is_told_when_its_stream_ends(tmp_path):
    store = BlobStore((tmp_path / "blobs").as_uri())
    digest = store.put_bytes(b"content")
    (tmp_path / "blobs" / digest[:2] / digest).write_bytes(b"c0ntent")
    with pytest.raises(Corrupt, match=digest):
        list(store.stream(digest))
    with pytest.raises(Corrupt, match=digest):
        store.open_to(digest, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs"]


def test_a_blob_that_was_cut_short_is_healed_by_the_next_put(tmp_path):
    store = BlobStore((tmp_path / "blobs").as_uri())
    digest = store.put_bytes(b"content")
    (tmp_path / "blobs" / digest[:2] / digest).write_bytes(b"con")
    store.put_bytes(b"content")
    assert store.get(digest) == b"content"
    (tmp_path / "blobs" / digest[:2] / digest).write_bytes(b"")
    (tmp_path / "source").write_bytes(b"content")
    store.put(digest, tmp_path / "source")
    assert store.get(digest) == b"content"


_PASS = """
import resource, sys
from pathlib import Path
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_kernels.digest import digest_of_file

store, source, target = BlobStore(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
store.put_bytes(b"small")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
digest = digest_of_file(source)
store.put(digest, source)
store.open_to(digest, target)
print((peak() - before) * 1024)
"""


@pytest.mark.long
def test_a_large_blob_never_lies_whole_in_memory(store, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for _ in range(30):
            file.write(os.urandom(10_000_000))
    command = [sys.executable, "-c", _PASS, store.url, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100_000_000
    assert digest_of_file(target) == digest_of_file(source)


@pytest.mark.filterwarnings("ignore:.*FTPFileSystem.__del__")
def test_no_error_tells_the_credentials_of_the_store():
    store = BlobStore("ftp://ada:s3cret@127.0.0.1:9/blobs?token=hush")
    with pytest.raises(Unavailable, match="ftp://127") as caught:
        store.get(digest_of(b"x"))
    told = f"{caught.value.message} {caught.value.fields} {store.url}"
    assert "s3cret" not in told
    assert "hush" not in told


def test_no_error_tells_the_credentials_of_the_endpoint(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://ada:s3cret@127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable, match="s3://bucket") as caught:
        BlobStore("s3://bucket/prefix").get(digest_of(b"x"))
    assert "s3cret" not in caught.value.message
