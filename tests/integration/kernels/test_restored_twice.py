"""A session that is restored twice, around cells that run again, is as one that is restored once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.kernels import AGENT, running_kernel

pytestmark = pytest.mark.integration

CLASSES = """
import collections.abc, copyreg, pkgutil, pprint, sqlite3, urllib.parse, yaml
from xml.etree import ElementTree
import pandas as pd
class Odd:
    pass
class Even(Odd):
    pass
def plain(one, *_):
    return (Odd, ())
def is_mine(one):
    return getattr(one, '__module__', '') == '__main__'
for kind in (Odd, Even):
    copyreg.pickle(kind, plain)
    pkgutil.iter_importer_modules.register(kind, plain)
    pprint.PrettyPrinter._dispatch[kind] = plain
    yaml.SafeDumper.add_representer(kind, plain)
    get_ipython().display_formatter.formatters['text/plain'].for_type(kind, plain)
sqlite3.register_adapter(Odd, plain)
collections.abc.Sized.register(Odd)
urllib.parse.uses_netloc.insert(0, 'odd')
urllib.parse.uses_relative.pop(1)
urllib.parse.uses_params.append('odd')
ElementTree.register_namespace('odd', 'urn:odd')
pd.api.extensions.register_dataframe_accessor('odd')(Odd)
"""
OF_CLASSES = """(
    [
        ([one.__name__ for one in table if is_mine(one)], table.get(Odd) is plain)
        for table in (
            copyreg.dispatch_table, pkgutil.iter_importer_modules.registry, pprint.PrettyPrinter._dispatch,
            yaml.SafeDumper.yaml_representers,
            get_ipython().display_formatter.formatters['text/plain'].type_printers,
        )
    ],
    [kind.__name__ for kind, _ in sqlite3.adapters if is_mine(kind)],
    urllib.parse.uses_netloc, urllib.parse.uses_relative, urllib.parse.uses_params,
    ElementTree._namespace_map.get('urn:odd'),
    sorted(pd.DataFrame._accessors), pd.DataFrame.odd is Odd,
    issubclass(Odd, collections.abc.Sized),
    [one.__name__ for one in Odd.__subclasses__()],
)"""

HOOKS = """
import ast, gc, importlib.abc, logging, sys, warnings
class Steps(ast.NodeTransformer):
    pass
class Finds(importlib.abc.MetaPathFinder):
    def find_spec(self, *_):
        return None
class Handles(logging.Handler):
    def emit(self, _):
        pass
class Filters(logging.Filter):
    pass
def hook(*_):
    raise ImportError
def quiet(*_):
    pass
def is_mine(one):
    return '__main__' in (getattr(one, '__module__', ''), type(one).__module__)
shell = get_ipython()
shell.events.register('pre_run_cell', quiet)
shell.events.register('post_execute', quiet)
shell.ast_transformers.append(Steps())
shell.input_transformers_cleanup.append(lambda lines: lines)
shell.input_transformers_post.insert(0, lambda lines: lines)
shell.set_custom_exc((BufferError,), lambda *_, **__: None)
sys.meta_path.append(Finds())
sys.path_hooks.append(hook)
sys.path.append('/nowhere')
log = logging.getLogger('one.two')
log.addHandler(Handles())
log.addFilter(Filters())
logging.getLogger().addHandler(Handles())
warnings.filterwarnings('ignore', message='odd')
warnings.simplefilter('error', ResourceWarning)
gc.callbacks.append(quiet)
"""
OF_HOOKS = """(
    {event: sum(map(is_mine, callbacks)) for event, callbacks in shell.events.callbacks.items()},
    [
        [place for place, one in enumerate(some) if is_mine(one)]
        for some in (
            shell.ast_transformers, shell.input_transformers_cleanup, shell.input_transformers_post,
            sys.path_hooks, gc.callbacks, logging.getLogger().handlers, log.handlers, log.filters,
        )
    ],
    sum(map(is_mine, sys.meta_path)), sys.path.count('/nowhere'),
    len(shell.custom_exceptions), len(warnings.filters),
)"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("state", "look", "again"),
    [(CLASSES, OF_CLASSES, "always = 1"), (HOOKS, OF_HOOKS, "always = 1"), (HOOKS, OF_HOOKS, HOOKS)],
    ids=["classes", "hooks", "hooks by the cell that runs again"],
)
def test_what_is_registered_is_registered_once(tmp_path: Path, state: str, look: str, again: str) -> None:
    spool, first, second = tmp_path / "spool", tmp_path / "first", tmp_path / "second"
    for place in (spool, first, second):
        place.mkdir()
    with running_kernel(first) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        kernel.run(state)
        kernel.run(look)  # a look at a table may fill it
        kernel.silent(f"{AGENT}.checkpoint(0)")
        expected = kernel.value(look)
    with running_kernel(second) as kernel:
        kernel.silent(f"{AGENT}.start({str(second / 'spool')!r}, {os.getpid()})")
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 0, None, [{again!r}])")
        assert kernel.value(look) == expected
        kernel.client.execute_interactive(again, store_history=False)
        kernel.silent(f"{AGENT}.restore_again({str(spool)!r}, 0)")
        kernel.run("__import__('gc').collect()")
        assert kernel.value(look) == expected
