"""Whatever part of a hub is killed, people can sign in again soon, and what was queued starts once.

The hub, the proxy and the service are real. A hub that has ended is started again, as systemd does it. The
seed decides the order and the moments; `RESPAWN_CHAOS_SEED` sets it.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from support.chaos.hub_faults import FAULTS, order_of, play

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_SEED = int(os.environ.get("RESPAWN_CHAOS_SEED", "20271131"))
_MANY = range(_SEED, _SEED + 10)


@pytest.mark.long
def test_a_hub_whose_parts_are_killed_is_back_within_thirty_seconds_and_starts_runs_once(
    tmp_path: Path,
) -> None:
    report = play(_SEED, tmp_path, ("both", "proxy"))
    print(report)
    assert not report.wrong, str(report)


def test_the_ten_stories_have_every_fault_after_every_other() -> None:
    seen = {pair for seed in range(20271131, 20271141) for pair in pairwise(order_of(seed))}
    assert seen == {(first, second) for first in FAULTS for second in FAULTS if first != second}


@pytest.mark.slow
@pytest.mark.parametrize("seed", _MANY)
def test_ten_orders_of_faults(tmp_path: Path, seed: int) -> None:
    report = play(seed, tmp_path)
    print(report)
    assert not report.wrong, str(report)
