"""Real kernels for tests: run a cell, look at what it printed, run silent requests as a runner does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

AGENT = "__import__('respawn_kernels.agent', fromlist=['agent'])"
_SECONDS = 60


class CellFailed(AssertionError):
    """A cell raised; the message is its error."""


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager = manager
        self.client = client
        self.execution_count = 0
        self.outputs: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self.manager.provisioner.pid)

    def run(self, code: str) -> str:
        """Run a cell and return what it printed and displayed as text. Raises CellFailed."""
        return self._execute(code, silent=False)

    def silent(self, code: str) -> None:
        """Run code as the runner does: no history, no result. Raises CellFailed."""
        self._execute(code, silent=True)

    def value(self, expression: str) -> Any:
        """Return a simple value from the kernel."""
        return eval(self.run(f"print(repr({expression}))"), {"__builtins__": {}})

    def _execute(self, code: str, *, silent: bool) -> str:
        self.outputs = []
        reply = self.client.execute_interactive(
            code,
            silent=silent,
            store_history=not silent,
            allow_stdin=False,
            timeout=_SECONDS,
            output_hook=self.outputs.append,
        )["content"]
        self.execution_count = reply["execution_count"]
        if reply["status"] != "ok":
            raise CellFailed(f"{reply['ename']}: {reply['evalue']}")
        return "".join(
            message["content"].get("text") or message["content"].get("data", {}).get("text/plain", "")
            for message in self.outputs
            if message["msg_type"] in ("stream", "execute_result", "display_data")
        )


@contextmanager
def running_kernel(directory: Path, python: Path | None = None) -> Iterator[Kernel]:
    """Start an IPython kernel in a working directory, with this or another interpreter."""
    manager, client = _started(directory, python)
    try:
        yield Kernel(manager, client)
    finally:
        _end(manager, client)


def _started(directory: Path, python: Path | None, tries: int = 5) -> tuple[KernelManager, Any]:
    manager = KernelManager(kernel_name="python3")
    if python is not None:
        spec = manager.kernel_spec
        assert spec is not None
        spec.argv = [str(python), *spec.argv[1:]]
    manager.start_kernel(cwd=str(directory))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=_SECONDS)
    except RuntimeError:
        # Race: another process may take a port between Jupyter's choice and the kernel's bind.
        died = not manager.is_alive()
        _end(manager, client)
        if not died or tries == 1:
            raise
        return _started(directory, python, tries - 1)
    return manager, client


def _end(manager: KernelManager, client: Any) -> None:
    client.stop_channels()
    manager.shutdown_kernel(now=False)
    manager.cleanup_resources()
