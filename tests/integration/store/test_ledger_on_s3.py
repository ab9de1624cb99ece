"""The ledger with its blobs in a real S3 server."""

from __future__ import annotations

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.notebooks import read_notebook
from respawn_jobs.service import Promotion, ResumeRequest, RunRequest
from support.notebooks import notebook, text
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
    assert read_notebook(ada.notebook(run.id)).cells[1].outputs[0].text == "cell 1\n"
    resumed = ada.resume(run.id, ResumeRequest())
    following = PlayedRunner(ledger, resumed.id)
    assert following.assignment.resume.first == 2
    assert following.port.get_blob(following.assignment.resume.manifest).startswith(b"manifest")
    following.begin()
    following.execute(2)
    following.succeed()
    assert ada.show(resumed.id).run.state == "succeeded"
    ledger.close()
