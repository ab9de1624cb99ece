"""The ledger with its blobs in a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.notebook.document import read_notebook
from support.notebooks import notebook, printed_by, text
from support.runners import PlayedRunner, printed

pytestmark = [pytest.mark.integration, pytest.mark.s3]


def test_a_run_is_lost_and_resumed_with_all_its_blobs_on_s3(s3_server, tmp_path, monkeypatch):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    ledger = Ledger.open(f"sqlite:///{tmp_path}/respawn.db", f"s3://{s3_server.bucket()}/blobs")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = 2", "c = 3"))))
    run = ada.run(RunRequest(job="report"))
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.start(2)
    ledger.lose(runner.attempt, "killed by signal 9")

    assert ada.outputs(run.id, 1) == [printed(1)]
    assert printed_by(read_notebook(ada.notebook(run.id)).cells[1]) == "cell 1\n"
    resumed = ada.resume(run.id, ResumeRequest())
    following = PlayedRunner(ledger, resumed.id)
    assert following.assignment.resume.first == 2
    assert following.port.get_blob(following.assignment.resume.manifest).startswith(b"manifest")
    following.begin()
    following.execute(2)
    following.succeed()
    assert ada.show(resumed.id).run.state == "succeeded"
    ledger.close()


@pytest.mark.long
def test_the_command_keeps_state_on_s3_and_resumes_from_there(s3_server, tmp_path, monkeypatch, capsys):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RESPAWN_BLOBS_URL", f"s3://{s3_server.bucket()}/blobs")
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    broken, fixed = tmp_path / "broken.ipynb", tmp_path / "fixed.ipynb"
    broken.write_text(text(notebook("a = list(range(50_000))", "a['x']", "print(len(a))")))
    fixed.write_text(text(notebook("a = list(range(50_000))", "a.append(0)", "print(len(a))")))

    assert run_command(["run", str(broken), "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)
    assert run_command(["resume", failed["run"], "--notebook", str(fixed), "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert [cell["state"] for cell in resumed["cells"]] == ["reused", "executed", "executed"]
    assert printed_by(read_notebook(Path(resumed["notebook"]).read_text()).cells[2]) == "50001\n"
    assert not (tmp_path / "data" / "blobs").exists()
