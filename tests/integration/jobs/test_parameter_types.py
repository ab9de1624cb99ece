"""What a notebook is given: by papermill itself, and by `respawn run`, which does what annotations say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from support.notebooks import notebook

pytestmark = pytest.mark.integration

_BIN = Path(sys.executable).parent
_IMPORTS = (
    "import datetime as dt\nfrom datetime import date\nfrom decimal import Decimal\nfrom pathlib import Path"
)
_DECLARED = """\
from typing import Literal, Optional
rows: int = 1
rate: float = 0.5
name: Optional[str] = "a"
region: Literal["eu", "us"] = "eu"
day: date = date(2026, 1, 1)
at: dt.datetime | None = None
price: Decimal = Decimal("1")
where: Path = Path("data")
days: list[date] = []
password: str = "none yet"
"""
_GIVEN = {
    "rows": "5", "rate": "2", "name": "None", "region": "us", "day": "2026-01-31", "at": "2026-01-31T06:00",
    "price": "0.10", "where": "other", "days": '["2026-01-31"]', "password": "hunter2-hunter2",
}  # fmt: skip
_HAS = {
    "rows": "5",
    "rate": "2.0",
    "name": "None",
    "region": "'us'",
    "day": "datetime.date(2026, 1, 31)",
    "at": "datetime.datetime(2026, 1, 31, 6, 0)",
    "price": "Decimal('0.10')",
    "where": "PosixPath('other')",
    "days": "[datetime.date(2026, 1, 31)]",
    "password": "'hunter2-hunter2'",
}
_LIKE_PAPERMILL = ("rows", "name", "region", "password")
_TELL = f"import json\nprint(json.dumps({{name: repr(globals()[name]) for name in {list(_GIVEN)}}}))"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    nb = notebook(_IMPORTS, _TELL, "raise ValueError('no luck')", parameters=_DECLARED)
    nb.metadata.kernelspec.language = "python"  # papermill asks for it
    nb.cells[:2] = nb.cells[1::-1]
    nbformat.write(nb, tmp_path / "typed.ipynb")
    return tmp_path / "typed.ipynb"


def _options() -> list[str]:
    return [word for name, text in _GIVEN.items() for word in ("-p", name, text)]


def _told(path: Path) -> dict[str, str]:
    told: dict[str, str] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.text.startswith("{"):
                told = json.loads(output.text)
    return told


def _command(*words: str | Path, status: int) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_a_run_gets_what_annotations_say_and_otherwise_what_papermill_gives(source, tmp_path, monkeypatch):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    _command(_BIN / "papermill", source, tmp_path / "papermill.ipynb", *_options(), "-k", "python3", status=1)
    _command(_BIN / "respawn", "run", source, *_options(), "--output", tmp_path / "ours.ipynb", status=1)
    ours, papermills = _told(tmp_path / "ours.ipynb"), _told(tmp_path / "papermill.ipynb")
    assert ours == _HAS
    assert {name: ours[name] for name in _LIKE_PAPERMILL} == {
        name: papermills[name] for name in _LIKE_PAPERMILL
    }
    assert papermills["day"] == "'2026-01-31'"


@pytest.mark.long
def test_a_secret_is_given_to_the_notebook_and_shown_to_nobody(source, tmp_path, monkeypatch):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    nb = nbformat.read(source, as_version=4)
    nb.cells[2].source = "assert password == 'hunter2-' * 2 + 'x', len(password)"
    nbformat.write(nb, source)
    secret = "hunter2-hunter2-x"
    said = _command(
        _BIN / "respawn", "run", source, "-p", "password", secret, "--json",
        "--output", tmp_path / "ours.ipynb", status=1,
    )  # fmt: skip
    run = json.loads(said[said.index("{") : said.rindex("}") + 1])["run"]
    said += _command(_BIN / "respawn", "show", run, "--json", status=0)
    said += _command(_BIN / "respawn", "show", run, status=0)
    said += _command(_BIN / "respawn", "resume", run, "--plan", status=0)
    said += (tmp_path / "ours.ipynb").read_text()
    assert "[secret]" in said
    assert secret not in said
    notebooks = [path for path in _blobs(tmp_path / "data") if _holds(path, '"nbformat"')]
    assert len(notebooks) > 2
    assert not [path for path in notebooks if _holds(path, secret)]
    # What is resumed has the value all the same, also when the notebook comes back with the mask in it.
    fixed = nbformat.read(tmp_path / "ours.ipynb", as_version=4)
    for cell in fixed.cells:
        if "no luck" in cell.source:
            cell.source = f"assert password == {secret!r}"
    nbformat.write(fixed, tmp_path / "fixed.ipynb")
    done = _command(_BIN / "respawn", "resume", run, "--notebook", tmp_path / "fixed.ipynb", "-y", status=0)
    assert "succeeded" in done


def _blobs(data: Path) -> list[Path]:
    return [path for path in data.rglob("*") if path.is_file() and "blobs" in path.parts]


def _holds(path: Path, text: str) -> Any:
    return text.encode() in path.read_bytes()
