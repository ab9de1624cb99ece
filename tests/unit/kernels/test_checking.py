"""What the writer finds out before anybody relies on a checkpoint."""

from __future__ import annotations

from pathlib import Path

from respawn_kernels.checkpoint.manifest import Manifest
from support.checkpoints import Notebook, bring_back, in_a_child, main_module

ASKS = """
import fractions, os, socket
class Asks(fractions.Fraction):
    def __reduce__(self): return (make, (self.what,))
def make(what):
    if what == "write": open("reached", "w").write("x")
    if what == "connect": socket.socket().connect(("127.0.0.1", 9))
    if what == "leave": os._exit(3)
    if what == "raise": raise OSError("not today")
    return asks(what) if what != "differ" else asks("other")
def asks(what):
    made = Asks(1); made.what = what
    return made
"""


def stored(directory: Path, code: str, *, forked: bool = True) -> Manifest:
    with main_module() as namespace:
        notebook = Notebook(namespace, directory)
        notebook.run(ASKS + code)
        if not forked:
            return notebook.checkpoint()
        in_a_child(lambda: notebook.checkpoint(forked=True, seconds=120))
        return notebook.stored()


def unchecked(manifest: Manifest, name: str) -> str | None:
    [place] = [variable.group for variable in manifest.variables if variable.name == name]
    assert place is not None
    return manifest.groups[place].unchecked


def test_what_does_not_load_or_comes_back_different_is_named_alone(tmp_path: Path) -> None:
    made = "bad, gone, other = map(asks, ('raise', 'leave', 'differ'))"
    code = f"{made}\nrows = [1]\nboth = [rows, bad]\nkept = [rows]"
    manifest = stored(tmp_path, code)
    told = {variable.name: variable.reason for variable in manifest.unstored}
    assert told.keys() == {"bad", "both", "gone", "other"}
    assert "not today" in told["bad"]
    assert "exit status 3" in told["gone"]
    assert "comes back different" in told["other"]
    assert unchecked(manifest, "kept") is None


def test_what_an_object_no_longer_shares_with_another_is_named(tmp_path: Path) -> None:
    code = """
import types
class Space(types.SimpleNamespace):
    pass
space = Space(a=1)
other = [vars(space)]
"""
    assert [item.name for item in stored(tmp_path, code).unstored] == ["other"]


def test_loading_that_reaches_out_is_stopped_and_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = stored(tmp_path, "writes, connects, plain = asks('write'), asks('connect'), [1]")
    assert not manifest.unstored
    assert "reached for writing" in (unchecked(manifest, "writes") or "")
    assert "socket.connect" in (unchecked(manifest, "connects") or "")
    assert unchecked(manifest, "plain") is None
    assert not (tmp_path / "reached").exists()


def test_a_kernel_that_writes_itself_checks_nothing_and_says_so(tmp_path: Path) -> None:
    manifest = stored(tmp_path, "bad = asks('raise'); n = 1", forked=False)
    assert not manifest.unstored
    assert "the kernel wrote it itself" in (unchecked(manifest, "bad") or "")
    assert unchecked(manifest, "n") is None


def test_an_attribute_that_comes_back_with_less_in_it_is_named(tmp_path: Path) -> None:
    code = """
class Keeps(fractions.Fraction):
    def __reduce__(self): return (keeps, (self.rows["a"][: self.most],), {"most": self.most})
def keeps(rows):
    made = Keeps(1); made.rows = {"a": rows}
    return made
less, whole = keeps([1, 2]), keeps([1, 2])
less.most, whole.most = 1, 2
"""
    manifest = stored(tmp_path, code)
    [(name, reason)] = [(variable.name, variable.reason) for variable in manifest.unstored]
    assert name == "less"
    assert "comes back without rows" in reason


def test_copies_of_a_table_of_text_are_kept_and_share_their_columns(tmp_path: Path) -> None:
    code = """
import pandas as pd
table = pd.DataFrame({name: ['x', 'y'] * 9 for name in 'abc'})
copy, typed = table.copy(), table.astype({'a': 'category'})
"""
    manifest = stored(tmp_path, code)
    assert manifest.unstored == []
    with main_module() as back:
        assert bring_back(tmp_path, manifest.cell, back) == {}
    columns = [back[name]["b"].array._pa_array for name in ("table", "copy", "typed")]
    assert columns[0] is columns[1] is columns[2]


def test_what_no_longer_finds_a_key_of_its_own_is_named(tmp_path: Path) -> None:
    code = """
class Key:
    def __init__(self, n): self.n = n
    def __hash__(self): return hash(self.n)
    def __eq__(self, other): return self.n == other.n
moved, still = Key(1), Key(3)
rows, seen, pairs, sets = {moved: 'v'}, {moved}, {(1, moved): 'v'}, {frozenset([moved])}
known, plain = {still: 'v', (still, 1): 'w'}, {still, 2}
moved.n = 2
"""
    told = {item.name: item.reason for item in stored(tmp_path, code).unstored}
    assert told.keys() == {"rows", "seen", "pairs", "sets"}
    assert told["rows"] == "the hash of a key (Key) has changed since it was put in"
