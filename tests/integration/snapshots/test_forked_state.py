"""What forking changes comes back as the notebook had it, on every way: compared with plain papermill."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import papermill
import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.debug.state_download import download
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.exchange.messages import SAVE, HeldChildFiles
from respawn_kernels.exchange.restore_point import run_directory
from support.kernels import AGENT, running_kernel
from support.lengths import quick
from support.notebooks import notebook, printed_by, text
from support.waiting import wait_for

pytestmark = pytest.mark.integration

CELLS = (
    "import os, random, time\nrandom.seed(11); drawn = [random.random()]",
    "own = random.Random(5); drawn.append(random.gauss(0, 1)); time.sleep(0.1)",
    "{fails}",
    "print(drawn, random.random(), random.gauss(0, 1), own.random(), random.sample(range(99), 5))",
)
ONCE = "if not os.path.exists('mark'):\n    open('mark', 'w').close()\n    "
FAILS = {
    "held": (ONCE + "1/0", JobSettings()),
    "every cell": (ONCE + "1/0", JobSettings(checkpoint_share=1.0)),
    "killed": (ONCE + "os.kill(os.getpid(), 9)", JobSettings()),
    "timed out": (ONCE + "time.sleep(600)", JobSettings(cell_timeout_seconds=2)),
    "no fork": (ONCE + "1/0", JobSettings(snapshot_fork=False, checkpoint_share=1.0)),
}


def book(fails: str) -> Any:
    return notebook(*(cell.replace("{fails}", fails) for cell in CELLS))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What plain papermill prints when the notebook runs from the top."""
    directory = tmp_path_factory.mktemp("plain")
    (directory / "mark").touch()
    (directory / "nb.ipynb").write_text(text(book(FAILS["held"][0])))
    done = papermill.execute_notebook(
        str(directory / "nb.ipynb"), None, cwd=str(directory), progress_bar=False
    )
    return printed_by(done.cells[-1])


@pytest.mark.parametrize("way", quick({0, 2}, FAILS))
def test_random_numbers_go_on_in_a_resume(bench, way: str, plain: str) -> None:
    fails, settings = FAILS[way]
    failed = bench.run(*(cell.replace("{fails}", fails) for cell in CELLS), settings=settings)
    assert failed.run.state in (RunState.FAILED, RunState.TIMED_OUT)
    resumed = bench.resume(failed.run.id, book(fails))
    assert [cell.state.value for cell in resumed.cells] == ["reused", "reused", "executed", "executed"]
    assert bench.printed(resumed.run.id, 3) == plain


@pytest.mark.long
def test_a_library_that_closes_its_own_descriptors_in_each_fork_keeps_no_state_from_being_written(
    bench,
) -> None:
    cells = ("import io, pyarrow.csv as pc", "rows = pc.read_csv(io.BytesIO(b'x\\n1\\n2\\n')).num_rows")
    failed = bench.run(*cells, "1/0", "print(rows)")
    resumed = bench.resume(failed.run.id, notebook(*cells, "pass", "print(rows)"))
    assert [cell.state.value for cell in resumed.cells] == ["reused", "reused", "executed", "executed"]
    assert bench.printed(resumed.run.id, 3) == "2\n"


@pytest.mark.long
def test_random_numbers_go_on_in_a_retry(bench, plain: str) -> None:
    fails, _ = FAILS["killed"]
    settings = JobSettings(retries={Cause.DEAD_KERNEL: RetryPolicy(attempts=2, delay_seconds=0)})
    run = bench.queue(*(cell.replace("{fails}", fails) for cell in CELLS), settings=settings)
    assert bench.execute(run).run.state is RunState.QUEUED
    assert bench.execute(run).run.state is RunState.SUCCEEDED
    assert bench.printed(run, 3) == plain


@pytest.mark.long
def test_random_numbers_go_on_in_a_debug_notebook(bench, plain: str) -> None:
    failed = bench.run(*(cell.replace("{fails}", FAILS["held"][0]) for cell in CELLS))
    download(bench.service, bench.service.debug(failed.run.id), run_directory(failed.run.id))
    with running_kernel(bench.directory) as kernel:
        kernel.run(f"%load_ext respawn\n%respawn restore {failed.run.id}")
        assert kernel.run(CELLS[3]) == plain


SEES = """
import faulthandler, gc, os, random, resource, signal, sys, threading
from respawn_kernels.session_state import registry
def seen():
    return (
        os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0), os.getcwd(), os.umask(0o027),
        [repr(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        [signal.getitimer(t)[1] for t in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)],
        gc.isenabled(), gc.get_freeze_count(), faulthandler.is_enabled(),
        resource.getrlimit(resource.RLIMIT_CORE), random.getstate(),
        sorted(thread.name for thread in threading.enumerate() if 'History' not in thread.name),
        threading.main_thread().native_id, sys.gettrace(), os.readlink(f'/proc/self/fd/{mine.fileno()}'),
    )
class Everything:
    name = "#everything"
    def fingerprint(self): return None
    def capture(self): return seen()
    def restore(self, value, shell): globals()["captured"] = value
registry._of_libraries["#everything"] = Everything()
mine = open(os.path.abspath('mine'), 'w')
os.umask(0o027)
signal.signal(signal.SIGUSR1, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 3600, 3600)
"""


def test_probes_are_captured_where_the_notebook_is(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        kernel.run(SEES)
        kernel.run("ours = seen()")
        kernel.silent(f"{AGENT}.hold(0)")
        assert HeldChildFiles(spool, 0).tell(SAVE)
        wait_for(HeldChildFiles(spool, 0).read_report, 60, "the child's report")
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 0)")
        assert kernel.value("[(a, b) for a, b in zip(captured, ours) if a != b]") == []
        end_all(spool)
