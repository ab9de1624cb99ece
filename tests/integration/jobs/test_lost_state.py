"""Session state that cannot be stored: its cell runs again on restore where that is safe, or it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.debug.notebook import debug_notebook
from respawn_jobs.debug.rerun_cells import cells_to_run
from respawn_jobs.debug.state_download import download
from respawn_jobs.notebook.document import strip_debug
from respawn_kernels.exchange.restore_point import run_directory
from support.kernels import running_kernel
from support.lengths import quick
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
LOSSY = """
def _kept():
    level = 0  # as in C: no attribute of a module or of a class, which would come back
    def get():
        return level
    def put(value):
        nonlocal level
        level = value
    return get, put

get, put = _kept()

class Probe:
    name = "#lossy"
    title = "the level of lossy"
    def fingerprint(self): return get()
    def capture(self):
        from respawn_kernels.session_state import Lost
        return Lost("a level is never stored") if get() else None
    def restore(self, value, shell): raise AssertionError
"""
SETS = "n = 3\nlossy.put(n)"


@pytest.fixture(autouse=True)
def lossy(bench) -> None:
    """A library of the notebook's, with session state of which nothing can be stored."""
    (bench.directory / "lossy.py").write_text(LOSSY)
    about = bench.directory / "lossy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lossy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[respawn.session_state]\nlossy = lossy:Probe\n")


@pytest.mark.long
def test_what_was_lost_is_made_again_before_the_first_cell(bench) -> None:
    failed = bench.run("import lossy", SETS, "x = 1", "1/0", "print(lossy.get())")
    fixed = notebook("import lossy", SETS, "x = 1", "", "print(lossy.get())")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert (plan.again, plan.rerun) == ([0, 1], []), "importing it set its level, too"
    resumed = bench.resume(failed.run.id, fixed)
    assert [cell.state.value for cell in resumed.cells] == [*["reused"] * 3, *["executed"] * 2]
    assert bench.printed(resumed.run.id, 4) == "3\n"


@pytest.mark.long
def test_what_is_not_safe_to_make_again_is_named(bench) -> None:
    sets = f"{SETS}\nopen('log', 'a').write('x')"
    failed = bench.run("import lossy", sets, "x = 1", "1/0", "print(lossy.get())")
    fixed = notebook("import lossy", sets, "x = 1", "", "print(lossy.get())")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert plan.again == []
    (told,) = (notice for notice in plan.notices if "cell 1 set #lossy" in notice)
    assert "changes what is outside of the kernel (files)" in told
    bench.resume(failed.run.id, fixed)
    assert (bench.directory / "log").read_text() == "x"


@pytest.mark.long
def test_a_cell_that_fails_when_it_runs_again_for_this_ends_the_resume_before_its_first_cell(bench) -> None:
    sets = "import os\nassert not os.path.exists('gone')\nlossy.put(3)"
    failed = bench.run("import lossy", sets, "x = 1", "1/0", "print(lossy.get())")
    fixed = notebook("import lossy", sets, "x = 1", "", "print(lossy.get())")
    (bench.directory / "gone").write_text("")
    resumed = bench.resume(failed.run.id, fixed)
    assert resumed.run.error.name == "RestoreFailed"
    assert "cell 1, which ran again to set session state" in resumed.run.error.value
    (bench.directory / "gone").unlink()
    again = bench.resume(failed.run.id, fixed)
    assert bench.printed(again.run.id, 4) == "3\n"


@pytest.mark.long
def test_the_debug_notebook_lists_the_cells_and_runs_them_when_asked_to(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPAWN_RESTORE", str(tmp_path / "restore"))
    monkeypatch.chdir(bench.directory)
    logs = "with open('ran', 'a') as ran: ran.write('x')"
    failed = bench.run("import lossy", SETS, logs, "1/0")
    bundle = bench.service.debug(failed.run.id)
    again = cells_to_run(bundle)
    assert ([cell.index for cell in again.cells], again.lost) == ([0, 1], [])
    opened = debug_notebook(bundle)
    assert "Not run yet" in opened.cells[0].source
    assert "cell 1, for #lossy, which could not be stored: `n = 3 lossy.put(n)`" in opened.cells[0].source
    assert [cell.source for cell in strip_debug(opened).cells] == ["import lossy", SETS, logs, "1/0"]

    download(bench.service, bundle, run_directory(failed.run.id))
    with running_kernel(bench.directory) as kernel:
        shown = kernel.run(opened.cells[1].source)
        assert "cell 1, for #lossy, which could not be stored: n = 3" in shown
        assert kernel.value("(n, __import__('lossy').get())") == (3, 0), "nothing was executed"
        assert "Run again:" in kernel.run(opened.cells[2].source)
        assert kernel.value("(n, __import__('lossy').get())") == (3, 3)
    assert (bench.directory / "ran").read_text() == "x"


@pytest.mark.parametrize(
    "holds",
    quick(
        {2},
        [
            "held = {'fd': number, 'n': 0}",
            "held = types.SimpleNamespace(fd=number)",
            "class Log:\n    pass\nheld = Log()\nheld.inner = {'all': [number]}",
        ],
    ),
)
def test_a_descriptor_that_something_holds_is_named(bench, holds: str) -> None:
    first = f"import os, types\nnumber = os.open('log', os.O_CREAT | os.O_RDWR)\n{holds}"
    failed = bench.run(first, "1/0", "print(held)")
    request = ResumeRequest(notebook=text(notebook(first, "2", "print(held)")))
    told = " ".join(bench.service.plan(failed.run.id, request).problems)
    assert "cell 2 reads held" in told
    assert "the number of an open file, which ends with the kernel" in told


def test_a_secret_that_a_cell_puts_into_the_environment_is_in_no_checkpoint_and_made_again(bench) -> None:
    value = "correct-horse-battery"
    (bench.directory / "word.txt").write_text(value)
    (bench.directory / "url.txt").write_text(f"postgresql://ada:{value}@db/x")
    (bench.directory / "stage.txt").write_text("ordinary-stage")
    sets = (
        "import os, pathlib\n"
        "os.environ['SMTP_PASSWORD'] = pathlib.Path('word.txt').read_text()\n"
        "os.environ['DATABASE_URL'] = pathlib.Path('url.txt').read_text()\n"
        "os.environ['STAGE'] = pathlib.Path('stage.txt').read_text()"
    )
    shows = "import os; print([len(os.environ[n]) for n in ('SMTP_PASSWORD', 'DATABASE_URL', 'STAGE')])"
    failed = bench.run(sets, "x = 1", "1/0", shows)
    stored = bench.ledger.blobs
    everything = [stored.get(digest) for file, digest in stored.listed() if digest]
    assert len(everything) > 3
    assert not any(value.encode() in data for data in everything)
    assert any(b"ordinary-stage" in data for data in everything), "what is stored is read as it is"

    request = ResumeRequest(notebook=text(notebook(sets, "x = 1", "", shows)))
    plan = bench.service.plan(failed.run.id, request)
    assert plan.again == [0]
    resumed = bench.resume(failed.run.id, notebook(sets, "x = 1", "", shows))
    assert resumed.cells[0].state.value == "reused"
    assert bench.printed(resumed.run.id, 3) == "[21, 43, 14]\n"


@pytest.mark.long
def test_a_secret_whose_cell_cannot_run_again_is_named_before_a_resume(bench) -> None:
    (bench.directory / "word.txt").write_text("correct-horse-battery")
    sets = "import os\nos.environ['API_TOKEN'] = open('word.txt').read()\nopen('log', 'a').write('x')"
    failed = bench.run(sets, "x = 1", "1/0", "print(os.environ['API_TOKEN'])")
    request = ResumeRequest(notebook=text(notebook(sets, "x = 1", "", "print(1)")))
    plan = bench.service.plan(failed.run.id, request)
    (told,) = (notice for notice in plan.notices if "API_TOKEN" in notice)
    assert "cell 0 set environment variables (API_TOKEN)" in told
    assert "checkpoints keep no secrets" in told
    assert (bench.directory / "log").read_text() == "x"
