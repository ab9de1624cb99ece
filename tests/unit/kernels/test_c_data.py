"""Values of ctypes that lie in the memory of another object come back in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.namespaces import capture, notebook, round_trip


@pytest.mark.parametrize("numpy", ["", "import numpy\n"])
def test_a_value_in_a_buffer_comes_back_in_it(tmp_path: Path, numpy: str) -> None:
    code = "import ctypes\nraw = bytearray(16)\nvalue = ctypes.c_int.from_buffer(raw, 4)\nvalue.value = 7"
    back = round_trip(numpy + code, tmp_path)
    assert back["raw"][4] == 7
    back["value"].value = 9
    assert (back["raw"][4], type(back["value"]).__name__) == (9, "c_int")


def test_an_array_in_a_buffer_comes_back_in_it_though_the_buffer_has_no_name(tmp_path: Path) -> None:
    code = "import ctypes\nones = (ctypes.c_ubyte * 4).from_buffer(bytearray(b'abcdef'), 2)\nalso = [ones]"
    back = round_trip(code, tmp_path)
    assert bytes(back["ones"]) == b"cdef"
    assert back["also"][0] is back["ones"]


STRUCTURE = """
import ctypes
class Pair(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_int)]
pairs = (Pair * 3)()
second = pairs[1]
second.b = 5
"""


def test_an_element_of_an_array_comes_back_in_it(tmp_path: Path) -> None:
    back = round_trip(STRUCTURE, tmp_path)
    assert back["pairs"][1].b == 5
    back["second"].a = 6
    assert back["pairs"][1].a == 6


def test_a_value_at_an_address_is_listed(tmp_path: Path) -> None:
    code = """
        import ctypes
        own = ctypes.c_int(3)
        there = ctypes.c_int.from_address(ctypes.addressof(own))
    """
    manifest = capture(notebook(code), tmp_path)
    assert [(one.name, one.reason) for one in manifest.unstored] == [
        ("there", "a value of C in memory whose owner is not known")
    ]
