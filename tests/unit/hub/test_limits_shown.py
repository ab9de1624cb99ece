"""A kernel's limits on the pages and by the command, and the click that resumes with more memory."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from respawn_hub.pages.parameter_fields import FIELD
from respawn_hub.pages.setting_words import words
from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.cli.common import options
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.limits import MIN_MEMORY_BYTES, KernelLimits, LimitRecord
from respawn_jobs.model.runs import CellError
from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import signed_in

MIB = 1 << 20
LIMIT = 400 * MIB
SETTINGS = JobSettings(memory_limit_bytes=LIMIT, process_limit=50)
POLICY = RetryPolicy(attempts=9, delay_seconds=0, memory_factor=2, max_memory_bytes=1000 * MIB)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


def promoted(ledger: Ledger, settings: JobSettings = SETTINGS) -> str:
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = a")), settings=settings))
    return ada.run(RunRequest(job="report")).id


def short_of_memory(ledger: Ledger, run: str) -> PlayedRunner:
    """Play an attempt whose kernel is ended for its memory in the second cell."""
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.execute(0)
    runner.checkpoint(0)
    runner.start(1)
    limits = runner.assignment.limits
    record = LimitRecord(limits=limits, by="watchdog", peak_memory_bytes=413 * MIB, peak_processes=1)
    error = CellError(cell=1, name="OutOfMemory", value="the kernel took 413 MiB of memory")
    runner.port.finish(Outcome(state="failed", error=error, limits=record))
    return runner


def test_the_page_says_what_was_seen_and_resumes_with_twice_the_memory_by_one_click(ledger, tmp_path):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    browser = signed_in(ledger, tmp_path)
    page = browser.ask("GET", f"/services/respawn/runs/{run}").text
    facts = "413 MiB of 400 MiB of memory; 1 of 50 processes; watched by the runner"
    assert facts in html.unescape(page)
    button = page[page.index('name="memory_bytes"') :].partition("</form>")[0]
    assert "Resume with 800 MiB of memory" in button
    fields = {
        "memory_bytes": re.search(r'value="(\d+)"', button)[1],
        "revision": str(ledger.as_actor(Actor.owner("ada")).show(run).run.revision),
        "button": "start",
    }
    answer = browser.ask("POST", f"/services/respawn/runs/{run}/resume", form=fields)
    assert answer.status_code == 303
    resumed = PlayedRunner(ledger, answer.headers["location"].rpartition("/")[2])
    assert resumed.assignment.limits == KernelLimits(memory_bytes=2 * LIMIT, processes=50)
    assert resumed.assignment.resume.first == 1
    assert 'name="memory_bytes"' not in browser.ask("GET", f"/services/respawn/runs/{run}").text


def test_a_resume_that_cannot_start_yet_keeps_the_memory_that_was_chosen(ledger, tmp_path):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    fields = {"memory_bytes": str(800 * MIB), "button": "plan"}
    page = signed_in(ledger, tmp_path).ask("POST", f"/services/respawn/runs/{run}/resume", form=fields).text
    assert f'name="memory_bytes" value="{800 * MIB}"' in page
    assert "Its memory limit will be 800 MiB." in page


def test_what_was_chosen_and_agreed_to_stays_when_an_input_is_refused(ledger, tmp_path):
    ada = ledger.as_actor(Actor.owner("ada"))
    first = new_code_cell("n: int = 1", metadata={"tags": ["parameters"]})
    source = text(new_notebook(cells=[first, new_code_cell("b = n")], metadata=notebook("x").metadata))
    ada.promote(Promotion(name="report", notebook=source, settings=SETTINGS))
    run = ada.run(RunRequest(job="report")).id
    short_of_memory(ledger, run)
    fields = {
        "memory_bytes": str(800 * MIB),
        "strict": "yes",
        "planned": "",
        f"{FIELD}n": "not a number",
        "button": "start",
    }
    answer = signed_in(ledger, tmp_path).ask("POST", f"/services/respawn/runs/{run}/resume", form=fields)
    assert answer.status_code == 422
    assert f'name="memory_bytes" value="{800 * MIB}"' in answer.text
    box = re.search(r'<input[^>]*name="strict"[^>]*>', answer.text)
    assert box is not None
    assert "checked" in box[0]


def test_a_limit_above_the_deployments_is_refused_on_the_page(ledger, tmp_path):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    ledger.set_kernel_limits(KernelLimits(), KernelLimits(memory_bytes=600 * MIB))
    fields = {"memory_bytes": str(800 * MIB), "button": "start"}
    answer = signed_in(ledger, tmp_path).ask("POST", f"/services/respawn/runs/{run}/resume", form=fields)
    assert answer.status_code == 422
    assert "kernels of this deployment may have 600 MiB at most" in answer.text
    assert 'name="memory_bytes"' not in answer.text


@pytest.mark.parametrize("given", ["no number", "-1", "1024", str(2**60)])
def test_a_limit_that_cannot_be_is_refused_with_the_least(ledger, tmp_path, given):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    fields = {"memory_bytes": given, "button": "start"}
    answer = signed_in(ledger, tmp_path).ask("POST", f"/services/respawn/runs/{run}/resume", form=fields)
    assert answer.status_code == 422
    assert "a memory limit is 64 MiB or more" in answer.text


def test_the_command_shows_the_limits_and_what_was_seen(ledger, tmp_path, monkeypatch, capsys):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("RESPAWN_URL", raising=False)
    assert run_command(["show", run]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"limits +413 MiB of 400 MiB of memory; 1 of 50 processes; watched by the runner", shown)
    assert "OutOfMemory" in shown


def test_a_retry_doubles_the_memory_up_to_the_most_and_a_resume_keeps_it(ledger):
    run = promoted(ledger, SETTINGS.model_copy(update={"retries": {Cause.OUT_OF_MEMORY: POLICY}}))
    had = [short_of_memory(ledger, run).assignment.limits.memory_bytes // MIB for _ in range(3)]
    assert had == [400, 800, 1000]
    ada = ledger.as_actor(Actor.owner("ada"))
    ended = ada.show(run)
    assert "as high as the retry policy lets it be" in ended.attempts[-1].note
    assert ended.run.state.value == "failed"
    resumed = PlayedRunner(ledger, ada.resume(run, ResumeRequest()).id)
    assert resumed.assignment.limits.memory_bytes == 1000 * MIB


@pytest.mark.parametrize("way", ["resume", "restart"])
def test_a_run_that_was_given_more_than_the_service_gives_keeps_it(ledger, way):
    ledger.set_kernel_limits(KernelLimits(memory_bytes=400 * MIB))
    run = promoted(ledger, JobSettings(retries={Cause.OUT_OF_MEMORY: POLICY}))
    had = [short_of_memory(ledger, run).assignment.limits.memory_bytes // MIB for _ in range(3)]
    assert had == [400, 800, 1000]
    again = getattr(ledger.as_actor(Actor.owner("ada")), way)(run, ResumeRequest())
    assert PlayedRunner(ledger, again.id).assignment.limits.memory_bytes == 1000 * MIB


def test_a_job_that_says_nothing_has_the_limits_of_its_environment_and_then_the_services(ledger):
    ledger.set_kernel_limits(KernelLimits(memory_bytes=1000 * MIB, processes=20, cpus=2))
    run = promoted(ledger, JobSettings(process_limit=5))
    limits = PlayedRunner(ledger, run).assignment.limits
    assert limits == KernelLimits(memory_bytes=1000 * MIB, processes=5, cpus=2)


@pytest.mark.parametrize("resources", [{"memory": "much"}, LookupError("no kernel 'x'")])
def test_limits_of_an_environment_that_cannot_be_read_are_logged(ledger, caplog, resources):
    context = ledger.context
    known = context.kernel_check

    def found(name):
        if isinstance(resources, LookupError):
            raise resources
        return replace(known(name), resources=resources)

    context.kernel_check, context._kernels = found, {}
    ledger.set_kernel_limits(KernelLimits(memory_bytes=300 * MIB))
    with caplog.at_level("WARNING"):
        limits = context.limits_of("python3", KernelLimits(processes=5), None)
    assert limits == KernelLimits(memory_bytes=300 * MIB, processes=5)
    assert "the limits of the kernel python3" in caplog.text


def test_nobody_sets_a_limit_above_the_deployments(ledger):
    ledger.set_kernel_limits(KernelLimits(), KernelLimits(memory_bytes=600 * MIB, cpus=2, processes=60))
    ada = ledger.as_actor(Actor.owner("ada"))
    with pytest.raises(InvalidInput, match=r"memory_limit_bytes is 601 MiB, and .* may have 600 MiB at most"):
        promoted(ledger, JobSettings(memory_limit_bytes=601 * MIB))
    run = promoted(ledger)
    for change in (
        {"memory_limit_bytes": 601 * MIB},
        {"cpu_limit": 2.5},
        {"process_limit": 61},
        {"retries": {"out_of_memory": POLICY.model_dump(mode="json")}},
    ):
        with pytest.raises(InvalidInput, match=r"of this deployment may have .* at most"):
            ada.configure("report", change)
    assert ada.job("report").settings == SETTINGS
    short_of_memory(ledger, run)
    for again in (ada.resume, ada.restart):
        with pytest.raises(InvalidInput, match="memory_limit_bytes is 601 MiB"):
            again(run, ResumeRequest(memory_bytes=601 * MIB))
    resumed = PlayedRunner(ledger, ada.resume(run, ResumeRequest(memory_bytes=600 * MIB)).id)
    assert resumed.assignment.limits == KernelLimits(memory_bytes=600 * MIB, cpus=2, processes=50)


def test_what_was_set_before_is_lowered_to_what_the_deployment_allows(ledger):
    run = promoted(ledger, SETTINGS.model_copy(update={"retries": {Cause.OUT_OF_MEMORY: POLICY}}))
    ledger.set_kernel_limits(KernelLimits(), KernelLimits(memory_bytes=600 * MIB, processes=20))
    had = [short_of_memory(ledger, run).assignment.limits.memory_bytes // MIB for _ in range(2)]
    assert had == [400, 600]
    ada = ledger.as_actor(Actor.owner("ada"))
    assert "as high as the retry policy lets it be, or the deployment" in ada.show(run).attempts[-1].note
    assert ada.configure("report", {"priority": 3}).settings.process_limit == 50, "which was not asked for"
    limits = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id).assignment.limits
    assert limits == KernelLimits(memory_bytes=400 * MIB, processes=20)


@pytest.mark.parametrize(("most", "offered"), [(600, "600 MiB"), (1000, "800 MiB"), (400, None)])
def test_the_button_offers_what_the_deployment_allows(ledger, tmp_path, most, offered):
    run = promoted(ledger)
    short_of_memory(ledger, run)
    ledger.set_kernel_limits(KernelLimits(), KernelLimits(memory_bytes=most * MIB))
    shown = signed_in(ledger, tmp_path).ask("GET", f"/services/respawn/runs/{run}").text
    found = re.search(r"Resume with (.*) of memory", shown)
    assert (found[1] if found else None) == offered


def test_the_page_of_a_job_tells_its_limits() -> None:
    told = dict(
        words(SETTINGS.model_copy(update={"cpu_limit": 1.5, "retries": {Cause.OUT_OF_MEMORY: POLICY}}))
    )
    assert (told["Memory limit"], told["Cores"], told["Processes"]) == (
        "400 MiB",
        "1.5 at most",
        "50 at most",
    )
    assert told["After the end of its kernel's memory"] == (
        "9 attempts, from the last checkpoint, at once, with the memory limit times 2, 1,000 MiB at most"
    )


@pytest.mark.parametrize(
    ("given", "size"), [("8G", 8 << 30), ("800M", 800 << 20), ("1.5 GiB", 3 << 29), ("67108864", 1 << 26)]
)
def test_sizes_are_typed_in_powers_of_1024(given: str, size: int) -> None:
    assert options.Size().convert(given, None, None) == size


def test_a_memory_limit_below_what_an_interpreter_needs_is_refused_with_the_figure(capsys) -> None:
    assert run_command(["run", "nightly.ipynb", "--memory", "3M"]) == 2
    assert "'3M' is less than 64 MiB" in capsys.readouterr().err
    assert options._MIN_MEMORY == MIN_MEMORY_BYTES


def test_the_retry_option_takes_more_memory_for_its_cause() -> None:
    from respawn_jobs.cli.common.settings_options import Retry

    cause, policy = Retry().convert("out_of_memory=3,memory=double,most=32G", None, None)
    assert (cause, policy) == (
        "out_of_memory",
        {"attempts": 3, "memory_factor": 2.0, "max_memory_bytes": 32 << 30},
    )
