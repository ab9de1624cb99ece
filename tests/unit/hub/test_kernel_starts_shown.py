"""What is said, sent and counted of how a kernel was started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_hub.monitoring.metrics import Metrics
from respawn_hub.runners.reports import receive
from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import KernelStart
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import signed_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (KernelStart(warm=True), "warm: forked from a process that had its imports done"),
        (KernelStart.plain("the zygote is gone"), "plain: the zygote is gone"),
    ],
)
def test_a_person_reads_whether_a_kernel_was_warm_and_why_not(
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    start: KernelStart,
    shown: str,
) -> None:
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    assert ada.show(runner.run).attempts[-1].kernel_start is None
    runner.port.finish(Outcome(state="succeeded", kernel_start=start))
    assert ada.show(runner.run).attempts[-1].kernel_start == start
    page = signed_in(ledger, tmp_path).ask("GET", f"/services/respawn/runs/{runner.run}").text
    assert f'<dt>Kernel start</dt><dd class="text-break">{shown}</dd>' in page
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("RESPAWN_URL", raising=False)
    assert run_command(["show", runner.run]) == 0
    assert f"its start   {shown}\n" in capsys.readouterr().out


def test_a_reason_of_any_length_can_be_recorded() -> None:
    assert len(KernelStart.plain("x" * 10_000).reason or "") == 500


def test_an_older_service_is_told_nothing_that_it_does_not_know() -> None:
    assert "kernel_start" not in Outcome(state="succeeded").model_dump(mode="json")


def test_warm_and_plain_starts_are_counted() -> None:
    metrics = Metrics(lambda: None)  # type: ignore[arg-type,return-value]  # no gauges are asked for
    for warm in (True, False, True):
        line = json.dumps({"call": "kernel_started", "arguments": {"warm": warm}})
        receive(line, metrics, lambda: None)
    value = metrics.registry.get_sample_value
    assert value("respawn_kernel_starts_total", {"start": "warm"}) == 2
    assert value("respawn_kernel_starts_total", {"start": "plain"}) == 1
