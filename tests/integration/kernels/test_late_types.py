"""What type statements evaluate late is asked for late in a restored session too (Python 3.12 and later)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from support.pythons import ROOT, watching_python

MADE = """
type Rows = list[Num]
type Tree = list[Tree]
type Pair[T: Num] = tuple[T, Num]
class Box[T: Num]: pass
def conv[U: (Num, str)](x: U) -> U: return x
class Plain[**P, *Ts]: pass
def local():
    type Inner = dict[str, Inner]
    return Inner
inner = local()
type Kept = list[Other]
Other = int
type Grown = Other | list[Grown]
Kept.__value__, Grown.__value__
Other = float
"""
ASKED = """
told = [
    str(Rows.__value__), Rows.__module__, Tree.__value__.__args__[0] is Tree,
    str(Pair.__value__), Pair.__value__.__args__[0] is Pair.__type_params__[0],
    Box.__type_params__[0].__bound__.__name__, Box.__type_params__[0].__infer_variance__, str(Box[int]),
    [one.__name__ for one in conv.__type_params__[0].__constraints__], str(Plain.__type_params__),
    inner.__value__.__args__[1] is inner, str(Kept.__value__),
    str(Grown.__value__), Grown.__value__.__args__[1].__args__[0] is Grown, Grown.__module__,
]
"""
SCRIPT = """
import sys
from pathlib import Path
from support.checkpoints import Notebook, bring_back, in_a_child, main_module
made, asked, spool = {made!r}, {asked!r}, Path(sys.argv[1])

def answers(space, number):
    exec(compile("Num = " + number + asked, "<cell>", "exec", dont_inherit=True), space)
    return space["told"]

with main_module() as space:
    notebook = Notebook(space, spool)
    notebook.run(made)
    if sys.argv[2] == "asked before":
        notebook.run("Num = int" + asked)
    in_a_child(lambda: notebook.checkpoint(forked=True, seconds=120))
    manifest = notebook.stored()
    assert not manifest.unstored, manifest.unstored
    assert not any(group.unchecked for group in manifest.groups)
with main_module() as space:
    exec(compile(made, "<cell>", "exec", dont_inherit=True), space)
    expected = answers(space, "float")
with main_module() as space:
    assert not bring_back(spool, notebook.cell, space)
    assert answers(space, "float") == expected, (space["told"], expected)
"""


@pytest.mark.parametrize("when", ["never asked", "asked before"])
def test_types_ask_for_names_as_they_are_when_they_are_wanted(tmp_path: Path, when: str) -> None:
    python = watching_python()
    if python is None:
        pytest.skip("no Python 3.12 or later with Respawn's kernel part was found")
    script = tmp_path / "script.py"
    script.write_text(dedent(SCRIPT).format(made=MADE, asked=ASKED))
    path = os.pathsep.join(str(ROOT / part) for part in ("kernels", "tests"))
    done = subprocess.run(
        [python, script, tmp_path / "spool", when],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
