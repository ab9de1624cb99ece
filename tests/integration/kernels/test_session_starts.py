"""What an agent takes for the session's beginning is the kernel's own, however the kernel was started."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from support.warm import of_zygote, printed, ready, using, warm

__all__ = ["warm"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

LOOK = """
import json, os, re, sys
from respawn_kernels.capture import incremental_baseline
from respawn_kernels.host import standard_streams
from respawn_kernels.originals import kernel_pid
from respawn_kernels.session_state import registry
from respawn_kernels.session_state.patching.baseline import baseline
def parts(probe):
    return sorted(re.sub('[0-9]+', 'N', str(part)) for part in probe.capture() or ())
captured = {probe.name: parts(probe) for probe in registry.own()}
print('SEEN' + json.dumps({
    'same': {
        'captured': {name: found for name, found in captured.items() if found},
        'streams': [one is getattr(sys, name) for name, one in standard_streams._own.items()],
        'process': kernel_pid() == os.getpid(),
        'changed modules': sorted(
            name for name, (module, values) in baseline.modules.items() if values != vars(module)
        ),
        'changed containers': sorted(one.place for one in baseline.containers() if not one.is_as_before()),
        'ours': sorted(name for name in baseline.modules if name.startswith('respawn')),
    },
    'lineage': incremental_baseline._lineage,
}))
"""
COUNT = "import gc\nprint(gc.get_freeze_count())"
INDIRECT = "print(any(one is get_ipython() for one in __import__('g' + 'c').get_objects()))"


async def begun(kernel: KernelProcess, spool: Path) -> dict[str, Any]:
    """Start the agent as a runner does, and return what it takes for the beginning."""
    await printed(kernel, f"__import__('respawn_kernels.agent', fromlist=['agent']).start({str(spool)!r})")
    [line] = [line for line in (await printed(kernel, LOOK)).splitlines() if line.startswith("SEEN")]
    counted, found = await printed(kernel, COUNT), await printed(kernel, INDIRECT)
    seen: dict[str, Any] = json.loads(line.removeprefix("SEEN"))
    return {**seen, "counted": counted.strip(), "found": found.strip(), "of a zygote": of_zygote(kernel)}


def test_nothing_of_a_warm_kernels_beginning_counts_as_the_notebooks(
    warm: WarmKernels, tmp_path: Path
) -> None:
    def look(name: str) -> dict[str, Any]:
        found: dict[str, Any] = asyncio.run(using(tmp_path, lambda kernel: begun(kernel, tmp_path / name)))
        return found

    plain = look("plain")
    ready(warm)
    first, second = look("first"), look("second")

    assert [seen["of a zygote"] for seen in (plain, first, second)] == [False, True, True]
    # What the agent itself brings to a plain kernel counts there; nothing more does in a warm one.
    modules = [set(seen["same"]["captured"].pop("#modules", ())) for seen in (plain, first, second)]
    assert modules[1] <= modules[0]
    assert modules[2] <= modules[0]
    assert first["same"] == second["same"] == plain["same"]
    assert len({seen["lineage"] for seen in (plain, first, second)}) == 3
    for seen in (plain, first, second):
        assert (seen["counted"], seen["found"]) == ("0", "True"), "the collector hides what came before"
