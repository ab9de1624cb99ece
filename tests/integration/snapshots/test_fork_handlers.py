"""Handlers that others registered for forks hear of the forks of the notebook, and of none of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.model.runs import RunState
from support.notebooks import notebook

pytestmark = pytest.mark.integration

PRINTS = """
import os, sys, warnings
def printing(): print('forked', flush=True)
def warning(): warnings.warn('forked', RuntimeWarning)
os.register_at_fork(before=warning, after_in_parent=printing, after_in_child=printing)
os.register_at_fork(before=printing, after_in_parent=warning, after_in_child=warning)
"""


@pytest.mark.long
def test_handlers_that_print_and_warn_neither_hang_the_kernel_nor_are_heard(bench) -> None:
    detail = bench.run(PRINTS, "x = 1", "x += 1", "1/0", "print(x)")
    assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "ZeroDivisionError")
    assert [bench.printed(detail.run.id, cell) for cell in range(3)] == ["", "", ""]
    assert detail.checkpoints[-1].cell == 2
    resumed = bench.resume(detail.run.id, notebook(PRINTS, "x = 1", "x += 1", "", "print(x)"))
    assert bench.printed(resumed.run.id, 4) == "2\n"


COUNTS = """
import os
from os import register_at_fork
counts, cache = dict.fromkeys(('before', 'parent', 'child'), 0), {'key': 'value'}
def count(where): return lambda: counts.update({where: counts[where] + 1})
register_at_fork(before=count('before'), after_in_parent=count('parent'), after_in_child=count('child'))
os.register_at_fork(after_in_child=cache.clear)
"""

FORKS = """
hear, tell = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(tell, repr((counts, cache)).encode())
    os._exit(0)
os.waitpid(pid, 0)
in_child = os.read(hear, 1000).decode()
os.close(hear), os.close(tell)
"""

SHOWS = "print(in_child, counts, cache)"


def test_handlers_that_count_and_clear_run_for_the_notebooks_forks_alone(bench) -> None:
    detail = bench.run(COUNTS, "a = 1", FORKS, "b = 2", SHOWS, "1/0", SHOWS)
    expected = (
        "({'before': 1, 'parent': 0, 'child': 1}, {}) "
        "{'before': 1, 'parent': 1, 'child': 0} {'key': 'value'}\n"
    )
    assert bench.printed(detail.run.id, 4) == expected
    resumed = bench.resume(detail.run.id, notebook(COUNTS, "a = 1", FORKS, "b = 2", SHOWS, "", SHOWS))
    assert [cell.state.value for cell in resumed.cells] == ["reused"] * 5 + ["executed"] * 2
    assert bench.printed(resumed.run.id, 6) == expected


def test_registering_refuses_what_python_refuses(bench) -> None:
    tries = "import os, posix\nfor given in ({}, {'before': 1}):\n    try: os.register_at_fork(**given)"
    shown = (
        "    except TypeError as error: print(error)\nprint(posix.register_at_fork is os.register_at_fork)"
    )
    detail = bench.run(f"{tries}\n{shown}")
    assert bench.printed(detail.run.id, 0).splitlines() == [
        "At least one argument is required.",
        "'before' must be callable, not int",
        "True",
    ]


STARTUP = """
import builtins, functools, os
builtins.heard = []
builtins.cached = functools.lru_cache(len)
cached('four')
os.register_at_fork(before=lambda: heard.append('before'), after_in_child=cached.cache_clear)
os.register_at_fork(before=functools.partial(heard.append, 'partial'))
os.register_at_fork(after_in_parent=lambda: print('forked'))
"""


def test_handlers_that_startup_files_registered_are_passed_over_too(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(STARTUP)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # From 3.12 on Python warns of the threads that every kernel has.
    quietly = "import os, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
    forks = f"{quietly}pid = os.fork()\nif pid == 0: os._exit(cached.cache_info().currsize)\n"
    waits = "print(heard, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    detail = bench.run("a = 1", "b = 2", "print(heard)", forks + waits)
    assert [bench.printed(detail.run.id, cell) for cell in range(4)] == [
        "",
        "",
        "[]\n",
        "forked\n['partial', 'before'] 0\n",
    ]
