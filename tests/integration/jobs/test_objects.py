"""A notebook of many kinds of objects, failed and resumed by the command, beside papermill from the top."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import nbformat
import papermill
import pytest

from respawn_jobs.cli.entry import run_command
from support.classes.one_notebook import cells
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
_KINDS_IN_A_CELL = 10


def _looking(sees: list[str]) -> str:
    """Return a cell that prints what code sees of each kind."""
    parts = [
        f"try:\n    told = repr({see})\nexcept Exception as error:\n    told = type(error).__name__\n"
        f"print({number}, told.replace(chr(10), ' '))\ntold = error = None\n"
        for number, see in enumerate(sees)
    ]
    quietly = "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n"
    return quietly + indent("".join(parts), "    ")


def _printed(nb: Any) -> list[str]:
    told = "".join(out.get("text", "") for out in nb.cells[-1].outputs if out.output_type == "stream")
    return re.sub("0x[0-9a-f]{6,}", "0x…", told).splitlines()


@pytest.mark.long
def test_a_notebook_of_many_kinds_goes_on_as_papermill_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    makes, sees, names = cells()
    assert len(names) > 60
    parts = ["\n".join(part) for part in _in_parts(makes)]
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("objects.ipynb").write_text(text(notebook(*parts, "1 / 0", _looking(sees))))
    Path("fixed.ipynb").write_text(text(notebook(*parts, "", _looking(sees))))
    assert run_command(["run", "objects.ipynb", "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)["run"]
    assert run_command(["resume", failed, "--notebook", "fixed.ipynb", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [cell["state"] for cell in told["cells"]][: len(parts)] == ["reused"] * len(parts)
    resumed = _printed(nbformat.read(told["notebook"], 4))
    monkeypatch.chdir(tmp_path / "there")
    reference = _printed(papermill.execute_notebook(str(tmp_path / "here" / "fixed.ipynb"), "out.ipynb"))
    wrong = [
        f"{name}\n  papermill {one[:300]}\n  resumed   {other[:300]}"
        for name, one, other in zip(names, reference, resumed, strict=True)
        if one != other
    ]
    assert not wrong, "\n".join(wrong)


def _in_parts(makes: list[str]) -> list[tuple[str, ...]]:
    starts = range(0, len(makes), _KINDS_IN_A_CELL)
    return [tuple(makes[start : start + _KINDS_IN_A_CELL]) for start in starts]
