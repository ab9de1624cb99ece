"""The page and the command show what a run read of other jobs, and which runs have read what it kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respawn_hub.rendering.artifact_previews import picture_kind
from respawn_jobs.api.runner_protocol import ArtifactCommit, ArtifactRequest
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.cli.entry import run_command
from respawn_jobs.cli.fix.why import _lines
from respawn_jobs.debug.artifacts import artifacts_line
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_kernels.digest import digest_of
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

RUNS = "/services/respawn/runs"


def begun(ledger: Ledger, ada: ActorService, job: str) -> PlayedRunner:
    ada.promote(Promotion(name=job, notebook=text(notebook("a = 1", "1 / 0"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job=job)).id)
    runner.begin()
    return runner


@pytest.fixture
def made(ledger: Ledger, ada: ActorService) -> str:
    """A successful run of `train` that kept a model."""
    return train(ledger, ada, "a <b>model</b>")


def train(ledger: Ledger, ada: ActorService, description: str) -> str:
    runner = begun(ledger, ada, "train")
    keep(runner, b"model", name="model", number=3, kind="text", type="str", description=description)
    runner.succeed()
    return runner.run


def keep(runner: PlayedRunner, content: bytes, **more: object) -> None:
    blob = sealed(runner.run, content)
    runner.port.put_blob(digest := digest_of(blob), blob)
    part = ArtifactPart(digest=digest, size=len(content))
    values = {"file": "kept.bin", "size": len(content), "saved_at": datetime.now(UTC), "cell": 0, **more}
    kept = Artifact.model_validate({"number": 1, "type": "object", **values, "parts": [part]})
    runner.port.commit_artifact(ArtifactCommit(artifact=kept))


@pytest.fixture
def reader(ledger: Ledger, ada: ActorService, made: str) -> str:
    """A failed run of `report` that read the model in its first cell."""
    runner = begun(ledger, ada, "report")
    runner.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
    runner.execute(0)
    runner.fail(1)
    return runner.run


def test_the_pages_lead_from_a_run_to_what_it_read_and_back(browse: Browse, made: str, reader: str) -> None:
    page = browse("GET", f"{RUNS}/{reader}").text
    [row] = re.findall(r'id="artifacts-read".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert "train/model" in row
    assert f'href="/services/respawn/runs/{made}"' in row
    assert "a &lt;b&gt;model&lt;/b&gt;" in row
    assert 'id="artifacts"' not in page
    [readers] = re.findall(r'id="readers".*?</ul>', browse("GET", f"{RUNS}/{made}").text, re.DOTALL)
    assert f'href="/services/respawn/runs/{reader}"' in readers


def test_the_command_lists_both(
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: str,
    reader: str,
) -> None:
    ledger.close()
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("USER", "ada")
    assert run_command(["artifacts", reader]) == 0
    assert re.search(rf"train/model +3 .*{made}", capsys.readouterr().out)
    assert run_command(["artifacts", made]) == 0
    assert f"model was read by {reader} of user/ada/report" in capsys.readouterr().out


def test_a_debug_notebook_says_how_to_read_it(ada: ActorService, reader: str) -> None:
    assert artifacts_line(ada.artifacts(reader)) == "`train/model` (str): `respawn.latest('train/model')`"


def test_what_another_run_kept_is_told_beside_what_the_last_good_run_read(
    browse: Browse, ledger: Ledger, ada: ActorService, clock: MovedClock, made: str
) -> None:
    good = begun(ledger, ada, "report")
    good.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
    good.execute(0)
    good.succeed()
    runs = []
    for described in (None, "an empty model"):
        clock.forward(minutes=1)
        newer = train(ledger, ada, described) if described else made
        runs.append(failed := begun(ledger, ada, "report"))
        failed.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
        failed.execute(0)
        failed.fail(1)
    same, other = (ada.differences(one.run) for one in runs)
    assert not same.artifacts
    [found] = other.artifacts
    assert found.then is not None
    assert (found.then.made_in, found.now.made_in) == (made, newer)
    page = browse("GET", f"{RUNS}/{runs[1].run}").text
    [line] = re.findall(r"<dt>Read from other jobs</dt>.*?</li>", page, re.DOTALL)
    assert re.search(r"a &lt;b&gt;model&lt;/b&gt; of .*→ an empty model of ", line)
    assert f"{made} → an empty model of {newer}" in "\n".join(_lines(other))


PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


@pytest.fixture
def keeper(ledger: Ledger, ada: ActorService) -> str:
    """A run that kept a table, a text, pictures and what only says that it is one."""
    runner = begun(ledger, ada, "keeps")
    table = {"columns": ["", "<b>"], "types": ["int64", "object"], "rows": [["0", "<i>"], ["1", "x"]]}
    keep(runner, b"PAR1", name="table", kind="parquet", meta={"preview": table})
    keep(runner, b"text", name="text", kind="text", meta={"preview": {"text": "</pre><script>"}})
    keep(runner, PNG, name="plot", kind="picture", file="figure.png")
    keep(runner, b"<script>alert(1)</script>", name="evil", kind="file", file="evil.png")
    keep(runner, PNG, name="other", kind="file", file="plot.bin")
    for number, wrong in enumerate(WRONG):
        keep(runner, b"PAR1", name=f"wrong-{number}", kind="parquet", meta={"preview": wrong})
    runner.succeed()
    return runner.run


WRONG: list[object] = [
    "text",
    {},
    {"text": 5},
    {"text": "x" * 4001},
    {"columns": ["a"], "types": ["int", "int"], "rows": []},
    {"columns": ["a"], "types": ["int"], "rows": [["1", "2"]]},
    {"columns": ["a"], "types": ["int"], "rows": [["1"]] * 21},
]


def test_the_page_shows_first_rows_texts_and_pictures(browse: Browse, keeper: str) -> None:
    page = browse("GET", f"{RUNS}/{keeper}").text
    shown = dict(re.findall(r"<summary[^>]*>Look at ([\w-]+)</summary>(.*?)</details>", page, re.DOTALL))
    assert shown.keys() == {"table", "text", "plot", "evil"}
    assert "&lt;b&gt;" in shown["table"]
    assert "&lt;i&gt;" in shown["table"]
    assert "Its first 2 rows" in shown["table"]
    assert "&lt;/pre&gt;&lt;script&gt;" in shown["text"]
    assert "artifacts/plot?number=1&amp;show=1" in shown["plot"]


def test_only_what_is_a_picture_is_sent_as_one(browse: Browse, keeper: str) -> None:
    plot = browse("GET", f"{RUNS}/{keeper}/artifacts/plot?show=1")
    assert (plot.headers["content-type"], plot.content) == ("image/png", PNG)
    assert plot.headers["content-security-policy"].startswith("sandbox")
    assert plot.headers["x-content-type-options"] == "nosniff"
    for name in ("evil", "other", "text", "plot?number=1"):
        sent = browse("GET", f"{RUNS}/{keeper}/artifacts/{name}" + ("" if "?" in name else "?show=1"))
        assert sent.headers["content-type"] == "application/octet-stream"
        assert sent.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("begins", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"<svg xmlns", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(begins: bytes, kind: str | None) -> None:
    assert picture_kind(begins) == kind
