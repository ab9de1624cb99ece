"""The image of `base` and a hub of `config/containers`, each once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.browser import chromium, context, page
from support.container_hub import ContainerHub, container_hub
from support.image_builds import BuiltImage, built_image
from support.postgres import Postgres
from support.s3 import S3

__all__ = ["chromium", "context", "page"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """The image, with the same environment on this machine."""
    return built_image(tmp_path_factory)


@pytest.fixture(scope="package")
def hub(
    tmp_path_factory: pytest.TempPathFactory, built: BuiltImage, postgres: Postgres, s3_server: S3
) -> Iterator[ContainerHub]:
    """A hub for ada, eve and kim, with PostgreSQL and the S3 gateway."""
    variables = {
        **s3_server.env,
        "RESPAWN_DB_URL": postgres.prepared(),
        "RESPAWN_BLOBS_URL": f"s3://{s3_server.bucket()}/blobs",
        "JUPYTER_PATH": str(built.prefix / "share" / "jupyter"),
    }
    directory = tmp_path_factory.mktemp("hub")
    with container_hub(
        directory, built.containers, built.image.tag, users=("ada", "eve", "kim"), variables=variables
    ) as running:
        yield running
