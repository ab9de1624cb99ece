"""How far a transfer is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from respawn_kernels.sizes import how_large


@contextmanager
def transfer(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many bytes are there, of how many; nothing when `quiet`."""
    if quiet:
        yield lambda _there, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[bytes]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, bytes="")

        def report(there: int, total: int) -> None:
            amount = f"{how_large(there)} of {how_large(total)}"
            bar.update(task, total=total, completed=there, bytes=amount)

        yield report
