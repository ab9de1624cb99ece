"""Long values on pages are folded: what stands below them is seen, and all of a value can be read."""

from __future__ import annotations

import re

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

SERVICE = "/services/respawn"
LONG = "needle " * 2_000 + "the-end-of-it"


@pytest.fixture
def failed(ledger: Ledger, ada: ActorService) -> str:
    declared = (
        f"words: str = {LONG!r}\nmany: list = {[LONG] * 2!r}\nshort: str = 'a'\nmade: str = {LONG!r}.strip()"
    )
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters=declared))))
    given = {"words": LONG, "many": [LONG], "short": "brief"}
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report", parameters=given)).id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    return runner.run


def unfolded(page: str) -> str:
    """Return what is seen of a page before anything is opened: of a fold its first line."""

    def summary(fold: re.Match[str]) -> str:
        return re.sub(r"<div class=\"long-whole\".*?</div>", "", fold[0], flags=re.DOTALL)

    seen = re.sub(r"<details class=\"long-value\">.*?</details>", summary, page, flags=re.DOTALL)
    fields = re.compile(r"<(textarea|pre|option)\b.*?</\1>|<input\b[^>]*>", re.DOTALL)
    return fields.sub("", seen)


@pytest.mark.parametrize(
    "path", ["runs/{run}", "runs/{run}/resume", "jobs/user/ada/report", "jobs/user/ada/report/versions/1"]
)
def test_no_page_shows_a_long_value_before_it_is_asked_for(browse: Browse, failed: str, path: str) -> None:
    page = browse("GET", f"{SERVICE}/{path.format(run=failed)}")

    assert page.status_code == 200
    assert len(re.findall("needle", unfolded(page.text))) < 200
    for option in re.findall(r"<option.*?</option>|placeholder=\"[^\"]*\"", page.text):
        assert len(option) < 400


def test_a_run_shows_the_whole_value_in_its_fold_and_a_short_one_at_once(browse: Browse, failed: str) -> None:
    page = browse("GET", f"{SERVICE}/runs/{failed}").text

    folds = re.findall(r"<details class=\"long-value\">.*?</details>", page, re.DOTALL)
    assert len(folds) == 2
    assert all("<summary>" in fold and "the-end-of-it" in fold and 'tabindex="0"' in fold for fold in folds)
    assert re.search(r"<dd[^>]*>&#34;brief&#34;\s*</dd>", page)


def test_many_parameters_are_folded_together(browse: Browse, ada: ActorService, ledger: Ledger) -> None:
    names = [f"p{number}" for number in range(30)]
    declared = "\n".join(f"{name} = 1" for name in names)
    ada.promote(Promotion(name="wide", notebook=text(notebook("a = 1", parameters=declared))))
    run = ada.run(RunRequest(job="wide", parameters=dict.fromkeys(names, 2))).id

    page = browse("GET", f"{SERVICE}/runs/{run}").text

    fold = re.search(r'<details class="mb-3" id="given">.*?</details>', page, re.DOTALL)
    assert fold
    assert "30 parameters" in fold[0]
    assert fold[0].count("<dt>") == page.count("<dt><code") == 30
