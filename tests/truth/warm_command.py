"""A command whose kernels come from a zygote, as those of a service's runner that has used one like them.

    python warm_command.py SCRIPT ARGUMENT ...

SCRIPT is `respawn` or `papermill` of the interpreter's environment. A kernel that starts plainly all the same
ends the command, which then has proven nothing.
"""

from __future__ import annotations

import os
import runpy
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

PRELOAD = ("numpy", "pandas")
"""What the environment lists as wanted by most notebooks."""
PLAINLY = "a kernel would start plainly"
_SECONDS = 60.0 * float(os.environ.get("TRUTH_SLOWER", "1"))


def main(arguments: list[str]) -> None:
    """Run the command in this process, whose kernels are forked."""
    sys.argv[:] = arguments
    sys.path[0] = str(Path(arguments[0]).parent)  # as Python itself would
    _fork_all_kernels()
    runpy.run_path(arguments[0], run_name="__main__")


def _fork_all_kernels() -> None:
    from jupyter_client.provisioning import factory

    from respawn_environments import provisioner as module
    from respawn_environments.warm.zygote_process import NotWarm, StillImporting

    class OfZygote(module.RespawnProvisioner):
        """The provisioner, for a front end that hands no file for what the process writes."""

        async def launch_kernel(self, cmd: list[str], **given: Any) -> Any:
            with Path(os.devnull).open("wb") as nowhere:
                return await super().launch_kernel(cmd, **{"stdout": nowhere, "stderr": nowhere, **given})

        async def _forked(self, cmd: list[str], kwargs: Mapping[str, Any]) -> int:
            give_up, asked = time.monotonic() + _SECONDS, False
            while True:
                try:
                    return await super()._forked(cmd, kwargs)
                except StillImporting:
                    if time.monotonic() > give_up:
                        _end("its zygote still imports")
                    for zygote in module.warm_kernels._zygotes.values():
                        select.select([zygote._end], [], [], _SECONDS)  # it says when its imports are done
                except NotWarm as error:
                    if asked:
                        _end(str(error))
                    asked = True
                    module.warm_kernels.prepare()  # as after an attempt that used such a kernel

    def provisioner(self: Any, kernel_id: str, kernel_spec: Any, parent: Any) -> Any:
        return OfZygote(kernel_id=kernel_id, kernel_spec=kernel_spec, parent=parent)

    module.warm_kernels.enable()
    replaced: Any = module
    replaced.RespawnProvisioner, replaced.preloaded = OfZygote, lambda spec: list(PRELOAD)
    makers: Any = factory.KernelProvisionerFactory
    makers.create_provisioner_instance = provisioner


def _end(why: str) -> NoReturn:
    sys.stderr.write(f"{PLAINLY}: {why}\n")
    sys.stderr.flush()
    os._exit(70)


if __name__ == "__main__":
    main(sys.argv[1:])
