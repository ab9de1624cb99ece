"""Libraries that a zygote has imported show when a notebook imports them, and as they do otherwise."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_environments.warm.zygote_process import NotWarm, ZygoteProcess
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_kernels.evidence import CellEvidence
from support.waiting import wait_for
from support.warm import of_zygote, printed, ready, using, warm, with_path

__all__ = ["warm"]
pytestmark = pytest.mark.integration

STATEMENTS = [
    "pass",
    "import numpy",
    "import numpy.random",
    "import pandas as pd",
    "from dateutil import parser",
    "import decimal, xml.etree",
    "import pandas.io.excel, numpy as np",
    "import importlib; importlib.import_module('numpy.linalg')",
]
MODULES = """
import json, sys
print('SEEN' + json.dumps(sorted(
    name for name in sys.modules
    if name != '_lsprof' and not name.startswith(('respawn', 'debugpy', '_pydev'))
)))
"""


def preloading(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the plain kernelspec be one of an environment that lists these modules."""
    monkeypatch.setattr("respawn_environments.provisioner.preloaded", lambda _: list(names))


@pytest.mark.long
def test_imports_of_a_preloaded_module_show_what_they_show_otherwise(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preloading(monkeypatch, "numpy", "pandas")

    async def every(kernel: KernelProcess) -> list[set[str]]:
        found = []
        for statement in STATEMENTS:
            text = await printed(kernel, f"{statement}\n{MODULES}")
            found.append(set(json.loads(text.partition("SEEN")[2])))
        return [*found, {str(of_zygote(kernel))}]

    async def one(kernel: KernelProcess) -> set[str]:
        return set(json.loads((await printed(kernel, f"{statement}\n{MODULES}")).partition("SEEN")[2]))

    plain = asyncio.run(using(tmp_path, every))
    ready(warm)
    forked = asyncio.run(using(tmp_path, every))
    assert (plain.pop(), forked.pop()) == ({"False"}, {"True"})
    first = forked[0]  # a start from a zygote has the agent's modules, too
    for statement, other, seen in zip(STATEMENTS, plain, forked, strict=True):
        assert other - seen == set(), statement
        assert seen - other <= first - plain[0], statement
    for statement in STATEMENTS:
        seen = asyncio.run(using(tmp_path, one))
        assert "pandas" in seen or "pandas" not in statement, statement
        assert "pandas" not in seen or "pandas" in statement, statement


PRELOADED = """
import sys
before = 'numpy' in sys.modules
import numpy as np, pandas as pd, warnings
table = pd.DataFrame({'k': [1, 2, 1], 'v': np.arange(3) / 7})
ones = np.ones((300, 300))
print(before, np.random.random(3).tolist(), float((ones @ ones)[0, 0]), table.groupby('k').v.sum().to_dict(),
      pd.__spec__.loader.__class__.__name__, pd.__spec__.origin == pd.__file__, np.random.__name__,
      pd.get_option('display.max_columns'), pd.get_option('display.encoding'))
"""


@pytest.mark.long
def test_preloaded_libraries_compute_and_draw_in_each_fork(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preloading(monkeypatch, "numpy", "pandas")

    async def computed(kernel: KernelProcess) -> list[str]:
        return [await printed(kernel, PRELOADED), str(of_zygote(kernel))]

    plain = asyncio.run(using(tmp_path, computed))
    ready(warm)
    forked = [asyncio.run(using(tmp_path, computed)) for _ in range(3)]
    parts = [text.replace("[", "]").split("]") for text, _ in [plain, *forked]]
    assert [kind for _, kind in forked] == ["True"] * 3
    assert len({drawn for _, drawn, _ in parts}) == 4, "each draws numbers of its own"
    assert {(head, tail) for head, _, tail in parts} == {(parts[0][0], parts[0][2])}
    assert parts[0][0] == "False "


def test_a_module_that_comes_first_now_is_the_one_that_is_imported(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preloading(monkeypatch, "numpy", "pandas")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "pandas.py").write_text("mine = True")

    async def mine(kernel: KernelProcess) -> tuple[str, bool]:
        code = "import sys; sys.path.insert(0, 'own'); import pandas; print(pandas.mine)"
        return await printed(kernel, code), of_zygote(kernel)

    asyncio.run(using(tmp_path, mine))
    ready(warm)
    assert asyncio.run(using(tmp_path, mine)) == ("True\n", True)


def test_an_import_that_starts_threads_of_unknown_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    zygote = ZygoteProcess([sys.executable], with_path(tmp_path), [], ["json", "pool"])
    try:
        with pytest.raises(NotWarm, match=r"the import of pool has started 1 thread$"):
            wait_for(zygote._is_ready, 60, "the zygote's imports")
    finally:
        zygote.close()


def test_an_import_that_needs_the_shell_is_named(tmp_path: Path) -> None:
    (tmp_path / "callbacks.py").write_text("get_ipython().events.register('post_run_cell', print)")
    zygote = ZygoteProcess([sys.executable], with_path(tmp_path), [], ["json", "callbacks"])
    try:
        with pytest.raises(NotWarm, match="an import asks the shell for events"):
            wait_for(zygote._is_ready, 60, "the zygote's imports")
    finally:
        zygote.close()


def test_filters_of_warnings_come_with_the_module_that_adds_them() -> None:
    hide = "from respawn_environments.warm.hidden_modules import HiddenModules\nhidden = HiddenModules()\n"
    hide += "hidden.load(['numpy'])\nhidden.load(['pandas'])\n"
    show = "import warnings\nprint(len(warnings.filters))\nimport numpy, pandas\nprint(warnings.filters)"
    printed = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for code in (hide + show, show)
    ]
    assert printed[0] == printed[1]


PATCHING = """
import json as notebooks_json
import pandas as pd, numpy as np
pd.DataFrame.total = lambda self: 1
pd.io.common.converted = lambda: 2
np.mine = [pd.DataFrame.total]
"""
PATCHED = """
from respawn_kernels.session_state import registry
print('SEEN' + notebooks_json.dumps([
    sorted(registry.find('#patches').capture() or ()), len(registry.find('#patches').fingerprint())
]))
"""


@pytest.mark.long
def test_what_a_cell_sets_in_a_library_that_it_imports_counts_in_a_warm_kernel_too(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preloading(monkeypatch, "numpy", "pandas")

    async def patched(kernel: KernelProcess) -> tuple[list[Any], bool]:
        agent = "__import__('respawn_kernels.agent', fromlist=['agent'])"
        await printed(kernel, f"{agent}.start({str(tmp_path / 'spool')!r})")
        await printed(kernel, PATCHING)
        seen = (await printed(kernel, PATCHED)).partition("SEEN")[2]
        return json.loads(seen), of_zygote(kernel)

    plain = asyncio.run(using(tmp_path, patched))
    ready(warm)
    forked = asyncio.run(using(tmp_path, patched))
    assert (plain[1], forked[1]) == (False, True)
    assert "pandas.DataFrame.total" in plain[0][0]
    assert "pandas.io.common.converted" in plain[0][0]
    assert forked[0] == plain[0]


@pytest.mark.long
def test_an_import_of_a_preloaded_module_is_no_change_of_the_session_either(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a cell that imports a library would count as one that sets its options."""
    preloading(monkeypatch, "numpy", "pandas")
    spool = tmp_path / "spool"

    async def changed(kernel: KernelProcess) -> tuple[list[list[str]], bool]:
        agent = "__import__('respawn_kernels.agent', fromlist=['agent'])"
        await printed(kernel, f"{agent}.start({str(spool)!r})")
        found = []
        for cell in ("import pandas as pd", "import numpy.random", "pd.set_option('display.width', 70)"):
            await printed(kernel, cell)
            (record,) = (spool / "evidence").iterdir()
            found.append(sorted(CellEvidence.from_json(record.read_bytes()).changed))
            record.unlink()
        return found, of_zygote(kernel)

    plain = asyncio.run(using(tmp_path, changed))
    ready(warm)
    forked = asyncio.run(using(tmp_path, changed))
    assert (plain[1], forked[1]) == (False, True)
    assert plain[0][2] == ["#pandas"]
    assert forked[0] == plain[0]
