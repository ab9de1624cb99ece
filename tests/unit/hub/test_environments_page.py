"""The page of environments: what is built, what is wrong, and who pins what, as far as its reader may see."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from respawn_environments.shown.overview import overview
from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.kernels import EnvironmentDetail
from support.clocks import MovedClock
from support.shown_environments import BROKEN, GONE, LONG_NAME, NEWER, OLDER, play_environments, promoted
from support.signed_in import Browse, signed_in

SERVICE = "/services/respawn"


@pytest.fixture
def machine(tmp_path: Path, ledger: Ledger, clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> Path:
    play_environments(tmp_path, ledger, clock, monkeypatch)
    return tmp_path


def section(page: str, name: str) -> str:
    """Return the words of one environment."""
    part = page.partition(f'id="respawn-{name}" ')[2].partition("</section>")[0]
    assert part, name
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))


def named(found: list[EnvironmentDetail], name: str) -> EnvironmentDetail:
    return next(one for one in found if one.name == name)


@pytest.mark.usefixtures("machine")
def test_each_environment_tells_what_it_is_and_what_it_holds(browse: Browse) -> None:
    page = browse("GET", f"{SERVICE}/environments").text
    shown = section(page, "science")
    for words in (
        "Science (Respawn) respawn-science",
        "built here Tables, arrays, machine learning and plots",
        "Python 3.13.1 (asked for: &gt;=3.11 )",
        "2 GiB of memory; 2 cores; 500 processes; 20 GiB more in its directory",
        "Imported in warm kernels numpy, pandas",
        "team data",
        "torch : its import has started 3 threads",
        "numpy 2.4.1 pandas 3.0.2 pyarrow 24.0.0 scikit-learn 1.8.0 All 44 packages",
    ):
        assert words in shown
    assert 'class="environment-icon" src="data:image/svg+xml;base64,' in page


@pytest.mark.usefixtures("machine")
def test_builds_are_listed_the_newest_first_with_what_needs_them(ada: ActorService, browse: Browse) -> None:
    builds = named(ada.environments(), "science").builds
    assert [(one.hash[0], one.newest, one.here) for one in builds] == [
        (NEWER, True, True),
        (OLDER, False, True),
    ]
    assert [(one.jobs, one.runs) for one in builds] == [(1, 0), (2, 3)], "an administrator sees all"
    assert builds[1].some_jobs == ["user/ada/report", "user/bob/secret-plans"]
    shown = section(browse("GET", f"{SERVICE}/environments").text, "science")
    assert f"{NEWER * 12} newest" in shown
    assert f"{OLDER * 12} 44 packages" in shown
    assert "2 jobs, 3 runs user/ada/report user/bob/secret-plans" in shown


def test_what_pins_a_build_is_told_to_those_who_may_read_it(
    machine: Path, ledger: Ledger, tmp_path: Path
) -> None:
    actor = Actor("ada", frozenset({"custom:respawn:edit!user=ada"}))
    older = named(ledger.as_actor(actor).environments(), "science").builds[1]
    assert (older.jobs, older.runs, older.some_jobs) == (1, 2, ["user/ada/report"])
    stranger = ledger.as_actor(Actor("eve", frozenset()))
    assert not [one for found in stranger.environments() for one in found.builds if one.jobs or one.runs]
    assert named(stranger.environments(), "science").builds[0].hash == NEWER * 64
    page = signed_in(ledger, tmp_path, actor=actor).ask("GET", f"{SERVICE}/environments").text
    assert "secret-plans" not in page


@pytest.mark.usefixtures("machine")
def test_a_broken_definition_names_its_fault_and_hides_nothing_that_is_built(
    ada: ActorService, browse: Browse, tmp_path: Path
) -> None:
    found = named(ada.environments(), "finance")
    assert found.problem is not None
    assert found.problem.startswith(
        "finance/environment.toml: preloads: there is no such key; did you mean preload?"
    )
    assert found.builds[0].hash == BROKEN * 64
    page = browse("GET", f"{SERVICE}/environments").text
    shown = section(page, "finance")
    assert "Its definition cannot be used. The kernel stays as it was built." in shown
    assert "did you mean preload?" in shown
    assert "pandas 2.3.3" in shown
    assert str(tmp_path) not in page, "where the file lies is for those who run the service"


@pytest.mark.usefixtures("machine")
def test_a_build_that_is_gone_is_told_where_a_job_pins_it(ada: ActorService, browse: Browse) -> None:
    (build,) = named(ada.environments(), "gone").builds
    assert (build.hash, build.here, build.jobs, build.runs) == (GONE * 64, False, 1, 1)
    shown = section(browse("GET", f"{SERVICE}/environments").text, "gone")
    assert "its build is gone" in shown
    assert "Build it again: respawn kernels build gone" in shown
    assert f"{GONE * 12} newest not built here" in shown


@pytest.mark.usefixtures("machine")
def test_an_environment_that_is_only_written_says_so(browse: Browse) -> None:
    shown = section(browse("GET", f"{SERVICE}/environments").text, "draft")
    assert "Draft respawn-draft not built here" in shown
    assert "Asks for duckdb" in shown


@pytest.mark.usefixtures("machine")
def test_the_pages_of_jobs_and_runs_lead_to_the_environment(ada: ActorService, browse: Browse) -> None:
    link = f'<a href="{SERVICE}/environments#respawn-science">respawn-science</a>, build <code'
    run = ada.runs(job="report")[0].id
    for path in ("jobs/user/ada/report", f"runs/{run}", "jobs/user/ada/report/versions/1"):
        page = browse("GET", f"{SERVICE}/{path}").text
        assert link in page, path
        assert "a newer build exists" in page
        assert f'href="{SERVICE}/environments">Environments</a>' in page


@pytest.mark.usefixtures("machine")
def test_a_kernel_without_a_build_leads_nowhere(ledger: Ledger, browse: Browse) -> None:
    promoted(ledger, "ada", "plain", runs=0, kernel="python3")
    assert 'environments#python3"' not in browse("GET", f"{SERVICE}/jobs/user/ada/plain").text


def test_a_machine_without_builds_says_how_one_is_made(
    browse: Browse, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.get_all_specs", lambda _: {})
    ledger.set_environment_places(tmp_path / "none", None)
    page = browse("GET", f"{SERVICE}/environments").text
    assert "No environment is built here yet." in page
    assert "respawn kernels build science" in page


def test_a_build_of_which_a_process_imports_ahead_is_warm(machine: Path) -> None:
    place = machine / "envs" / f"science-{NEWER * 12}" / "bin" / "python"
    place.unlink()
    place.symlink_to(sys.executable)
    before = {one.name: [build.warm for build in one.builds] for one in overview(machine / "envs", None)}
    assert before["science"] == [False, False]
    script = "import sys; print('ready', flush=True); sys.stdin.read()"
    words = [str(place), "-c", script, "respawn_environments.warm.zygote"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        after = {one.name: [build.warm for build in one.builds] for one in overview(machine / "envs", None)}
        process.communicate(b"")
    assert after["science"] == [True, False]
    assert after[LONG_NAME] == [False]
