"""Locks, queues, exceptions, and values with a state of their own."""

from __future__ import annotations

from support.classes.kinds import kind


def machines() -> None:
    """Declare locks, queues and their like, exceptions, and values with state."""
    kind("shared memory", """
        from multiprocessing import shared_memory
        memory = shared_memory.SharedMemory(create=True, size=8); memory.buf[0] = 5
        """, "memory.buf[0]", "shared with other processes")  # fmt: skip
    kind("unheld locks", """
        import threading, queue
        l, r, e, c, s, b = threading.Lock(), threading.RLock(), threading.Event(), threading.Condition(), threading.Semaphore(2), threading.BoundedSemaphore(3)
        e.set(); s.acquire()
        q = queue.Queue(5); q.put([1]); lq = queue.LifoQueue(); lq.put(1); pq = queue.PriorityQueue(); pq.put((1, 'a'))
        class Service:
            def __init__(self): self.lock = threading.Lock(); self.n = 1
            def work(self):
                with self.lock: self.n += 1; return self.n
        service = Service(); shared = [l, l]; own = threading.Condition(l); bar = threading.Barrier(2)
        """, "l.acquire(False), l.locked(), l.release(), r.acquire(False), r.release(), e.is_set(), c.acquire(False), c.release(), s.acquire(False), s.acquire(False), b._value, q.get(), q.empty(),"
             "q.maxsize, lq.get(), pq.get(), service.work(), shared[0] is l, own._lock is l, type(l), type(r), bar.parties")  # fmt: skip
    kind(
        "held locks",
        "import threading; l = threading.Lock(); l.acquire()\nr = threading.RLock(); r.acquire()",
        "0",
        "held|lock",
    )
    kind("asyncio", """
        import asyncio
        l, e, q, s = asyncio.Lock(), asyncio.Event(), asyncio.Queue(3), asyncio.Semaphore(2)
        e.set(); q.put_nowait([1])
        """, "l.locked(), e.is_set(), q.get_nowait(), q.maxsize, s._value, asyncio.run(l.acquire())")  # fmt: skip
    kind("struct and re", """
        import struct, re
        s = struct.Struct('<if'); p = re.compile('a(b)', re.I); m = p.search('xxABc'); n = re.match(r'(?P<y>\\d+)-(\\d+)?', '2024-'); i = list(re.finditer('a', 'banana'))
        sc = p.scanner('abab')
        """, "s.format, s.size, s.pack(1, 2.0), m.group(1), m.span(), m.re is p, n.groupdict(), n.groups(), n.pos, n.endpos, n.string, [x.start() for x in i], m.regs, m[0]", "scanner|Scanner")  # fmt: skip
    kind("exceptions", """
        class Own(Exception):
            def __init__(self, code, *, detail): super().__init__(f'code {code}'); self.code, self.detail = code, detail
        class Bare(Exception):
            def __init__(self, a, b): self.a = a
        try:
            try: 1 / 0
            except ZeroDivisionError as z: raise Own(5, detail=[1]) from z
        except Own as e:
            e.add_note('note'); own = e
        bare = Bare(1, 2)
        try:
            try: [][1]
            except IndexError: {}['k']
        except KeyError as e: ctx = e
        o = OSError(2, 'No such', 'file'); u = UnicodeDecodeError('utf-8', b'a', 0, 1, 'why'); g = ExceptionGroup('g', [own, ValueError(1)])
        si = StopIteration(5); se = SystemExit(3); ke = KeyError('x'); im = ImportError('no', name='n', path='p'); sy = SyntaxError('bad', ('f', 1, 2, 'text'))
        at = AttributeError('no', name='n', obj=[1]); ne = NameError('no', name='nn')
        """, "own.code, own.detail, own.args, str(own), own.__notes__, type(own.__cause__), own.__cause__ is own.__context__, own.__suppress_context__, bare.a, bare.args, type(ctx.__context__),"
             "o.errno, o.filename, type(o), str(u), g.exceptions[0] is own, si.value, se.code, im.name, im.path, sy.lineno, sy.text, at.name, ne.name, at.obj")  # fmt: skip
    kind("tracebacks as text", """
        import traceback
        def fails(): raise ValueError('here')
        try: fails()
        except ValueError as e: err = e
        text = ''.join(traceback.format_exception(err))
        """, "''.join(traceback.format_exception(err)) == text, 'fails' in ''.join(traceback.format_exception(err))")  # fmt: skip
    kind("contextvars", """
        import contextvars
        v = contextvars.ContextVar('v', default=[1]); v.set({'a': 1}); w = contextvars.ContextVar('w')
        ctx = contextvars.copy_context()
        """, "v.name, v.get(), w.name, w.get('none')", "Context")  # fmt: skip
    kind("thread locals", "import threading; t = threading.local(); t.x = [1]", "t.x", "local")
    kind("decimal", """
        import decimal
        c = decimal.Context(prec=5, rounding=decimal.ROUND_DOWN, Emin=-9, traps=[decimal.Inexact]); d = decimal.Decimal('NaN'); e = decimal.Decimal('-0.00'); c.flags[decimal.Rounded] = True
        """, "c, d, e, c.flags[decimal.Rounded]")  # fmt: skip
    kind("times", """
        import datetime, zoneinfo
        class Plus(datetime.tzinfo):
            def __init__(self, h): self.h = h
            def utcoffset(self, d): return datetime.timedelta(hours=self.h)
            def dst(self, d): return None
            def tzname(self, d): return 'plus'
        t = datetime.datetime(2020, 1, 2, tzinfo=Plus(3)); z = zoneinfo.ZoneInfo('Europe/Berlin'); f = datetime.datetime(2020, 10, 25, 2, 30, tzinfo=z, fold=1)
        nc = zoneinfo.ZoneInfo.no_cache('Europe/Rome'); utc = datetime.timezone.utc
        """, "t, t.tzinfo.h, f.fold, f.utcoffset(), z is zoneinfo.ZoneInfo('Europe/Berlin'), f.tzinfo is z, utc is datetime.timezone.utc, nc.key, nc is zoneinfo.ZoneInfo('Europe/Rome')")  # fmt: skip
    kind("arrays and ctypes", """
        import array, ctypes
        a = array.array('d', [1, 2]); u = array.array('u', 'hé')
        i = ctypes.c_int(4); arr = (ctypes.c_int * 3)(1, 2, 3)
        class P(ctypes.Structure):
            _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_double)]
        p = P(1, 2.5); b = ctypes.create_string_buffer(b'abc')
        ptr = ctypes.pointer(i)
        """, "a, u, i.value, list(arr), p.x, p.y, b.value, P._fields_, ctypes.sizeof(P)", "pointer|ctypes")  # fmt: skip
    kind("random generators", """
        import random, numpy as np
        r = random.Random(5); r.random(); r.gauss(0, 1)
        g = np.random.default_rng(1); h = np.random.Generator(g.bit_generator); k = g.bit_generator; s = np.random.RandomState(3); s.normal(); ss = np.random.SeedSequence(5); ss.spawn(1)
        sysr = random.SystemRandom()
        """, "r.random(), r.gauss(0, 1), g.random(), h.random(), k is g.bit_generator, h.bit_generator is k, s.normal(), ss.spawn(1)[0].spawn_key, g.spawn(1)[0].random()")  # fmt: skip
    kind("simple things", """
        import types, uuid, fractions, ipaddress, io, string, collections
        n = types.SimpleNamespace(a=[1]); n.me = n; u = uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe); s = io.StringIO('a\\r\\nb', newline=None); s.read(1); b = io.BytesIO(b'abc'); b.seek(2)
        ga = list[int]; un = int | str; ct = types.MappingProxyType
        """, "n.a, n.me is n, u.is_safe, s.tell(), s.read(), b.read(), ga, un")  # fmt: skip
    kind("hashes and readers", """
        import hashlib
        h = hashlib.sha256(b'a')
        """, "h.hexdigest()", "hash|HASH|sha|pickl")  # fmt: skip
    kind("zip and text files in memory", """
        import io, csv
        out = io.StringIO(); w = csv.writer(out, delimiter=';'); w.writerow([1, 2])
        """, "out.getvalue()", "_csv.writer")  # fmt: skip


machines()
