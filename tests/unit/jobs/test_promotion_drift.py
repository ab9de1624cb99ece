"""A promotion from a kernel that is unlike its lock is refused with the list, unless that is agreed to."""

from __future__ import annotations

import pytest

from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import Conflict, NotFound
from support.notebooks import notebook, text

DRIFT = ["extra 2.0 is installed and not in the lock", "/srv/ada/lib is on the import path"]


def test_it_is_refused_with_the_list_before_anything_is_made(ada) -> None:
    asked = Promotion(name="report", notebook=text(notebook("a = 1")), drift=DRIFT)
    assert [one.code for one in ada.preview_promotion(asked).questions] == ["ignore_drift"]
    with pytest.raises(Conflict, match=r"unlike its lock in 2 places: extra 2\.0 .*--agree ignore_drift"):
        ada.promote(asked)
    with pytest.raises(NotFound):
        ada.job("report")


def test_it_goes_through_when_that_is_agreed_to_and_the_trail_says_so(ada, ledger) -> None:
    asked = Promotion(name="report", notebook=text(notebook("a = 1")), drift=DRIFT, agreed=["ignore_drift"])
    assert ada.promote(asked).number == 1
    changed = asked.model_copy(update={"notebook": text(notebook("a = 2")), "agreed": []})
    with pytest.raises(Conflict, match="unlike its lock"):
        ada.promote(changed)
    assert ada.job("report").version == 1


def test_a_long_list_is_cut_and_what_is_current_already_asks_nothing(ada) -> None:
    many = [f"package {number} is installed and not in the lock" for number in range(9)]
    asked = Promotion(name="report", notebook=text(notebook("a = 1")), drift=many, agreed=["ignore_drift"])
    (question,) = ada.preview_promotion(asked).questions
    assert "in 9 places" in question.message
    assert "3 more" in question.message
    ada.promote(asked)
    assert ada.preview_promotion(asked).questions == []
