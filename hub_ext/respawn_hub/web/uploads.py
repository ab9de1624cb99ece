"""Where bytes of a request lie on their way to the blob store: in a file that no kill can leave behind."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def upload_file(directory: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Give an empty file, and a path by which this process opens it again; it is gone when the block ends.

    On Linux it has no name in the directory, so the system frees it with the process, however that ends.

    Args:
        directory: on whose disk it lies; made when it is missing.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "linux":
        with tempfile.TemporaryFile(dir=directory) as unnamed:
            yield unnamed, Path(f"/proc/self/fd/{unnamed.fileno()}")
    else:
        with tempfile.NamedTemporaryFile(dir=directory) as named:
            yield named.file, Path(named.name)
