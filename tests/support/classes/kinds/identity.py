"""Who is who: sentinels, numbers that are none, weak references, cycles, depth."""

from __future__ import annotations

from support.classes.kinds import kind


def references() -> None:
    """Declare who is who."""
    kind("nan", """
        import numpy as np, math
        a, b = np.nan, float('nan'); l = [np.nan, np.nan, b]; d = {np.nan: 1}; m = math.nan
        """, "a is np.nan, l[0] is np.nan, l[0] is l[1], b is a, l[2] is b, d.get(np.nan), np.nan in l, m is math.nan, l.index(np.nan), np.nan in {a}")  # fmt: skip
    kind("shared strings and bytes", """
        s = 'a long text' * 3; t = s; l = [s]; b = b'some bytes' * 3; c = {'k': b}; u = ''.join(['a long text'] * 3)
        """, "s is t, l[0] is s, c['k'] is b, u is s")  # fmt: skip
    kind("interned strings", "import sys; a = sys.intern('not an identifier!'); b = 'name'; c = ['name']",
        "a is sys.intern('not an identifier!'), b is c[0], b is sys.intern('name')")  # fmt: skip
    kind("singletons", """
        import dataclasses, inspect, argparse, enum, threading
        s = [Ellipsis, NotImplemented, None, dataclasses.MISSING, inspect._empty, inspect.Parameter.empty, argparse.SUPPRESS]
        t = dataclasses.MISSING; u = argparse.SUPPRESS; v = {'d': argparse.SUPPRESS}; ty = [type(None), type(...), type(NotImplemented)]
        class Holder:
            default = argparse.SUPPRESS
        """, "s[0] is ..., s[1] is NotImplemented, s[3] is dataclasses.MISSING, s[4] is inspect._empty, s[6] is argparse.SUPPRESS, t is dataclasses.MISSING,"
             "u is argparse.SUPPRESS, v['d'] is argparse.SUPPRESS, Holder.default is argparse.SUPPRESS, ty")  # fmt: skip
    kind("a parser with suppressed defaults", """
        import argparse
        parser = argparse.ArgumentParser(prog='p', argument_default=argparse.SUPPRESS)
        parser.add_argument('--a'); parser.add_argument('--b', help=argparse.SUPPRESS, type=int, choices=[1, 2])
        sub = parser.add_subparsers(dest='cmd'); one = sub.add_parser('one'); one.add_argument('x', nargs='?', default=argparse.SUPPRESS)
        """, "parser.parse_args([]), parser.parse_args(['one']), parser.format_help(), parser.parse_args(['--b', '2', 'one', 'v'])")  # fmt: skip
    kind("sentinels of the notebook", """
        class _Missing:
            def __reduce__(self): return 'MISSING'
        MISSING = _Missing()
        default = MISSING; table = {'x': MISSING}
        unset = object(); uses = [unset]
        def f(x=MISSING): return x is MISSING
        """, "default is MISSING, table['x'] is MISSING, uses[0] is unset, f(), type(MISSING) is _Missing")  # fmt: skip
    kind("a singleton through __new__", """
        class One:
            _it = None
            def __new__(cls):
                if cls._it is None: cls._it = super().__new__(cls); cls._it.n = 0
                return cls._it
        one = One(); one.n = 5
        """, "One() is one, one.n, One._it is one")  # fmt: skip
    kind("weak references", """
        import weakref
        class K:
            def hello(self): return 'hi'
        k = K(); k.v = 1
        r, p = weakref.ref(k), weakref.proxy(k)
        wv = weakref.WeakValueDictionary(a=k); wk = weakref.WeakKeyDictionary({k: [1]}); ws = weakref.WeakSet([k]); wm = weakref.WeakMethod(k.hello)
        """, "r() is k, p.v, wv['a'] is k, wk[k], k in ws, len(wv), wm()(), setattr(k, 'v', 7), p.v")  # fmt: skip
    kind("a weak set of several", """
        import weakref
        class K:
            def __init__(self, n): self.n = n
        kept = [K(n) for n in range(9)]; weak = weakref.WeakSet(kept)
        """, "len(weak), all(one in weak for one in kept), kept.pop(3).n, sorted(one.n for one in weak)")  # fmt: skip
    kind("weak references with callbacks", """
        import weakref
        gone = []
        class K: pass
        k = K(); r = weakref.ref(k, lambda x: gone.append(1)); f = weakref.finalize(k, gone.append, 2)
        """, "r() is k, f.alive", "finalize|callback|pickl")  # fmt: skip
    kind("dead weak references", """
        import weakref
        class K: pass
        r = weakref.ref(K())
        """, "r() is None", "pickl")  # fmt: skip
    kind("objects that hash by their address", """
        class K: pass
        a, b = K(), K()
        d = {a: 1, b: 2}; s = {a, b}; fs = frozenset([a])
        class H:
            def __init__(self, n): self.n = n
            def __hash__(self): return hash(self.n)
            def __eq__(self, o): return self.n == o.n
        h = H('x'); hd = {h: 'h'}; h.me = hd; hs = {H('y')}
        """, "d[a], d[b], a in s, a in fs, hd[H('x')], H('y') in hs, hd[h]")  # fmt: skip
    kind("cycles through keys and sets", """
        class N:
            def __init__(self, n): self.n = n; self.to = set()
            def __hash__(self): return hash(self.n)
            def __eq__(self, o): return self.n == o.n
        a, b = N('a'), N('b'); a.to.add(b); b.to.add(a)
        """, "a in b.to, b in a.to, len(a.to)")  # fmt: skip
    kind("deep structures", """
        deep = []
        for _ in range(5000): deep = [deep]
        class Node:
            def __init__(self, v, next): self.v, self.next = v, next
        chain = None
        for i in range(5000): chain = Node(i, chain)
        nested = {}
        for _ in range(5000): nested = {'in': nested}
        def depth(x):
            n = 0
            while x: x = x[0]; n += 1
            return n
        def length(x):
            n = 0
            while x: x = x.next; n += 1
            return n
        class Two:
            pass
        first = two = Two(); two.n = 0
        for i in range(5000):
            new = Two(); new.n = i; new.prev = two; two.next = new; two = new
        del new
        pair = ()
        for i in range(3000): pair = (i, pair)
        """, "depth(deep), length(chain), chain.v, chain.next.v, first.next.next.prev is first.next, two.prev.next is two, two.n, pair[1][1][0]", "deep|recurs")  # fmt: skip
    kind("instance dicts", """
        class A: pass
        a = A(); a.x = 1; d = a.__dict__; d['y'] = 2
        class B: pass
        b = B(); b.__dict__ = a.__dict__
        """, "a.y, d is a.__dict__, d.update(z=3), a.z, b.z, b.__dict__ is a.__dict__")  # fmt: skip


references()
