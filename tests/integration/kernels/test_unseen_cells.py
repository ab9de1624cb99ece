"""A restored session counts its cells as one that ran from the top: ours are none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from respawn_kernels.exchange.restore_point import AlwaysCell, RestorePoint, run_directory
from support.kernels import AGENT, CellFailed, Kernel, running_kernel

pytestmark = pytest.mark.integration

RUN = "run-0123456789"
RESTORE = f"%load_ext respawn\n%respawn restore {RUN}"
WAYS = ("debug", "debug, with cells that run again", "resume")

CALLBACKS = """
begun, ended, transformed, logged = [], [], [], []
def begins(*_):
    begun.append(1)
import ast, logging
class Steps(ast.NodeTransformer):
    def visit_Module(self, node):
        transformed.append(1)
        return node
class Keeps(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())
get_ipython().events.register('pre_run_cell', begins)
get_ipython().events.register('post_run_cell', ended.append)
get_ipython().ast_transformers.append(Steps())
logging.getLogger('steps').addHandler(Keeps())
"""
MAKES = "import logging\nstream = (n for n in [])\nlogging.getLogger('steps').warning('made')"
LOOK = "print((len(begun), len(ended), len(transformed), logged))"


@contextmanager
def restored(tmp_path: Path, way: str, *cells: str, always: int) -> Iterator[Kernel]:
    """Run cells, keep the state after the last one, and bring it back in another kernel."""
    spool = run_directory(RUN)
    spool.mkdir(parents=True)
    last = len(cells) - 1
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        for cell in cells:
            kernel.run(cell)
        kernel.silent(f"{AGENT}.checkpoint({last})")
    again = [AlwaysCell(always, cells[always])]
    point = RestorePoint(RUN, last, "python3", failing_cell=last + 1, error="KeyError: 'x'", always=again)
    (spool / "restore.json").write_text(point.to_json())
    with running_kernel(tmp_path) as kernel:
        if way == "resume":
            kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r}, {os.getpid()})")
            kernel.silent(f"{AGENT}.restore({str(spool)!r}, {last}, None, [{cells[always]!r}])")
            kernel.client.execute_interactive(cells[always], store_history=False)
            kernel.silent(f"{AGENT}.restore_again({str(spool)!r}, {last})")
        else:
            kernel.run(RESTORE)
            if way != "debug":
                kernel.run("%respawn rerun")
        yield kernel


def from_the_top(tmp_path: Path, *cells: str) -> str:
    """Return what the last cell shows in a session of its own."""
    with running_kernel(tmp_path) as kernel:
        return [kernel.run(cell) for cell in cells][-1]


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_the_notebooks_callbacks_are_told_of_its_own_cells(tmp_path: Path, way: str) -> None:
    cells = (CALLBACKS, MAKES, "n = 1")
    begun, ended, transformed, logged = eval(from_the_top(tmp_path, *cells, LOOK))
    with restored(tmp_path, way, *cells, always=1) as kernel:
        # The silent request that kept the state was transformed as a cell is.
        assert eval(kernel.run(LOOK)) == (begun, ended, transformed + 1, logged)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_a_callback_that_such_a_cell_registers_is_told_once_of_each_cell(tmp_path: Path, way: str) -> None:
    makes = (
        "begun, stream = [], (n for n in [])\ndef begins(*_):\n    begun.append(1)\n"
        "get_ipython().events.register('pre_run_cell', begins)"
    )
    cells = (makes, "n = 1")
    expected = from_the_top(tmp_path, *cells, "print(len(begun))")
    with restored(tmp_path, way, *cells, always=0) as kernel:
        assert kernel.run("print(len(begun))") == expected


@pytest.mark.long
def test_cells_of_ours_are_no_inputs(tmp_path: Path) -> None:
    cells = ("40 + 2", MAKES, "n = 1")
    look = "print(len(In), _i, _ii, _iii, dict(Out), get_ipython().execution_count)"
    expected = from_the_top(tmp_path, *cells, "43", "n = 2", look)
    with restored(tmp_path, WAYS[1], *cells, always=1) as kernel:
        kernel.run("%respawn state")
        with pytest.raises(CellFailed, match="UsageError"):
            kernel.run("%respawn diff")
        kernel.run("43")
        kernel.run("%respawn checkpoint mine\n%respawn state")
        kernel.run("n = 2")
        assert kernel.run(look) == expected


def test_a_cell_that_a_reader_adds_is_a_cell_as_any_other(tmp_path: Path) -> None:
    with restored(tmp_path, "debug", CALLBACKS, MAKES, always=1) as kernel:
        before = int(kernel.run("print(len(begun))"))
        kernel.run("%respawn state\nmine = 1")
        assert int(kernel.run("print(len(begun))")) == before + 2


def test_callbacks_of_libraries_are_told_of_all_cells(tmp_path: Path) -> None:
    registers = "import pprint\nget_ipython().events.register('pre_run_cell', pprint.pprint)"
    with restored(tmp_path, "debug", registers, MAKES, always=1) as kernel:
        assert "ExecutionInfo" in kernel.run("%respawn state")


@pytest.mark.long
def test_callbacks_of_a_helper_module_are_told_of_the_notebooks_cells(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text("begun = []\ndef begins(*_):\n    begun.append(1)\n")
    cells = ("import steps\nget_ipython().events.register('pre_run_cell', steps.begins)", MAKES)
    expected = from_the_top(tmp_path, *cells, "print(len(steps.begun))")
    with restored(tmp_path, WAYS[1], *cells, always=1) as kernel:
        assert kernel.run("print(len(steps.begun))") == expected


@pytest.mark.long
def test_what_stands_before_the_callbacks_is_no_part_of_what_is_saved(tmp_path: Path) -> None:
    with restored(tmp_path, WAYS[1], CALLBACKS, MAKES, always=1) as kernel:
        told = kernel.run("%respawn checkpoint mine")
        assert "Unseen" not in told
        assert "trigger" not in told
