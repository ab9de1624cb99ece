"""What a real kernel records of its cells, on this interpreter and on one that can tell which code runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from respawn_kernels.evidence import CellEvidence
from support.kernels import AGENT, CellFailed, Kernel, running_kernel
from support.pythons import watching_python


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
    taken = shared.run("sys.monitoring.free_tool_id(3)")
    assert taken.unwatched is not None
    shared.kernel.silent(f"{AGENT}.start({str(shared.directory / 'spool')!r})")
    assert shared.run("1").unwatched is None


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
    assert seen.going_on == ("thread w",)
    assert here.run("1").going_on == ("thread w",)
    assert not here.run("stop.set(); t.join()").going_on
    seen = here.run("import subprocess; p = subprocess.Popen(['sleep', '60'])")
    assert seen.outside == ("process",)
    assert [name.split()[0] for name in seen.going_on] == ["process"]
    assert not here.run("p.kill(); p.wait()").going_on
    assert here.run(
        "import asyncio\nasync def w():\n    await asyncio.sleep(60)\nk = asyncio.create_task(w())"
    ).going_on
    assert not here.run("k.cancel(); await asyncio.sleep(0)").going_on


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
