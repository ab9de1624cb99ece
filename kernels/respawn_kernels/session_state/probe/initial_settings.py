"""How a session was when it began: what differs from that is the notebook's.

It begins when the agent is loaded, before the first cell of a run, or when `%load_ext respawn` is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any


class SinceStart:
    """A value of the process that is kept when it differs from what it was when the session began.

    Args:
        read: returns the value now.
    """

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read
        self.start = read()

    def changed(self) -> Any | None:
        """Return the value; None when it is as it was."""
        now = self.read()
        return None if now == self.start else now


class SettingsProbe:
    """A probe for values that are read and set one by one, each by a name.

    Args:
        name: of the probe; it starts with `#`.
        read: returns the values now, by name; empty where their library is not loaded.
        write: called with a name and a value, to set it; whatever it raises is reported as the reason.
        start: what they are in a new session, where that is known; None: they are read now.
    """

    before_fork = True

    def __init__(
        self,
        name: str,
        read: Callable[[], dict[str, Any]],
        write: Callable[[str, Any], None],
        start: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._read = read
        self._write = write
        self._start = read() if start is None else start

    def fingerprint(self) -> Hashable:
        """Return the values as text, for some cannot be hashed."""
        return repr(self._read())

    def capture(self) -> dict[str, Any] | None:
        """Return the values that differ from those of a new session."""
        start = self._start
        return {k: value for k, value in self._read().items() if k not in start or value != start[k]} or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them, each by itself. Raises NotSet with those that could not be set."""
        from respawn_kernels.session_state.probe.interface import NotSet

        failed: dict[str, str] = {}
        for key, one in value.items():
            try:
                self._write(key, one)
            except Exception as error:  # noqa: BLE001  another machine or version may refuse anything
                failed[key] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)
