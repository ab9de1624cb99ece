"""What stands for a part of something else: views, iterators, memoryviews."""

from __future__ import annotations

from support.classes.kinds import kind


def views() -> None:
    """Declare what stands for a part of something else."""
    kind("dict views", """
        d = {'a': 1, 'b': 2}
        k, v, i = d.keys(), d.values(), d.items()
        """, "d.update(c=3), list(k), list(v), list(i), type(k), k.mapping == d")  # fmt: skip
    kind("OrderedDict views", """
        import collections
        d = collections.OrderedDict(a=1)
        k, v, i = d.keys(), d.values(), d.items()
        """, "d.update(c=3), list(k), list(v), list(i), type(k), type(v), type(i)")  # fmt: skip
    kind("a view without its dict", "k = {'a': [1]}.items()", "list(k), dict(k.mapping)")
    kind("views of subclasses", """
        import collections
        d = collections.Counter('aab'); e = collections.defaultdict(list, x=[1])
        k, i = d.keys(), e.items()
        """, "d.update('z'), list(k), e['y'], list(i)")  # fmt: skip
    kind("mappingproxy", """
        import types
        d = {'a': 1}
        p = types.MappingProxyType(d)
        class C: x = 1
        q = vars(C)
        """, "d.update(b=2), dict(p), setattr(C, 'y', 5), q['y'], type(q)")  # fmt: skip
    kind("iterators of containers", """
        l = [1, 2, 3]; li = iter(l); next(li)
        d = {'a': 1, 'b': 2}; di = iter(d); next(di)
        t = iter((1, 2, 3)); next(t)
        s = iter('abc'); next(s)
        r = iter(range(5)); next(r)
        rl = reversed(l); next(rl)
        b = iter(b'abc'); ba = iter(bytearray(b'xyz')); next(ba)
        """, "l.append(9), list(li), list(di), list(t), list(s), list(r), list(rl), list(b), list(ba),"
             "[type(x) for x in (li, t, s, r, rl, b, ba)]", )  # fmt: skip
    kind("a dict's iterator that sees changes", """
        d = {'a': 1, 'b': 2, 'c': 3}; k = iter(d); next(k); v = iter(d.values()); i = iter(d.items()); next(i)
        rk = reversed(d)
        """, "d.update(a=10, b=20), list(k), list(v), list(i), list(rk)")  # fmt: skip
    kind("a set's iterator", "s = {1}; i = iter(s)", "list(i)")
    kind("deque's and others' iterators", """
        import collections
        q = collections.deque([1, 2, 3]); qi = iter(q); next(qi)
        e = enumerate(['a', 'b']); next(e)
        z = zip([1, 2], 'ab'); next(z)
        m = map(str, [1, 2]); next(m)
        f = filter(None, [0, 1, 2])
        c = iter([1, 2, 0].pop, 0)
        """, "list(qi), list(e), list(z), list(m), list(f), list(c)")  # fmt: skip
    kind("iterators of itertools", """
        import itertools as it
        things = [it.count(3), it.cycle('ab'), it.repeat(1, 3), it.chain([1], [2, 3]), it.accumulate([1, 2, 3]),
                  it.islice([1, 2, 3, 4], 1, None), it.takewhile(bool, [1, 0]), it.dropwhile(bool, [1, 0, 2]),
                  it.product('ab', [1, 2]), it.permutations('abc', 2), it.combinations('abc', 2),
                  it.combinations_with_replacement('ab', 2), it.compress('abc', [1, 0, 1]), it.starmap(pow, [(2, 3)]),
                  it.zip_longest('ab', 'c'), it.filterfalse(None, [0, 1]), it.pairwise('abc')]
        for x in things[:13]: next(x)
        """, "[list(it.islice(x, 6)) for x in things]", "cannot pickle|pickl")  # fmt: skip
    kind("tee and groupby", """
        import itertools as it
        a, b = it.tee([1, 2, 3]); next(a)
        """, "list(a), list(b)", "pickl")  # fmt: skip
    kind("memoryview", """
        base = bytearray(b'abcdef'); whole = memoryview(base)
        import array
        numbers = array.array('i', [1, 2, 3]); seen = memoryview(numbers)
        """, "whole.__setitem__(0, 90), bytes(base), seen[1], seen.format, whole.obj is base, seen.obj is numbers")  # fmt: skip
    kind("memoryview of a part", """
        base = bytearray(b'abcdef'); part = memoryview(base)[2:4]
        """, "part.__setitem__(0, 90), bytes(base)", "part of")  # fmt: skip
    kind("itemgetter, slices and ranges", """
        import operator
        g = operator.itemgetter(1, 2); m = operator.methodcaller('upper'); s = slice([1], 2)
        """, "g('abc'), m('a'), s.start")  # fmt: skip


views()
