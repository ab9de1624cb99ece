"""What a job's page says of its settings."""

from __future__ import annotations

from respawn_hub.pages.setting_words import words
from respawn_jobs.model.settings import Cause, Deadline, JobSettings, RetryPolicy


def test_settings_as_usual_are_not_mentioned() -> None:
    assert words(JobSettings()) == []


def test_each_setting_that_differs_is_told_in_words() -> None:
    told = dict(
        words(
            JobSettings(
                timeout_seconds=5400,
                retries={
                    Cause.RUNNER_LOST: RetryPolicy(attempts=3, delay_seconds=90),
                    Cause.CELL_ERROR: RetryPolicy(attempts=1),
                    Cause.TIMEOUT: RetryPolicy(attempts=2, delay_seconds=0, resume=False),
                },
                priority=5,
                overlap="skip",
                keep_runs=30,
                keep_days=14,
                notify=["risk", "ops"],
                deadline=Deadline(time="06:00", tz="Europe/Berlin"),
            )
        )
    )
    assert told == {
        "Time limit": "1 h 30 min",
        "After the loss of its runner": "3 attempts, from the last checkpoint, after 1 min 30 s at first",
        "After an error in a cell": "not tried again",
        "After a time limit": "2 attempts, from the top, at once",
        "Priority": "+5",
        "Due while others run": "left out",
        "Ended runs": "kept: the newest 30 and for 14 days",
        "Tells": "risk, ops",
        "Deadline": "06:00 Europe/Berlin",
    }
