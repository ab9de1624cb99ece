"""Instances of the notebook's classes, and what stands beside them."""

from __future__ import annotations

from support.classes.kinds import kind


def instances() -> None:
    """Declare instances."""

    kind("properties and descriptors", """
        class C:
            _x = 1
            @property
            def x(self): "doc of x"; return self._x
            @x.setter
            def x(self, v): self._x = v
            @x.deleter
            def x(self): self._x = None
            @staticmethod
            def s(): return 's'
            @classmethod
            def c(cls): return cls.__name__
            @classmethod
            @property
            def cp(cls): return 1
        c = C(); c.x = 4
        """, "c.x, C.x.__doc__, C.s(), c.c(), type(vars(C)['s']), delattr(c, 'x'), c.x, C.x.fset.__name__, C.s.__name__")  # fmt: skip
    kind("subclasses of builtins", """
        class L(list):
            def __init__(self, *a): super().__init__(*a); self.made = 1
        class D(dict):
            def __setitem__(self, k, v): super().__setitem__(k, v * 2)
            def __missing__(self, k): return 'missing'
        class I(int): pass
        class S(str):
            def __new__(cls, v): return super().__new__(cls, v + '!')
        class T(tuple):
            def __new__(cls, *a): return super().__new__(cls, a)
        class F(float): pass
        class Z(set):
            def add(self, v): super().add(v + 1)
        class FS(frozenset): pass
        class B(bytes): pass
        class BA(bytearray): pass
        l, d, i, s, t, f, z, b, ba, fs = L([1]), D(), I(5), S('a'), T(1, 2), F(1.5), Z(), B(b'x'), BA(b'y'), FS([1])
        l.append(l); d['a'] = 1; i.note = [1]; z.add(1); s.x = 1; t.y = 2; f.u = 3
        """, "len(l), l[1] is l, l.made, d, d['q'], i, i.note, s, s.x, t, t.y, f, f.u, z, b, ba, fs, [type(x) for x in (l, d, i, s, t, f, z, b, ba, fs)]")  # fmt: skip
    kind("generic classes", """
        from typing import Generic, TypeVar
        T = TypeVar('T', bound=int)
        class Box(Generic[T]):
            def __init__(self, v): self.v = v
        class IntBox(Box[int]): pass
        b = Box[int](1); alias = Box[int]; i = IntBox(2)
        """, "b.v, b.__orig_class__, alias.__args__, Box.__parameters__ == (T,), Box.__parameters__[0] is T, IntBox.__orig_bases__, IntBox.__mro__, i.v")  # fmt: skip
    kind("Protocol, TypedDict, NamedTuple", """
        from typing import Protocol, TypedDict, NamedTuple, runtime_checkable, NotRequired
        @runtime_checkable
        class Closes(Protocol):
            def close(self) -> None: ...
        class Movie(TypedDict, total=False):
            title: str
            year: NotRequired[int]
        class Point(NamedTuple):
            x: int
            y: int = 2
            def sum(self): return self.x + self.y
        import collections
        Pair = collections.namedtuple('Pair', 'a b', defaults=[5])
        p, q, m = Point(1), Pair(1), Movie(title='a')
        class Door:
            def close(self): pass
        """, "isinstance(Door(), Closes), isinstance(1, Closes), Movie.__optional_keys__, Movie.__total__, m, p, p.sum(), Point._field_defaults, q, Pair._fields, Pair(3),"
             "q._replace(a=9), Closes._is_protocol, Movie.__annotations__, type(p).__name__, Point.__annotations__")  # fmt: skip
    kind("NewType, TypeVar, ParamSpec", """
        from typing import NewType, TypeVar, ParamSpec, TypeVarTuple, Callable, Literal, Annotated
        UserId = NewType('UserId', int)
        T = TypeVar('T', int, str); P = ParamSpec('P'); Ts = TypeVarTuple('Ts'); B = TypeVar('B', bound='Later', covariant=True)
        Odd = TypeVar('T')
        uses = Callable[P, T]; lit = Literal['a', 1]; ann = Annotated[int, [1]]
        held = [UserId, T, P, Ts]
        """, "UserId(5), UserId.__name__, UserId.__supertype__, held[0] is UserId, held[1] is T, held[2] is P, held[3] is Ts, T.__constraints__, uses, uses.__parameters__ == (P, T),"
             "B.__bound__, B.__covariant__, Odd.__name__, Odd is T, lit, ann, UserId.__module__, T.__module__, P.__module__, P.args.__origin__ is P")  # fmt: skip
    kind("delegating __getattr__", """
        class Proxy:
            def __init__(self, target): self.target = target
            def __getattr__(self, name): return getattr(self.target, name)
        class Yes:
            def __getattr__(self, name): return lambda *a, **k: 'yes'
        p = Proxy([1, 2]); y = Yes(); y.v = 1
        class Attr(dict):
            __getattr__ = dict.__getitem__
            __setattr__ = dict.__setitem__
        a = Attr(x=1)
        class All:
            def __init__(self): object.__setattr__(self, 'd', {'a': 1})
            def __getattribute__(self, n): return object.__getattribute__(self, 'd').get(n, None) if not n.startswith('__') else object.__getattribute__(self, n)
            def __setattr__(self, n, v): object.__getattribute__(self, 'd')[n] = v
        g = All()
        """, "p.target, p.count(1), y.v, y.anything(), a.x, a, g.a, g.zz, object.__getattribute__(g, 'd')")  # fmt: skip
    kind("__setattr__ with side effects", """
        log = []
        class Watched:
            def __init__(self): self.a = 1
            def __setattr__(self, n, v): log.append(n); object.__setattr__(self, n, v)
        class Slotted:
            __slots__ = ('a',)
            def __setattr__(self, n, v): log.append('slot ' + n); object.__setattr__(self, n, v)
        class Frozen:
            __slots__ = ('a',)
            def __setattr__(self, n, v): raise AttributeError('frozen')
        w, s, f = Watched(), Slotted(), Frozen(); s.a = 2; object.__setattr__(f, 'a', 5)
        """, "log, w.a, s.a, f.a")  # fmt: skip
    kind("__new__ and __init__ with side effects", """
        made = []
        class R:
            def __new__(cls, *a): made.append('new'); return super().__new__(cls)
            def __init__(self, name): made.append(name); self.name = name
        r = R('x')
        class Needs:
            def __new__(cls, a, b): o = super().__new__(cls); o.a = a; return o
        n = Needs(1, 2)
        """, "made, r.name, n.a")  # fmt: skip
    kind("a constructor that registers under __reduce__", """
        registry = []
        class Plugin:
            def __init__(self, name): self.name = name; registry.append(self)
            def __reduce__(self): return (Plugin, (self.name,))
        a = Plugin('a')
        """, "[p.name for p in registry], registry[0] is a", "side effect|changes|come back|__reduce__|registry")  # fmt: skip
    kind("state that is not given out", """
        class Drops:
            def __init__(self): self.a = 1; self.rows = [1, 2]
            def __getstate__(self): return {'a': self.a}
        d = Drops()
        """, "d.a, d.rows", "rows")  # fmt: skip
    kind("copyreg of the notebook", """
        import copyreg
        class V:
            def __init__(self, a): self.a = a
        copyreg.pickle(V, lambda v: (V, (v.a + 1,)))
        v = V(1)
        """, "v.a", "come back|differ|copyreg|a ")  # fmt: skip
    kind("pydantic models", """
        import pydantic
        from typing import Generic, TypeVar
        T = TypeVar('T')
        class M(pydantic.BaseModel):
            a: int = 1
            b: list[str] = []
            _private: int = pydantic.PrivateAttr(default=5)
            @pydantic.field_validator('a')
            def pos(cls, v): return abs(v)
        class Box(pydantic.BaseModel, Generic[T]):
            value: T
        m = M(a=-3); box = Box[int](value='3'); IB = Box[int]
        """, "m, m._private, M(a=-7), box, type(box) is IB, Box[int] is IB, IB.__name__, box.value, M.model_fields.keys(), issubclass(IB, Box), Box[str](value='a'), M.model_json_schema()")  # fmt: skip
    kind("mocks", """
        from unittest import mock
        m = mock.MagicMock(return_value=3, name='m'); m.a.b.return_value = 5; m(1, x=2); m.a.b(7); m.__len__.return_value = 4
        s = mock.Mock(spec=dict, side_effect=[1, 2, 3]); s('k'); type(m).prop = mock.PropertyMock(return_value=8)
        spec = mock.create_autospec(dict, instance=True); spec.get.return_value = 9; calls = m.mock_calls; one = mock.call(1, x=2)
        """, "m(4), m.call_args_list, m.a.b.call_args, m.a.b(), m.mock_calls == calls, one in m.call_args_list, len(m), m.prop, m.a.b is m.a.b, s(2), s.call_count,"
             "isinstance(s, dict), spec.get('k'), isinstance(spec, dict), hasattr(spec, 'nothing'), m.assert_any_call(1, x=2), bool(m), m['x'] is m['x'], repr(one)")  # fmt: skip
    kind("observers and validators of traits", """
        import traitlets
        from traitlets.config import Configurable
        seen = []
        class Watched(traitlets.HasTraits):
            a = traitlets.Int(1)
            @traitlets.observe('a')
            def _noted(self, change): seen.append(('declared', change['new']))
            @traitlets.validate('a')
            def _valid(self, proposal): return min(proposal['value'], 50)
        class Configured(Configurable):
            a = traitlets.Int(3).tag(config=True)
        watched, plain, one, other, configured = Watched(), Watched(a=3), Watched(), Watched(), Configured(a=4)
        def noted(change): seen.append(change['new'])
        watched.observe(noted, 'a'); watched.observe(lambda change: seen.append('any'))
        configured.observe(noted, 'a')
        both, way = traitlets.link((one, 'a'), (other, 'a')), traitlets.dlink((one, 'a'), (watched, 'a'))
        watched.a = 4
        """, "seen, setattr(watched, 'a', 5), setattr(one, 'a', 70), other.a, watched.a, setattr(configured, 'a', 6), both.unlink(), setattr(one, 'a', 8),"
             "other.a, watched.unobserve(noted, 'a'), setattr(watched, 'a', 9), plain.a, setattr(plain, 'a', 2), way.source[0] is one, seen")  # fmt: skip


instances()
