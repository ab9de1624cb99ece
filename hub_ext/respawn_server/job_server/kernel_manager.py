"""How a job server's own Jupyter server works with kernels that runners have started and keep.

Jupyter finds them by their connection files (`ServerApp.external_connection_dir`). Its own manager would
neither interrupt nor end them, since it has not started them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

_CLASS = f"{__name__}.JobServerKernelManager"
_LINGER_MS = 1000


def options(directory: Path) -> list[str]:
    """Return what the Jupyter server is started with.

    Args:
        directory: where the connection files of kept kernels are.
    """
    return [
        "--ServerApp.allow_external_kernels=True",
        f"--ServerApp.external_connection_dir={directory}",
        f"--AsyncMappingKernelManager.kernel_manager_class={_CLASS}",
    ]


class JobServerKernelManager(ServerKernelManager):
    """Manages a kernel of the server's own as always, and a kept one by messages and its file."""

    async def interrupt_kernel(  # type: ignore[override]  # as Jupyter's own manager
        self, *arguments: Any, **named: Any
    ) -> None:
        """Interrupt what the kernel executes."""
        if self.owns_kernel:
            await super().interrupt_kernel(*arguments, **named)
            return
        # https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-interrupt
        channel = self.connect_control()
        try:
            self.session.send(channel, "interrupt_request", {})
            channel.flush()
        finally:
            channel.close(linger=_LINGER_MS)

    async def shutdown_kernel(  # type: ignore[override]  # as Jupyter's own manager
        self, *arguments: Any, **named: Any
    ) -> None:
        """End the kernel; for a kept one its runner does it, once its file is gone."""
        if self.owns_kernel:
            await super().shutdown_kernel(*arguments, **named)
            return
        files: dict[str, Path] = getattr(self.parent, "kernel_id_to_connection_file", {})
        file = files.pop(str(self.kernel_id), None)
        if file is not None:
            file.unlink(missing_ok=True)

    async def restart_kernel(  # type: ignore[override]  # as Jupyter's own manager
        self, *arguments: Any, **named: Any
    ) -> None:
        """Start the kernel anew. Raises RuntimeError for a kept one: it would be another kernel."""
        if not self.owns_kernel:
            raise RuntimeError(
                "this is the kernel in which the run failed, and cannot be started anew; "
                "`State before the cell`, above the notebook, opens another one"
            )
        await super().restart_kernel(*arguments, **named)
