"""Evidence of cells through the real command: from the kernel to the store, on each interpreter there is."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from respawn_jobs.embedded.local_store import owner
from respawn_jobs.ledger import Ledger
from respawn_kernels.evidence import CellEvidence
from support.lengths import quick
from support.notebooks import notebook, text
from truth.commands import INTERPRETERS, found

pytestmark = pytest.mark.integration
CELLS = (
    "import pandas as pd\nscale = 2\ndf = pd.DataFrame({'k': [1, 1, 2], 'x': [1.0, 2.0, 3.0]})",
    "df.groupby('k').agg(t=('x', lambda s: s.sum() * scale))",
    "q = 'x > @scale'\ndf.query(q)",
    "import random\nrandom.seed(1)\nopen('out.txt', 'w').write('x')",
    "print(open('out.txt').read(), random.random())",
    "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, name='mine').start()",
    "stop.set()\nraise ValueError(scale)",
)


@pytest.fixture(scope="module", params=quick({len(found()) - 1}, found(), "long"))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[CellEvidence]]:
    """The version of Python, the run's directory, and the evidence of its cells."""
    root = tmp_path_factory.mktemp("evidence")
    work = root / "work"
    work.mkdir()
    (work / "report.ipynb").write_text(text(notebook(*CELLS)))
    environment = {**os.environ, "RESPAWN_DATA": str(work / "d")}  # changes while cells run
    command = [INTERPRETERS[request.param] / "respawn", "run", "report.ipynb", "--json"]
    ended = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert ended.returncode == 1, ended.stderr
    ledger = Ledger.embedded(work / "d")
    try:
        answer = json.loads(ended.stdout)
        bundle = ledger.as_actor(owner()).debug(answer["run"])
    finally:
        ledger.close()
    seen = [cell.evidence for cell in bundle.cells]
    assert None not in seen
    own = "import sys; print('{}.{}'.format(*sys.version_info))"
    version = subprocess.check_output([INTERPRETERS[request.param] / "python", "-c", own], text=True)
    return version.strip(), work, [one for one in seen if one is not None]


@pytest.mark.long
def test_each_cell_says_what_was_seen_and_what_could_not_be(
    run: tuple[str, Path, list[CellEvidence]],
) -> None:
    version, _, cells = run
    assert len(cells) == len(CELLS)
    assert all((cell.unwatched is None) == (version != "3.11") for cell in cells)
    assert not any(cell.overflow or cell.files_unwatched for cell in cells)


@pytest.mark.long
def test_functions_that_libraries_call_are_seen(run: tuple[str, Path, list[CellEvidence]]) -> None:
    version, _, cells = run
    if version == "3.11":
        pytest.skip("Python 3.11 cannot tell which code runs")
    assert cells[1].reads == ("scale",)
    assert "pandas.core.groupby.generic" in cells[1].libraries
    assert not cells[3].reads


def test_frames_state_files_and_threads_are_seen(run: tuple[str, Path, list[CellEvidence]]) -> None:
    _, work, cells = run
    assert cells[2].frames == ("pandas.core.computation.scope",)
    assert not cells[1].frames
    assert cells[3].changed == ("#random",)
    assert cells[3].written == (str(work / "out.txt"),)
    assert cells[4].opened == (str(work / "out.txt"),)
    assert cells[4].changed == ("#random",)
    assert not cells[4].written
    assert cells[5].background_work == ("thread mine",)
    assert not cells[2].background_work
