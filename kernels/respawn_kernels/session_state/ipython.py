"""What IPython keeps of a session: the history of inputs, loaded extensions."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from respawn_kernels.names import live_shell

_OWN_EXTENSIONS = {"respawn", "respawn_kernels", "storemagic", "IPython.extensions.storemagic"}


class Inputs:
    """The history of inputs (`In`)."""

    name = "#in"

    def fingerprint(self) -> Hashable:
        """Return nothing: every cell adds itself."""
        return None

    def capture(self) -> dict[str, list[str]] | None:
        """Return the inputs, as they were typed and as they were run."""
        history = getattr(live_shell(), "history_manager", None)
        if history is None:
            return None
        return {"parsed": list(history.input_hist_parsed), "raw": list(history.input_hist_raw)}

    def restore(self, value: dict[str, list[str]], shell: Any | None) -> None:
        """Put them into the history."""
        if shell is None:
            return
        history = shell.history_manager
        for now, then in (
            (history.input_hist_parsed, value["parsed"]),
            (history.input_hist_raw, value["raw"]),
        ):
            # In place, for `In` is this very list; what this session has beyond the other one stays.
            now[: len(then)] = then


class Extensions:
    """The extensions that were loaded by `%load_ext`."""

    name = "#extensions"

    def fingerprint(self) -> Hashable:
        """Return their names."""
        return tuple(_loaded())

    def capture(self) -> list[str] | None:
        """Return their names."""
        return _loaded() or None

    def restore(self, value: list[str], shell: Any | None) -> None:
        """Load those that are not."""
        for name in value:
            if shell is not None and name not in shell.extension_manager.loaded:
                shell.extension_manager.load_extension(name)


def _loaded() -> list[str]:
    manager = getattr(live_shell(), "extension_manager", None)
    return sorted(set(getattr(manager, "loaded", ())) - _OWN_EXTENSIONS)
