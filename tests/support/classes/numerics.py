"""Classes of NumPy and SciPy."""

from __future__ import annotations

from support.classes.cases import Library

NUMPY = Library(
    "NumPy",
    """
    import numpy as np
    def same(a, b):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()
    """,
    "same(a, b)",
)
SCIPY = Library(
    "SciPy",
    """
    import numpy as np
    from scipy import interpolate, optimize, signal, sparse, spatial, stats
    from scipy.sparse.linalg import aslinearoperator, splu
    from scipy.spatial.transform import Rotation, Slerp
    line, values = np.arange(8.0), np.arange(8.0) ** 2 % 5
    points = np.random.default_rng(1).random((12, 2))
    """,
)


def arrays() -> None:
    """Declare the kinds of arrays."""
    lib = NUMPY
    lib("x = np.arange(20000.0)\nview = x[5:]", "x[7] = -1; view[-1] = 3", keeps="np.shares_memory(x, view)")
    lib(
        "x = np.arange(24.0).reshape(2, 3, 4)\nview = x.transpose(2, 0, 1)[::2]",
        "view[0] = -1",
        keeps="np.shares_memory(x, view) and view.base is not None and view[0, 0, 0] == x[0, 0, 0]",
        note="transposed and strided view",
    )
    lib(
        "base = np.arange(9)\nx = base[::-2]\nother = base[1:4]",
        "base[4] = 100",
        keeps="np.shares_memory(base, other) and np.shares_memory(x, base) and base[2] == other[1] and x[2] == 100",
        note="reversed view",
    )
    for dtype in ("int8", "uint16", "int32", "float16", "float32", "complex128", "bool"):
        lib(f"np.arange(9).astype('{dtype}')", "x[2] = 1 - x[2]", note=dtype)
    lib("np.array(['a', 'bcd'])", "x[0] = 'zz'", note="text")
    lib("np.array([b'a', b'bcd'])", "x[0] = b'zz'", note="bytes")
    lib("np.array(['a', 'b' * 40], dtype=np.dtypes.StringDType())", "x[0] = 'z' * 90", note="StringDType")
    lib("np.array([[1], 'two', None, {3: 4}], dtype=object)", "x[3][5] = 6", note="objects")
    lib(
        "np.zeros(3, dtype=[('a', 'i4'), ('b', 'f8', 2), ('c', 'U4')])",
        "x['b'][1] = 7; x['c'] = 'z'",
        "a.dtype == b.dtype and repr(a) == repr(b)",
        note="structured",
    )
    lib(
        "np.array(['2026-01-01', 'NaT'], dtype='M8[s]')",
        "x[0] += np.timedelta64(1, 'D')",
        "str(a) == str(b)",
        note="datetime64",
    )
    lib("np.array([1, 2], dtype='m8[h]')", "x *= 2", note="timedelta64")
    lib(
        "np.asfortranarray(np.arange(6.0).reshape(2, 3))",
        "x[1] = 0",
        "same(a, b) and a.flags == b.flags",
        note="Fortran order",
    )
    lib("np.array(5.0)", "x[...] = 6", note="no dimensions")
    lib("np.empty((0, 3))", "x.resize((2, 3), refcheck=False)", note="empty, resized", again=False)
    lib(
        "x = np.arange(4)\nx.flags.writeable = False",
        "x.flags.writeable = True; x[0] = 9; x.flags.writeable = False",
        "same(a, b) and not b.flags.writeable",
        note="read-only",
    )
    lib("np.arange(4, dtype='>i4')", "x[1] = 77", note="other byte order")
    lib("np.rec.array([(1, 2.0), (3, 4.0)], names='a,b')", "x.a[0] = 9")
    lib(
        "np.ma.array([1, 2, 3], mask=[0, 1, 0])",
        "x[0] = np.ma.masked",
        "same(a.data, b.data) and same(a.mask, b.mask)",
    )
    lib("np.matrix([[1, 2], [3, 4]])", "x[0] *= 3")
    lib("np.char.array(['a', 'b'])", "x[0] = 'c'")
    lib(
        "import tempfile, os\npath = os.path.join(tempfile.mkdtemp(), 'a.npy')\nnp.save(path, np.arange(5.0))\n"
        "x = np.load(path, mmap_mode='c')",
        "x[0] = 8",
        "a.tolist() == b.tolist()",
        note="copy on write",
    )
    lib(
        "class Units(np.ndarray):\n  pass\nx = np.arange(3.0).view(Units)\nx.unit = 'm'",
        "x[0] = 5; x.unit = 'km'",
        "a.tolist() == b.tolist() and a.unit == b.unit",
        note="subclass of the notebook",
    )
    lib("x = np.zeros(2, dtype='i4,f8')[0]", "x['f0'] = 4", "a == b")


def numbers() -> None:
    """Declare scalars, generators, polynomials."""
    lib = NUMPY
    for kind in ("float64", "float32", "int64", "uint8", "complex128"):
        lib.fixed(f"np.{kind}(3)", "x + x.dtype.type(1)", "a == b and type(a) is type(b)")
    lib.fixed("np.True_", "np.False_", "a is b")
    lib.fixed("np.str_('a')", "np.str_('b')", "a == b and type(a) is type(b)")
    lib.fixed("np.bytes_(b'a')", "np.bytes_(b'b')", "a == b and type(a) is type(b)")
    lib.fixed("np.datetime64('2026-01-01')", "x + 1", "a == b and a.dtype == b.dtype")
    lib.fixed("np.timedelta64(5, 'm')", "x * 2", "a == b and a.dtype == b.dtype")
    lib.fixed("np.dtype('f8')", "np.dtype([('a', 'i4')])", "a == b")
    lib.fixed("np.add", "np.multiply", "a is b")
    state = "repr(a.bit_generator.state) == repr(b.bit_generator.state)"
    lib("np.random.default_rng(1)", "x.random(5)", state)
    lib("np.random.RandomState(1)", "x.rand(5)", "repr(a.get_state()) == repr(b.get_state())")
    for kind in ("PCG64", "MT19937", "Philox", "SFC64"):
        lib(f"np.random.{kind}(1)", "x.random_raw(4)", "repr(a.state) == repr(b.state)")
    lib("np.random.SeedSequence(5)", "x.spawn(2)", "repr(a.state) == repr(b.state)")
    lib(
        "x = np.random.default_rng(2)\nbits = x.bit_generator",
        "x.random()",
        state,
        keeps="x.bit_generator is bits",
    )
    lib("np.poly1d([1, 2, 3])", "x[0] = 9", "a == b")
    for kind in ("Polynomial", "Chebyshev", "Legendre", "Hermite", "Laguerre"):
        lib(f"np.polynomial.{kind}([1, 2, 3])", "x.coef[0] += 5", "a == b")
    lib.fixed("np.vectorize(divmod)", "np.vectorize(max)", "str(a(7, 2)) == str(b(7, 2))")
    lib.refused("np.nditer(np.arange(3))", "it is in the middle of running", "nditer")


def sparse_matrices() -> None:
    """Declare SciPy's sparse arrays and matrices."""
    for kind in ("csr", "csc", "coo", "bsr", "dia"):
        for form in ("array", "matrix"):
            SCIPY(
                f"sparse.{kind}_{form}(np.eye(4))",
                "x.data[:] *= 3",
                "type(a) is type(b) and (a != b).nnz == 0"
                if kind in ("csr", "csc", "bsr")
                else "(a.toarray() == b.toarray()).all()",
            )
    for kind in ("lil", "dok"):
        for form in ("array", "matrix"):
            SCIPY(
                f"sparse.{kind}_{form}((4, 4))", "x[1, 2] = x[1, 2] + 5", "(a.toarray() == b.toarray()).all()"
            )
    SCIPY(
        "data = np.arange(1.0, 5.0)\nx = sparse.coo_array((data, ([0, 1, 2, 3], [3, 2, 1, 0])), copy=False)",
        "data[0] = 99",
        "(a.toarray() == b.toarray()).all()",
        keeps="np.shares_memory(x.data, data) and x.data[0] == 99 or x.data[0] == data[0]",
        note="over memory of an array",
    )


def models() -> None:
    """Declare interpolators, trees, rotations, distributions and systems."""
    lib = SCIPY
    at = "np.allclose(a(2.5), b(2.5), rtol=0, atol=0)"
    for kind in ("CubicSpline", "PchipInterpolator", "Akima1DInterpolator"):
        lib(f"interpolate.{kind}(line, values)", "x.c[0] += 1", at)
    lib(
        "interpolate.interp1d(line, values)",
        "x.fill_value = 9.0; x.bounds_error = False",
        "str(a.fill_value) == str(b.fill_value) and a(2.5) == b(2.5)",
    )
    lib("interpolate.make_interp_spline(line, values)", "x.c[2] += 1", at)
    lib("interpolate.UnivariateSpline(line, values, s=0)", "x.set_smoothing_factor(8)", at)
    lib("interpolate.PPoly(np.ones((2, 3)), [0, 1, 2, 3])", "x.c[0] = 4", at)
    lib("interpolate.BarycentricInterpolator(line, values, rng=1)", "x.add_xi([9.5 + len(x.xi)], [4.0])", at)
    lib(
        "interpolate.RegularGridInterpolator((line,), values.copy())",
        "x.values[2] += 1",
        "a([2.5])[0] == b([2.5])[0]",
    )
    spread = "np.array_equal(a(points[:3] * 0.9 + 0.01), b(points[:3] * 0.9 + 0.01), equal_nan=True)"
    lib("interpolate.RBFInterpolator(points, points[:, 0])", "x.smoothing = 2; x._coeffs[0] += 1", spread)
    lib("interpolate.LinearNDInterpolator(points, points[:, 0].copy())", "x.values[:] += 1", spread)
    lib("interpolate.NearestNDInterpolator(points, points[:, 0].copy())", "x.values[:] += 1", spread)
    near = (
        "[v.tolist() for v in a.query(points[:3] + 0.1)] == [v.tolist() for v in b.query(points[:3] + 0.1)]"
    )
    lib.fixed("spatial.KDTree(points)", "spatial.KDTree(points[2:])", near)
    lib.fixed("spatial.cKDTree(points)", "spatial.cKDTree(points[2:])", near)
    lib.fixed("stats.norm(0, 1)", "stats.norm(1, 2)", "a.cdf(0.3) == b.cdf(0.3)")
    lib.fixed("stats.poisson(3)", "stats.poisson(4)", "a.pmf(2) == b.pmf(2)")
    lib.fixed(
        "stats.multivariate_normal([0, 0])",
        "stats.multivariate_normal([1, 1])",
        "a.pdf([0, 0]) == b.pdf([0, 0])",
    )
    lib(
        "stats.gaussian_kde(points.T)",
        "x.set_bandwidth(x.factor / 2)",
        "np.array_equal(a(points.T), b(points.T))",
    )
    lib.fixed(
        "stats.ttest_ind(line, values)",
        "stats.ttest_ind(values, line + 1)",
        "(a.pvalue, a.df) == (b.pvalue, b.df)",
    )
    lib.fixed("stats.linregress(line, values)", "stats.linregress(values, line)", "tuple(a) == tuple(b)")
    turned = "np.array_equal(a.as_quat(), b.as_quat())"
    lib.fixed("Rotation.from_euler('z', 90, degrees=True)", "x * x", turned)
    lib.fixed(
        "Slerp([0, 1], Rotation.from_euler('z', [[0], [1]]))",
        "Slerp([0, 2], Rotation.from_euler('z', [[0], [1]]))",
        "np.array_equal(a(0.5).as_quat(), b(0.5).as_quat())",
    )
    lib(
        "optimize.minimize(lambda v: (v ** 2).sum(), [1.0, 2.0])",
        "x.x[0] = 5",
        "np.array_equal(a.x, b.x) and a.nfev == b.nfev",
    )
    lib("optimize.Bounds([0, 0], [1, 1])", "x.ub[0] = 4", "np.array_equal(a.ub, b.ub)")
    lib("optimize.LinearConstraint(np.eye(2), 0, 1)", "x.A[0, 0] = 4", "np.array_equal(a.A, b.A)")
    answer = "np.array_equal(a.step()[1], b.step()[1])"
    lib("signal.TransferFunction([1.0], [1.0, 2.0])", "x.num = [3.0 + x.num[0]]", answer)
    lib("signal.ZerosPolesGain([], [-1.0], 2.0)", "x.gain = x.gain + 1", answer)
    lib("signal.StateSpace([[-1.0]], [[1.0]], [[1.0]], [[0.0]])", "x.C = x.C * 3", answer)
    lib(
        "aslinearoperator(np.eye(3))",
        "x.A[0, 1] = x.A[0, 1] + 2",
        "np.array_equal(a @ np.arange(3), b @ np.arange(3))",
    )
    for kind in ("Delaunay", "ConvexHull", "Voronoi"):
        lib.fixed(
            f"spatial.{kind}(points)", f"spatial.{kind}(points[2:])", "np.array_equal(a.points, b.points)"
        )
    lib.refused("splu(sparse.csc_array(np.eye(3)))", "the factors are SuperLU's memory", "SuperLU")


arrays()
numbers()
sparse_matrices()
models()
LIBRARIES = (NUMPY, SCIPY)
