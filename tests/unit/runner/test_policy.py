"""When a checkpoint is stored while all goes well."""

from __future__ import annotations

import math

import pytest

from respawn_jobs.policy import Policy, Wish

MB = 1 << 20


def test_a_state_is_held_until_its_share_of_the_run_pays_for_storing_it() -> None:
    policy = Policy(0.03, started=100.0)
    assert policy.wish([], 1.0, 101.0, 40 * MB) is Wish.HOLD
    assert policy.seconds_to_wait(101.0, 40 * MB) == pytest.approx((0.05 + 40 * MB / 400e6) / 0.03 - 1)
    assert policy.wish([], 1.0, 110.0, 40 * MB) is Wish.STORE


def test_checkpoints_cost_no_more_than_their_share() -> None:
    policy, now, spent = Policy(0.03, started=0.0), 0.0, 0.0
    for _ in range(2000):
        now += 1.0
        if policy.wish([], 1.0, now, 100 * MB) is Wish.STORE:
            policy.paid(0.5)
            spent += 0.5
    assert 0.02 * now < spent <= 0.03 * now


@pytest.mark.parametrize("share", [0.0, 0.03])
def test_an_expensive_cell_is_always_followed_by_a_checkpoint(share: float) -> None:
    policy = Policy(share, started=0.0, expensive=60.0)
    policy.paid(1000.0)
    assert policy.wish([], 59.0, 60.0) is Wish.HOLD
    assert policy.wish([], 60.0, 120.0) is Wish.STORE


@pytest.mark.parametrize("tag", ["respawn:once", "respawn:checkpoint"])
def test_after_a_tagged_cell_the_checkpoint_is_waited_for(tag: str) -> None:
    assert Policy(0.0, started=0.0).wish([tag], 0.0, 0.0) is Wish.WAIT


def test_with_a_share_of_one_every_checkpoint_is_waited_for() -> None:
    assert Policy(1.0, started=0.0).wish([], 0.0, 0.0) is Wish.WAIT


def test_no_checkpoint_wins_over_everything() -> None:
    assert Policy(1.0, started=0.0).wish(["respawn:no-checkpoint", "respawn:once"], 99.0, 99.0) is Wish.NEVER


def test_with_a_share_of_zero_nothing_is_ever_stored_for_its_cost() -> None:
    assert Policy(0.0, started=0.0).seconds_to_wait(1e9, 0) == math.inf
