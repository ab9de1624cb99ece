"""A thousand runs in warm kernels show what runs in plain ones show, by the executor of the service."""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.plain_and_warm import NOTEBOOKS, seen_of
from support.service import served
from support.waiting import wait_for

pytestmark = pytest.mark.integration

PLAIN, WARM = "plain", "warm"
PLACES = 2
SHORT = ["text", "error", "displays", "magics", "session", "imports", "warnings", "history"]
MAX_PLAIN = 12
"""How many runs may start plainly: each runner's first ones do, while its zygote imports."""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kernels alike: one starts plainly, for no zygote knows what else its program would do."""
    launcher = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    for name, argv in ((PLAIN, ["/usr/bin/env", *launcher]), (WARM, launcher)):
        directory = tmp_path / "jupyter" / "kernels" / name
        directory.mkdir(parents=True)
        spec = {
            "argv": argv,
            "display_name": name,
            "language": "python",
            "metadata": {"respawn": {"environment": "t", "lock": "0" * 64, "preload": ["numpy", "pandas"]}},
        }
        (directory / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


class Runs:
    """Executes runs of the notebooks, some at a time, and says what was seen of each."""

    def __init__(self, ledger: Ledger, executor: LocalExecutor) -> None:
        self._ledger = ledger
        self._executor = executor
        self._service: Service = ledger.as_actor(Actor.owner("ada"))
        self._lock = threading.Lock()
        for name, cells in NOTEBOOKS.items():
            for kernel in (PLAIN, WARM):
                given = text(notebook(*cells, kernel=kernel))
                self._service.promote(Promotion(name=f"{name}-{kernel}", notebook=given))

    def execute(self, name: str, kernel: str) -> tuple[bool, list[object]]:
        """Execute a notebook; returns whether its kernel was warm, and what was seen of the run."""
        with self._lock:
            run = self._service.run(RunRequest(job=f"{name}-{kernel}")).id
            attempt, token = self._ledger.open_attempt(run, "local")
            self._executor.submit(attempt, token)
        wait_for(lambda: attempt not in self._executor.living(), 280, f"the end of {name}")
        detail = self._service.show(run)
        assert detail.run.state.final, self._executor.probe()
        started = detail.attempts[-1].kernel_start
        assert started is not None
        return started.warm, seen_of(self._service, run)


@pytest.fixture
def runs(kernels: None, tmp_path: Path) -> Iterator[Runs]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    try:
        with served(ledger, tmp_path / "data") as url:
            executor = LocalExecutor(url, max_running=PLACES)
            yield Runs(ledger, executor)
            executor.close()
    finally:
        ledger.close()


@pytest.mark.parametrize(
    ("names", "number"),
    [
        pytest.param(SHORT, 32, marks=pytest.mark.long),
        pytest.param(
            list(NOTEBOOKS), 1000, marks=[pytest.mark.slow, pytest.mark.timeout(4200)], id="a_thousand"
        ),
    ],
)
def test_runs_in_warm_kernels_show_what_runs_in_plain_ones_show(
    runs: Runs, names: list[str], number: int
) -> None:
    plain: dict[str, list[object]] = {}
    for name in names:
        warm, plain[name] = runs.execute(name, PLAIN)
        assert not warm
    assert RunState.SUCCEEDED in [seen[0] for seen in plain.values()]
    order = itertools.cycle(names)
    warm_runs: Counter[str] = Counter()
    began_plainly = 0
    with ThreadPoolExecutor(PLACES) as pool:
        while warm_runs.total() < number:
            some = list(itertools.islice(order, min(10 * PLACES, number - warm_runs.total())))
            every = list(pool.map(lambda name: runs.execute(name, WARM), some))
            for name, (warm, seen) in zip(some, every, strict=True):
                assert seen == plain[name], f"{name}, warm: {warm}"
                warm_runs[name] += warm
                began_plainly += not warm
            assert began_plainly <= MAX_PLAIN + number // 10
    assert set(warm_runs) == set(names)
