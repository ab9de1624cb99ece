"""What papermill runs, runs the same: by `papermill`, by `papermill --engine respawn` and by `respawn run`.

Each notebook is executed by the three commands. What differs on purpose is said here by name, and listed with
its reason in docs/reference/papermill-differences.md.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.notebook.document import TAG_ERROR_MARKER
from support.notebooks import printed_by, with_whole_streams

pytestmark = pytest.mark.integration

_BIN = Path(sys.executable).parent
_PASSING = ("start_time", "end_time", "duration", "output_path", "input_path", "execution", "id")
_KERNEL = {"name": "python3", "display_name": "Python 3"}


@dataclass
class Done:
    """How a command ended, and what it left."""

    status: int
    notebook: dict[str, Any]
    said: str

    @property
    def cells(self) -> list[Any]:
        """The cells, without what differs between any two executions."""
        cells: list[Any] = _lasting(self.notebook["cells"])
        return cells

    @property
    def own_cells(self) -> list[Any]:
        """The cells without the markers that papermill adds to a notebook that failed."""
        return [cell for cell in self.cells if TAG_ERROR_MARKER not in cell["metadata"]["tags"]]

    @property
    def metadata(self) -> dict[str, Any]:
        """The notebook's metadata, without what differs between any two executions."""
        metadata: dict[str, Any] = _lasting(self.notebook["metadata"])
        return metadata

    def state_of(self, place: int) -> tuple[str, bool | None]:
        """Return what papermill's metadata say of one of the notebook's own cells."""
        said = self.own_cells[place]["metadata"]["papermill"]
        return said["status"], said["exception"]


@dataclass
class All:
    """One notebook, executed by each of the three."""

    papermill: Done
    engine: Done
    respawn: Done

    @property
    def statuses(self) -> tuple[int, int, int]:
        """The exit statuses, in this order."""
        return self.papermill.status, self.engine.status, self.respawn.status

    def same(self) -> None:
        """Assert that all three left the same cells and metadata."""
        assert self.engine.cells == self.papermill.cells
        assert self.engine.metadata == self.papermill.metadata
        assert self.respawn.cells == self.papermill.own_cells
        assert self.respawn.metadata == self.papermill.metadata


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in _PASSING}
    if isinstance(value, list):
        return with_whole_streams([_lasting(inner) for inner in value])
    return re.sub(r"ipykernel_\d+", "ipykernel", value) if isinstance(value, str) else value


def code(source: str, *tags: str, **more: Any) -> dict[str, Any]:
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "source": source,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
    } | more


def document(*cells: dict[str, Any], minor: int = 4, **more: Any) -> dict[str, Any]:
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)} | more


def execute(directory: Path, notebook: Any, *options: str, respawn: tuple[str, ...] | None = None) -> All:
    """Execute a notebook by all three; `respawn` are the options for `respawn run` where they differ."""
    (directory / "in.ipynb").write_text(json.dumps(notebook))
    quiet = ("--no-progress-bar", "--log-level", "ERROR")
    commands = {
        "papermill": ["papermill", "in.ipynb", "papermill.ipynb", *quiet, *options],
        "engine": ["papermill", "in.ipynb", "engine.ipynb", "--engine", "respawn", *quiet, *options],
        "respawn": [
            "respawn",
            "run",
            "in.ipynb",
            "-o",
            "respawn.ipynb",
            *(options if respawn is None else respawn),
        ],
    }

    def run(name: str) -> Done:
        program, *arguments = commands[name]
        env = os.environ | {
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "RESPAWN_DATA": str(directory / f"of-{name}"),
        }
        done = subprocess.run(
            [_BIN / program, *arguments], cwd=directory, env=env, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=250,
        )  # fmt: skip
        output = directory / f"{name}.ipynb"
        made = json.loads(output.read_text()) if output.exists() else {}
        return Done(done.returncode, made, done.stdout + done.stderr)

    with ThreadPoolExecutor(len(commands)) as pool:
        return All(*pool.map(run, commands))


@pytest.mark.long
def test_a_malformed_notebook_that_papermill_runs_gives_the_same(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {"tags": [TAG_ERROR_MARKER]}, "source": "of an earlier run"},
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": ["# a\n", "b"],
            "outputs": [],
            "execution_count": None,
        },
        {"cell_type": "odd", "metadata": {}, "source": "neither this nor that", "level": 2},
        code("a = 1\nb = 'x'\nc = d = e = f = None", "parameters"),
        code("print(a, b, c, d, e, f)", execution_count="7", unknown={"field": 1}),
        code("print(sorted(globals().keys() & {'a', 'z'}))", "twice", "twice", id="no id\N{SNOWMAN}"),
        code(
            "z = 1",
            "skip-execution",
            outputs=[{"output_type": "pyout"}, {"foo": 1}, {"output_type": "stream"}],
        ),
        code("'z' in globals()", metadata={"collapsed": "maybe", "name": 5}),
    ]
    for name in ("outputs", "execution_count"):
        del cells[5][name]
    notebook = document(
        *cells, metadata={"kernelspec": {"display_name": "x"}, "language_info": {"name": "python"}}
    )
    notebook |= {"unknown": 1, "nbformat_minor": 2}
    (tmp_path / "file.yaml").write_text("b: from a file\nd: 2020-01-02\n")
    encoded = base64.b64encode(b"{b: encoded, c: [1, {x: 2}]}").decode()
    done = execute(
        tmp_path, notebook, "-k", "python3", "-p", "a", "41", "-b", encoded, "-f", "file.yaml",
        "-y", "{e: 2.5}", "-r", "f", "1.50",
    )  # fmt: skip
    assert done.statuses == (0, 0, 0), done
    done.same()
    assert printed_by(done.respawn.cells[4]) == "41 from a file [1, {'x': 2}] 2020-01-02 2.5 1.50\n"
    assert [cell["cell_type"] for cell in done.respawn.cells[:3]] == ["markdown", "odd", "code"]


def test_what_cells_put_out_is_the_same(tmp_path: Path) -> None:
    done = execute(
        tmp_path,
        document(
            code("import os, sys\nprint('out'); sys.stdout.flush(); print('error', file=sys.stderr)"),
            code("from IPython.display import clear_output, display\nprint('x'); clear_output(); print('y')"),
            code("print('x'); clear_output(wait=True); print('z')"),
            code("shown = display('one', display_id='first')"),
            code("shown.update('two')"),
            code("1 + 1"),
            code("_ + 1, In[1][:6], Out[6]"),
            code("%%capture kept\nprint('hidden')"),
            code("   "),
            code("4;"),
            code("%%html\n<b>bold</b>"),
            code("display({'text/plain': 'plain', 'text/html': '<i>x</i>'}, raw=True)"),
            code(
                "import asyncio\nawait asyncio.sleep(0.01)\n"
                "task = asyncio.create_task(asyncio.sleep(0.1, 'done'))"
            ),
            code("await task"),
            code("%%bash\necho from bash; exit 0"),
            code("!exit 3"),
            code("_exit_code"),
            code("import warnings; warnings.warn('a warning')"),
            code("os.getcwd(), os.environ.get('MY_OWN')"),
            {"cell_type": "raw", "metadata": {}, "source": "raw"},
        ),
    )
    assert done.statuses == (0, 0, 0), done
    done.same()


@pytest.mark.slow
def test_a_version_3_notebook_runs_the_same(tmp_path: Path) -> None:
    cell = {
        "cell_type": "code",
        "language": "python",
        "collapsed": False,
        "metadata": {},
        "input": "print(3)",
    }
    cell |= {"outputs": [{"output_type": "pyout", "prompt_number": 1, "text": ["x"], "metadata": {}}]}
    heading = {"cell_type": "heading", "level": 2, "metadata": {}, "source": "h"}
    notebook = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "", "kernelspec": _KERNEL}}
    done = execute(tmp_path, notebook | {"worksheets": [{"metadata": {}, "cells": [cell, heading]}]})
    assert done.statuses == (0, 0, 0), done
    done.same()


@pytest.mark.slow
def test_a_cell_that_may_raise_fails_papermill_and_no_run(tmp_path: Path) -> None:
    done = execute(tmp_path, document(code("1/0", "raises-exception"), code("print('after')")))
    assert done.statuses == (1, 1, 0), done
    done.same()
    assert printed_by(done.respawn.cells[1]) == "after\n"


@pytest.mark.slow
def test_a_cell_that_shows_an_error_and_goes_on_fails_the_run_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("1/0\n")
    done = execute(tmp_path, document(code("x = 1"), code("%run script.py"), code("print('after', x)")))
    assert done.statuses == (1, 1, 1), done
    done.same()
    assert printed_by(done.respawn.own_cells[2]) == "after 1\n"
    assert '"ename": "ZeroDivisionError"' in json.dumps(done.respawn.own_cells[1]["outputs"])


@pytest.mark.slow
def test_a_clean_exit_ends_the_notebook_well(tmp_path: Path) -> None:
    done = execute(tmp_path, document(code("x = 1"), code("import sys; sys.exit()"), code("print('after')")))
    assert done.statuses == (0, 0, 0), done
    done.same()
    assert [done.respawn.state_of(place)[0] for place in range(3)] == ["completed", "failed", "pending"]


ENDS = {
    "exception": "def f():\n    raise ValueError('bad')\nf()",
    "exit status": "import sys; sys.exit(3)",
    "exit message": "import sys; sys.exit('no data')",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "question": "input('name?')",
    "password": "import getpass; getpass.getpass()",
    "shell": "%%bash\necho out; echo err >&2; exit 3",
    "syntax": "x = (",
    "representation": (
        "class Odd:\n    __repr__ = lambda self: 'odd'\n    def _repr_html_(self):\n        1/0\nOdd()"
    ),
    "system exit of another kind": "raise SystemExit(False)",
}


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind != "exception" else ()) for kind in ENDS]
)
def test_a_cell_that_fails_ends_the_notebook_the_same(tmp_path: Path, kind: str) -> None:
    done = execute(tmp_path, document(code("x = 1"), code(ENDS[kind]), code("print('after')")))
    assert done.statuses == (1, 1, 1), done
    done.same()
    assert len(done.papermill.cells) == len(done.respawn.cells) + 2
    assert [done.respawn.state_of(place)[0] for place in range(3)] == ["completed", "failed", "pending"]


@pytest.mark.parametrize(
    ("source", "statuses", "options", "respawn"),
    [
        pytest.param(
            "import os; os._exit(0)", (138, 138, 1), (), (), id="kernel dies", marks=pytest.mark.slow
        ),
        pytest.param(
            "import time; time.sleep(60)", (1, 1, 1), ("--execution-timeout", "2"), ("--cell-timeout", "2"),
            id="cell takes too long", marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_the_cell_in_which_a_kernel_ended_is_named_by_respawn_alone(
    tmp_path: Path,
    source: str,
    statuses: tuple[int, int, int],
    options: tuple[str, ...],
    respawn: tuple[str, ...],
) -> None:
    done = execute(tmp_path, document(code("x = 1"), code(source), code("3")), *options, respawn=respawn)
    assert done.statuses == statuses, done
    assert [done.engine.state_of(place) for place in range(3)] == [
        done.respawn.state_of(place) for place in range(3)
    ]
    assert [done.respawn.state_of(place)[0] for place in range(3)] == ["completed", "failed", "pending"]
    assert [done.papermill.state_of(place)[0] for place in range(3)] == ["completed"] * 3
    assert [cell["outputs"] for cell in done.papermill.own_cells] == [
        cell["outputs"] for cell in done.engine.own_cells
    ]


PARAMETERS = document(
    code("n: int\ntext: str = 'a'\nitems = [1]", "parameters"), code("print(repr((text, items)))")
)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param(("-p", "n", "1", "-p", "other", "1"), "'other'", id="unknown", marks=pytest.mark.slow),
        pytest.param(("-p", "n", "many"), "'n'", id="of another type", marks=pytest.mark.slow),
        pytest.param(
            ("-p", "n", "1", "-p", "n", "2"), "more than once", id="given twice", marks=pytest.mark.slow
        ),
        pytest.param((), "'n' is required", id="missing", marks=pytest.mark.slow),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_respawn_before_anything_runs(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    done = execute(tmp_path, PARAMETERS, *options)
    assert done.statuses == (0, 0, 2), done
    assert done.engine.cells == done.papermill.cells
    assert (named in done.respawn.said, done.respawn.notebook) == (True, {})


@pytest.mark.slow
def test_parameters_are_read_by_their_types_in_respawn_and_by_their_looks_in_papermill(
    tmp_path: Path,
) -> None:
    done = execute(tmp_path, PARAMETERS, "-p", "n", "1", "-p", "text", "007", "-p", "items", "[1, 2]")
    assert done.statuses == (0, 0, 0), done
    assert done.engine.cells == done.papermill.cells
    assert printed_by(done.papermill.cells[-1]) == "(7, '[1, 2]')\n"
    assert printed_by(done.respawn.cells[-1]) == "('007', [1, 2])\n"


@pytest.mark.slow
def test_a_notebook_is_not_told_what_would_let_it_act_as_its_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("MY_OWN", "mine")
    names = "'JUPYTERHUB_API_TOKEN', 'RESPAWN_DATA', 'MY_OWN'"
    done = execute(tmp_path, document(code(f"import os\nsorted(os.environ.keys() & {{{names}}})")))
    shown = [
        one.cells[0]["outputs"][0]["data"]["text/plain"]
        for one in (done.papermill, done.engine, done.respawn)
    ]
    assert shown == [["['JUPYTERHUB_API_TOKEN', 'MY_OWN', 'RESPAWN_DATA']"], ["['MY_OWN']"], ["['MY_OWN']"]]


@pytest.mark.slow
def test_the_engine_leaves_papermills_own_options_to_papermill(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    notebook = document(
        code("a = 1", "parameters"), code("import os, sys\nprint(a, os.path.basename(os.getcwd()))")
    )
    written = {}
    for engine in ("nbclient", "respawn"):
        options = ["--cwd", "elsewhere", "--report-mode", "--stdout-file", f"{engine}.txt", "--log-output"]
        options += ["--inject-input-path", "--no-request-save-on-cell-execute", "--start-timeout", "90"]
        options += [] if engine == "nbclient" else ["--engine", engine]
        (tmp_path / "in.ipynb").write_text(json.dumps(notebook))
        done = subprocess.run(
            [_BIN / "papermill", "in.ipynb", "{a}" + f"-{engine}.ipynb", "-p", "a", "5", *options],
            cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "5 elsewhere" in done.stderr
        assert "alembic" not in done.stderr
        made = json.loads((tmp_path / f"5-{engine}.ipynb").read_text())
        written[engine] = (_lasting(made), (tmp_path / "elsewhere" / f"{engine}.txt").read_text())
    assert written["respawn"] == written["nbclient"]
