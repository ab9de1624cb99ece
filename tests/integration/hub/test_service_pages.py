"""The service's pages on a real hub, as a browser gets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from respawn_jobs.api.service import Promotion
from respawn_jobs.model.runs import Run
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub
from support.notebooks import notebook, text
from support.routes import routes

from .conftest import FIXED, Visitor, ended

pytestmark = pytest.mark.integration
SignIn = Callable[[str], Visitor]


@pytest.fixture(scope="module")
def visitor(sign_in: SignIn) -> Visitor:
    return sign_in("ada")


def test_a_sign_in_goes_through_the_hub_and_back_to_the_page(visitor: Visitor, hub: RunningHub) -> None:
    assert str(visitor.landed.url) == f"{hub.service_url}/"
    assert "<h1" in visitor.landed.text
    assert "ada" in visitor.landed.text


def test_pieces_of_a_page_do_not_start_a_sign_in(hub: RunningHub) -> None:
    answer = httpx.get(f"{hub.service_url}/runs/run-x/head", headers={"Sec-Fetch-Dest": "empty"})

    assert answer.status_code == 401


def test_a_sign_in_that_began_elsewhere_is_refused(visitor: Visitor) -> None:
    answer = visitor.get("oauth_callback?state=forged&code=stolen")

    assert answer.status_code == 401
    assert "began elsewhere" in answer.text


def test_an_empty_list_tells_how_to_begin(sign_in: SignIn) -> None:
    page = sign_in("bob").get()

    assert page.status_code == 200
    assert "respawn promote" in page.text


def test_a_page_runs_no_code_but_ours(visitor: Visitor, failed: Run) -> None:
    page = visitor.get(f"runs/{failed.id}")

    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page.text)
    assert not re.search(r"""\son\w+=["']""", page.text)


def test_every_file_that_a_page_names_is_there(visitor: Visitor, failed: Run, hub: RunningHub) -> None:
    pages = [visitor.get(path).text for path in ("", f"runs/{failed.id}", "jobs/user/ada/fails")]
    for path in {
        found for page in pages for found in re.findall(r'(?:src|href)="(/[^"]*static/[^"]+)"', page)
    }:
        assert visitor.client.get(f"{hub.url}{path}").status_code == 200, path


def test_a_failed_run_shows_its_error_and_its_buttons(visitor: Visitor, failed: Run) -> None:
    page = visitor.get(f"runs/{failed.id}").text

    assert "ValueError" in page
    assert "no such column" in page
    assert '<span class="mi">41</span>' in page, "sources have their colours"
    assert f"debug/{failed.id}" in page
    assert f"runs/{failed.id}/resume" in page
    assert page.count('class="cell cell-executed"') == 2
    assert page.count('class="cell cell-failed"') == 1


def test_markup_of_an_output_is_only_in_its_sandbox(
    visitor: Visitor, succeeded: Run, hub: RunningHub
) -> None:
    page = visitor.get(f"runs/{succeeded.id}").text
    frame = re.search(r'<iframe[^>]*sandbox="allow-scripts"[^>]*src="([^"]+)"', page)
    assert frame
    assert "<b>bold</b>" not in page

    document = visitor.client.get(f"{hub.url}{frame.group(1)}")

    assert "<b>bold</b>" in document.text
    assert document.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")


def test_a_form_of_another_site_changes_nothing(visitor: Visitor, succeeded: Run, ada: RemoteService) -> None:
    before = ada.runs(job="works")
    answer = visitor.client.post(
        f"{visitor.hub.service_url}/jobs/user/ada/works/run", data={"_form_token": "x"}
    )
    api = visitor.client.post(f"{visitor.hub.service_url}/api/v1/runs", json={"job": "works"})

    assert (answer.status_code, api.status_code) == (403, 403)
    assert ada.runs(job="works") == before


def test_run_now_takes_typed_parameters_or_says_what_is_wrong(visitor: Visitor, ada: RemoteService) -> None:
    source = notebook(
        "print(alpha * 2, flag)", parameters="alpha: float = 0.5  # how much\nflag: bool = False"
    )
    ada.promote(Promotion(name="typed", notebook=text(source)))
    page = "jobs/user/ada/typed"
    wrong = visitor.post(f"{page}/run", page, data={"parameter:alpha": "much", "parameter:flag": ""})
    right = visitor.post(f"{page}/run", page, data={"parameter:alpha": "1.5", "parameter:flag": "True"})

    assert "how much" in visitor.get(page).text
    assert wrong.status_code == 422
    assert "alpha" in wrong.text
    assert 'value="much"' in wrong.text
    run = ended(ada, str(right.url).rpartition("/")[2])
    assert run.parameters == {"alpha": 1.5, "flag": True}


def test_schedules_are_added_paused_and_removed_by_forms(
    visitor: Visitor, succeeded: Run, ada: RemoteService
) -> None:
    page = "jobs/user/ada/works"
    never = visitor.post(f"{page}/schedules", page, data={"cron": "0 0 30 2 *", "tz": "UTC"})
    added = visitor.post(f"{page}/schedules", page, data={"cron": "0 3 * * 1-5", "tz": "Europe/Berlin"})
    (schedule,) = ada.job("works").schedules

    assert never.status_code == 422
    assert "30 2" in never.text
    assert added.status_code == 200
    visitor.post(f"{page}/schedules/{schedule.id}/pause", page)
    assert ada.job("works").schedules[0].paused
    visitor.post(f"{page}/schedules/{schedule.id}/remove", page)
    assert ada.job("works").schedules == []


def test_an_uploaded_notebook_is_planned_before_it_starts(
    visitor: Visitor, failed: Run, ada: RemoteService, uploads: Callable[[str], tuple[str, bytes]]
) -> None:
    page = f"runs/{failed.id}/resume"
    plan = visitor.post(page, page, data={"button": "start"}, files={"notebook": uploads(FIXED)})
    kept = re.search(r'name="kept" value="([^"]+)"', plan.text)

    assert "cells are reused" in plan.text
    assert ada.show(failed.id).run.resumed_by is None
    assert kept
    started = visitor.post(page, page, data={"button": "start", "kept": kept.group(1)})
    resumed = ended(ada, str(started.url).rpartition("/")[2])
    assert resumed.origin == failed.id
    again = visitor.post(page, f"runs/{failed.id}/restart", data={"button": "start", "kept": kept.group(1)})
    assert again.status_code == 409
    assert resumed.id in again.text


@pytest.mark.parametrize("content", [b"not JSON", b"\xff\xfe", b"{}"])
def test_an_upload_that_is_no_notebook_is_named_on_the_form_itself(
    content: bytes, visitor: Visitor, failed: Run
) -> None:
    page = f"runs/{failed.id}/resume"
    answer = visitor.post(page, page, data={"button": "start"}, files={"notebook": ("mine.ipynb", content)})

    assert answer.status_code == 422
    assert "mine.ipynb: " in answer.text
    assert 'type="file"' in answer.text
    assert 'name="kept" value=""' in answer.text


def test_the_debug_link_leads_to_the_persons_own_server(
    visitor: Visitor, failed: Run, hub: RunningHub
) -> None:
    answer = visitor.get(f"debug/{failed.id}", follow_redirects=False)

    assert answer.status_code == 302
    target = answer.headers["location"]
    assert target == f"/hub/spawn/ada?next=%2Fuser%2Fada%2Frespawn%2Fdebug%2F{failed.id}"


@pytest.mark.parametrize("kind", ["succeeded", "foreign", "missing", "no page"])
def test_what_cannot_be_shown_is_a_page_that_says_why(
    kind: str, visitor: Visitor, sign_in: SignIn, failed: Run, succeeded: Run
) -> None:
    who, path, status, said = {
        "succeeded": (visitor, f"debug/{succeeded.id}", 409, f"{succeeded.id} succeeded"),
        "foreign": (None, f"debug/{failed.id}", 403, "belongs to user/ada; you are bob"),
        "missing": (visitor, "runs/run-nope", 404, "run-nope"),
        "no page": (visitor, "nothing/here", 404, "nothing/here"),
    }[kind]
    page = (who or sign_in("bob")).get(path)

    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert said in page.text


UNTIL_SEEN = """
import pathlib, time
for i in range(600):
    print(i, flush=True)
    time.sleep(0.2)
    if pathlib.Path({seen!r}).exists():
        break
"""


def test_a_stream_tells_a_run_to_its_end(visitor: Visitor, ada: RemoteService, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    source = notebook(UNTIL_SEEN.format(seen=str(seen)), "2")
    ada.promote(Promotion(name="live", notebook=text(source)))
    page = visitor.post("jobs/user/ada/live/run", "jobs/user/ada/live")
    run = str(page.url).rpartition("/")[2]

    lines, keys = [], []
    with visitor.client.stream("GET", f"{visitor.hub.service_url}/api/v1/runs/{run}/events") as stream:
        for line in filter(None, stream.iter_lines()):
            lines.append(line)
            keys += re.findall(r'"0": "([a-z]+)-', line)
            if keys.count("running") >= 3:
                seen.touch()

    assert seen.exists(), "output is told while the cell runs"
    assert lines[-2] == "event: end"
    assert keys[-1] == "executed"


def test_who_signs_out_of_the_hub_is_out(sign_in: SignIn, hub: RunningHub) -> None:
    bob = sign_in("bob")
    assert bob.get().status_code == 200
    bob.client.get(f"{hub.url}/hub/logout")

    assert "/hub/login" in str(bob.get().url)


def test_who_signs_out_here_is_out_of_the_hub_too(sign_in: SignIn, hub: RunningHub) -> None:
    bob = sign_in("bob")
    bob.post("sign-out", "")

    assert "/hub/login" in str(bob.client.get(f"{hub.url}/hub/home").url)


@pytest.mark.parametrize(
    ("mode", "site"), [("cors", "same-origin"), ("same-origin", "same-origin"), ("no-cors", "cross-site")]
)
def test_a_session_answers_to_people_and_not_to_scripts_of_others(
    visitor: Visitor, failed: Run, mode: str, site: str
) -> None:
    token = re.search(r'data-form-token="([^"]+)"', visitor.get().text)
    assert token
    script = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Site": site, "Sec-Fetch-Dest": "empty"}
    open_to_all = {"/metrics", "/api/v1/health", "/oauth_callback", "/hooks/{hook}"}
    for method, path in routes():
        if path in open_to_all or path.startswith("/runner/"):
            continue
        there = path.lstrip("/").replace("{run}", failed.id).replace("{number}", "1")
        there = there.replace("{cell}", "0").replace("{index}", "0")
        address = f"{visitor.hub.service_url}/{re.sub(r'{[^}]*}', 'x', there)}"
        answer = visitor.client.request(method, address, headers=script)
        assert answer.status_code in (401, 403), f"{method} {path}: {answer.status_code}"
        assert token[1] not in answer.text, f"{method} {path} shows the form token"
    own = visitor.get(f"runs/{failed.id}/head", headers={**script, "X-Form-Token": token[1]})
    assert own.status_code == 200


def test_the_hubs_page_for_what_does_not_answer_knows_the_service(hub: RunningHub) -> None:
    page = httpx.get(f"{hub.url}/hub/error/503").text
    assert "The Respawn service does not answer" in page
    assert "Your server appears to be down" in page
    assert '"/services/respawn"' in page
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "slow, or only the way to it is broken: runs go on" in words
    assert "queued again" in words
    assert "killed, or its machine went away: runs that it executed there ended with it" in words
    assert "shown as lost" in words
