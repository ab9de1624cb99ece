"""The commands for what a run kept, and the notebook that debugs it; also with the store on S3."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from respawn_jobs.cli.entry import run_command
from respawn_kernels.artifacts.pickles import read_pickle
from support.kernels import running_kernel
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration
KEEP = """
import numpy as np, respawn
for epoch in range(5):
    respawn.save("model", {"epoch": epoch, "weights": (np.ones(3),)})
respawn.save("array", np.arange(3))
raise KeyError("price")
"""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Carries out a command line; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        got = run_command(words)
        told = capsys.readouterr()
        assert got == status, told.err
        return told.out + told.err

    return command


@pytest.fixture
def failed(command, tmp_path: Path) -> str:
    """A run that kept something in the cell that failed."""
    path = tmp_path / "keeps.ipynb"
    path.write_text(text(notebook("x = 1", KEEP)))
    told = json.loads(command("run", str(path), "--json", status=1))
    assert told["error"]["name"] == "KeyError", told["error"]
    return str(told["run"])


def test_artifacts_are_listed_shown_and_fetched(command, failed: str, tmp_path: Path) -> None:
    listed = command("artifacts", failed)
    assert "model" in listed
    assert "1 B" not in listed
    assert "artifact" in command("show", failed)
    told = json.loads(command("artifacts", failed, "--json"))
    assert (told[0]["name"], told[1]["name"], told[1]["number"]) == ("array", "model", 5)
    assert "wrote array.npy" in command("fetch", failed, "array")
    assert np.load("array.npy").tolist() == [0, 1, 2]
    command("fetch", failed, "model", "-o", "deep/kept.pickle")
    assert read_pickle(tmp_path / "deep" / "kept.pickle")["epoch"] == 4


def test_what_is_not_there_is_refused_and_names_what_is(command, failed: str) -> None:
    assert "it has: array (1), model (5)" in command("fetch", failed, "nothing", status=2)
    assert "model number 77" in command("fetch", failed, "model", "--number", "77", status=2)
    assert "leave out" in command("fetch", failed, "model", "--debug", "-o", "x", status=2)


@pytest.mark.long
def test_the_debug_notebook_loads_what_the_failed_run_kept(command, failed: str, tmp_path: Path) -> None:
    command("debug", failed, "-o", "debug.ipynb")
    cells = json.loads(Path("debug.ipynb").read_text())["cells"]
    assert "respawn.load('array')" in "".join(cells[0]["source"])
    with running_kernel(tmp_path) as kernel:
        kernel.run(f"%load_ext respawn\n%respawn restore {failed}")
        kernel.run("import respawn\nmodel = respawn.load('model')\nrespawn.save('model', 'mine')")
        assert kernel.value("(model['epoch'], respawn.load('model'), x)") == (4, "mine", 1)
    assert json.loads(command("artifacts", failed, "--json"))[1]["number"] == 5


@pytest.mark.long
def test_a_large_artifact_comes_to_the_debug_notebook_on_demand(
    command, failed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in ("AT_ONCE_BYTES", "MAX_BYTES"):
        monkeypatch.setattr(f"respawn_jobs.debug.state_download.{most}", 10)
    command("debug", failed, "-o", "debug.ipynb")
    with running_kernel(tmp_path) as kernel:
        kernel.run(f"%load_ext respawn\n%respawn restore {failed}")
        look = (
            "import respawn\ntry: told = respawn.load('array').tolist()\nexcept Exception as e: told = str(e)"
        )
        kernel.run(look)
        assert f"respawn fetch {failed} array --debug" in kernel.value("told")
        command("fetch", failed, "array", "--debug")
        kernel.run(look)
        assert kernel.value("told") == [0, 1, 2]


@pytest.mark.long
@pytest.mark.s3
def test_epochs_are_kept_and_loaded_on_s3(
    command, s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RESPAWN_BLOBS_URL", f"s3://{s3_server.bucket()}/blobs")
    train = "import numpy as np, os, respawn\nstart, w = respawn.load('m', (0, np.zeros(3_000_000)))\n"
    train += "for epoch in range(start, 6):\n    w += epoch\n    {}\n"
    train += "    respawn.save('m', (epoch + 1, w), wait=True)"
    (tmp_path / "a.ipynb").write_text(
        text(notebook(train.format("if epoch == 4: os.kill(os.getpid(), 9)"), ""))
    )
    (tmp_path / "b.ipynb").write_text(text(notebook(train.format("pass"), "print(start, w.sum())")))
    failed = json.loads(command("run", "a.ipynb", "--json", status=1))["run"]
    assert [one["number"] for one in json.loads(command("artifacts", failed, "--json"))] == [4, 3]
    resumed = json.loads(command("resume", failed, "--notebook", "b.ipynb", "--json"))
    cells = json.loads(Path(resumed["notebook"]).read_text())["cells"]
    assert printed_by(cells[1]) == f"4 {15 * 3_000_000.0}\n"
