"""The page that shows what namespaces use of what they may."""

from __future__ import annotations

import re

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.quotas import Quotas
from support.notebooks import notebook, text
from support.signed_in import Browse

SERVICE = "/services/respawn"


def test_the_page_shows_use_and_limits_in_words_and_as_meters(browse: Browse, ledger: Ledger) -> None:
    ledger.set_quotas(Quotas(5 << 20, 7))
    everybody = ledger.as_actor(Actor.owner("ada"))
    everybody.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))

    assert f'href="{SERVICE}/usage"' in browse("GET", f"{SERVICE}/").text
    page = browse("GET", f"{SERVICE}/usage").text
    assert "user/ada" in page
    assert re.search(r"\d+ B of 5 MiB", page)
    assert "0 of 7" in page
    assert 'aria-label="Stored by user/ada"' in page
    assert "(no limit)" in page, "of runs that execute"


def test_the_page_is_a_sentence_or_a_table_with_rows_and_never_a_bare_heading(browse: Browse) -> None:
    page = browse("GET", f"{SERVICE}/usage").text
    assert ("data-namespace" in page) == ('id="usage"' in page)
    assert ("There is nothing yet" in page) == ('id="usage"' not in page)
