"""Why an attempt ended, as its runner says it, and policies that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.runs import CellError, Run
from respawn_jobs.model.settings import RETRIED, Cause, RetryPolicy
from support.runners import PlayedRunner

Queue = Callable[..., Run]
MIB = 1 << 20
POLICIES = {cause: RetryPolicy(attempts=5, delay_seconds=0) for cause in RETRIED}


@pytest.mark.parametrize("name", ["OutOfMemory", "DeadKernel", "DiskLimitExceeded", "PlanChanged"])
def test_a_class_of_the_notebooks_own_is_no_cause_whatever_its_name(queue: Queue, ledger, ada, name):
    """The runner says that a cell raised it."""
    run = queue("a = 1", retries={**POLICIES, Cause.CELL_ERROR: RetryPolicy(attempts=1)})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    error = CellError(cell=0, name=name, value="so it ended")
    runner.port.finish(Outcome(state="failed", error=error, cause=Cause.CELL_ERROR))
    shown = ada.show(run.id)
    assert (shown.run.state, shown.attempts[-1].cause) == ("failed", Cause.CELL_ERROR)


def test_a_missing_build_is_not_tried_again_whatever_the_policies(queue: Queue, ledger, ada):
    run = queue("a = 1", retries=POLICIES, max_attempts=5)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    error = CellError(cell=None, name="EnvironmentMissing", value="so it ended")
    runner.port.finish(Outcome(state="failed", error=error, cause=Cause.ENVIRONMENT_MISSING))
    shown = ada.show(run.id)
    assert (shown.run.state, shown.attempts[-1].cause) == ("failed", Cause.ENVIRONMENT_MISSING)
    assert "its kernel would be missing again" in shown.attempts[-1].note


@pytest.mark.parametrize(
    ("cause", "policy", "why"),
    [
        ("environment_missing", {"attempts": 5}, "'environment_missing' is no cause of retries"),
        ("timeout", {"attempts": 2, "memory_factor": 2}, "more memory is for out_of_memory alone"),
        (
            "cell_error",
            {"attempts": 2, "max_memory_bytes": 900 * MIB},
            "more memory is for out_of_memory alone",
        ),
        ("out_of_memory", {"attempts": 2, "max_memory_bytes": 900 * MIB}, "needs a memory_factor above 1"),
        ("out_of_memory", {"memory_factor": 2}, "give more attempts"),
        (
            "out_of_memory",
            {"attempts": 2, "memory_factor": 2, "max_memory_bytes": 400 * MIB},
            "its most, 400 MiB, is not above the job's memory limit, 400 MiB",
        ),
        ("timeout", {"attempts": 2, "delay_seconds": 9, "max_delay_seconds": 3}, "is below delay_seconds"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_with_the_reason(queue: Queue, ada, cause, policy, why):
    job = queue("a = 1", memory_limit_bytes=400 * MIB).job
    with pytest.raises(InvalidInput, match=why):
        ada.configure(job, {"retries": {cause: policy}})
    assert ada.job(job).settings.retries == {}
    retries = {Cause(cause): RetryPolicy.model_validate(policy)}
    with pytest.raises(InvalidInput, match="has no meaning"):
        queue("a = 1", retries=retries, memory_limit_bytes=400 * MIB)
