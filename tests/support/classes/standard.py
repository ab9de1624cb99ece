"""Classes of the language and of the standard library."""

from __future__ import annotations

from support.classes.cases import Library

BUILTIN = Library("Python", "import copy")
STANDARD = Library(
    "Standard library",
    """
    import argparse, array, ast, asyncio, calendar, collections, configparser, contextvars, copy, csv, ctypes
    import dataclasses, datetime, decimal, enum, fractions, functools, graphlib, hashlib, io, ipaddress, itertools, logging, mmap
    import operator, os, pathlib, queue, random, re, socket, sqlite3, statistics, string, subprocess, sys, tempfile
    import textwrap, threading, time, traceback, types, typing, urllib.parse, uuid, weakref, zoneinfo
    import email.message, http.cookies, xml.etree.ElementTree as tree
    from concurrent.futures import ThreadPoolExecutor
    """,
)


def builtins() -> None:
    """Declare what needs no import."""
    lib = BUILTIN
    lib("[1, [2, 3]]", "x[1].append(4)")
    lib("{'a': [1], 'b': 2}", "x['a'].append(2); x['c'] = x.pop('b', 3)")
    lib("{1, 2, 3}", "x.add(9)")
    lib("bytearray(b'abc')", "x[0] = 122; x += b'd'")
    lib.fixed("frozenset({1, 2})", "x | {3}")
    lib.fixed("(1, [2])", "(*x, 3)")
    lib.fixed("'text'", "x + ' more'")
    lib.fixed("b'bytes'", "x * 2")
    lib.fixed("10 ** 30", "x + 1")
    lib.fixed("1.5", "x / 3")
    lib.fixed("1 + 2j", "x * 1j")
    lib.fixed("True", "not x", "a is b")
    lib.fixed("None", "...", "a is b")
    lib.fixed("range(5)", "range(1, 9, 2)")
    lib.fixed("slice(1, 2)", "slice(3, None)")
    lib.fixed("list[int]", "dict[str, x]")
    lib.fixed("int | None", "x | str")
    lib("x = ['self']\nx.append(x)", "x.insert(0, 'first')", "a[:-1] == b[:-1] and b[-1] is b", note="cycle")
    lib("x = iter([1, 2, 3, 4])", "next(x)", "list(copy.deepcopy(a)) == list(copy.deepcopy(b))", again=False)
    lib("x = enumerate('abcd')", "next(x)", "list(copy.deepcopy(a)) == list(copy.deepcopy(b))", again=False)
    lib(
        "x = zip('abcd', range(4))",
        "next(x)",
        "list(copy.deepcopy(a)) == list(copy.deepcopy(b))",
        again=False,
    )
    lib("x = map(str, [1, 2, 3])", "next(x)", "list(copy.deepcopy(a)) == list(copy.deepcopy(b))", again=False)
    lib("x = reversed([1, 2, 3])", "next(x)", "list(copy.deepcopy(a)) == list(copy.deepcopy(b))", again=False)
    lib(
        "def x(n): return n + x.step\nx.step = 1",
        "x.step = 5",
        "a(1) == b(1)",
        note="function of the notebook",
    )
    lib(
        "def make():\n  count = 0\n  def step(by=1):\n    nonlocal count\n    count += by\n    return count\n"
        "  return step, lambda: count\nx, seen = make()",
        "x(3)",
        "a.__closure__[0].cell_contents == b.__closure__[0].cell_contents",
        keeps="x(0) == seen() and x(2) == seen() and x is alias",
        note="closure of a counter",
        again=False,
    )
    lib(
        "class x:\n  total = [1]\n  def of(self): return self.total",
        "x.total.append(2)",
        "a().of() == b().of()",
    )
    point = "class Point:\n  def __init__(self): self.at = [0]\n  def move(self): self.at.append(1)\n"
    lib(
        f"{point}x = Point()",
        "x.move()",
        "a.at == b.at",
        keeps="type(x) is Point",
        note="instance of a notebook's class",
    )
    lib(
        f"{point}p = Point()\nx = p.move",
        "x()",
        "a.__self__.at == b.__self__.at",
        keeps="x.__self__ is p",
        note="bound method",
    )
    lib(
        "class Slots:\n  __slots__ = ('a', 'b')\nx = Slots(); x.a = 1",
        "x.a = 2; x.b = [3]",
        "[getattr(a, n, None) for n in 'ab'] == [getattr(b, n, None) for n in 'ab']",
        note="class with slots",
    )
    lib.fixed("len", "max", "a is b")
    lib.fixed("ValueError('no')", "ValueError('no', 2)", "type(a) is type(b) and a.args == b.args")
    lib.fixed(
        "ExceptionGroup('two', [KeyError(1)])",
        "ExceptionGroup('three', [KeyError(2)])",
        "a.message == b.message and a.exceptions[0].args == b.exceptions[0].args",
    )
    lib.fixed("property(len)", "property(max)", "a.fget is b.fget")
    lib.fixed("staticmethod(len)", "staticmethod(max)", "a.__func__ is b.__func__")
    lib.refused("(n for n in range(3))", "it is in the middle of running", "generator")
    lib.refused("async def f(): pass\nx = f()", "it is in the middle of running", "coroutine")
    lib(
        "base = bytearray(b'abc')\nx = memoryview(base)",
        "x[0] = 90",
        "bytes(a) == bytes(b)",
        keeps="x.obj is base and base[0] == 90",
    )
    lib.refused("memoryview(b'abc')[1:]", "it stands for a part of another object", "memoryview of a part")


def containers() -> None:
    """Declare what holds other things."""
    lib = STANDARD
    lib("collections.OrderedDict(a=1, b=2)", "x.move_to_end('a'); x['c'] = 3")
    lib("collections.defaultdict(list, a=[1])", "x['b'].append(2)", "a == b and b.default_factory is list")
    lib("collections.Counter('abca')", "x.update('zz')")
    lib("collections.deque([1, 2], maxlen=3)", "x.extend([3, 4])", "a == b and a.maxlen == b.maxlen")
    lib("under = {'a': 1}\nx = collections.ChainMap({}, under)", "x['b'] = 2", keeps="x.maps[1] is under")
    lib("collections.UserDict(a=1)", "x['b'] = 2")
    lib("collections.UserList([1])", "x.append(2)")
    lib.fixed("collections.UserString('ab')", "x + 'c'")
    lib.fixed(
        "Pair = collections.namedtuple('Pair', 'a b')\nx = Pair(1, [2])",
        "Pair(3, [4])",
        "tuple(a) == tuple(b)",
    )
    lib("types.SimpleNamespace(a=1)", "x.a = 2; x.b = [1]")
    lib("array.array('d', [1, 2])", "x.append(3)")
    lib("queue.Queue(5)", "x.put([1])", "list(a.queue) == list(b.queue) and a.maxsize == b.maxsize")
    lib("threading.Event()", "x.set() if not x.is_set() else x.clear()", "a.is_set() == b.is_set()")
    lib.fixed("threading.Lock()", "threading.RLock()", "type(a) is type(b)", note="that nobody holds")
    lib.fixed("weakref.ref(set)", "weakref.ref(dict)", "a() is b()")
    lib(
        "under = {'a': 1}\nx = under.items()",
        "under['b'] = len(under)",
        "list(a) == list(b)",
        keeps="under.update(z=0) or ('z', 0) in x",
        note="still attached",
    )
    lib("queue.deque([1])", "x.appendleft(0)", note="as queue.deque")
    lib("argparse.Namespace(rate=0.1)", "x.rate = 0.2")
    lib(
        "x = configparser.ConfigParser()\nx.read_string('[a]\\nb = 1')",
        "x['a']['b'] = '2'",
        "{s: dict(a[s]) for s in a} == {s: dict(b[s]) for s in b}",
    )
    lib(
        "io.StringIO('abc')",
        "x.seek(1); x.write('Z')",
        "a.getvalue() == b.getvalue() and a.tell() == b.tell()",
    )
    lib(
        "io.BytesIO(b'abc')",
        "x.seek(0, 2); x.write(b'Z')",
        "a.getvalue() == b.getvalue() and a.tell() == b.tell()",
    )
    lib(
        "@dataclasses.dataclass\nclass Item:\n  name: str\n  tags: list = dataclasses.field(default_factory=list)\n"
        "x = Item('a')",
        "x.tags.append('new')",
        "dataclasses.astuple(a) == dataclasses.astuple(b)",
        note="dataclass of the notebook",
    )
    lib(
        "class Color(enum.Enum):\n  RED = 1\n  BLUE = 2\nx = [Color.RED]",
        "x.append(Color.BLUE)",
        "[c.name for c in a] == [c.name for c in b]",
        keeps="x[0] is Color.RED",
        note="members of a notebook's enum",
    )
    lib.fixed("re.RegexFlag.IGNORECASE", "x | re.RegexFlag.DOTALL")
    lib(
        "class Key:\n  pass\nkey = Key()\nx = weakref.WeakSet([key])",
        "other = Key(); x.add(other)",
        "len(a) == len(b)",
        keeps="key in x and other in x",
        again=False,
    )
    lib(
        "x = email.message.EmailMessage()\nx['Subject'] = 'a'\nx.set_content('text')",
        "x.replace_header('Subject', 'b')",
        "a.as_string() == b.as_string()",
    )
    lib("http.cookies.SimpleCookie('a=1')", "x['b'] = '2'", "a.output() == b.output()")
    lib("tree.fromstring('<a><b/></a>')", "x[0].set('k', 'v')", "tree.tostring(a) == tree.tostring(b)")
    lib(
        "tree.ElementTree(tree.fromstring('<a/>'))",
        "x.getroot().text = 'more'",
        "tree.tostring(a.getroot()) == tree.tostring(b.getroot())",
    )
    lib("ast.parse('a = 1')", "x.body[0].value.value = 2", "ast.dump(a) == ast.dump(b)")
    lib("graphlib.TopologicalSorter({1: [2]})", "x.add(2, 3)", "list(copy.deepcopy(a).static_order()) == "
        "list(copy.deepcopy(b).static_order())", again=False)  # fmt: skip


def values() -> None:
    """Declare dates, numbers, names and other small things."""
    lib = STANDARD
    lib.fixed("datetime.date(2026, 1, 2)", "datetime.date(2026, 2, 3)")
    lib.fixed("datetime.time(1, 2)", "datetime.time(3, 4)")
    lib.fixed(
        "datetime.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))",
        "x.replace(month=7)",
        "a == b and a.utcoffset() == b.utcoffset()",
    )
    lib.fixed("datetime.timedelta(days=1)", "x * 2")
    lib.fixed("datetime.timezone.utc", "datetime.timezone(datetime.timedelta(hours=1))")
    lib.fixed("zoneinfo.ZoneInfo('Asia/Tokyo')", "zoneinfo.ZoneInfo('America/Lima')", "a is b")
    lib.fixed("decimal.Decimal('1.10')", "x / 3")
    lib("decimal.Context(prec=5)", "x.prec = 9", "(a.prec, a.rounding) == (b.prec, b.rounding)")
    lib.fixed("fractions.Fraction(1, 3)", "x + 1")
    lib.fixed("uuid.UUID(int=5)", "uuid.UUID(int=6)")
    lib.fixed("pathlib.Path('/tmp/a')", "x / 'b'")
    lib.fixed("pathlib.PurePosixPath('a')", "x / 'b'")
    lib.fixed("re.compile('a+', re.I)", "re.compile('b+')")
    lib.fixed("ipaddress.ip_address('10.0.0.1')", "x + 1")
    lib.fixed("ipaddress.ip_network('10.0.0.0/24')", "x.supernet()")
    lib.fixed("statistics.NormalDist(0, 1)", "x + 3")
    lib.fixed("time.gmtime(0)", "time.gmtime(86400)")
    lib.fixed("urllib.parse.urlparse('http://a/b')", "x._replace(path='/c')")
    lib("random.Random(1)", "x.random()", "a.getstate() == b.getstate()")
    lib.fixed("logging.getLogger('one')", "logging.getLogger('two')", "a is b", note="by its name")
    lib("logging.Formatter('%(message)s')", "x.datefmt = '%H'", "(a._fmt, a.datefmt) == (b._fmt, b.datefmt)")
    lib(
        "argparse.ArgumentParser(prog='p')",
        "x.add_argument(f'--rate{len(x._actions)}', type=float)",
        "a.format_help() == b.format_help()",
    )
    lib.fixed("string.Template('$a')", "string.Template('$b')", "a.template == b.template")
    lib(
        "textwrap.TextWrapper(width=10)",
        "x.width = 5",
        "a.wrap('some words here') == b.wrap('some words here')",
    )
    lib("calendar.TextCalendar()", "x.setfirstweekday(6)", "a.formatmonth(2026, 1) == b.formatmonth(2026, 1)")
    lib.fixed("functools.partial(int, base=2)", "functools.partial(int, base=8)", "a('10') == b('10')")
    lib.fixed("operator.itemgetter(1)", "operator.itemgetter(0)", "a('xy') == b('xy')")
    lib.fixed("operator.attrgetter('real')", "operator.attrgetter('imag')", "a(1j) == b(1j)")
    lib("x = itertools.count(3)", "next(x)", "repr(a) == repr(b)")
    lib(
        "x = itertools.chain([1, 2], [3])",
        "next(x)",
        "list(copy.deepcopy(a)) == list(copy.deepcopy(b))",
        again=False,
    )
    lib("x = itertools.cycle('abc')", "next(x)", "[*itertools.islice(copy.deepcopy(a), 4)] == "
        "[*itertools.islice(copy.deepcopy(b), 4)]", again=False)  # fmt: skip
    lib(
        "@functools.lru_cache\ndef x(n): return n + offset[0]\noffset = [1]",
        "offset[0] = 5",
        "a(1) == b(1)",
        note="cached function of the notebook, with what it remembers",
        again=False,
    )
    lib.fixed("types", "typing", "a is b", note="that can be imported")
    lib(
        "x = types.ModuleType('mine')\nx.data = [1]",
        "x.data.append(2)",
        "a.data == b.data",
        note="made in a cell",
    )
    lib.fixed("typing.TypeVar('T')", "typing.TypeVar('U')", "a.__name__ == b.__name__")
    lib("ctypes.c_int(4)", "x.value = 5", "a.value == b.value")
    lib.fixed("contextvars.ContextVar('v')", "contextvars.ContextVar('w')", "a.name == b.name")
    lib("x = threading.local()\nx.rows = [1]", "x.rows.append(2)", "a.rows == b.rows")


def refusals() -> None:
    """Declare what no checkpoint can hold."""
    lib = STANDARD
    lib.refused("open(os.devnull)", "the file belongs to the process", "file")
    lib.refused("socket.socket()", "the connection belongs to the process", "socket")
    lib.refused("x = threading.Lock()\nx.acquire()", "who holds it is a matter of running threads", "held")
    lib.refused(
        "go = threading.Event()\nx = threading.Thread(target=go.wait, daemon=True)\nx.start()",
        "it is a matter of the process",
        "lock|thread|Thread",
    )
    lib.refused("queue.SimpleQueue()", "it belongs to threads", "SimpleQueue")
    lib.refused("ThreadPoolExecutor(1)", "it has threads", "SimpleQueue|lock|weakref")
    lib.refused("sqlite3.connect(':memory:')", "the connection belongs to the process", "sqlite3")
    lib.refused("mmap.mmap(-1, 8)", "the memory belongs to the process", "mmap")
    lib.refused("hashlib.blake2b(b'a')", "its state is not given out", "blake2b")
    lib.refused("csv.reader(['a,b'])", "its state is not given out", "reader|Dialect")
    lib.refused("sys._getframe()", "it is in the middle of running", "frame")


builtins()
containers()
values()
refusals()
LIBRARIES = (BUILTIN, STANDARD)
