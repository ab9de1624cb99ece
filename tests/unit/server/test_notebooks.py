"""Where the notebooks of runs are kept on a person's server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from respawn_server.notebooks import Notebooks

RUN: Any = SimpleNamespace(id="run-0123456789", job="user/ada/prices")


class Slow(AsyncLargeFileManager):
    """Contents on a slow disk: others have their turn after each look."""

    async def dir_exists(self, path: str) -> bool:
        found: bool = await super().dir_exists(path)
        await asyncio.sleep(0)
        return found


def test_a_directory_that_several_ask_for_at_once_is_made_once(tmp_path: Path) -> None:
    async def places() -> list[str]:
        notebooks = Notebooks(Slow(root_dir=str(tmp_path)))
        return list(await asyncio.gather(*(notebooks.prepare_place(RUN, own=False) for _ in range(4))))

    assert set(asyncio.run(places())) == {"respawn-debug/prices-run-0123456789.ipynb"}


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "respawn-debug").write_text("a file")
    notebooks = Notebooks(AsyncLargeFileManager(root_dir=str(tmp_path)))
    with pytest.raises(HTTPError):
        asyncio.run(notebooks.prepare_place(RUN, own=False))
