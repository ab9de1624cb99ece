"""A session that is restored twice, around cells that run again, is as one that is restored once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.kernels import AGENT, running_kernel

pytestmark = pytest.mark.integration

STATE = """
import collections.abc, copyreg, pkgutil, pprint, urllib.parse
from xml.etree import ElementTree
class Odd:
    pass
class Even(Odd):
    pass
def plain(one):
    return (Odd, ())
def is_mine(kind):
    return getattr(kind, '__module__', '') == '__main__'
for kind in (Odd, Even):
    copyreg.pickle(kind, plain)
    pkgutil.iter_importer_modules.register(kind, plain)
    pprint.PrettyPrinter._dispatch[kind] = plain
collections.abc.Sized.register(Odd)
urllib.parse.uses_netloc.insert(0, 'odd')
urllib.parse.uses_relative.pop(1)
urllib.parse.uses_params.append('odd')
ElementTree.register_namespace('odd', 'urn:odd')
"""
LOOK = """(
    [
        ([one.__name__ for one in table if is_mine(one)], table.get(Odd) is plain)
        for table in (
            copyreg.dispatch_table, pkgutil.iter_importer_modules.registry, pprint.PrettyPrinter._dispatch
        )
    ],
    urllib.parse.uses_netloc, urllib.parse.uses_relative, urllib.parse.uses_params,
    ElementTree._namespace_map.get('urn:odd'),
    issubclass(Odd, collections.abc.Sized),
    [one.__name__ for one in Odd.__subclasses__()],
)"""


def test_what_is_registered_for_classes_is_registered_once(tmp_path: Path) -> None:
    spool, first, second = tmp_path / "spool", tmp_path / "first", tmp_path / "second"
    for place in (spool, first, second):
        place.mkdir()
    with running_kernel(first) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        kernel.run(STATE)
        kernel.run(LOOK)
        kernel.silent(f"{AGENT}.checkpoint(0)")
        expected = kernel.value(LOOK)
    with running_kernel(second) as kernel:
        kernel.silent(f"{AGENT}.start({str(second / 'spool')!r}, {os.getpid()})")
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 0, None, ['always = 1'])")
        assert kernel.value(LOOK) == expected
        kernel.silent(f"{AGENT}.restore_again({str(spool)!r}, 0)")
        kernel.run("__import__('gc').collect()")
        assert kernel.value(LOOK) == expected
