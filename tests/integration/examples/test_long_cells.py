"""The training loop of the how-to as it stands: its kernel is killed in the middle, and nothing is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from respawn_jobs.cli.entry import run_command
from respawn_jobs.notebook.document import read_notebook
from support.notebooks import notebook, printed_by, text
from support.sources import ROOT

pytestmark = pytest.mark.integration
PAGE = ROOT / "docs" / "how-to" / "long-cells.md"
KILL = """
import os
def killing(save=respawn.save):
    def save_then_die(name, value):
        save(name, value)
        if value[0] == 12:
            os.kill(os.getpid(), 9)
    return save_then_die
respawn.save = killing()
"""


def cells() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def respawn(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    run_command([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def printed(report: dict) -> str:
    return printed_by(read_notebook(Path(report["notebook"]).read_text()).cells[-1])


@pytest.mark.long
def test_the_training_loop_goes_on_from_its_last_epoch(tmp_path: Path, capsys) -> None:
    setup, train, show = cells()
    plain, dying = tmp_path / "plain.ipynb", tmp_path / "dying.ipynb"
    plain.write_text(text(notebook(setup, train, show)))
    # The kernel dies while its cell trains: the notebook's own cells are those of the page.
    dying.write_text(text(notebook(setup, f"{KILL}\n{train}", show)))
    expected = printed(respawn(capsys, "run", str(plain)))
    failed = respawn(capsys, "run", str(dying))
    assert failed["error"]["name"] == "DeadKernel"
    kept = respawn(capsys, "artifacts", failed["run"])
    assert (kept[0]["name"], kept[0]["number"]) == ("training", 12)

    watched = train.replace("epoch += 1", "epoch += 1; print(epoch)")
    fixed = tmp_path / "fixed.ipynb"
    fixed.write_text(text(notebook(setup, watched, show)))
    resumed = respawn(capsys, "resume", failed["run"], "--notebook", str(fixed))
    assert resumed.get("state") == "succeeded", resumed
    epochs = printed_by(read_notebook(Path(resumed["notebook"]).read_text()).cells[1]).split()
    assert epochs == [str(epoch) for epoch in range(13, 21)]
    assert printed(resumed) == expected
