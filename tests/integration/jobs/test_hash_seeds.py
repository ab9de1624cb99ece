"""Kernels of one environment hash texts alike, also in resumes and debug notebooks, and runs tell how."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from respawn_jobs.cli.entry import run_command
from respawn_jobs.debug.state_download import download
from respawn_jobs.model.runs import RunDetail
from respawn_kernels.exchange.restore_point import run_directory
from respawn_kernels.hash_seed import UNLOCKED
from support.kernels import running_kernel
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

KEEPS = """
class K:
    def __init__(self, text): self.text, self.hashed = text, hash(text)
    def __hash__(self): return self.hashed
    def __eq__(self, other): return self.text == other.text
table = {K('abc'): 1, K('abd'): 2}
order = list({str(n) for n in range(50)})
"""
FINDS = "print(table[K('abc')], table.get(K('abd')), order == list({str(n) for n in range(50)}))"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)


def seeds(detail: RunDetail) -> list[str | None]:
    return [attempt.hash_seed for attempt in detail.attempts]


def notes(detail: RunDetail) -> str:
    return " ".join(cell.note for cell in detail.cells if cell.note)


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "then", "seed"),
    [
        pytest.param(None, None, UNLOCKED, id="ours"),
        pytest.param("77", "77", "77", id="a person's", marks=pytest.mark.slow),
        pytest.param("77", None, "77", id="a person's, not set any more", marks=pytest.mark.slow),
        pytest.param(None, "77", UNLOCKED, id="set for the resume"),
    ],
)
def test_a_restored_key_is_found(bench, monkeypatch, first, then, seed: str) -> None:
    if first:
        monkeypatch.setenv("PYTHONHASHSEED", first)
    failed = bench.run(KEEPS, "1/0", FINDS)
    assert seeds(failed) == [seed]
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    if then:
        monkeypatch.setenv("PYTHONHASHSEED", then)
    resumed = bench.resume(failed.run.id, notebook(KEEPS, "", FINDS))
    assert bench.printed(resumed.run.id, 2) == "1 2 True\n"
    assert (seeds(resumed), notes(resumed)) == ([seed], "")


@pytest.mark.long
def test_a_kernel_without_a_seed_is_told_everywhere(bench, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    failed = bench.run(KEEPS, "1/0", FINDS)
    monkeypatch.delenv("PYTHONHASHSEED")
    assert seeds(failed) == ["random"]
    resumed = bench.resume(failed.run.id, notebook(KEEPS, "", "x = 1"))
    assert "no fixed hash seed" in notes(resumed)
    debugged = restored(bench, failed, UNLOCKED)
    assert "no fixed hash seed" in debugged


@pytest.mark.parametrize(("seed", "told"), [(UNLOCKED, False), ("5", True)])
def test_a_debug_notebook_with_another_seed_says_so(bench, seed: str, told: bool) -> None:
    failed = bench.run(KEEPS, "1/0", FINDS)
    assert (f"PYTHONHASHSEED={UNLOCKED}" in restored(bench, failed, seed)) is told


def restored(bench, failed: RunDetail, seed: str) -> str:
    """Return what a debug notebook shows of a run's state, in a kernel with a seed of its own."""
    download(bench.service, bench.service.debug(failed.run.id), run_directory(failed.run.id))
    os.environ["PYTHONHASHSEED"] = seed  # the fixture `unset` takes it away again
    with running_kernel(bench.directory) as kernel:
        shown = kernel.run(f"%load_ext respawn\n%respawn restore {failed.run.id}")
        if seed == UNLOCKED and "fixed" not in shown:
            assert kernel.run(FINDS) == "1 2 True\n"
    del os.environ["PYTHONHASHSEED"]
    return shown


def test_the_command_shows_a_runs_seed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nb.ipynb").write_text(text(notebook("x = 1")))
    for seed, shown in ((None, UNLOCKED), ("random", "none: texts hash differently in every kernel")):
        if seed:
            monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert run_command(["run", "nb.ipynb", "--json"]) == 0
        run = json.loads(capsys.readouterr().out)["run"]
        assert run_command(["show", run]) == 0
        lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if line.strip())
        assert lines["hash"] == f"seed   {shown}"
