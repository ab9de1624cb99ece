"""Times have 24 hours and days like 2026-11-29 whatever the browser's language, and their zone is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from respawn_hub.auth import dependencies
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.ledger import Ledger
from support.browser import TIME_LIMIT_MS
from support.notebooks import notebook, text
from support.pages_in_browser import ORIGIN, answer_with
from support.signed_in import signed_in
from support.sources import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PAGES = ("", "jobs/user/ada/report", "jobs/user/ada/report/versions/1", "runs/{run}", "archived")
_SCRIPTS = [
    *(ROOT / "hub_ext/respawn_hub/static").glob("*.js"),
    *(ROOT / "hub_ext/respawn_server/static").glob("*.js"),
    *(ROOT / "hub_ext/respawn_server/labextension/static").glob("*.js"),
    *(ROOT / "widgets/respawn_widgets").glob("*.js"),
]
_SHOWN = re.compile(r"(today|\d{4}-\d\d-\d\d) \d\d:\d\d|(in )?\d+ (second|minute)s?( ago)?|now|this minute")
_TITLE = re.compile(r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, Asia/Tokyo")


@pytest.mark.long
@pytest.mark.parametrize("locale", ["en-US", "de-DE", "ar-EG", "th-TH"])
def test_every_time_of_a_page_has_24_hours_and_a_named_zone(
    chromium: Browser, tmp_path: Path, locale: str
) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    ada.schedule(ScheduleRequest(job="report", cron="0 15 * * *", tz="Asia/Tokyo"))
    run = ada.run(RunRequest(job="report")).id
    ada.cancel(run)  # a page of a run that is over does not load parts of itself again
    context = chromium.new_context(locale=locale, timezone_id="Asia/Tokyo")
    context.set_default_timeout(TIME_LIMIT_MS)
    expect.set_options(timeout=TIME_LIMIT_MS)
    signed = signed_in(ledger, tmp_path)
    signed.app.dependency_overrides[dependencies.caller] = lambda: Actor.owner("ada")
    answer_with(context, signed)
    page = context.new_page()

    for path in PAGES:
        page.goto(f"{ORIGIN}/services/respawn/{path.format(run=run)}", wait_until="domcontentloaded")
        times = page.locator("main time")
        if path == "archived":
            expect(page.locator("#zone")).to_be_hidden()
            continue
        expect(page.locator("#zone")).to_have_text("Times are those of Asia/Tokyo.")
        for time in times.all():
            assert _SHOWN.fullmatch(time.text_content() or ""), time.text_content()
            assert _TITLE.fullmatch(time.get_attribute("title") or ""), time.get_attribute("title")
    page.goto(f"{ORIGIN}/services/respawn/jobs/user/ada/report", wait_until="domcontentloaded")
    page.locator("#cron-new").fill("30 15 * * *")
    fires = page.locator("#new-schedule .fires")
    expect(fires.locator("li")).to_have_count(4)
    expect(fires).to_contain_text("Next, Asia/Tokyo:")
    for fire in fires.locator("li").all_text_contents():
        assert re.fullmatch(r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d 15:30", fire), fire
    context.close()
    ledger.close()


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda script: script.name)
def test_no_script_leaves_the_form_of_times_to_the_browsers_language(script: Path) -> None:
    source = script.read_text()
    assert not re.findall(r"toLocale(?:Date|Time)String|toLocaleString\((?!\"en\")", source)
    for made in re.findall(r"new Intl\.(?:Relative)?(?:Date)?TimeFormat\([^)]*\)", source):
        assert '"en' in made, made
        assert "Relative" in made or 'hourCycle: "h23"' in made, made
