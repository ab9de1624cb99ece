"""The S3 server that other tests stand on."""

from __future__ import annotations

import os

import pytest

from support.s3 import S3


@pytest.mark.s3
@pytest.mark.integration
def test_bytes_put_into_a_new_bucket_come_back(s3_env: S3) -> None:
    import fsspec

    assert os.environ["AWS_ENDPOINT_URL"] == s3_env.endpoint
    path = f"s3://{s3_env.bucket()}/folder/blob"
    files = fsspec.filesystem("s3", endpoint_url=s3_env.endpoint)
    files.pipe_file(path, b"bytes")
    assert files.cat_file(path) == b"bytes"
