"""What lies in the memory of another object lies there after a restore too, or is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.checkpoints import Notebook, bring_back, in_a_child, main_module, run
from support.lengths import quick

IMPORTS = """
import array, ctypes
import numpy as np, pyarrow as pa
from PIL import Image
from scipy.spatial import KDTree, cKDTree
"""
POINTS, NUMBERS, PIXELS = "np.arange(2. * n).reshape(n, 2)", "np.arange(n)", "np.zeros((n, 64), 'uint8')"
KINDS = {
    "cKDTree": (POINTS, "cKDTree(owner)", "owner[0, 1] = 99", "float(shares.data[0, 1])"),
    "KDTree": (POINTS, "KDTree(owner)", "owner[0, 1] = 99", "float(shares.data[0, 1])"),
    "pa.array": (NUMBERS, "pa.array(owner)", "owner[2] = 99", "shares[2].as_py()"),
    "pa.array of a part": (NUMBERS, "pa.array(owner[1:5])", "owner[2] = 99", "shares[1].as_py()"),
    "pa.table": (NUMBERS, "pa.table({'x': owner})", "owner[2] = 99", "shares['x'][2].as_py()"),
    "to_numpy of Arrow": (NUMBERS, "pa.array(owner).to_numpy()", "owner[2] = 99", "int(shares[2])"),
    "pa.py_buffer": ("bytearray(8 * n)", "pa.py_buffer(owner)", "owner[2] = 99", "shares.to_pybytes()[2]"),
    "image": (PIXELS, "Image.fromarray(owner)", "owner[0, 2] = 99", "shares.getpixel((2, 0))"),
    "image of four bands": (
        "np.zeros((n, 64, 4), 'uint8')",
        "Image.fromarray(owner)",
        "owner[0, 2] = 99",
        "shares.getpixel((2, 0))",
    ),
    "frombuffer of a bytearray": (
        "bytearray(8 * n)",
        "np.frombuffer(owner, 'u1')",
        "owner[2] = 99",
        "int(shares[2])",
    ),
    "frombuffer of an array": (
        "array.array('d', [0.] * n)",
        "np.frombuffer(owner)",
        "owner[2] = 99",
        "float(shares[2])",
    ),
    "as_array of ctypes": (
        "(ctypes.c_int * n)()",
        "np.ctypeslib.as_array(owner)",
        "owner[2] = 99",
        "int(shares[2])",
    ),
    "as_array of ctypes, two dimensions": (
        "(ctypes.c_int * 4 * n)()",
        "np.ctypeslib.as_array(owner)",
        "owner[0][2] = 99",
        "int(shares[0, 2])",
    ),
}
ORDERS = {
    "owner first": "owner = {owner}\nshares = {shares}",
    "owner last": "first = {owner}\nshares = (lambda owner: {shares})(first)\nowner = first\ndel first",
    "in one variable": "owner = {owner}\nboth = [{shares}, owner]\ndel owner",
}
_OWN = re.compile(r"\b(owner|shares|both|first)\b")


def named(number: int, code: str) -> str:
    """Return code with variables of one kind's own."""
    return _OWN.sub(rf"\g<1>_{number}", code)


def taken(directory: Path, *cells: str) -> Manifest:
    with main_module() as namespace:
        notebook = Notebook(namespace, directory)
        for number, cell in enumerate(cells):
            notebook.run(cell)
            in_a_child(lambda: notebook.checkpoint(forked=True, seconds=120))
            manifest = notebook.stored()
            assert number == notebook.cell
        return manifest


def back(directory: Path, cell: int = 0) -> dict[str, Any]:
    with main_module() as namespace:
        assert not bring_back(directory, cell, namespace)
        return namespace


@pytest.mark.parametrize("size", [16, pytest.param(20_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("order", quick({0}, ORDERS, "long"))
def test_what_shares_memory_shares_it_again(tmp_path: Path, order: str, size: int) -> None:
    kinds = list(enumerate(KINDS.values()))
    made = [named(i, ORDERS[order].format(owner=kind[0], shares=kind[1])) for i, kind in kinds]
    manifest = taken(tmp_path, "\n".join([IMPORTS, f"n = {size}", *made]), "other = 1")
    assert not manifest.unstored
    assert not manifest.unchecked()
    found = back(tmp_path, 1)
    for number, (_, _, change, look) in kinds:
        if order == "in one variable":
            run(named(number, "shares, owner = both"), found)
        run(named(number, f"{change}\ntold_{number} = {look}"), found)
    told = {name: found[f"told_{number}"] for number, name in enumerate(KINDS)}
    assert told == dict.fromkeys(KINDS, 99) | {"image of four bands": (99,) * 4}


@pytest.mark.parametrize(
    ("owner", "shares"),
    [
        ("bytearray(8)", "np.frombuffer(owner, 'u1')"),
        ("bytearray(8)", "pa.py_buffer(owner)"),
        ("array.array('d', [1., 2.])", "np.frombuffer(owner)"),
    ],
)
def test_memory_that_is_in_use_cannot_be_made_larger(tmp_path: Path, owner: str, shares: str) -> None:
    taken(tmp_path, f"{IMPORTS}owner = {owner}\nshares = {shares}")
    found = back(tmp_path)
    with pytest.raises(BufferError):
        found["owner"].append(1)


def test_sharing_that_nobody_can_make_again_is_named(tmp_path: Path) -> None:
    manifest = taken(tmp_path, f"{IMPORTS}src = np.arange(9)\nview = np.ctypeslib.as_ctypes(src)\nn = 1")
    [lost] = manifest.unstored
    assert (lost.name, lost.reason) == ("view", "it no longer shares memory with src")


def test_a_tree_that_copied_its_points_and_tables_of_text_are_groups_of_their_own(tmp_path: Path) -> None:
    code = """
import pandas as pd
points = np.arange(20.).reshape(10, 2)
tree = KDTree(points, copy_data=True)
table = pd.DataFrame({"name": ["a", "b"]})
column = pa.array([1, 2, 3])
image = Image.fromarray(np.zeros((4, 4), 'uint8').copy())
"""
    manifest = taken(tmp_path, IMPORTS + code)
    assert not manifest.unstored
    assert not manifest.unchecked()
    own = {"points", "tree", "table", "column", "image"}
    groups = [{frame.name for frame in group.frames} & own for group in manifest.groups]
    assert sorted(map(len, groups), reverse=True)[: len(own)] == [1] * len(own)
