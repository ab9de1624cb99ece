"""Profiles: what an administrator may write, who may use them, and servers of each for one account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from traitlets.config import Config

import respawn_hub
from respawn_hub.job_servers.beside import BesideExecutor
from respawn_hub.job_servers.led import LedExecutor
from respawn_hub.startup.settings import Settings
from respawn_hub.startup.shared_account import refusal, warning
from respawn_jobs.access import Actor
from respawn_jobs.api.job_profiles import JobProfile, checked_profiles, read_profiles
from respawn_jobs.api.job_server_protocol import JobServerReport
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity.leadership import Leader
from respawn_jobs.ledger.context.job_places import ServerKernels
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.kernels import ForeseenRun, JobPlace, ServerKernel, WantedKernel
from respawn_jobs.model.settings import JobSettings
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.played_hub import Played, PlayedHub, PlayedSeconds
from support.signed_in import Browse
from support.waiting import wait_for

SERVICE = "/services/respawn"
GIVEN: dict[str, dict[str, Any]] = {
    "small": {"title": "Small one", "default_for": ["*"], "user_options": {"profile": "s"}},
    "gpu": {"allowed": ["ml", "team/risk"], "default_for": ["team/risk"], "slots": 1, "idle_seconds": 5},
}
PYTHON = ServerKernel(name="python3", display_name="Python 3", language="python", lock="b" * 64)


@pytest.fixture
def played(ledger: Ledger) -> Iterator[Played]:
    played = Played(ledger, PlayedSeconds(), PlayedHub(), checked_profiles(GIVEN))
    yield played
    played.executor.close()


def promoted(service: ActorService, name: str, profile: str | None = None, **more: Any) -> str:
    asked = Promotion(name=name, notebook=text(notebook("1")), settings=JobSettings(profile=profile), **more)
    return service.promote(asked).job


def free(played: Played, *places: JobPlace) -> list[int]:
    found = played.executor.places(lambda: places)
    return [found.get(place, 0) for place in places]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Big": {}}, "'Big' is no name of a profile"),
        ({"a": {"slots": 0}}, "the profile a: slots"),
        ({"a": {"sluts": 1}}, "the profile a: sluts"),
        ({"a": {"allowed": ["team/"]}}, "'team/' is not a namespace"),
        ({"a": {"allowed": ["ml"], "default_for": ["*"]}}, "is the default for '\\*', which may not use it"),
        ({"a": {"default_for": ["*"]}, "b": {"default_for": ["*"]}}, "a and b are both the default for"),
        ({"a": {"executor": "local", "slots": 1}}, "the profile a: slots is for servers of the hub"),
        ({"a": {"user_options": {"respawn_nonce": "x"}}}, "respawn_nonce is given by the service itself"),
    ],
)
def test_a_profile_that_cannot_be_used_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        checked_profiles(given)


def test_profiles_are_read_from_toml_and_json_and_what_is_neither_is_named(tmp_path: Path) -> None:
    toml, other, broken = tmp_path / "p.toml", tmp_path / "p.json", tmp_path / "broken.toml"
    toml.write_text('[small]\ntitle = "Small one"\ndefault_for = ["*"]\nuser_options = { profile = "s" }\n')
    other.write_text(json.dumps({"small": GIVEN["small"]}))
    broken.write_text("[small")
    assert (
        read_profiles(str(toml))
        == read_profiles(str(other))
        == read_profiles(json.dumps({"small": GIVEN["small"]}))
    )
    with pytest.raises(InvalidInput, match=r"broken\.toml is not TOML"):
        read_profiles(str(broken))
    with pytest.raises(InvalidInput, match=r"nowhere\.toml cannot be read"):
        read_profiles(str(tmp_path / "nowhere.toml"))
    with pytest.raises(ValidationError, match="no name of a profile"):
        Settings(job_profiles='{"Big": {}}')


def test_configure_hands_profiles_to_the_service_and_refuses_bad_ones_before_the_hub_starts(
    tmp_path: Path,
) -> None:
    config = Config()
    respawn_hub.configure(config, data=tmp_path, executor="hub", job_profiles=GIVEN)
    (service,) = config.JupyterHub.services
    assert read_profiles(service["environment"]["RESPAWN_JOB_PROFILES"]) == checked_profiles(GIVEN)
    with pytest.raises(InvalidInput, match="no name of a profile"):
        respawn_hub.configure(Config(), data=tmp_path, executor="hub", job_profiles={"Big": {}})
    with pytest.raises(ValueError, match="executor='hub'"):
        respawn_hub.configure(Config(), data=tmp_path, executor="local", job_profiles=GIVEN)


def test_the_hook_tells_a_server_its_profile(tmp_path: Path) -> None:
    import asyncio

    config = Config()
    respawn_hub.configure(config, data=tmp_path, executor="hub", job_profiles=GIVEN)
    options = {"respawn_nonce": "n", "respawn_profile": "gpu", "profile": "s"}
    spawner = SimpleNamespace(name="respawn-gpu-1", user_options=options, cmd=[], environment={})
    asyncio.run(config.Spawner.pre_spawn_hook(spawner))
    assert spawner.environment == {"RESPAWN_JOB_SERVER_NONCE": "n", "RESPAWN_JOB_PROFILE": "gpu"}


def test_an_account_has_a_server_of_each_profile_with_its_options_and_places(played: Played) -> None:
    small, gpu = JobPlace("user/ada"), JobPlace("user/ada", "gpu")
    one = played.ready("user/ada")
    two = played.ready("user/ada", 2, "gpu")
    assert one.startswith("respawn-small-")
    assert two.startswith("respawn-gpu-")
    assert played.hub.options == {one: {"profile": "s"}, two: {}}
    assert free(played, small, JobPlace("user/ada", "small"), gpu) == [2, 0, 1], "one server, named or not"
    assert (played.executor.slots_of(one), played.executor.slots_of(two)) == (2, 1)
    played.executor.submit("att-1", "secret", gpu)
    assert played.order(one) == []
    assert played.order(two) == ["att-1"]
    assert free(played, small, gpu) == [2, 0]


def test_a_server_is_kept_idle_as_long_as_its_profile_says(played: Played) -> None:
    small, gpu = played.ready("user/ada"), played.ready("user/ada", 2, "gpu")
    played.pass_seconds(8)
    for name in (small, gpu):
        played.executor.hear(name, JobServerReport())
    played.executor.probe()
    wait_for(lambda: played.hub.stopped == [gpu], 10, "the end of the idle server")


def test_servers_of_profiles_are_started_ahead(played: Played) -> None:
    runs = [ForeseenRun("user/ada", WantedKernel("python3"), profile) for profile in ("gpu", None)]
    played.executor.expect(runs, 30.0)
    wait_for(lambda: len(played.hub.started) == 2, 10, "both servers")
    assert sorted(name.split("-")[1] for name in played.hub.started) == ["gpu", "small"]


def test_the_next_process_knows_the_profile_of_each_server(played: Played) -> None:
    name = played.ready("user/ada", profile="gpu")
    following = Played(played.ledger, played.clock, played.hub, checked_profiles(GIVEN))
    following.executor.hear(name, JobServerReport())
    assert free(following, JobPlace("user/ada", "gpu")) == [1]
    following.executor.close()


def test_runs_without_a_place_keep_none_of_another_profile_from_starting(
    played: Played, ada: ActorService
) -> None:
    jobs = {profile: promoted(ada, f"in-{profile}", profile) for profile in ("gpu", "small")}
    runs = {profile: ada.run(RunRequest(job=job)).id for profile, job in jobs.items()}
    played.ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})
    played.ready("user/ada", profile="small")
    places = played.executor.places(played.ledger.waiting_places)
    [claimed] = played.ledger.claim_runs("hub", None, 5, places)
    assert (claimed.run, claimed.place) == (runs["small"], JobPlace("user/ada", "small"))
    assert ada.show(runs["small"]).attempts[0].profile == "small"
    waiting = "waiting for: a job server of ada (profile gpu), which is being started"
    assert ada.show(runs["gpu"]).run.waiting == waiting


def test_the_attempt_of_a_job_that_says_nothing_has_the_default(played: Played, ada: ActorService) -> None:
    run = ada.run(RunRequest(job=promoted(ada, "says-nothing"))).id
    played.ready("user/ada")
    played.ledger.claim_runs("hub", None, 5, played.executor.places(played.ledger.waiting_places))
    assert ada.show(run).attempts[0].profile == "small"


def test_a_profile_that_there_is_not_is_refused_with_those_there_are(
    played: Played, ada: ActorService
) -> None:
    job = promoted(ada, "report")
    eve = played.ledger.as_actor(Actor("eve", frozenset({"custom:respawn:edit!user=eve"})))
    with pytest.raises(InvalidInput, match="'huge' is not defined; user/ada may use: small, gpu"):
        promoted(ada, "other", "huge")
    with pytest.raises(InvalidInput, match="'gpu' is not for user/eve; user/eve may use: small"):
        promoted(eve, "hers", "gpu")
    with pytest.raises(InvalidInput, match="'huge' is not defined"):
        ada.configure(job, {"profile": "huge"})
    assert ada.configure(job, {"profile": "gpu"}).settings.profile == "gpu"
    assert ada.configure(job, {"profile": None}).settings.profile is None
    with pytest.raises(Forbidden):
        eve.profiles("user/ada")


def test_runs_of_a_profile_that_was_removed_wait_and_say_so(played: Played, ada: ActorService) -> None:
    run = ada.run(RunRequest(job=promoted(ada, "report", "gpu"))).id
    played.ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})
    without = Played(played.ledger, played.clock, played.hub, checked_profiles({"small": GIVEN["small"]}))
    places = without.executor.places(without.ledger.waiting_places)
    assert without.ledger.claim_runs("hub", None, 5, places) == []
    assert "the profile 'gpu' is not defined; user/ada may use: small" in str(ada.show(run).run.waiting)
    ada.configure("report", {"profile": None})
    assert "a job server of ada (profile small)" in str(
        (without.executor.places(without.ledger.waiting_places), ada.show(run).run.waiting)[1]
    )
    without.executor.close()


def test_nobody_is_taken_for_a_member_before_the_hub_has_said_so(ledger: Ledger) -> None:
    played = Played(ledger, PlayedSeconds(), PlayedHub(), checked_profiles(GIVEN))
    kim = ledger.as_actor(Actor.owner("kim"))  # of whom the played hub has said nothing
    job = promoted(kim, "report")
    run = kim.run(RunRequest(job=job)).id
    ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})
    assert kim.kernels()
    assert kim.preview_promotion(Promotion(name="x", notebook=text(notebook("1")))).profiles == []
    played.executor.places(ledger.waiting_places)
    assert "profile small" in str(kim.show(run).run.waiting), "what everybody may use needs no group"
    played.executor.close()


def test_a_profile_beside_the_service_has_places_and_kernels_of_its_own(
    ledger: Ledger, ada: ActorService
) -> None:
    given = {**GIVEN, "here": {"executor": "local"}}
    played = Played(ledger, PlayedSeconds(), PlayedHub(), checked_profiles(given))
    beside = BesideExecutor("http://nowhere", ledger.context.places, max_running=3)
    played.ready("user/ada", kernels=[PYTHON.model_copy(update={"name": "ir"})])
    runs = {
        profile: ada.run(RunRequest(job=promoted(ada, f"in-{profile}", profile, **more))).id
        for profile, more in {"here": {}, "small": {"kernel": "ir"}}.items()
    }
    waiting = ledger.waiting_places
    assert {place.profile: free for place, free in beside.places(waiting).items()} == {"here": 3}
    assert {place.profile: free for place, free in played.executor.places(waiting).items()} == {"small": 2}
    [claimed] = ledger.claim_runs("local", "rep-1", 3, beside.places(waiting))
    assert claimed.run == runs["here"]
    assert (ada.show(runs["here"]).attempts[0].profile, ada.show(runs["here"]).attempts[0].executor) == (
        "here",
        "local",
    )
    [here] = [one for one in ada.profiles() if one.beside]
    assert "python3" in {one.name for one in here.kernels or ()}, "those of the service's machine"
    with pytest.raises(InvalidInput, match="unknown kernel 'ir'"):
        promoted(ada, "other", "here", kernel="ir")
    played.executor.expect([ForeseenRun("user/ada", WantedKernel("python3"), "here")], 30.0)
    assert len(played.hub.started) == 1, "no server is started for it"
    beside.close()
    played.executor.close()


def test_a_profile_beside_the_service_needs_the_agreement_to_share_its_account() -> None:
    settings = Settings(
        executor="hub", job_profiles={"here": JobProfile(executor="local"), "big": JobProfile()}
    )
    assert (settings.profiles_beside, settings.runs_beside) == (["here"], True)
    assert "jobs of the profiles here would run as" in refusal(settings)
    assert "jobs of the profiles here run as" in warning(settings)
    assert not Settings(executor="hub", job_profiles={"big": JobProfile()}).runs_beside


def test_a_team_gets_its_default_and_its_own_name_is_a_group(played: Played) -> None:
    risk = JobPlace("team/risk")
    assert free(played, risk) == [0]
    assert played.hub.started[played.started()][0] == "risk-jobs"
    assert played.started().startswith("respawn-gpu-")


def test_servers_tell_their_kernels_and_a_promotion_pins_their_build(
    played: Played, ada: ActorService, clock: MovedClock
) -> None:
    asked = Promotion(name="report", notebook=text(notebook("1")))
    assert ada.preview_promotion(asked).notes == [
        "Whether the job servers of ada (profile small) have the kernel python3 is seen when its first run "
        "starts: none has told yet which kernels it has."
    ]
    played.ready("user/ada", kernels=[PYTHON])
    assert ada.preview_promotion(asked).notes == []
    ada.promote(asked)
    assert ada.versions("report")[0].lock == PYTHON.lock
    run = ada.run(RunRequest(job="report"))
    assert run.lock == PYTHON.lock
    newer = PYTHON.model_copy(update={"lock": "c" * 64})
    played.executor.hear(next(iter(played.hub.started)), JobServerReport(kernels=[newer]))
    assert ada.show(run.id).run.newer_lock == newer.lock
    small, gpu = ada.profiles()
    assert (small.name, small.default, small.kernels, small.seen_at) == ("small", True, [newer], clock())
    assert (gpu.name, gpu.kernels) == ("gpu", None)
    assert [(one.name, one.profiles) for one in ada.kernels()] == [("python3", ["small"])]


def test_the_limits_of_a_run_are_those_of_its_kernel_where_it_executes(
    played: Played, ada: ActorService
) -> None:
    bounded = PYTHON.model_copy(update={"resources": {"memory": 2.0 * 1024**3, "cpus": 2.0}})
    played.ready("user/ada", kernels=[bounded])
    run = ada.run(RunRequest(job=promoted(ada, "report"))).id
    row = played.ledger.open_attempt(run, "hub")
    limits = played.ledger.runner(*row).claim().limits
    assert (limits.memory_bytes, limits.cpus) == (2 * 1024**3, 2)


def test_what_servers_have_told_is_known_by_the_next_process(played: Played, ada: ActorService) -> None:
    played.ready("user/ada", kernels=[PYTHON])
    played.ledger.context.server_kernels = ServerKernels()  # as in a process that has just begun
    assert ada.profiles()[0].kernels is None
    next_one = Played(played.ledger, played.clock, played.hub, checked_profiles(GIVEN)).executor
    led = LedExecutor(played.ledger, Leader("rep-next", "http://next"), lambda: next_one, ahead=30.0)
    led.probe()
    led.close()
    assert ada.profiles()[0].kernels == [PYTHON]


def test_a_kernel_that_the_servers_lack_is_asked_about(played: Played, ada: ActorService) -> None:
    played.ready("user/ada", kernels=[PYTHON])
    with pytest.raises(
        Conflict,
        match=r"\(profile small\) have no kernel ir; at .* UTC they had: python3\. .* --agree unknown_kernel",
    ):
        promoted(ada, "report", kernel="ir")
    promoted(ada, "report", kernel="ir", agreed=["unknown_kernel"])
    assert ada.versions("report")[0].lock is None
    assert ada.run(RunRequest(job="report")).kernel == "ir"
    eve = played.ledger.as_actor(Actor.owner("eve"))
    promoted(eve, "hers", kernel="ir")  # what ada's server says is nothing to her
    assert eve.profiles()[0].kernels is None


def test_the_profile_is_chosen_and_shown_on_pages(played: Played, ada: ActorService, browse: Browse) -> None:
    job = promoted(ada, "report")
    played.ready("user/ada", kernels=[PYTHON])
    page = browse("GET", f"{SERVICE}/jobs/{job}").text
    assert '<option value="" selected>Default: Small one</option>' in page
    assert browse("POST", f"{SERVICE}/jobs/{job}/manage/profile", {"profile": "gpu"}).status_code == 303
    assert ada.job(job).settings.profile == "gpu"
    assert '<option value="gpu" selected>gpu</option>' in browse("GET", f"{SERVICE}/jobs/{job}").text
    refused = browse("POST", f"{SERVICE}/jobs/{job}/manage/profile", {"profile": "huge"})
    assert refused.status_code == 422
    assert "is not defined; user/ada may use: small, gpu" in refused.text
    assert "lacks-kernel" not in browse("GET", f"{SERVICE}/jobs/{job}").text, "nothing is known of it yet"
    assert "not known yet: no server of it has started" in browse("GET", f"{SERVICE}/environments").text
    played.ready("user/ada", 2, "gpu", [PYTHON.model_copy(update={"name": "ir"})])
    lacking = browse("GET", f"{SERVICE}/jobs/{job}").text
    assert 'id="lacks-kernel">Its servers had no kernel <code class="text-break">python3</code>' in lacking
    browse("POST", f"{SERVICE}/jobs/{job}/manage/profile", {"profile": ""})
    assert "lacks-kernel" not in browse("GET", f"{SERVICE}/jobs/{job}").text
    assert ada.job(job).settings.profile is None
    kernels = browse("GET", f"{SERVICE}/environments").text
    assert f'title="{PYTHON.lock}"' in kernels
    run = ada.run(RunRequest(job=job)).id
    played.ledger.claim_runs("hub", None, 5, played.executor.places(played.ledger.waiting_places))
    assert '<dt>Profile</dt><dd class="text-break">small</dd>' in browse("GET", f"{SERVICE}/runs/{run}").text


def test_beside_the_service_there_are_no_profiles(ada: ActorService, browse: Browse) -> None:
    with pytest.raises(InvalidInput, match="jobs run on the service's machine here"):
        promoted(ada, "report", "gpu")
    job = promoted(ada, "report")
    assert ada.profiles() == []
    assert "manage/profile" not in browse("GET", f"{SERVICE}/jobs/{job}").text
    assert 'id="profiles"' not in browse("GET", f"{SERVICE}/environments").text


def test_what_a_server_says_of_its_kernels_is_bounded_and_stored_without_what_cannot_be(
    played: Played, ada: ActorService
) -> None:
    with pytest.raises(ValidationError, match="at most 500"):
        JobServerReport(kernels=[PYTHON] * 501)
    with pytest.raises(ValidationError, match="at most 255"):
        ServerKernel(name="x" * 256, display_name="x", language="x")
    played.ready("user/ada", kernels=[PYTHON.model_copy(update={"name": "ir\0", "display_name": "<b>R</b>"})])
    [kernel] = ada.profiles()[0].kernels or []
    assert "\0" not in kernel.name
