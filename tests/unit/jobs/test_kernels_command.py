"""`respawn kernels` on this machine: what is listed, which environments jobs pin, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from respawn_environments.catalog import environments
from respawn_jobs.api.service import RunRequest
from respawn_jobs.cli.common.service_connection import connection
from respawn_jobs.clock import utc_now
from respawn_jobs.store.tables import JobRow
from support.notebooks import notebook, text
from support.played_environments import kernelspec, played
from support.runners import PlayedRunner

PROMOTE = ("promote", "report.ipynb", "--name", "report", "--agree", "ignore_drift")
"""Nothing is installed in a played environment, so nobody can compare it with its lock."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    return tmp_path / "envs"


def test_environments_are_listed_with_what_is_known_of_them(command, root: Path, tmp_path: Path) -> None:
    assert "no environment is in" in command("kernels", "list", "--environments")[1]
    made = played(root, "science", "a")
    spec = kernelspec(tmp_path / "prefix", "science", made)
    played(root, "finance", "b")
    status, out, _ = command("kernels", "list", "--environments", "--json")
    finance, science = json.loads(out)
    assert (status, finance["kernelspecs"], science["kernelspecs"]) == (0, [], [str(spec)])
    assert (science["name"], science["hash"], science["python"]) == ("science", "a" * 64, "3.13.1")
    assert (science["size"], science["last_used"], science["display_name"]) == (
        1000,
        None,
        "Science (Respawn)",
    )
    shown = command("kernels", "list", "--environments")[1]
    assert "aaaaaaaaaaaa" in shown
    assert "never" in shown


def test_a_build_that_cannot_be_compared_with_its_lock_is_promoted_from_knowingly_alone(
    command, root: Path, tmp_path: Path
) -> None:
    kernelspec(tmp_path / "prefix", "science", played(root, "science", "a"))
    Path("report.ipynb").write_text(text(notebook("a = 1", kernel="respawn-science")))
    status, _, err = command(*PROMOTE[:-2])
    assert (status, "cannot be compared with its lock" in err) == (2, True)
    assert "--agree ignore_drift" in err
    assert command("jobs")[1] == "no jobs yet\n"
    assert command(*PROMOTE)[0] == 0


def test_an_environment_that_a_job_pins_is_neither_removed_nor_collected(
    command, root: Path, tmp_path: Path
) -> None:
    made = played(root, "science", "a")
    kernelspec(tmp_path / "prefix", "science", made)
    Path("report.ipynb").write_text(text(notebook("a = 1", kernel="respawn-science")))
    assert command(*PROMOTE)[0] == 0
    prefix = ("--prefix", str(tmp_path / "prefix"))
    status, _, err = command("kernels", "remove", "science", *prefix)
    assert status == 2
    assert "1 job pins it (user/" in err
    (made.directory / ".kernelspecs").unlink()
    assert command("kernels", "gc", "--unused-for", "0d")[0] == 0
    assert environments(root) == [made]
    assert command("job", "archive", "report")[0] == 0
    assert (
        command("kernels", "gc", "--unused-for", "0d", "--dry-run")[1] == f"would remove {made.directory}\n"
    )
    assert command("kernels", "gc", "--unused-for", "0d")[0] == 0
    assert environments(root) == []


def test_a_kernel_that_leads_to_an_older_build_which_a_job_pins_is_not_removed(
    command, root: Path, tmp_path: Path
) -> None:
    kernelspec(tmp_path / "prefix", "science", played(root, "science", "a"))
    Path("report.ipynb").write_text(text(notebook("a = 1", kernel="respawn-science")))
    assert command(*PROMOTE)[0] == 0
    spec = kernelspec(tmp_path / "prefix", "science", played(root, "science", "b"))
    status, _, err = command("kernels", "remove", "science", "--prefix", str(tmp_path / "prefix"))
    assert status == 2
    assert f"1 job pins its older build {'a' * 12} (user/" in err
    assert spec.exists()
    assert len(environments(root)) == 2


def test_a_run_that_has_not_succeeded_pins_its_environment_when_its_job_is_archived(
    command, root: Path, tmp_path: Path
) -> None:
    made = played(root, "science", "a")
    kernelspec(tmp_path / "prefix", "science", made)
    Path("report.ipynb").write_text(text(notebook("a = 1", kernel="respawn-science")))
    assert command(*PROMOTE)[0] == 0
    with connection() as connected:
        assert connected.ledger is not None
        runner = PlayedRunner(connected.ledger, connected.service.run(RunRequest(job="report")).id)
        runner.begin()
        with connected.ledger.database.session(write=True) as session:
            session.execute(update(JobRow).values(archived_at=utc_now()))
        (found,) = connected.ledger.pinned_environments().items()
        assert found[0] == made.record.hash
        assert [job.rpartition("/")[2] for job in found[1]] == ["report"]
        runner.succeed()
        assert connected.ledger.pinned_environments() == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("gc --unused-for soon", "'soon' is not a time: write such as 12h, 30d or 4w"),
        ("build absent", "there is no environment 'absent' in images"),
        ("lock ./Absent", "'Absent' cannot name an environment"),
        ("remove absent --prefix prefix", "no environment 'absent'"),
        ("check absent", "no environment 'absent'"),
        ("lock ./images/x", "environment.toml is missing"),
    ],
)
def test_what_cannot_be_done_is_refused_in_plain_words(words: str, says: str, command, root: Path) -> None:
    status, _, err = command("kernels", *words.split())
    assert (status, says in err) == (2, True), err


def test_where_a_hub_has_the_jobs_nothing_is_removed_on_a_guess(command, root, tmp_path, monkeypatch) -> None:
    made = played(root, "science", "a")
    monkeypatch.setenv("RESPAWN_URL", "http://hub.invalid/services/respawn")
    remove = ("remove", "science", "--prefix", str(tmp_path / "prefix"))
    for words in (remove, ("gc", "--unused-for", "0d")):
        status, _, err = command("kernels", *words)
        assert (status, "run it on the machine of the service" in err) == (2, True)
    assert environments(root) == [made]
    assert command("kernels", *remove, "--force")[0] == 0
    assert environments(root) == []


def test_the_store_whose_jobs_were_asked_is_named_and_without_one_nothing_is_collected(
    command, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = played(root, "science", "a")
    assert command("jobs")[0] == 0  # makes the store
    dry = ("kernels", "gc", "--unused-for", "0d", "--dry-run")
    status, _, err = command(*dry)
    assert status == 0
    assert "the jobs are those of sqlite:///" in err
    assert "respawn.db" in err
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "of-another-account"))
    status, _, err = command("kernels", "gc", "--unused-for", "0d")
    assert status == 2
    assert "there is no store" in err
    assert "Nothing was removed" in err
    assert environments(root) == [made]
    assert command("kernels", "gc", "--unused-for", "0d", "--no-store")[0] == 0
    assert environments(root) == []


def test_an_environment_is_proposed_only_for_what_was_promoted(command, root: Path, tmp_path: Path) -> None:
    made = played(root, "science", "a")
    made.python.write_text('#!/bin/sh\ncase "$*" in *freeze*) echo \'python = "3.13"\';; *) exit 1;; esac\n')
    made.python.chmod(0o755)
    kernelspec(tmp_path / "prefix", "science", made)
    Path("report.ipynb").write_text(text(notebook("a = 1", kernel="respawn-science")))
    Path("file").touch()
    status, _, err = command(*PROMOTE[:-2], "--propose", "file/new")
    assert (status, "is not a writable directory" in err) == (2, True), err
    assert command("jobs")[1] == "no jobs yet\n", "the path is looked at first"
    assert command(*PROMOTE)[0] == 0
    assert command("job", "archive", "report")[0] == 0
    status, _, err = command(*PROMOTE[:-2], "--propose", "new")
    assert (status != 0, "archived" in err) == (True, True), err
    assert not Path("new").exists()
    assert command("job", "restore", "report")[0] == 0
    assert command(*PROMOTE[:-2], "--propose", "new")[0] == 0
    assert (Path("new") / "environment.toml").read_text() == 'python = "3.13"\n'
