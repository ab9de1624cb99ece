"""Jobs of one person in servers of several profiles, which the hub starts with the options of each."""

from __future__ import annotations

import json
from collections.abc import Iterator

import nbformat
import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.model.runs import RunDetail, RunState
from respawn_jobs.model.settings import Cause, JobSettings
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, printed_by, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(240)]

PROFILES = {
    "small": {"title": "Small", "default_for": ["*"], "user_options": {"threads": "3"}},
    "big": {"title": "Big", "allowed": ["ml"], "user_options": {"threads": "5"}, "slots": 1},
    "odd": {"user_options": {"threads": "none"}},
    "late": {"user_options": {"threads": "late"}},
    "beside": {"executor": "local", "allowed": ["ml"]},
}
HOOK = """
c.JupyterHub.named_server_limit_per_user = 2
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0.5}
c.Spawner.options_form = "<input name='threads'>"  # which no job server is asked to fill in
async def as_wanted(spawner):
    threads = (spawner.user_options or {}).get("threads")
    if threads == "none":
        from tornado.web import HTTPError
        raise HTTPError(400, "no server has no threads", reason="no server has no threads")
    if threads == "late":
        import asyncio
        await asyncio.sleep(2)
        raise ValueError("the image cannot be pulled")
    if threads:
        spawner.environment = {**spawner.environment, "OMP_NUM_THREADS": threads}
c.Spawner.pre_spawn_hook = as_wanted
"""
"""What a Spawner does with options, of one that starts local processes."""
WAITS = """\
import os, time
open('begun-{0}', 'w').close()
while not os.path.exists('begun-{1}'):
    time.sleep(0.05)
print(os.environ['OMP_NUM_THREADS'])"""
"""A cell that ends when that of another job has begun: both run at the same time."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(
        tmp_path_factory.mktemp("hub"),
        users=("ada", "eve", "kim"),
        groups={"ml": ["ada"]},
        executor="hub",
        extra=HOOK,
        service_environment={
            "RESPAWN_JOB_PROFILES": json.dumps(PROFILES),
            "RESPAWN_JOBS_SHARE_AN_ACCOUNT": "yes",  # for those of `beside`
        },
    ) as running:
        tolerate(running.process.pid)
        yield running


def begin(hub: RunningHub, user: str, name: str, cell: str, profile: str | None = None, **more) -> str:
    """Promote a notebook that lies in a user's home, run it, and return the run's id."""
    service = hub.service(user)
    asked = Promotion(
        name=name,
        notebook=text(notebook(cell)),
        directory=str(hub.home(user)),
        settings=JobSettings(profile=profile),
        **more,
    )
    service.promote(asked)
    return service.run(RunRequest(job=name)).id


def ended(hub: RunningHub, user: str, run: str) -> RunDetail:
    service = hub.service(user)
    wait_for(lambda: service.show(run).run.state.final, 150, f"the end of {run}; see {hub.log}")
    return service.show(run)


def test_jobs_of_two_profiles_run_at_once_in_two_servers_with_the_options_of_each(hub: RunningHub) -> None:
    runs = {
        "small": begin(hub, "ada", "in-small", WAITS.format("small", "big")),
        "big": begin(hub, "ada", "in-big", WAITS.format("big", "small"), "big"),
    }
    printed = {}
    for profile, run in runs.items():
        detail = ended(hub, "ada", run)
        assert detail.run.state is RunState.SUCCEEDED, detail.run.error
        assert [(one.executor, one.profile) for one in detail.attempts] == [("hub", profile)]
        cells = nbformat.reads(hub.service("ada").notebook(run), as_version=4).cells
        printed[profile] = printed_by(cells[-1]).strip()
    assert printed == {"small": "3", "big": "5"}
    servers = hub.hub_api("GET", "/users/ada").json()["servers"]
    assert sorted(name.rpartition("-")[0] for name in servers) == ["respawn-big", "respawn-small"]
    options = {name.split("-")[1]: server["user_options"] for name, server in servers.items()}
    assert {name: given["threads"] for name, given in options.items()} == printed


def test_a_profile_of_a_group_is_for_its_members_alone(hub: RunningHub) -> None:
    with pytest.raises(InvalidInput, match="'big' is not for user/eve; user/eve may use: small, odd, late"):
        begin(hub, "eve", "not-hers", "1", "big")
    assert [one.name for one in hub.service("eve").profiles()] == ["small", "odd", "late"]
    assert [one.name for one in hub.service("ada").profiles()] == ["small", "big", "odd", "late", "beside"]


def test_a_run_whose_server_the_hub_does_not_start_says_so_in_the_hubs_words(hub: RunningHub) -> None:
    service = hub.service("eve")
    run = begin(hub, "eve", "odd-one", "1", "odd")
    wait_for(lambda: "no server has no threads" in str(service.show(run).run.waiting), 60, "the hub's words")
    other = begin(hub, "eve", "usual", "1")
    assert ended(hub, "eve", other).run.state is RunState.SUCCEEDED, "it does not wait for the odd one"
    for number in range(2):  # with the server that has run it, one too many
        hub.hub_api("POST", f"/users/eve/servers/own-{number}")
    wait_for(lambda: "maximum" in str(service.show(run).run.waiting), 60, "the limit of the hub")
    service.configure("odd-one", {"profile": None})
    assert ended(hub, "eve", run).run.state is RunState.SUCCEEDED, "it follows the setting of now"


def test_a_start_that_fails_after_the_hub_has_agreed_to_it_is_told_in_its_words(hub: RunningHub) -> None:
    service = hub.service("kim")
    run = begin(hub, "kim", "too-late", "1", "late")
    wait_for(lambda: "cannot be pulled" in str(service.show(run).run.waiting), 60, "the hub's words")
    service.cancel(run)


def test_a_profile_lets_jobs_run_beside_the_service(hub: RunningHub) -> None:
    before = set(hub.hub_api("GET", "/users/ada").json()["servers"])
    detail = ended(hub, "ada", begin(hub, "ada", "at-home", "import os\nprint(os.getppid())", "beside"))
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert [(one.executor, one.profile) for one in detail.attempts] == [("local", "beside")]
    assert set(hub.hub_api("GET", "/users/ada").json()["servers"]) <= before


def test_servers_tell_their_kernels_and_one_that_lacks_a_kernel_says_so(hub: RunningHub) -> None:
    detail = ended(hub, "ada", begin(hub, "ada", "tells", "1"))
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    service = hub.service("ada")
    kernels = {
        kernel.name for one in service.profiles() if one.name == "small" for kernel in one.kernels or ()
    }
    assert "python3" in kernels
    assert {one.name for one in service.kernels()} >= kernels
    with pytest.raises(
        Conflict, match=r"ada \(profile small\) have no kernel nowhere; at .* they had: .*python3"
    ):
        begin(hub, "ada", "lacks", "1", kernel="nowhere")
    run = begin(hub, "ada", "lacks", "1", kernel="nowhere", agreed=["unknown_kernel"])
    [attempt] = ended(hub, "ada", run).attempts
    assert attempt.cause is Cause.ENVIRONMENT_MISSING
    assert attempt.error is not None
    assert "'nowhere' could not be started in a server of profile small" in attempt.error.value
    assert "python3" in attempt.error.value
