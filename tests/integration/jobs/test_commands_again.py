"""Commands that run again in a resume find what they did before: the plan names it, and what fixes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration

COMMANDS = [
    '!sed -i "s/x/{w}/" in.txt',
    "!echo $w >> out.txt",
    "!mv raw.txt raw_{w}.txt",
    "import subprocess\nn = subprocess.run(['sh', '-c', f'echo {w} >> log'], cwd=elsewhere).returncode",
    "!pip --version > /dev/null",
]
READER = """import glob, pathlib
files = ['in.txt', 'out.txt', *sorted(glob.glob('raw*.txt')), f'{elsewhere}/log']
print([pathlib.Path(name).read_text() for name in files])"""


def write(name: str, word: str, elsewhere: Path, last: str) -> None:
    cells = [f"elsewhere = {str(elsewhere)!r}", f"w = {word!r}", *COMMANDS, READER, last]
    Path(name).write_text(text(notebook(*cells)))


def put_back(elsewhere: Path) -> None:
    Path("in.txt").write_text("x")
    Path("raw.txt").write_text("r")
    Path(elsewhere, "log").write_text("start\n")


@pytest.mark.long
def test_what_commands_did_is_named_and_what_gives_it_back_is_right(
    newest_python: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(tmp_path)
    put_back(elsewhere)
    write("nb.ipynb", "one", elsewhere, "1/0")
    write("fixed.ipynb", "two", elsewhere, "0")
    run = ran(newest_python, "run", "nb.ipynb", status=1)["run"]
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    told = [one for one in plan["notices"] if "in the run before" in one]
    back = "no cell above makes it again: first put it back as it was before that to have"
    away = "no cell above makes it again: remove it first to have"
    for said in (
        f"cell 2 reads in.txt, and cell 2 changed it in the run before; {back}",
        f"cell 3 reads out.txt, and cell 3 left it in the run before; {away}",
        f"cell 4 reads raw.txt, and cell 4 removed it in the run before; {back}",
        f"cell 5 reads {elsewhere}/log, and cell 5 changed it in the run before; {back}",
    ):
        assert any(one.startswith(said) for one in told), (said, told)
    [listed] = [one for one in told if "raw_one.txt" in one]
    assert listed.startswith("cell 7 may list raw_one.txt, and cell 4 left it in the run before;")
    assert len(told) == 5
    for name in ("out.txt", "raw_one.txt"):
        Path(name).unlink()
    put_back(elsewhere)
    resumed = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "-y")
    assert not any("in the run before" in (cell["note"] or "") for cell in resumed["cells"])
    cells = json.loads(Path(resumed["notebook"]).read_text())["cells"]
    assert printed_by(cells[7]) == "['two', 'two\\n', 'r', 'start\\ntwo\\n']\n"
