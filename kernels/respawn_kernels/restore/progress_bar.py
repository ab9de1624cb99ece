"""A progress bar in a notebook, shown only when something takes longer than a second."""

from __future__ import annotations

from html import escape
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.originals import monotonic
from respawn_kernels.sizes import how_large

DELAY_SECONDS = 1.0
_BETWEEN_SECONDS = 0.25


class Bar:
    """Shows how much is loaded; call `tell` now and then, and `done` at its end.

    Args:
        what: what is loaded, such as the names of variables.
        time_limit: seconds after which it is shown; what is faster is not shown at all.
    """

    def __init__(self, what: str, time_limit: float = DELAY_SECONDS) -> None:
        self._what = what
        self._started = monotonic()
        self._next = self._started + time_limit
        self._handle: Any = None
        self._there, self._total, self._ended = 0, 0, False

    def tell(self, there: int, total: int) -> None:
        """Note how many bytes are there, of how many in all; show it when it is time."""
        self._there, self._total = there, total
        now = monotonic()
        if now >= self._next and live_shell() is not None:
            self._next = now + _BETWEEN_SECONDS
            self._show()

    def done(self) -> None:
        """Show that it ended, well or not; a bar that was not shown before is not shown now."""
        self._ended = True
        if self._handle is not None:
            self._show()

    def __repr__(self) -> str:
        if self._ended and self._there >= self._total:
            seconds = monotonic() - self._started
            return f"Loaded {self._what}: {how_large(self._total)} in {seconds:.1f} s"
        verb = "Stopped loading" if self._ended else "Loading"
        return f"{verb} {self._what}: {how_large(self._there)} of {how_large(self._total)}"

    def _repr_html_(self) -> str:
        text = escape(repr(self))
        if self._ended:
            return f"<span>{text}</span>"
        return (
            f"<progress max='{max(self._total, 1)}' value='{self._there}' aria-label='{text}' "
            f"style='width:12em;max-width:40%;vertical-align:middle'></progress> <span>{text}</span>"
        )

    def _show(self) -> None:
        from IPython.core.display_functions import DisplayHandle

        if self._handle is None:
            make: Any = DisplayHandle
            self._handle = make()  # before it is shown: an interrupt may come just then, and `done` needs it
            self._handle.display(self)
        else:
            self._handle.update(self)
