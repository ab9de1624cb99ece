"""When a checkpoint is stored while all goes well."""

from __future__ import annotations

import math

import pytest

from respawn_jobs.runner.checkpoint_policy import CheckpointMode, Policy

MB = 1 << 20


def test_a_state_is_held_until_its_share_of_the_run_pays_for_storing_it() -> None:
    policy = Policy(0.03, started=100.0)
    assert policy.mode_of([], 1.0, 101.0, 40 * MB) is CheckpointMode.HOLD
    assert policy.seconds_to_wait(101.0, 40 * MB) == pytest.approx((0.05 + 40 * MB / 400e6) / 0.03 - 1)
    assert policy.mode_of([], 1.0, 110.0, 40 * MB) is CheckpointMode.STORE


def test_checkpoints_cost_no_more_than_their_share() -> None:
    policy, now, spent = Policy(0.03, started=0.0), 0.0, 0.0
    for _ in range(2000):
        now += 1.0
        if policy.mode_of([], 1.0, now, 100 * MB) is CheckpointMode.STORE:
            policy.paid(0.5)
            spent += 0.5
    assert 0.02 * now < spent <= 0.03 * now


@pytest.mark.parametrize("share", [0.0, 0.03])
def test_an_expensive_cell_is_always_followed_by_a_checkpoint(share: float) -> None:
    policy = Policy(share, started=0.0, expensive=60.0)
    policy.paid(1000.0)
    assert policy.mode_of([], 59.0, 60.0) is CheckpointMode.HOLD
    assert policy.mode_of([], 60.0, 120.0) is CheckpointMode.STORE


@pytest.mark.parametrize("tag", ["respawn:once", "respawn:checkpoint"])
def test_after_a_tagged_cell_the_checkpoint_is_waited_for(tag: str) -> None:
    assert Policy(0.0, started=0.0).mode_of([tag], 0.0, 0.0) is CheckpointMode.WAIT


def test_with_a_share_of_one_every_checkpoint_is_waited_for() -> None:
    assert Policy(1.0, started=0.0).mode_of([], 0.0, 0.0) is CheckpointMode.WAIT


def test_no_checkpoint_wins_over_everything() -> None:
    assert (
        Policy(1.0, started=0.0).mode_of(["respawn:no-checkpoint", "respawn:once"], 99.0, 99.0)
        is CheckpointMode.NEVER
    )


def test_with_a_share_of_zero_nothing_is_ever_stored_for_its_cost() -> None:
    assert Policy(0.0, started=0.0).seconds_to_wait(1e9, 0) == math.inf


def test_a_state_of_unknown_size_is_not_stored_for_its_share() -> None:
    assert Policy(0.03, started=0.0).mode_of([], 1.0, 1000.0) is CheckpointMode.HOLD
    assert Policy(0.03, started=0.0, expensive=60.0).mode_of([], 60.0, 1000.0) is CheckpointMode.STORE


def test_a_checkpoint_counts_from_the_moment_that_it_is_begun() -> None:
    policy = Policy(0.03, started=0.0)
    now = policy.seconds_to_wait(0.0, 40 * MB)
    assert policy.mode_of([], 1.0, now, 40 * MB) is CheckpointMode.STORE
    expected = policy.begun(40 * MB)
    assert policy.mode_of([], 1.0, now, 40 * MB) is CheckpointMode.HOLD
    policy.paid(0.5, expected)
    assert policy.seconds_to_wait(0.0, 40 * MB) == pytest.approx((0.5 + 0.5) / 0.03)


def test_what_was_dropped_unstored_tells_nothing_of_what_storing_costs() -> None:
    policy = Policy(0.03, started=0.0)
    policy.paid(0.0)
    assert policy.mode_of([], 0.1, 0.5, 40 * MB) is CheckpointMode.HOLD
    assert policy.seconds_to_wait(0.0, 40 * MB) == pytest.approx((0.05 + 40 * MB / 400e6) / 0.03)
    policy.paid(2.0)
    policy.paid(0.0)
    assert policy.seconds_to_wait(0.0, 40 * MB) == pytest.approx((2.0 + 2.0) / 0.03)
