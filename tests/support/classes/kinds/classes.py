"""Classes of the notebook, and how they are made."""

from __future__ import annotations

from support.classes.kinds import kind


def classes() -> None:
    """Declare classes."""

    kind("slots", """
        class P:
            __slots__ = ('x', '__hidden')
            def __init__(self): self.x = 1; self.__hidden = 2
            def see(self): return self.__hidden
        class Q(P):
            __slots__ = {'y': 'documented'}
        class R(P): pass
        class W:
            __slots__ = ('a', '__weakref__', '__dict__')
        p, q, r, w = P(), Q(), R(), W(); q.y = [1]; r.free = 1; w.a = 2; w.more = 3
        import weakref; ref = weakref.ref(w)
        """, "p.x, p.see(), hasattr(p, '__dict__'), q.y, q.see(), hasattr(q, '__dict__'), r.free, r.x, w.a, vars(w), P.__slots__,"
             "Q.__slots__, hasattr(P, '__weakref__'), type(vars(P)['x']), vars(r)")  # fmt: skip
    kind("slots dataclass", """
        import dataclasses
        @dataclasses.dataclass(slots=True, frozen=True)
        class P:
            x: int
            y: list = dataclasses.field(default_factory=list, repr=False)
        p = P(1)
        """, "p, p.y, hasattr(p, '__dict__'), dataclasses.fields(P), P.__match_args__, P.__dataclass_params__, hash(P(1, ())) == hash(P(1, ()))")  # fmt: skip
    kind("dataclass fields", """
        import dataclasses
        from typing import ClassVar
        @dataclasses.dataclass(order=True)
        class D:
            a: int
            b: str = 'b'
            c: list = dataclasses.field(default_factory=lambda: [1], metadata={'m': 1})
            d: ClassVar[int] = 3
            e: dataclasses.InitVar[int] = 0
            _: dataclasses.KW_ONLY
            f: float = 1.0
        d = D(1)
        """, "dataclasses.fields(D), d, D(2), d < D(2), dataclasses.replace(d, a=5, e=1), D.__dataclass_fields__['d']._field_type,"
             "D.__dataclass_fields__['a'].default is dataclasses.MISSING, D.__annotations__")  # fmt: skip
    kind("order of a class's dict", """
        class C:
            z = 1
            a = 2
            def m(self): pass
            b = 3
        """, "[n for n in vars(C) if not n.startswith('__')]")  # fmt: skip
    kind("__init_subclass__ is not run again", """
        seen = []
        class Base:
            def __init_subclass__(cls, tag='none', **k):
                super().__init_subclass__(**k); seen.append(cls.__name__); cls.tag = tag
        class A(Base, tag='a'): pass
        class B(A): pass
        a = A()
        """, "seen, A.tag, B.tag, a.tag, type('C', (Base,), {}).__name__, seen")  # fmt: skip
    kind("__init_subclass__ that wants an argument", """
        class Base:
            def __init_subclass__(cls, *, table): cls.table = table
        class A(Base, table='t'): pass
        """, "A.table, A.__mro__[1] is Base")  # fmt: skip
    kind("__set_name__ is not run again", """
        named = []
        class Field:
            def __set_name__(self, owner, name): named.append((owner.__name__, name)); self.name = name
            def __get__(self, obj, owner=None): return self if obj is None else obj.__dict__.get(self.name, 0)
            def __set__(self, obj, value): obj.__dict__[self.name] = value * 2
        class Row:
            price = Field()
        row = Row(); row.price = 2
        """, "named, row.price, Row.price.name, vars(row)")  # fmt: skip
    kind("metaclass hooks are not run again", """
        made = []
        class Meta(type):
            registry = {}
            def __new__(mcs, name, bases, ns, **k):
                made.append(('new', name)); ns['added'] = 1
                return super().__new__(mcs, name, bases, ns)
            def __init__(cls, name, bases, ns, **k):
                made.append(('init', name)); Meta.registry[name] = cls
            def __setattr__(cls, n, v): made.append(('set', n)); super().__setattr__(n, v)
            def __call__(cls, *a): made.append('call'); return super().__call__(*a)
            @property
            def short(cls): return cls.__name__.lower()
            def __prepare__(name, bases, **k): made.append('prepare'); return {}
        class A(metaclass=Meta, option=1): pass
        class B(A): x = 1
        b = B()
        """, "made, A.added, B.short, type(A) is Meta, list(Meta.registry), Meta.registry['B'] is B, isinstance(b, A), made")  # fmt: skip
    kind("metaclass from ABCMeta", """
        import abc
        log = []
        class Meta(abc.ABCMeta):
            def __init__(cls, *a, **k): log.append(cls.__name__); super().__init__(*a, **k)
        class Shape(metaclass=Meta):
            @abc.abstractmethod
            def area(self): ...
        class Square(Shape):
            def area(self): return 4
        sq = Square()
        """, "log, sq.area(), Shape.__abstractmethods__, isinstance(sq, Shape), type(Square) is Meta")  # fmt: skip
    kind("abc with registrations", """
        import abc
        class Drawable(abc.ABC):
            @abc.abstractmethod
            def draw(self): ...
            @property
            @abc.abstractmethod
            def size(self): ...
        class Line: pass
        Drawable.register(Line); Drawable.register(int)
        """, "issubclass(Line, Drawable), issubclass(int, Drawable), issubclass(str, Drawable), sorted(Drawable.__abstractmethods__),"
             "[type(vars(Drawable)[n]) for n in ('draw', 'size')]")  # fmt: skip
    kind("enum with aliases and behaviour", """
        import enum
        inits = []
        class Planet(enum.Enum):
            EARTH = (1, 2)
            MARS = (3, 4)
            HOME = (1, 2)
            def __init__(self, a, b): inits.append(a); self.a = a; self.extra = [b]
            @property
            def total(self): return self.a + self.extra[0]
            @classmethod
            def _missing_(cls, value): return cls.MARS
        Planet.EARTH.extra.append(9)
        e = Planet.HOME; both = {Planet.EARTH: 1}
        """, "inits, e is Planet.EARTH, Planet['HOME'], Planet.EARTH.extra, list(Planet), Planet.__members__, Planet((3, 4)), Planet(7),"
             "both[Planet.HOME], Planet.MARS.total, Planet.EARTH.name, type(Planet), len(Planet)")  # fmt: skip
    kind("int, str and flag enums", """
        import enum
        class N(enum.IntEnum):
            ONE = 1
            TWO = enum.auto()
            UNO = 1
        class S(enum.StrEnum):
            A = enum.auto()
            B = 'bee'
        class F(enum.Flag):
            R = enum.auto(); W = enum.auto(); RW = R | W
        class G(enum.IntFlag, boundary=enum.KEEP):
            X = 1; Y = 4
        class T(tuple, enum.Enum):
            P = (1, 2)
        n, s, f, g, t = N.TWO, S.B, F.R | F.W, G.X | G.Y, T.P
        """, "n, n + 1, n is N.TWO, N.UNO is N.ONE, N['UNO'], s, s.upper(), f, f is F.RW, list(F), F.R in f, ~F.R, g, G(7), G(5), t, t[0], T((1, 2)),"
             "S('bee'), F(3), N(1), list(N.__members__), [type(x).__mro__[1:] for x in (n, s, f, g, t)], F.R & F.W, G.X | 8")  # fmt: skip
    kind("nested names", """
        class Outer:
            class Inner:
                def m(self): return 1
                class Deep: pass
            def make(self):
                class Local: pass
                return Local
        o = Outer.Inner(); d = Outer.Inner.Deep(); l = Outer().make()()
        def f():
            def g(): pass
            return g
        g = f()
        """, "[x.__qualname__ for x in (Outer, Outer.Inner, Outer.Inner.m, Outer.Inner.Deep, type(o), type(d), type(l), f, g)], [type(x) for x in (o, d)],"
             "type(o) is Outer.Inner, type(l).__module__, g.__code__.co_qualname")  # fmt: skip
    kind("a class whose name another class has now", """
        class A:
            v = 1
        old = A(); Old = A
        class A:
            v = 2
        new = A()
        """, "old.v, new.v, type(old) is A, type(new) is A, type(old).__name__, Old is type(old)")  # fmt: skip
    kind("a class without a name any more", """
        class Gone:
            v = 1
        one, two = Gone(), Gone(); del Gone
        """, "type(one) is type(two), one.v, type(one).__qualname__")  # fmt: skip
    kind("class attributes that were changed", """
        class C:
            n = 1
            l = []
            def f(self): return 'old'
        c = C(); C.n = 5; C.l.append(1); C.f = lambda self: 'new'; C.added = {'a': C}
        """, "c.n, c.l, c.f(), C.added['a'] is C, C.l is c.l")  # fmt: skip
    kind("assigned __class__", """
        class A: pass
        class B:
            def f(self): return 'B'
        x = A(); x.v = 1; x.__class__ = B
        """, "x.f(), x.v, type(x) is B")  # fmt: skip


classes()
