"""Functions, and what they remember."""

from __future__ import annotations

from support.classes.kinds import kind


def caches() -> None:
    """Declare functions that remember."""
    kind("lru_cache with its content", """
        import functools
        calls = []
        @functools.lru_cache(maxsize=3)
        def square(n):
            calls.append(n)
            return [n * n]
        first = square(2); square(3); square(2)
        """, "square.cache_info(), square(2) is first, square(3), len(calls), square.cache_info(),"
             "[square(n) for n in (4, 5, 6)], square.cache_info(), len(calls), square(2), len(calls)")  # fmt: skip
    kind("lru_cache that evicts the least recent", """
        import functools
        calls = []
        @functools.lru_cache(maxsize=2)
        def f(a, *, b=0):
            calls.append((a, b)); return a
        f(1); f(2); f(1); f(3)
        """, "f.cache_info(), f(1), f(2), calls, f.cache_info()")  # fmt: skip
    kind("cache of several arguments", """
        import functools
        calls = []
        @functools.cache
        def f(*a, **k):
            calls.append((a, k)); return len(calls)
        f(1, 2); f('x'); f(k=1, l=2); f(); f(1.0)
        """, "f(1, 2), f('x'), f(k=1, l=2), f(), f(1), f(1.0), len(calls), f.cache_info()")  # fmt: skip
    kind("typed lru_cache", """
        import functools
        calls = []
        @functools.lru_cache(maxsize=None, typed=True)
        def f(a): calls.append(a); return a
        f(1); f(1.0); f('a')
        """, "f(1), f(1.0), f('a'), f(True), len(calls), f.cache_parameters()")  # fmt: skip
    kind("lru_cache that holds nothing", """
        import functools
        @functools.lru_cache(maxsize=0)
        def f(a): return [a]
        f(1); f(1)
        """, "f.cache_info(), f(1), f.cache_info()")  # fmt: skip
    kind("cached method", """
        import functools
        class Model:
            @functools.lru_cache
            def slow(self, n): return [n]
        model = Model(); was = model.slow(1)
        """, "model.slow(1) is was, Model.slow.cache_info().hits > 0")  # fmt: skip
    kind("recursive cached function", """
        import functools
        @functools.lru_cache(None)
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        fib(50)
        """, "fib.cache_info(), fib(60), fib.cache_info(), fib.__wrapped__.__name__, fib.__name__")  # fmt: skip
    kind("attributes of a cached function", """
        import functools
        @functools.lru_cache
        def f(n): "doc"; return n
        f.note = [1]
        """, "f.note, f.__doc__, f.__qualname__, f.__module__")  # fmt: skip
    kind("cached_property", """
        import functools
        class Table:
            def __init__(self): self.seen = 0
            @functools.cached_property
            def rows(self):
                self.seen += 1
                return [self.seen]
        one, two = Table(), Table(); one.rows
        """, "one.rows, one.seen, two.seen, two.rows, two.seen, Table.rows.attrname, type(vars(Table)['rows'])")  # fmt: skip
    kind("singledispatch", """
        import functools
        @functools.singledispatch
        def show(x): return 'any'
        @show.register
        def _int(x: int): return 'int'
        @show.register(list)
        def _list(x): return 'list'
        class Mine: pass
        show.register(Mine, lambda x: 'mine')
        show(1)
        """, "show(1), show(True), show([]), show(Mine()), show('a'), sorted(str(k) for k in show.registry)")  # fmt: skip
    kind("singledispatchmethod and partialmethod", """
        import functools
        class A:
            @functools.singledispatchmethod
            def f(self, x): return 'any'
            @f.register
            def _(self, x: int): return 'int'
            def g(self, a, b): return a, b
            h = functools.partialmethod(g, 1, b=5)
        a = A()
        """, "a.f(1), a.f('x'), a.h(), a.h(b=2), type(vars(A)['h'])")  # fmt: skip
    kind("partial with attributes", """
        import functools
        p = functools.partial(print, 1, sep='-'); p.note = [1]
        q = functools.partial(p, 2)
        """, "p.args, p.keywords, p.note, q.args, q.func")  # fmt: skip


def functions() -> None:
    """Declare functions and what belongs to them."""
    kind("closures", """
        def counter():
            n = 0
            def up():
                nonlocal n; n += 1; return n
            def get(): return n
            return up, get
        up, get = counter(); up()
        fs = []
        for i in range(3): fs.append(lambda: i)
        gs = [(lambda j: lambda: j)(k) for k in range(3)]
        hs = [lambda: m for m in range(3)]
        """, "up(), get(), up(), get(), [f() for f in fs], globals().__setitem__('i', 7), [f() for f in fs], [g() for g in gs], [h() for h in hs], hs[0].__closure__[0] is hs[1].__closure__[0]")  # fmt: skip
    kind("defaults shared between functions", """
        shared = []
        def f(a, acc=shared): acc.append(a); return acc
        def g(a, *, acc=shared): acc.append(a); return acc
        """, "f(1), g(2), shared, f.__defaults__[0] is shared, g.__kwdefaults__['acc'] is shared")  # fmt: skip
    kind("attributes, wrapped and annotations", """
        import functools
        def deco(f):
            @functools.wraps(f)
            def inner(*a, **k): inner.calls += 1; return f(*a, **k)
            inner.calls = 0
            return inner
        @deco
        def f(x: int, *, y: 'str' = 'a') -> list:
            "doc"
            return [x]
        f(1)
        """, "f.calls, f(2), f.calls, f.__wrapped__(3), f.__name__, f.__doc__, f.__annotations__, f.__wrapped__.__kwdefaults__, f.__wrapped__.__annotations__, f.__module__, f.__qualname__")  # fmt: skip
    kind("methods", """
        class A:
            def __init__(self): self.l = []
            def add(self, x): self.l.append(x); return self.l
            @classmethod
            def make(cls): return cls
        a = A(); m = a.add; c = A.make; u = A.add; b = [].append; items = [1]; ap = items.append; st = 'abc'.upper; dget = {'a': 1}.get
        """, "m(1), a.l, m.__self__ is a, c() is A, u is A.add, ap(2), items, st(), dget('a'), type(b)")  # fmt: skip
    kind("type parameters", """
        import sys
        code = 'def first[T](xs: list[T]) -> T: return xs[0]\\nclass Box[T]:\\n    def get(self) -> T: return self\\ntype Alias[K] = dict[K, int]'
        if sys.version_info >= (3, 12): exec(code)
        """, "(first([1]), first.__type_params__, Box.__type_params__, Alias.__value__, Alias.__name__, Alias[int], Box[int]) if sys.version_info >= (3, 12) else 0", "TypeAlias")  # fmt: skip
    kind("generators and coroutines", """
        g = (x for x in [1, 2])
        async def co(): return 1
        """, "0", "generator")  # fmt: skip
    kind("code and frames", """
        def f(a, b=1): return a + b
        code = f.__code__
        compiled = compile('1 + 1', 'x', 'eval')
        """, "code.co_name, eval(compiled), code == f.__code__")  # fmt: skip
    kind("functions of other globals", """
        import types
        space = {'__name__': 'other', 'rate': 3}
        exec('def price(x): return x * rate', space)
        price = space['price']
        """, "price(2), space.__setitem__('rate', 10), price(2), price.__globals__ is space, price.__module__")  # fmt: skip
    kind("a module made in a cell", """
        import types, sys
        m = types.ModuleType('mine', 'doc'); m.v = [1]
        exec('def f(): return v', m.__dict__)
        """, "m.v, m.f(), m.f() is m.v, m.__doc__, m.f.__globals__ is m.__dict__")  # fmt: skip


caches()
functions()
