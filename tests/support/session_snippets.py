"""Cells that change a session's state, and what a later cell sees of it. Each stands by itself.

`SNIPPETS` has, by a name: the source of a cell, and an expression that a later cell evaluates. The look must
not depend on addresses, times or places.
"""

from __future__ import annotations

from importlib.util import find_spec

from support.own_parts import OWN_PARTS

FILES = {
    "settings_of_app.py": (
        "URL = 'https://production'\nCACHE = {}\nCOUNT = 0\nclass Config:\n    debug = False\n"
        "def fetch():\n    return 'really fetched'\ndef count():\n    global COUNT\n    COUNT += 1\n"
        "import abc\nclass Shape(abc.ABC):\n    pass\n"
        "import warnings\ndef old():\n    warnings.warn('old is going')\n"
        "import functools\n@functools.singledispatch\ndef describe(x):\n    return 'thing'\n"
    ),
    "first/twin.py": "WHERE = 'first'\n",
    "second/twin.py": "WHERE = 'second'\n",
    "loud_part/__init__.py": "",
    "loud_part/inner.py": "import loud_part\nloud_part.registered = True\n",
}
"""Modules that lie beside the notebook."""

SNIPPETS: dict[str, tuple[str, str]] = {
    "random": ("import random; random.seed(3); random.random()", "random.random()"),
    "shuffle of random": (
        "from random import shuffle as mix, random as draw",
        "(mix.__self__ is __import__('random')._inst, draw is __import__('random').random)",
    ),
    "numpy.random": ("import numpy as np; np.random.seed(5); np.random.normal()", "np.random.normal()"),
    "bit generator": (
        "import numpy.random; bits = np.random.PCG64(7); np.random.set_bit_generator(bits); np.random.rand()",
        "(np.random.rand(), type(np.random.get_bit_generator()).__name__, "
        "np.random.get_bit_generator() is bits)",
    ),
    "rand of numpy": ("from numpy.random import rand", "(rand is np.random.rand, float(rand()))"),
    "torch": (
        "import torch; torch.manual_seed(3); torch.set_default_dtype(torch.float64); "
        "torch.set_printoptions(precision=2); torch.set_grad_enabled(False)",
        "(torch.rand(1).item(), str(torch.tensor(1.23456)), torch.is_grad_enabled())",
    ),
    "decimal": (
        "import decimal; decimal.getcontext().prec = 6; held = decimal.getcontext(); "
        "decimal.DefaultContext.prec = 9",
        "(str(decimal.Decimal(1) / 3), held is decimal.getcontext(), decimal.Context().prec)",
    ),
    "context variables": (
        "import contextvars; who = contextvars.ContextVar('who', default='nobody'); who.set('ada')\n"
        "def asked(): return who.get()",
        "(asked(), contextvars.Context().run(who.get))",
    ),
    "numpy errors": ("np.seterr(divide='raise', under='warn')", "np.geterr()"),
    "numpy printing": ("np.set_printoptions(precision=2)", "str(np.array([1.23456]))"),
    "pandas options": (
        "import pandas as pd; pd.set_option('display.max_rows', 7)",
        "pd.get_option('display.max_rows')",
    ),
    "polars": (
        "import polars as pl; pl.Config.set_tbl_rows(3); pl.Config.set_fmt_float('full')",
        "str(pl.DataFrame({'a': [0.000001, 2, 3, 4, 5]}))",
    ),
    "sklearn": (
        "import sklearn; sklearn.set_config(assume_finite=True)",
        "sklearn.get_config()['assume_finite']",
    ),
    "dask": (
        "import dask; dask.config.set({'dataframe.shuffle.method': 'disk', 'own': {'x': 1}})",
        "(dask.config.get('dataframe.shuffle.method'), dask.config.get('own.x'))",
    ),
    "logging": (
        "import logging, io\nlog_text = io.StringIO(); handler = logging.StreamHandler(log_text)\n"
        "handler.setFormatter(logging.Formatter('%(levelname)s:%(message)s'))\n"
        "class Quiet(logging.Filter):\n    def filter(self, record): return 'secret' not in record.msg\n"
        "log = logging.getLogger('app.part'); log.setLevel(logging.DEBUG); log.addHandler(handler)\n"
        "log.addFilter(Quiet()); log.propagate = False; logging.getLogger('noisy').disabled = True\n"
        "logging.addLevelName(25, 'NOTICE'); logging.disable(5)",
        "(log.debug('seen'), log.debug('secret'), log.log(25, 'so'), log_text.getvalue(), "
        "log.handlers == [handler], handler.level, log.propagate, logging.getLogger('noisy').disabled, "
        "logging.root.manager.disable)",
    ),
    "log file": (
        "to_file = logging.FileHandler('app.log', mode='w'); logging.getLogger('filed').addHandler(to_file)\n"
        "logging.getLogger('filed').warning('one')",
        "(logging.getLogger('filed').warning('two'), to_file.flush(), open('app.log').read()[:8], to_file.mode)",
    ),
    "warnings": (
        "import warnings; warnings.filterwarnings('error', message='bad'); "
        "warnings.simplefilter('ignore', ResourceWarning)",
        "[(f[0], f[1] and f[1].pattern, f[2].__name__) for f in warnings.filters][:2]",
    ),
    "environment": ("import os; os.environ['MODE_OF_APP'] = 'test'", "os.environ['MODE_OF_APP']"),
    "time zone": (
        "import time; os.environ['TZ'] = 'Asia/Kathmandu'; time.tzset()",
        "(time.tzname, time.localtime(0).tm_hour)",
    ),
    "locale": (
        "import locale; locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')",
        "locale.setlocale(locale.LC_NUMERIC)",
    ),
    "umask": ("os.umask(0o027)", "oct(os.umask(0o027))"),
    "limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (900, "
        "resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        "resource.getrlimit(resource.RLIMIT_NOFILE)[0]",
    ),
    "signal": (
        "import signal\ndef on_signal(number, frame): return 'handled'\nsignal.signal(signal.SIGUSR1, on_signal)",
        "(signal.getsignal(signal.SIGUSR1) is on_signal, on_signal(1, None))",
    ),
    "socket timeout": ("import socket; socket.setdefaulttimeout(12.5)", "socket.getdefaulttimeout()"),
    "interpreter": (
        "import sys, gc; sys.setrecursionlimit(5432); sys.setswitchinterval(0.01); "
        "sys.set_int_max_str_digits(9999); gc.set_threshold(700, 11, 9); gc.disable(); "
        "import threading; threading.stack_size(1 << 20)",
        "(threading.stack_size(), sys.getrecursionlimit(), round(sys.getswitchinterval(), 3), sys.get_int_max_str_digits(), "
        "gc.get_threshold()[:2], gc.isenabled())",
    ),
    "hooks": (
        "def on_error(*_): return 'mine'\nsys.excepthook = on_error\ncollected = []\n"
        "def on_collect(phase, info): collected.append(phase)\ngc.callbacks.append(on_collect)",
        "(sys.excepthook.__name__, [one.__name__ for one in gc.callbacks].count('on_collect'))",
    ),
    "stdout": (
        "class Tee:\n    def __init__(self, to): self.to, self.kept = to, []\n"
        "    def write(self, text): self.kept.append(text); return self.to.write(text)\n"
        "    def flush(self): self.to.flush()\n"
        "    def set_parent(self, parent): self.to.set_parent(parent)\n"
        "tee = sys.stdout = Tee(sys.stdout); print('kept')",
        "(sys.stdout is tee, tee.kept[0], tee.to is sys.__stdout__, type(tee.to).__name__)",
    ),
    "import path": (
        "sys.path.insert(0, os.path.abspath('first')); sys.path.insert(0, 'second'); "
        "import importlib; importlib.invalidate_caches()",
        "(__import__('twin').WHERE, sys.path[0], os.path.basename(sys.path[1]))",
    ),
    "finder": (
        "import importlib.abc, importlib.util\nclass Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        return importlib.util.spec_from_loader(name, self) if name == 'made_up' else None\n"
        "    def create_module(self, spec): return None\n"
        "    def exec_module(self, module): module.x = 5\n"
        "sys.meta_path.insert(0, Finder())",
        "(__import__('made_up').x, type(sys.meta_path[0]).__name__)",
    ),
    "name of a module": (
        "import settings_of_app; sys.modules['conf'] = settings_of_app",
        "__import__('conf') is settings_of_app",
    ),
    "part of a package": (
        "import xml.dom.minidom, loud_part.inner",
        "(xml.dom.minidom.parseString('<a/>').documentElement.tagName, loud_part.registered)",
    ),
    "stdlib settings": (
        "import csv, calendar, tempfile, mimetypes\ncsv.register_dialect('ours', delimiter='|'); "
        "csv.field_size_limit(999)\ncalendar.setfirstweekday(6); tempfile.tempdir = os.path.abspath('first'); "
        "mimetypes.add_type('app/own', '.own')",
        "(csv.get_dialect('ours').delimiter, csv.field_size_limit(), calendar.firstweekday(), "
        "os.path.basename(tempfile.gettempdir()), mimetypes.guess_type('a.own')[0])",
    ),
    "adapters of sqlite3": (
        "import sqlite3\nclass Point2:\n    def __init__(self, x): self.x = x\n"
        "sqlite3.register_adapter(Point2, lambda point: point.x)\n"
        "sqlite3.register_converter('double', lambda data: 2 * int(data))",
        "sqlite3.connect(':memory:', detect_types=sqlite3.PARSE_COLNAMES).execute("
        "'select ? as \"n [double]\"', (Point2(4),)).fetchone()",
    ),
    "classes of loggers": (
        "import logging\nclass Loud(logging.Logger):\n    def loud(self): return self.name.upper()\n"
        "logging.setLoggerClass(Loud); logging.getLogger('of.loud').setLevel(10); logging.getLogger('of.new')",
        "(logging.getLogger('of.loud').loud(), type(logging.getLogger('of.new')).__name__, "
        "type(logging.getLogger('of.newer')).__name__)",
    ),
    "codecs": (
        "import codecs\ndef dots(error): return '.' * (error.end - error.start), error.end\n"
        "codecs.register_error('dots', dots)\n"
        "def shouting(name): return codecs.CodecInfo(lambda s, e='': (s.upper().encode(), len(s)), None, "
        "name='shouting') if name == 'shouting' else None\ncodecs.register(shouting)",
        "('a\u00e9'.encode('ascii', 'dots'), codecs.encode('loud', 'shouting'))",
    ),
    "codec that was found": (
        "import codecs; own_by = 1\ndef own_search(name):\n    if name != 'turning': return None\n    n = own_by\n"
        "    return codecs.CodecInfo(lambda s, e='': (bytes(ord(c) + n for c in s), len(s)), None, name=name)\n"
        "codecs.register(own_search); own_first = 'ab'.encode('turning'); own_by = 5",
        "(own_first, 'ab'.encode('turning'))",
    ),
    "memory that is traced": (
        "import tracemalloc; tracemalloc.start(3)",
        "(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())",
    ),
    "copyreg": (
        "import copyreg, copy\nclass Point:\n    def __init__(self, x): self.x = x\n"
        "def reduce_point(p): return Point, (p.x + 100,)\ncopyreg.pickle(Point, reduce_point)",
        "copy.copy(Point(1)).x",
    ),
    "abc": (
        "import collections.abc, numbers\nclass Row: pass\ncollections.abc.Sequence.register(Row); row = Row()\n"
        "class Square: pass\nsettings_of_app.Shape.register(Square)",
        "(isinstance(row, collections.abc.Sequence), issubclass(Square, settings_of_app.Shape))",
    ),
    "singledispatch": (
        "class Tree: pass\n@settings_of_app.describe.register\ndef _(x: Tree): return 'tree'",
        "(settings_of_app.describe(Tree()), settings_of_app.describe(1))",
    ),
    "setting of a module": (
        "settings_of_app.URL = 'test://'; settings_of_app.Config.debug = True; "
        "settings_of_app.CACHE['a'] = [1]; settings_of_app.count(); settings_of_app.count()",
        "(settings_of_app.URL, settings_of_app.Config.debug, settings_of_app.CACHE, settings_of_app.COUNT)",
    ),
    "patched function": (
        "def fake(): return 'fake'\nsettings_of_app.fetch = fake",
        "(settings_of_app.fetch(), settings_of_app.fetch is fake)",
    ),
    "method of pandas": (
        "pd.DataFrame.total = lambda self: int(self.sum().sum())\n"
        "@pd.api.extensions.register_series_accessor('geo')\nclass Geo:\n"
        "    def __init__(self, of): self.of = of\n    def size(self): return len(self.of)",
        "(pd.DataFrame({'a': [1, 2]}).total(), pd.Series([1, 2, 3]).geo.size())",
    ),
    "tqdm.pandas": (
        "from tqdm import tqdm; tqdm.pandas(disable=True)",
        "pd.Series([1, 2]).progress_apply(lambda x: x + 1).tolist()",
    ),
    "setting of a library": (
        "import requests_stub_of_json as _none"
        if False
        else "import json.decoder, textwrap\n"
        "json.encoder.ESCAPE_ASCII_OF_APP = 3; textwrap.TextWrapper.tabsize_of_app = 9\n"
        "real_dedent = textwrap.dedent; textwrap.dedent = lambda text: 'patched'",
        "(json.encoder.ESCAPE_ASCII_OF_APP, textwrap.TextWrapper.tabsize_of_app, textwrap.dedent(' a'))",
    ),
    "set to None": (
        "json.encoder.NONE_OF_APP = None",
        "getattr(json.encoder, 'NONE_OF_APP', 'gone')",
    ),
    "setter of a library": (
        "import urllib.request; opener = urllib.request.OpenerDirector(); opener.addheaders = [('X', 'ours')]\n"
        "urllib.request.install_opener(opener)",
        "(urllib.request._opener is opener, urllib.request._opener.addheaders)",
    ),
    "annotations": (
        "class Unit: pass\nlength: 'float' = 3.5\nunit: Unit\narea: float = 2.5",
        "(list(__annotations__), __annotations__['unit'] is Unit)",
    ),
    "configuration": (
        "get_ipython().config.PartToCome.size = 4\n%config InlineBackend.figure_format = 'png'",
        "(get_ipython().config.PartToCome.size, get_ipython().config.InlineBackend.figure_format)",
    ),
    "matplotlib": (
        "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plt; "
        "plt.rcParams['figure.dpi'] = 33; plt.ion()",
        "(plt.rcParams['figure.dpi'], matplotlib.get_backend().lower(), matplotlib.is_interactive())",
    ),
    "figures": (
        "one = plt.figure(3); plt.plot([1, 2]); plt.title('first'); two, axes_of_two = plt.subplots(num='named'); "
        "axes_of_two.plot([3]); plt.figure(3)",
        "(plt.get_fignums(), plt.gcf() is one, plt.gca().get_title(), len(plt.gca().lines), "
        "plt.figure('named') is two, two.axes[0] is axes_of_two, plt.get_figlabels())",
    ),
    "counters": (
        "import threading, multiprocessing.process, concurrent.futures.thread as pools\n"
        "[threading.Thread(target=len).name for _ in range(300)]\n"
        "[pools.ThreadPoolExecutor() for _ in range(400)]\n"
        "next(multiprocessing.process._process_counter)",
        "(threading.Thread(target=len).name[:9], pools.ThreadPoolExecutor()._thread_name_prefix[:-1], "
        "multiprocessing.process._process_counter)",
    ),
    "counters of classes and modules": (
        "import attr, bokeh.models\nplace_before = attr.ib().counter\nmodel_before = bokeh.models.Div()",
        "(attr.ib().counter > place_before, bokeh.models.Div().id > model_before.id)",
    ),
    "last results": ("[1, 2, 3]", "isinstance(_, list)"),
    "results": ("'second'", "(callable(_), __, ___ is not None, _i != '', len(In) > 3)"),
    "precision": (
        "%precision 2",
        "(get_ipython().display_formatter.formatters['text/plain'].float_precision, "
        "get_ipython().display_formatter.formatters['text/plain'](3.14159))",
    ),
    "points of bars": (
        "from matplotlib.figure import Figure\nFigure().add_subplot(projection='polar').bar([0], [1])[0].get_path()",
        "__import__('matplotlib.path').path.Path.unit_rectangle()._interpolation_steps",
    ),
    "order of subclasses": (
        "class Registered: pass\nclass Zebra(Registered): pass\nclass Ape(Registered): pass",
        "[one.__name__ for one in Registered.__subclasses__()]",
    ),
    "tags of yaml": (
        "import yaml\nyaml.SafeLoader.add_constructor('!mine', lambda loader, node: [node.value])\n"
        "import re\nyaml.SafeLoader.add_implicit_resolver('!mine', re.compile('^mine$'), ['m'])",
        "yaml.safe_load('[!mine a, mine]')",
    ),
    "prefixes and schemes": (
        "import urllib.parse, xml.etree.ElementTree as trees\n"
        "trees.register_namespace('mine', 'http://example.org/mine')\n"
        "urllib.parse.uses_relative.append('mi' + 'ne'); urllib.parse.uses_netloc.remove('telnet')",
        "(trees.tostring(trees.Element('{http://example.org/mine}a')), "
        "urllib.parse.uses_relative[-1], 'telnet' in urllib.parse.uses_netloc)",
    ),
    "object of a module": ("import reprlib; reprlib.aRepr.maxlist = 1", "reprlib.repr([1, 2, 3])"),
    "attribute of a function": (
        "import textwrap; textwrap.dedent.calls = 3; textwrap.indent.__defaults__ = (bool,)",
        "(textwrap.dedent.calls, textwrap.indent('a', '> '))",
    ),
    "computed attribute": ("import string\nsetattr(string, 'ma' + 'de', 7)", "string.made"),
    "source of a cell": (
        "import inspect\ndef told():\n    return 'with a comment'  # this one",
        "(inspect.getsource(told), get_ipython().compile.format_code_name(told.__code__.co_filename))",
    ),
    "recorded warnings": (
        "import warnings\nrecords = warnings.catch_warnings(record=True); recorded = records.__enter__()",
        "(warnings.warn('one', RuntimeWarning), [str(one.message) for one in recorded])",
    ),
    "interactivity": (
        "%config InteractiveShell.ast_node_interactivity = 'all'\n%xmode Minimal",
        "(get_ipython().ast_node_interactivity, get_ipython().InteractiveTB.mode)",
    ),
    "inline backend": (
        "%config InlineBackend.figure_format = 'svg'\n%config InlineBackend.close_figures = False",
        "[(sorted(c.figure_formats), c.close_figures) for c in get_ipython().configurables "
        "if type(c).__name__ == 'InlineBackend']",
    ),
    "autoreload": (
        "%load_ext autoreload\n%autoreload 2",
        "(get_ipython().magics_manager.registry['AutoreloadMagics']._reloader.enabled, "
        "get_ipython().magics_manager.registry['AutoreloadMagics']._reloader.check_all)",
    ),
    "magics": (
        "from IPython.core.magic import register_line_magic, register_cell_magic\n"
        "@register_line_magic\ndef triple(line): return int(line) * 3\n%alias whereami pwd",
        "(get_ipython().run_line_magic('triple', '4'), "
        "dict(get_ipython().alias_manager.aliases)['whereami'])",
    ),
    "callbacks": (
        "ran = []\ndef before(*_): ran.append(1)\nget_ipython().events.register('pre_run_cell', before)\n"
        "def swap(lines): return [line.replace('FORTY', '40') for line in lines]\n"
        "get_ipython().input_transformers_cleanup.append(swap)\n"
        "class Shown:\n    pass\n"
        "get_ipython().display_formatter.formatters['text/plain'].for_type(Shown, lambda o, p, c: p.text('S!'))\n"
        "def failed(shell, kind, value, tb, tb_offset=None): return ['handled']\n"
        "get_ipython().set_custom_exc((BufferError,), failed)",
        "(before in get_ipython().events.callbacks['pre_run_cell'], len(ran) > 1, get_ipython().transform_cell('FORTY').strip(), "
        "get_ipython().display_formatter.formatters['text/plain'](Shown()), "
        "[one.__name__ for one in get_ipython().custom_exceptions], "
        "get_ipython().CustomTB(BufferError, BufferError(), None))",
    ),
    "syntax trees": (
        "import ast\nclass Doubles(ast.NodeTransformer):\n    def visit_Constant(self, node):\n"
        "        return ast.copy_location(ast.Constant(14), node) if node.value == 777 else node\n"
        "get_ipython().ast_transformers.append(Doubles())",
        "eval(compile(get_ipython().transform_ast(ast.parse('777', mode='eval')), '', 'eval'))",
    ),
}

for slows in ("autoreload", "memory that is traced"):  # each cell after them takes several times as long
    SNIPPETS[slows] = SNIPPETS.pop(slows)
SNIPPETS["order of variables"] = (
    "ORDER_A = 'text'; ORDER_B = [1]; ORDER_C = 3; ORDER_D = {}; ORDER_E = 2.5; ORDER_F = [ORDER_B]",
    "[name for name in globals() if name.startswith('ORDER_')]",
)
SNIPPETS["psutil's handle of the kernel"] = (
    "import os, psutil; process = psutil.Process()",
    "(process.pid == os.getpid(), process.is_running(), process == psutil.Process())",
)
SNIPPETS |= OWN_PARTS
SNIPPETS["warnings shown once"] = (  # the last: what filters are changed after it makes Python forget
    "import contextlib, io, settings_of_app\n"
    "def heard(warn):\n"
    "    with contextlib.redirect_stderr(io.StringIO()) as said:\n"
    "        warn()\n"
    "    return said.getvalue().count('Warning')\n"
    "def own(): warnings.warn('own', stacklevel=1)\n"
    "import warnings; warnings.resetwarnings(); warnings.filterwarnings('once', 'only')\n"
    "def only(): warnings.warn('only one')\n"
    "first = [heard(settings_of_app.old), heard(own), heard(only)]",
    "(first, heard(settings_of_app.old), heard(own), heard(only), heard(lambda: warnings.warn('new')))",
)
if find_spec("torch") is None:
    del SNIPPETS["torch"]  # it is too large for the tests' environment
LOOK = """
import json as _json
seen = {{}}
for name, expression in {looks!r}.items():
    try:
        seen[name] = repr(eval(expression))
    except Exception as error:
        seen[name] = f'{{type(error).__name__}}: {{error}}'
print('SEEN' + _json.dumps(seen))
"""


def look() -> str:
    """Return a cell that prints what every snippet's look sees, by its name."""
    return LOOK.format(looks={name: expression for name, (_, expression) in SNIPPETS.items()})
