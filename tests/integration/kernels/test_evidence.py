"""What a real kernel records of its cells, on this interpreter and on one that can tell which code runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.exchange.messages import SAVE, HeldChildFiles, Options
from support.kernels import AGENT, CellFailed, Kernel, running_kernel
from support.pythons import watching_python
from support.waiting import wait_for


@dataclass
class Recorded:
    """A kernel that records evidence."""

    kernel: Kernel
    directory: Path

    def run(self, code: str) -> CellEvidence:
        """Run a cell and return its record."""
        with suppress(CellFailed):
            self.kernel.run(code)
        return self.of(self.kernel.execution_count)

    def of(self, count: int) -> CellEvidence:
        """Return the record of a cell."""
        return CellEvidence.from_json((self.directory / "spool" / "evidence" / f"{count}.json").read_bytes())

    @property
    def files(self) -> set[str]:
        return {path.name for path in (self.directory / "spool" / "evidence").iterdir()}


def _started(directory: Path, python: Path | None) -> Iterator[Recorded]:
    with running_kernel(directory, python) as kernel:
        kernel.silent(f"{AGENT}.start({str(directory / 'spool')!r})")
        yield Recorded(kernel, directory)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Recorded]:
    """A kernel of this interpreter."""
    yield from _started(tmp_path, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A kernel that can tell which code runs, for tests that do not disturb each other."""
    python = watching_python()
    if python is None:
        pytest.skip("no Python 3.12 or later with Respawn's kernel part was found")
    yield from _started(tmp_path_factory.mktemp("watched"), python)


def test_lambda_that_pandas_calls_is_seen(shared: Recorded) -> None:
    shared.run("import pandas as pd; df = pd.DataFrame({'k': [1, 1, 2], 'x': [1.0, 2, 3]}); scale = 2")
    seen = shared.run("df.groupby('k').agg(t=('x', lambda s: s.sum() * scale))")
    assert seen.unwatched is None
    assert "scale" in seen.reads
    assert any(name.startswith("pandas.core.groupby") for name in seen.libraries)
    assert not shared.run("len(df)").reads


def test_what_runs_cells_is_not_among_the_libraries(shared: Recorded) -> None:
    assert not shared.run("pass").libraries
    assert not shared.run("def nothing():\n    return 1\nnothing()").libraries
    assert shared.run("import os\nos.environ.get('HOME')").libraries == ("os",)
    assert not shared.run("print('x'); 5").libraries
    shared.run("import random, threading")
    seen = shared.run("t = threading.Thread(target=random.shuffle, args=([1, 2],)); t.start(); t.join()")
    assert "random" in seen.libraries


def test_open_figures_are_looked_for_after_each_cell_and_that_is_no_use_of_them(shared: Recorded) -> None:
    shared.run("%matplotlib inline\nimport matplotlib.pyplot as plt")
    shared.run("pass")
    assert not shared.run("pass").libraries
    assert {"matplotlib.pyplot", "matplotlib.figure"} <= set(shared.run("plt.plot([1, 2])").libraries)


def test_temporary_files_that_are_gone_are_left_out(shared: Recorded) -> None:
    seen = shared.run("import tempfile\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(b'x')")
    assert not seen.written
    assert shared.run("kept = tempfile.NamedTemporaryFile()").written
    shared.run("kept.close()")


def test_query_with_text_looks_into_frames(shared: Recorded) -> None:
    shared.run("import pandas as pd; df = pd.DataFrame({'x': [1.0, 2, 3]}); limit = 1; q = 'x > @limit'")
    assert shared.run("df.query(q)").frames == ("pandas.core.computation.scope",)
    assert not shared.run("import logging; logging.warning('x')").frames


def test_generator_that_another_cell_advances_is_seen(shared: Recorded) -> None:
    assert not shared.run("low = 1\ndef numbers():\n    yield low\n    yield low\nthem = numbers()").reads
    assert shared.run("next(them)").reads == ("low",)
    assert shared.run("next(them)").reads == ("low",)
    assert not shared.run("low").reads
    shared.run("them = numbers(); next(them)")
    thrown = shared.run("try:\n    them.throw(KeyError())\nexcept KeyError:\n    pass")
    assert thrown.reads == ("low",)


@pytest.mark.parametrize(
    "code",
    [
        "eval('needle + 1')",
        "exec('def inner():\\n    return needle\\ninner()')",
        "f.__code__ = f.__code__.replace(co_name='other'); f()",
        "sorted([1, 2], key=f)",
        "import functools; functools.reduce(lambda a, b: f(), [1, 2])",
        "@dataclasses.dataclass\nclass D:\n    x: list = field(default_factory=lambda: needle)\nD()",
        "json.dumps(object(), default=lambda x: needle)",
        "class P:\n    @property\n    def v(self):\n        return needle\nP().v",
        "with __import__('concurrent.futures').futures.ThreadPoolExecutor(1) as e:\n    e.submit(f).result()",
        "get_ipython().run_cell('needle')",
        "%time f()",
        "%timeit -n1 -r1 f()",
        "async def c():\n    return needle\nawait c()",
        "import cloudpickle; cloudpickle.loads(cloudpickle.dumps(f))()",
        "import doctest\ndef d():\n    '>>> needle'\ndoctest.run_docstring_examples(d, globals())",
    ],
)
def test_code_that_something_else_calls_is_seen(shared: Recorded, code: str) -> None:
    shared.run(
        "import dataclasses, json\nfrom dataclasses import field\nneedle = 1\ndef f(*_):\n    return needle"
    )
    assert "needle" in shared.run(code).reads


def test_names_that_functions_bind_are_told(shared: Recorded) -> None:
    shared.run("counter = 0\ndef count():\n    global counter\n    counter += 1")
    seen = shared.run("count()")
    assert (seen.reads, seen.writes) == (("counter",), ("counter",))
    assert not shared.run("counter").writes


def test_cell_that_fails_has_a_record(shared: Recorded) -> None:
    shared.run("def fails():\n    raise ValueError(needle_2)")
    assert "needle_2" in shared.run("fails()").reads
    assert not shared.run("1 +").reads


def test_cell_stopped_by_a_signal_has_a_record_and_stops(shared: Recorded) -> None:
    shared.run(
        "import signal, time\ndef stop(*_):\n    raise TimeoutError\nsignal.signal(signal.SIGALRM, stop)"
    )
    start = time.monotonic()
    seen = shared.run("signal.setitimer(signal.ITIMER_REAL, 0.2)\nwhile True:\n    open('/dev/null').close()")
    assert time.monotonic() - start < 20
    assert seen.unwatched is None


def test_silent_requests_leave_no_record(shared: Recorded) -> None:
    before = shared.files
    shared.kernel.silent("x_silent = 1")
    assert shared.files == before


def test_debugger_and_profilers_still_work(shared: Recorded) -> None:
    assert shared.run("%prun -q sorted([1])").unwatched is None
    code = (
        "import sys\nlines = []\ndef tracer(frame, event, arg):\n    lines.append(event)\n    return tracer\n"
    )
    shared.run(code + "def traced():\n    return 1\nsys.settrace(tracer)\ntraced()\nsys.settrace(None)")
    assert shared.kernel.value("'line' in lines")
    taken = shared.run("sys.monitoring.free_tool_id(4)")
    assert taken.unwatched is not None
    shared.kernel.silent(f"{AGENT}.start({str(shared.directory / 'spool')!r})")
    assert shared.run("1").unwatched is None


def test_other_tools_see_what_they_watch(shared: Recorded) -> None:
    shared.run(
        "import sys\nlines = []\nm = sys.monitoring\nm.use_tool_id(1, 'coverage')\n"
        "def line(code, number):\n    lines.append(number)\n    return m.DISABLE\n"
        "def covered():\n    a = 1\n    return a\n"
        "m.register_callback(1, m.events.LINE, line)\n"
        "m.set_local_events(1, covered.__code__, m.events.LINE)\ncovered()\ncovered()"
    )
    assert len(shared.kernel.value("lines")) == 2
    assert "covered" in shared.run("def calls():\n    covered()\ncalls()").reads
    shared.run("m.set_local_events(1, covered.__code__, 0)\nm.free_tool_id(1)")


@pytest.mark.long
def test_recursion_and_many_code_objects_are_bounded(shared: Recorded) -> None:
    shared.run("def deep(n):\n    return bottom if n == 0 else deep(n - 1)\nbottom = 1")
    assert "bottom" in shared.run("deep(900)").reads
    assert "bottom" in shared.run("def endless():\n    bottom\n    endless()\nendless()").reads
    seen = shared.run("for i in range(12000):\n    eval(f'{i} + bottom')")
    assert (seen.unwatched, seen.overflow) == (None, False)
    assert "bottom" in seen.reads


def test_nothing_shows_in_the_notebook(shared: Recorded) -> None:
    shared.run("import warnings, sys\nwarnings.simplefilter('error')")
    shared.run("def g():\n    import traceback\n    return traceback.format_stack()")
    assert not [line for line in shared.kernel.value("g()") if "respawn_kernels" in line]
    assert shared.kernel.value("(sys.gettrace(), sys.getprofile())") == (None, None)
    shared.run("warnings.resetwarnings()")


def test_files_state_and_what_goes_on_are_recorded(here: Recorded) -> None:
    directory = here.directory
    (directory / "helpers.py").write_text("x = 1\n")
    seen = here.run("import helpers\nopen('out.txt', 'w').write('x')\nopen('out.txt').read()")
    assert str(directory / "helpers.py") in seen.opened
    assert seen.written == (str(directory / "out.txt"),)
    assert here.run("import random; random.seed(1)").changed == ("#random",)
    assert not here.run("pass").changed
    here.run("from threading import Event, Thread\nstop = Event()")
    seen = here.run("t = Thread(target=stop.wait, name='w')\nt.start()")
    assert seen.background_work == ("thread w",)
    assert here.run("1").background_work == ("thread w",)
    assert not here.run("stop.set(); t.join()").background_work
    seen = here.run("import subprocess; p = subprocess.Popen(['sleep', '60'])")
    assert seen.outside == ("process",)
    assert [name.split()[0] for name in seen.background_work] == ["process"]
    assert not here.run("p.kill(); p.wait()").background_work
    assert here.run(
        "import asyncio\nasync def w():\n    await asyncio.sleep(60)\nk = asyncio.create_task(w())"
    ).background_work
    assert not here.run("k.cancel(); await asyncio.sleep(0)").background_work


def test_a_cell_that_works_at_the_root_of_all_directories_ends_and_its_files_are_seen(here: Recorded) -> None:
    seen = here.run(f"import os\nos.chdir('/')\nopen({str(here.directory / 'a.txt')[1:]!r}, 'w').close()")
    assert str(here.directory / "a.txt") in seen.written
    seen = here.run(f"open('/{here.directory}/b.txt', 'w').close()")
    assert str(here.directory / "b.txt") in seen.written


def test_forked_processes_of_the_notebook_write_no_records(here: Recorded) -> None:
    here.run(
        "import multiprocessing as mp\nctx = mp.get_context('fork')\n"
        "def child(_):\n    get_ipython().run_cell('1')\n    return 1\n"
        "with ctx.Pool(1) as pool:\n    print(pool.map(child, [1]))"
    )
    count = here.kernel.execution_count
    assert here.files == {f"{number}.json" for number in range(1, count + 1)}
    record = here.of(count)
    assert record.outside == ("process",)


def test_held_child_watches_nothing(tmp_path: Path) -> None:
    python = watching_python()
    if python is None:
        pytest.skip("no Python 3.12 or later with Respawn's kernel part was found")
    spool, told = tmp_path / "spool", tmp_path / "told"
    with adopting(), running_kernel(tmp_path, python) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()}, {Options().to_json()!r})")
        (tmp_path / "spies.py").write_text(
            "import sys\nclass Spy:\n    def __reduce__(self):\n"
            f"        print(sys.monitoring.get_tool(4), file=open({str(told)!r}, 'w'))\n"
            "        return int, ()\n"
        )
        kernel.run("import spies, sys\nspy = spies.Spy()")
        kernel.silent(f"{AGENT}.hold(0)")
        place = HeldChildFiles(spool, 0)
        assert place.tell(SAVE)
        report = wait_for(place.read_report, 60, "the child's report")
        assert report.state == "saved"
        assert told.read_text() == "None\n"
        assert kernel.value("sys.monitoring.get_tool(4)") == "respawn"
        end_all(spool)


def test_restored_state_is_no_change_of_the_next_cell(here: Recorded) -> None:
    here.run("import random; random.seed(1)")
    here.kernel.silent(f"{AGENT}.checkpoint(0)")
    here.run("random.random()")
    here.kernel.silent(f"{AGENT}.restore({str(here.directory / 'spool')!r}, 0)")
    assert not here.run("pass").changed


def test_old_python_says_that_code_is_not_watched(here: Recorded) -> None:
    seen = here.run("1")
    version = here.kernel.value("__import__('sys').version_info[:2]")
    assert (seen.unwatched is None) == (version >= (3, 12))
    assert json.loads(seen.to_json()) is not None


@pytest.mark.parametrize(
    "code",
    [
        "!sed -i s/x/z/ {name}",
        "%%bash\nsort -o in.txt in.txt; echo a >> in.txt",
        "import subprocess\nsubprocess.run(['sed', '-i', 's/x/z/', name], check=True)",
        "import os\nos.system(f'echo 1 >> {name}')",
        "!gzip in.txt",
    ],
)
def test_what_a_process_changes_counts_as_read_and_as_found_before(here: Recorded, code: str) -> None:
    path = here.directory / "in.txt"
    path.write_text("x y")
    before = path.stat()
    here.run("name = 'in.txt'")
    seen = here.run(code)
    assert str(path) in seen.opened
    assert (str(path), before.st_size, before.st_mtime_ns) in seen.found


def test_what_a_process_makes_is_not_read_unless_it_goes_on_from_it(here: Recorded) -> None:
    (here.directory / "old.txt").write_text("x")
    made = here.run("!echo a > old.txt; echo b > new.txt")
    assert not made.opened
    assert made.found[0] == (str(here.directory / "new.txt"), -2, 0)
    assert here.run("!echo a >> new.txt").opened == (str(here.directory / "new.txt"),)
    assert not here.run("!ls; cat new.txt").opened


def test_files_elsewhere_that_a_command_names_are_looked_at(
    here: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("elsewhere") / "log"
    log.write_text("1")
    here.run(f"log = {str(log)!r}")
    seen = here.run("!echo hi >> {log}")
    assert seen.opened == seen.written == (str(log),)
    assert [found[:2] for found in seen.found] == [(str(log), 1)]


def test_hashes_of_objects_that_define_none_are_seen_and_no_others(shared: Recorded) -> None:
    shared.run(
        "class Node: pass\nclass Named:\n    def __hash__(self): return hash('name')\nnodes = [Node()]"
    )
    assert shared.run("seen = {hash(node): 1 for node in nodes}").addresses == ("hash of Node",)
    assert shared.run("def key(x): return hash((1, x))\nkeys = [key(x) for x in nodes]").addresses == (
        "hash of tuple",
    )
    assert shared.run("bucket = [hash(len) % 9, hash(Node)]").addresses == (
        "hash of builtin_function_or_method",
        "hash of type",
    )
    assert not shared.run("n = [hash(x) for x in ('a', 1, (2, 'b'), frozenset('c'), Named())]").addresses
    assert not shared.run("m = {node: 1 for node in nodes}").addresses


def test_texts_that_tell_where_objects_lie_are_seen(here: Recorded) -> None:
    assert here.run("class Node: pass\nkeys = {repr(Node()): 1}; n = 1").addresses == ("text in keys",)
    assert not here.run("first = 'no address, 0x10'").addresses


def test_a_database_was_written_when_it_changed(here: Recorded) -> None:
    database = str(here.directory / "rows.db")
    made = here.run("import sqlite3\nbase = sqlite3.connect('rows.db'); base.execute('create table t (x)')")
    assert made.written == (database,)
    begun = here.run("base.execute('insert into t values (1)').rowcount")
    assert set(begun.written) <= {database}, "its journal is no file of its own"
    assert here.run("base.commit(); base.close()").written == (database,)
    asked = here.run("base = sqlite3.connect('rows.db')\nprint(base.execute('select x from t').fetchall())")
    assert (asked.opened, asked.written) == ((database,), ())
    assert here.run("base.execute('pragma journal_mode = wal').fetchall()").written == (database,)
    logged = here.run("base.execute('insert into t values (2)'); base.commit()")
    assert logged.written == (database,), "its log is no file of its own either"
    here.run("base.close()")
