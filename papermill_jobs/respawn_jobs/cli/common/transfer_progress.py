"""How far a transfer is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def transfer(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many bytes are there, of how many; nothing when `quiet`."""
    if quiet:
        yield lambda _there, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda there, total: bar.update(task, total=total, completed=there)
