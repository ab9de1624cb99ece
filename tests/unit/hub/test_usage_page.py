"""The page that shows what namespaces use of what they may."""

from __future__ import annotations

import re

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.quotas import Quotas
from respawn_jobs.service import Promotion
from support.notebooks import notebook, text
from support.signed_in import Browse

SERVICE = "/services/respawn"


def test_the_page_shows_use_and_limits_in_words_and_as_meters(browse: Browse, ledger: Ledger) -> None:
    ledger.set_quotas(Quotas(5_000_000, 7))
    everybody = ledger.as_actor(Actor.owner("ada"))
    everybody.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))

    assert f'href="{SERVICE}/usage"' in browse("GET", f"{SERVICE}/").text
    page = browse("GET", f"{SERVICE}/usage").text
    assert "user/ada" in page
    assert re.search(r"\d+ B of 5(\.0)? MB", page)
    assert "0 of 7" in page
    assert 'aria-label="Stored by user/ada"' in page
    assert "(no limit)" in page, "of runs that execute"
