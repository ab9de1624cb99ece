"""Images that cannot run jobs: the page of a run says which one, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.job_server_protocol import own_release
from respawn_jobs.api.service import Promotion, RunRequest
from support.browser import sign_in
from support.container_hub import container_hub
from support.image_builds import BuiltImage, needs_containers
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600), needs_containers]
OLDER = "0.0.9"
TAG = "localhost/respawn-tests:older"


def without_respawn(built: BuiltImage, _: Path) -> str:
    return built.image.base


def of_another_release(built: BuiltImage, directory: Path) -> str:
    """The image as an older release would have made it, by what it says of itself."""
    find = "find /opt/respawn/server -path '*jupyterhub_respawn-*.dist-info/METADATA'"
    change = f"{find} -exec sed -i 's/^Version: .*/Version: {OLDER}/' {{}} +"
    place = directory / "older"
    place.mkdir()
    (place / "Containerfile").write_text(f"FROM {built.image.tag}\nUSER 0\nRUN {change}\nUSER 1000:1000\n")
    done = built.containers.buildah("bud", "--tag", TAG, "--network", "none", str(place))
    assert done.returncode == 0, done.stderr
    return TAG


@pytest.mark.browser
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            without_respawn,
            ("has no Respawn", "No module named", f"jupyterhub-respawn[server]=={own_release()}"),
        ),
        (of_another_release, (f"has Respawn {OLDER}, and the service has {own_release()}", "Make it anew")),
    ],
)
def test_an_image_that_cannot_run_jobs_is_named_on_the_page_of_the_run(
    page: Page,
    built: BuiltImage,
    tmp_path: Path,
    image: Callable[[BuiltImage, Path], str],
    words: tuple[str, ...],
) -> None:
    name = image(built, tmp_path)
    variables = {"JUPYTER_PATH": str(built.prefix / "share" / "jupyter")}
    with container_hub(
        tmp_path / "hub", built.containers, name, users=("ada", "eve"), variables=variables
    ) as hub:
        service = hub.service("ada")
        service.promote(Promotion(name="waits", notebook=text(notebook("1", kernel="respawn-base"))))
        run = service.run(RunRequest(job="waits")).id

        def told() -> str:
            waiting = str(service.show(run).run.waiting)
            return waiting if f"the image {name} cannot run jobs" in waiting else ""

        message = wait_for(told, 120, f"the words of {run}; see {hub.log}")
        assert "waiting for: a job server of ada; the hub does not start a job server of ada: " in message
        for part in words:
            assert part in message
        page.goto(f"{hub.service_url}/runs/{run}")
        sign_in(page, "ada", hub.password)
        expect(page.locator("#waiting")).to_contain_text(f"the image {name} cannot run jobs: ")
        wait_for(lambda: hub.job_servers("ada") == [], 60, "the name of the server to be gone from the hub")
        service.cancel(run)
