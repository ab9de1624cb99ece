"""Arrays and tables."""

from __future__ import annotations

from support.classes.kinds import kind


def arrays() -> None:
    """Declare arrays and tables."""
    kind("masked arrays and their views", """
        import numpy as np
        a = np.ma.array([1, 2, 3, 4], mask=[0, 1, 0, 0], fill_value=9); v = a[1:3]; d = a.data; hard = np.ma.array([1, 2], mask=[1, 0], hard_mask=True); m = np.ma.masked; nom = np.ma.array([1.0])
        """, "v.__setitem__(1, 50), a.tolist(), d.tolist(), a.fill_value, v.mask.tolist(), a.mask.__setitem__(0, True), a.tolist(), hard.hardmask, m is np.ma.masked, nom.mask is np.ma.nomask, np.shares_memory(v, a), v.__setitem__(0, 7), a.tolist()")  # fmt: skip
    kind("subclasses of ndarray", """
        import numpy as np
        finals = []
        class Unit(np.ndarray):
            def __new__(cls, x, unit): o = np.asarray(x).view(cls); o.unit = unit; return o
            def __array_finalize__(self, o): finals.append(1); self.unit = getattr(o, 'unit', None)
        base = np.arange(4.0); u = Unit(base, 'm'); v = u[1:]; m = np.matrix([[1, 2], [3, 4]]); r = m[0]; n = len(finals)
        """, "u.unit, v.unit, u.__setitem__(1, 9), v.tolist(), base.tolist(), type(v).__name__, m, r.__setitem__((0, 0), 8), m, len(finals) - n < 9, np.shares_memory(u, base)")  # fmt: skip
    kind("parts of a subclass of ndarray", """
        import numpy as np
        class Unit(np.ndarray):
            def __new__(cls, x, unit): o = np.asarray(x).view(cls); o.unit = unit; return o
            def __array_finalize__(self, o): self.unit = getattr(o, 'unit', None)
        u = Unit(np.arange(12.0).reshape(3, 4), 'm'); v = u[1:]; w = v[:, ::-2]; c = v.copy(); t = u.T; f = u[0]; f.flags.writeable = False
        u.first, u.me, v.unit = v, u, 'km'; alone = Unit([1.0, 2.0], 's')[:1]; plain = u.view(np.ndarray)
        """, "v.base is u, w.base is u, t.base is u, f.base is u, f.flags.writeable, u.first is v, u.me is u, v.unit, w.unit, c.unit, alone.base.unit, alone.base.tolist(),"
             "w.__setitem__((0, 0), 70), u.tolist(), plain.tolist(), c.tolist(), t.tolist(), w.strides, t.flags.f_contiguous")  # fmt: skip
    kind("structured arrays and records", """
        import numpy as np
        s = np.array([(1, 2.5, 'ab')], dtype=[('a', 'i4'), ('b', 'f8'), ('c', 'U3')]); f = s['b']; r = s.view(np.recarray); ra = np.rec.array([(1, 'x')], names='n,t'); row = s[0]; al = np.dtype('i1,i4', align=True); two = s[['a', 'c']]
        """, "f.__setitem__(0, 7), s, r.b, r.a, ra.n, ra[0].t, type(r), r.dtype, row, al.isalignedstruct, np.shares_memory(two, s), two, type(ra[0]), row.__setitem__('a', 5), s['a']")  # fmt: skip
    kind("memmap", """
        import numpy as np, os
        path = os.path.abspath('mapped.bin')
        mm = np.memmap(path, dtype='f8', mode='w+', shape=(4,)); mm[:] = [1, 2, 3, 4]; mm.flush(); part = mm[1:3]
        frozen = np.memmap(path, dtype='f8', mode='r'); copied = np.memmap(path, dtype='f8', mode='c')
        """, "frozen.tolist(), copied.tolist(), frozen.flags.writeable, type(mm).__name__, mm.tolist(), mm.filename == path, mm.mode, np.shares_memory(part, mm), type(part), part.mode, part.filename == path, part._mmap is mm._mmap", "memmap|file|shared")  # fmt: skip
    kind("frozen and odd arrays", """
        import numpy as np
        z = np.zeros((0, 3)); sc = np.array(5); o = np.array([[1], None], dtype=object); bc = np.broadcast_to(np.arange(3), (2, 3)); big = np.arange(3, dtype='>i4'); dt = np.array(['2020-01-01'], 'M8[D]')
        a = np.arange(6); t = a.reshape(2, 3).T; rev = a[::-1]; fl = a.flags; it = np.nditer(a); c = np.float64(1.5); iter_ = a.flat; u = np.frombuffer(b'abcd', 'u1')
        """, "z.shape, sc, o, bc.strides, big.dtype, dt, t.__setitem__((0, 0), 9), a, rev, c, type(c), u.flags.writeable, bc.flags.writeable, rev.base is a", "nditer|flags|flat")  # fmt: skip
    kind("pandas", """
        import pandas as pd, numpy as np
        df = pd.DataFrame({'a': [1, 2], 'b': ['x', None]}, index=pd.Index([5, 6], name='i')); df.attrs['note'] = [1]; s = df['a']; view = df.iloc[:1]; na, nat = pd.NA, pd.NaT; cat = pd.Categorical(['a', 'b'], ordered=True)
        class Sub(pd.DataFrame):
            _metadata = ['unit']
            @property
            def _constructor(self): return Sub
        sub = Sub({'a': [1]}); sub.unit = 'm'; gb = df.groupby('a'); ro = df.rolling(2); dti = pd.date_range('2020', periods=3, freq='D'); iv = pd.interval_range(0, 2); mi = pd.MultiIndex.from_product([[1], ['a']])
        l = [pd.NA, pd.NaT]
        """, "df, df.attrs, df.index.name, na is pd.NA, nat is pd.NaT, l[0] is pd.NA, cat, sub, sub.unit, type(sub).__name__, gb.size(), ro.a.sum() if hasattr(ro, 'a') else 0, dti.freq, iv, mi, df.dtypes")  # fmt: skip


arrays()
