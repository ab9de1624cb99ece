"""Runs the Jupyter server and its runners until the hub stops it."""

from __future__ import annotations

import os
import sys

from respawn_jobs.api.job_server_protocol import NONCE_VARIABLE, VERSION_OPTION, own_release
from respawn_jobs.host.process_environment import KEPT_KERNELS
from respawn_jobs.host.workspace import Workspace
from respawn_server.job_server import kept_kernels
from respawn_server.job_server.kept_kernels import KeptKernels
from respawn_server.job_server.kernel_manager import options
from respawn_server.job_server.server import JobServer


def main() -> None:
    """Run until the hub stops it; or say which version this is."""
    if VERSION_OPTION in sys.argv[1:]:
        print(f"respawn {own_release()}")
        return
    from jupyterhub.singleuser import main as serve

    with Workspace() as workspace:
        directory = workspace.directory("kept-kernels")
        kept_kernels.of_this_process = kept = KeptKernels(directory)
        os.environ[KEPT_KERNELS] = str(directory)  # for the runners
        jobs = JobServer(
            os.environ["RESPAWN_URL"],
            os.environ["JUPYTERHUB_SERVER_NAME"],
            os.environ["JUPYTERHUB_API_TOKEN"],
            os.environ.pop(NONCE_VARIABLE, ""),
            kept,
        )
        jobs.start()
        sys.argv += options(directory)
        try:
            serve()
        finally:
            jobs.close()


if __name__ == "__main__":
    main()
