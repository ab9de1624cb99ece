"""One image for all tests of a session: a build takes minutes."""

from __future__ import annotations

import pytest

from support.image_builds import BuiltImage, built_image


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """The image of `base`, and its environment on this machine."""
    return built_image(tmp_path_factory)
