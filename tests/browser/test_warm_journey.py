"""The journey with every kernel warm and of the build that is pinned, another notebook open beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.kernels import KernelStart
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.notebook.promotion import prepare
from support.browser import sign_in
from support.hub import RunningHub, running_hub
from support.journey import (
    EXAMPLE,
    FAILING,
    ask_the_kernel,
    fix_the_cell,
    look_at_a_variable,
    open_the_failure,
    resume,
    see_it_succeed,
)
from support.jupyter import LABEXTENSION
from support.leaks import tolerate
from support.notebooks import notebook, text
from support.servers import Server, finished
from support.waiting import wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(900),
]
KERNEL = "respawn-science"
ZYGOTE = "respawn_environments.warm.zygote"
HOW_STARTED = "open('/proc/self/cmdline').read().split(chr(0))[2]"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    extensions = tmp_path / "jupyter" / "labextensions"
    extensions.mkdir(parents=True)
    # The source tree's plugin, not the copy of the last installation.
    (extensions / "respawn").symlink_to(LABEXTENSION, target_is_directory=True)
    server = {
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "hub" / "runtime"),
    }
    with running_hub(tmp_path / "hub", users=("ada",), server_environment=server) as running:
        tolerate(running.process.pid)
        yield running


def started_server(hub: RunningHub) -> Server:
    hub.token("ada")
    assert hub.hub_api("POST", "/users/ada/server").status_code in (201, 202)
    server = Server(hub, "ada")
    wait_for(lambda: server.call("GET", "api/status").status_code == 200, 120, "ada's server")
    return server


def warm_runner(hub: RunningHub) -> None:
    """Execute runs until one has a kernel from the zygote of the runner, as on a service that has work."""
    service = hub.service("ada")
    service.promote(Promotion(name="before", notebook=text(notebook("1 + 1", kernel=KERNEL)), kernel=KERNEL))

    def warm() -> bool:
        run = finished(hub, service.run(RunRequest(job="before")).id)
        assert run.state is RunState.SUCCEEDED, run.error
        return service.show(run.id).attempts[-1].kernel_start == KernelStart(warm=True)

    wait_for(warm, 240, "a warm kernel in the runner")


def warm_server(server: Server) -> None:
    """Start kernels until one comes from the zygote of the server, as where a person has worked already."""

    def warm() -> bool:
        kernel = server.call("POST", "api/kernels", json={"name": KERNEL}).json()["id"]
        try:
            return wait_for(lambda: how_started(server, kernel), 60, "the kernel's answer") == repr(ZYGOTE)
        finally:
            server.call("DELETE", f"api/kernels/{kernel}")

    wait_for(warm, 240, "a warm kernel in the server")


def how_started(server: Server, kernel: str) -> str | None:
    with suppress(RuntimeError):  # it still comes up
        return server.evaluate_in(kernel, HOW_STARTED)
    return None


def failed_at_night(hub: RunningHub, version: Version) -> Run:
    """Let a schedule make a run while nobody looks, and return it once it has failed."""
    service = hub.service("ada")
    schedule = service.schedule(ScheduleRequest(job=version.job, cron="* * * * *", tz="UTC"))
    (run, *_) = wait_for(lambda: service.runs(job=version.job), 120, "the run that is due")
    service.unschedule(schedule.id)
    run = finished(hub, run.id, 180)
    assert (run.state, run.trigger, run.lock) == (RunState.FAILED, "schedule", version.lock)
    assert run.error is not None
    assert run.error.cell == FAILING
    assert service.show(run.id).attempts[-1].kernel_start == KernelStart(warm=True)
    return run


def test_everything_is_warm_and_pinned_from_the_night_to_the_fix(page: Page, hub: RunningHub) -> None:
    server = started_server(hub)
    shutil.copy(EXAMPLE, server.home / EXAMPLE.name)
    page.goto(f"{hub.url}/hub/login?next=/user/ada/lab/tree/{EXAMPLE.name}")
    sign_in(page, "ada", hub.password)
    expect(page.locator(".jp-Notebook")).to_be_visible()
    warm_server(server)
    warm_runner(hub)
    version = hub.service("ada").promote(prepare(EXAMPLE, "diabetes-scores"))
    assert version.kernel == KERNEL
    assert version.lock is not None
    failed = failed_at_night(hub, version)

    page.goto(f"{hub.service_url}/debug/{failed.id}")
    open_the_failure(page, failed)
    expect(page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text=EXAMPLE.name)).to_be_visible()
    look_at_a_variable(page)
    ask_the_kernel(page, HOW_STARTED, ZYGOTE)
    sessions = server.call("GET", "api/sessions").json()
    (used,) = [one for one in sessions if one["path"].startswith("respawn-debug/")]
    spec = server.call("GET", f"api/kernelspecs/{used['kernel']['name']}").json()["spec"]
    assert spec["metadata"]["respawn"]["lock"] == version.lock
    fix_the_cell(page)
    resumed = resume(page, failed)
    see_it_succeed(resumed, hub, failed)
    detail = hub.service("ada").show(resumed.url.rstrip("/").rpartition("/")[2])
    assert detail.run.lock == version.lock
    assert detail.attempts[-1].kernel_start == KernelStart(warm=True)
