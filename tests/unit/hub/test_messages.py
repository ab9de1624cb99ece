"""Notices in words: what a person reads on a telephone at three in the morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from respawn_hub.notify.messages import rendered
from respawn_jobs.model.notices import Message, Notice

AT = datetime(2026, 3, 2, 2, 12, tzinfo=UTC)
FAILED = Notice(
    run="run-7k3v9x0m2q", state="failed", cell=41, title="df = load(day)", error="KeyError: 'price'",
    attempts=3, started=AT - timedelta(minutes=12), ended=AT, tz="Europe/Berlin",
)  # fmt: skip


def told(kind: Any, *items: Notice) -> tuple[str, str]:
    message = Message(
        ids=(1,), channel="ops", kind=kind, namespace="team/risk", job="team/risk/nightly", items=items, at=AT
    )
    return rendered(message, lambda path: f"https://hub/services/respawn/{path}")


def test_a_failure_says_job_cell_error_attempts_times_and_the_debug_link() -> None:
    assert told("failure", FAILED) == (
        "team/risk/nightly failed: KeyError: 'price'",
        "Run run-7k3v9x0m2q of team/risk/nightly failed.\n"
        "Cell 41: df = load(day)\n"
        "Error: KeyError: 'price'\n"
        "Attempts: 3\n"
        "Started 2026-03-02 03:00, ended 03:12 (Europe/Berlin)\n"
        "Open it at the failing cell: https://hub/services/respawn/debug/run-7k3v9x0m2q",
    )


def test_a_run_that_never_began_says_what_there_is() -> None:
    title, body = told("failure", Notice(run="run-1", state="lost", error="RunnerLost: gone", ended=AT))
    assert title == "team/risk/nightly was lost: RunnerLost: gone"
    assert "Ended 2026-03-02 02:12 (UTC)" in body
    assert "Cell" not in body


def test_many_failures_are_one_message_with_the_first_few_named_and_one_link() -> None:
    runs = [
        FAILED.model_copy(update={"run": f"run-{i}", "ended": AT + timedelta(minutes=i)}) for i in range(14)
    ]
    title, body = told("failure", *runs)
    assert title == "14 runs of team/risk/nightly failed since 03:12"
    assert body.count("in cell 41: KeyError") == 5
    assert "and 9 more" in body
    assert body.count("https://") == 1
    assert body.endswith("https://hub/services/respawn/jobs/team/risk/nightly")


def test_a_recovery_says_since_when_it_was_broken() -> None:
    recovered = Notice(run="run-2", state="succeeded", ended=AT, before=AT - timedelta(days=1), tz="UTC")
    title, body = told("recovery", recovered)
    assert title == "team/risk/nightly works again"
    assert "noticed at 2026-03-01 02:12 (UTC)" in body
    assert "runs/run-2" in body


def test_a_missed_deadline_says_what_the_job_is_doing() -> None:
    late = Notice(
        run="run-3", state="running", doing="running, cell 12 of 40", deadline=AT, tz="Europe/Berlin"
    )
    title, body = told("deadline", late)
    assert title == "team/risk/nightly did not finish by 03:12"
    assert "Run run-3: running, cell 12 of 40" in body
    assert "runs/run-3" in body
    _, nothing = told(
        "deadline", Notice(doing="no run was made for 02:30: the service was down", deadline=AT)
    )
    assert "no run was made for 02:30" in nothing
    assert "jobs/team/risk/nightly" in nothing


def test_no_secret_is_in_a_message_and_a_title_is_short() -> None:
    leaking = FAILED.model_copy(
        update={"error": "OSError: https://ada:hunter2@host/?token=hunter2 " + "x" * 300}
    )
    title, body = told("failure", leaking)
    assert "hunter2" not in title + body
    assert len(title) <= 160
