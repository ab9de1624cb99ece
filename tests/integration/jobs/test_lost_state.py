"""Session state that cannot be stored: its cell runs again on restore where that is safe, or it is named."""

from __future__ import annotations

import pytest

from respawn_jobs.service import ResumeRequest
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
LOSSY = """
level = 0

class Probe:
    name = "#lossy"
    title = "the level of lossy"
    def fingerprint(self): return level
    def capture(self):
        from respawn_kernels.session_state import Lost
        return Lost("a level is never stored") if level else None
    def restore(self, value, shell): raise AssertionError
"""
SETS = "n = 3\nlossy.level = n"


@pytest.fixture(autouse=True)
def lossy(bench) -> None:
    """A library of the notebook's, with session state of which nothing can be stored."""
    (bench.directory / "lossy.py").write_text(LOSSY)
    about = bench.directory / "lossy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lossy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[respawn.session_state]\nlossy = lossy:Probe\n")


def test_what_was_lost_is_made_again_before_the_first_cell(bench) -> None:
    failed = bench.run("import lossy", SETS, "x = 1", "1/0", "print(lossy.level)")
    fixed = notebook("import lossy", SETS, "x = 1", "", "print(lossy.level)")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert (plan.again, plan.rerun) == ([0, 1], []), "importing it set its level, too"
    resumed = bench.resume(failed.run.id, fixed)
    assert [cell.state.value for cell in resumed.cells] == [*["reused"] * 3, *["executed"] * 2]
    assert bench.printed(resumed.run.id, 4) == "3\n"


def test_what_is_not_safe_to_make_again_is_named(bench) -> None:
    sets = f"{SETS}\nopen('log', 'a').write('x')"
    failed = bench.run("import lossy", sets, "x = 1", "1/0", "print(lossy.level)")
    fixed = notebook("import lossy", sets, "x = 1", "", "print(lossy.level)")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert plan.again == []
    (told,) = (notice for notice in plan.notices if "cell 1 set #lossy" in notice)
    assert "changes what is outside of the kernel (files)" in told
    bench.resume(failed.run.id, fixed)
    assert (bench.directory / "log").read_text() == "x"


def test_a_cell_that_fails_when_it_runs_again_for_this_ends_the_resume_before_its_first_cell(bench) -> None:
    sets = "import os\nassert not os.path.exists('gone')\nlossy.level = 3"
    failed = bench.run("import lossy", sets, "x = 1", "1/0", "print(lossy.level)")
    fixed = notebook("import lossy", sets, "x = 1", "", "print(lossy.level)")
    (bench.directory / "gone").write_text("")
    resumed = bench.resume(failed.run.id, fixed)
    assert resumed.run.error.name == "RestoreFailed"
    assert "cell 1, which ran again to set session state" in resumed.run.error.value
    (bench.directory / "gone").unlink()
    again = bench.resume(failed.run.id, fixed)
    assert bench.printed(again.run.id, 4) == "3\n"
