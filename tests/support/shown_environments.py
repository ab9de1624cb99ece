"""A machine with environments of every kind that the page of environments shows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.played_environments import BUILT, kernelspec, lock_of, played

OLDER, NEWER, GONE, BROKEN, LONG = "a", "b", "c", "d", "e"
"""The digit of each build's hash."""
LONG_NAME = "quarterly-risk-and-forecasting-with-all-models-of-the-team-2026"
_CAME_ALONG = {f"dependency-{number:02d}": f"1.{number}" for number in range(40)}
_SCIENCE = {"numpy": "2.4.1", "pandas": "3.0.2", "pyarrow": "24.0.0", "scikit-learn": "1.8.0"}


def play_environments(
    tmp_path: Path, ledger: Ledger, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lay environments where `ledger` and Jupyter look for them; jobs of ada and bob pin some."""
    root, prefix, images = tmp_path / "envs", tmp_path / "prefix", tmp_path / "images"
    monkeypatch.setenv("JUPYTER_PATH", str(prefix / "share" / "jupyter"))
    monkeypatch.delenv("RESPAWN_ENVIRONMENTS", raising=False)
    ledger.set_environment_places(root, images)
    older = played(
        root, "science", OLDER, lock=lock_of({**_SCIENCE, "pandas": "2.3.3"}, _CAME_ALONG), size=1 << 30
    )
    kernelspec(prefix, "science", older)
    promoted(ledger, "ada", "report", runs=2)
    promoted(ledger, "bob", "secret-plans", runs=1)
    newer = played(root, "science", NEWER, BUILT + timedelta(days=30), lock=lock_of(_SCIENCE, _CAME_ALONG))
    kernelspec(
        prefix,
        "science",
        newer,
        "Science (Respawn)",
        description="Tables, arrays, machine learning and plots",
        resources={"memory": 2 << 30, "cpus": 2, "processes": 500, "disk": 20 << 30},
        preload=["numpy", "pandas"],
        not_preloaded={"torch": "its import has started 3 threads"},
        labels={"team": "data"},
    )
    clock.forward(seconds=11)  # what is known of kernels is asked for anew
    promoted(ledger, "ada", "newer-report", runs=0)
    gone = played(root, "gone", GONE)
    kernelspec(prefix, "gone", gone, "Gone")
    promoted(ledger, "ada", "orphan", runs=1, kernel="respawn-gone")
    (gone.directory / ".complete").unlink()
    written(images, "finance", 'python = "3.13"\nrequirements = ["pandas>=2"]\npreloads = ["pandas"]\n')
    kernelspec(
        prefix, "finance", played(root, "finance", BROKEN, lock=lock_of({"pandas": "2.3.3"})), "Finance"
    )
    written(images, "draft", 'python = "3.13"\nrequirements = ["duckdb"]\ndisplay-name = "Draft"\n')
    long = played(
        root, LONG_NAME, LONG, lock=lock_of({"a-package-with-a-name-that-is-long-" + "x" * 40: "1.0"})
    )
    kernelspec(prefix, LONG_NAME, long, "Quarterly risk and forecasting " + "with-all-models" * 5)


def written(images: Path, name: str, definition: str) -> None:
    """Write an environment.toml."""
    (images / name).mkdir(parents=True)
    (images / name / "environment.toml").write_text(definition)


def promoted(ledger: Ledger, who: str, job: str, *, runs: int, kernel: str = "respawn-science") -> None:
    """Promote a notebook as somebody, with the build that its kernel has now, and queue runs of it."""
    service = ledger.as_actor(Actor.owner(who))
    service.promote(Promotion(name=job, notebook=text(notebook("a = 1", kernel=kernel))))
    for _ in range(runs):
        service.run(RunRequest(job=job))
