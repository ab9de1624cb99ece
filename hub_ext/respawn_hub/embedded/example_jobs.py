"""The example that a new embedded hub starts with: a job that runs every minute, and one that has failed.

Both are made through the same ledger that the service then opens, before the hub starts. A marker file,
written last, tells that it is done; what was left half done is done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from respawn_jobs.access import Actor
from respawn_jobs.api.service import RunRequest, ScheduleRequest, Service
from respawn_jobs.ledger import Ledger
from respawn_jobs.notebook.promotion import prepare
from respawn_jobs.runner.attempt import execute_attempt

EVERY_MINUTE = "wine-report"
FAILS = "diabetes-scores"
# JupyterLab asks at its first start whether it may fetch news; a hub on the loopback fetches nothing.
_NO_NEWS = Path(".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings")
_NOTEBOOKS = {EVERY_MINUTE: "wine_report.ipynb", FAILS: "diabetes_scores.ipynb"}


def seed(data: Path, user: str, examples: Path, home: Path, say: Callable[[str], None]) -> str:
    """Seed a store, unless it is.

    Args:
        data: the service's data directory.
        user: whose jobs they become.
        examples: directory of the example notebooks and their data.
        home: the user's home; the examples are copied there, to be opened and changed.
        say: called with a line about what is being done.

    Returns:
        The id of the run that failed and waits for its debugger.
    """
    marker = data / "seeded.json"
    if marker.exists():
        return str(json.loads(marker.read_text())["failed_run"])
    say("copying the example notebooks")
    own = home / "examples"
    if not own.exists():
        shutil.copytree(examples, own, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    if not (home / _NO_NEWS).exists():
        (home / _NO_NEWS).parent.mkdir(parents=True, exist_ok=True)
        (home / _NO_NEWS).write_text(json.dumps({"fetchNews": "false"}))
    ledger = Ledger.embedded(data)
    try:
        service = ledger.as_actor(Actor.owner(user))
        for name, notebook in _NOTEBOOKS.items():
            say(f"promoting {notebook} to the job {name}")
            service.promote(prepare(own / notebook, name))
        failed = _run_once(ledger, service, say)
        if not service.job(EVERY_MINUTE).schedules:
            service.schedule(ScheduleRequest(job=EVERY_MINUTE, cron="* * * * *", tz="UTC"))
    finally:
        ledger.close()
    part = marker.with_suffix(".part")
    part.write_text(json.dumps({"failed_run": failed}))
    part.replace(marker)
    return failed


def _run_once(ledger: Ledger, service: Service, say: Callable[[str], None]) -> str:
    say(f"running {FAILS} once; it is made to fail")
    run = service.run(RunRequest(job=FAILS))
    attempt, token = ledger.open_attempt(run.id, "local")
    execute_attempt(ledger.runner(attempt, token))
    return run.id
