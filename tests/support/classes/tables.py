"""Classes of pandas, Polars and PyArrow."""

from __future__ import annotations

from support.classes.cases import Library

PANDAS = Library(
    "pandas",
    """
    import numpy as np, pandas as pd
    from pandas.testing import assert_extension_array_equal, assert_frame_equal, assert_index_equal
    from pandas.testing import assert_series_equal
    def held(check, *values):
        try:
            check(*values)
        except AssertionError:
            return False
        return True
    def frame():
        return pd.DataFrame({'k': list('aabb'), 'v': [1.0, 2.0, 3.0, 4.0]})
    """,
)
POLARS = Library("Polars", "import polars as pl\nimport datetime", "a.equals(b)")
ARROW = Library("PyArrow", "import pyarrow as pa\nimport pyarrow.compute as pc", "a.equals(b)")


def frames() -> None:
    """Declare pandas' frames, series and what looks at them."""
    lib = PANDAS
    same = "held(assert_frame_equal, a, b)"
    lib(
        "x = pd.DataFrame({'i': [1, 2], 'f': [0.5, np.nan], 't': ['a', None], 'd': pd.to_datetime(['2026', None])})",
        "x.loc[0, 'f'] = 9; x['new'] = [True, False]",
        same,
        note="mixed columns",
    )
    lib(
        "class Holder: pass\nx = pd.DataFrame({'v': [1.0, 2.0]})\nobj = Holder(); obj.v = x",
        "obj.v.loc[0, 'v'] = 8",
        same,
        keeps="obj.v is x",
        note="held by an instance",
    )
    lib(
        "x = pd.DataFrame({'t': pd.Series(['a', 'b', None] * 20000, dtype=object)})",
        "x.loc[1, 't'] = 'long text ' * 5",
        same,
        note="object text",
    )
    lib(
        "x = pd.DataFrame({'t': ['a', 'b', None] * 20000})",
        "x.loc[1, 't'] = 'z' * 30",
        same,
        note="Arrow text",
    )
    lib("pd.DataFrame({'o': [[1], {'a': 2}, None]})", "x.loc[0, 'o'].append(5)", same, note="lists in cells")
    lib(
        "frame().set_index(['k', 'v'], append=True)",
        "x['n'] = 1.5; x.attrs['by'] = 'me'",
        f"{same} and a.attrs == b.attrs",
    )
    lib(
        "pd.Series([1, 2, 3], name='s')",
        "x.iloc[1] = 50; x.name = 'other'",
        "held(assert_series_equal, a, b)",
    )
    lib(
        "pd.Series(['u', 'v'], dtype='category')",
        "x.iloc[0] = 'v'",
        "held(assert_series_equal, a, b)",
        note="category",
    )
    grouped = "held(assert_frame_equal, a.sum(), b.sum())"
    lib.fixed("frame().groupby('k')", "pd.DataFrame({'k': [1, 1], 'v': [2, 3]}).groupby('k')", grouped)
    lib.fixed(
        "frame().groupby('k')['v']",
        "frame().assign(v=9).groupby('k')['v']",
        "held(assert_series_equal, a.sum(), b.sum())",
    )
    totals = "held(assert_series_equal, a.sum(), b.sum())"
    lib.fixed("frame()['v'].rolling(2)", "frame()['v'].rolling(3)", totals)
    lib.fixed("frame()['v'].expanding()", "(frame()['v'] + 1).expanding()", totals)
    lib.fixed(
        "frame()['v'].ewm(span=2)",
        "frame()['v'].ewm(span=3)",
        "held(assert_series_equal, a.mean(), b.mean())",
    )
    lib.fixed(
        "pd.Series(range(6), pd.date_range('2026', periods=6, freq='h')).resample('2h')",
        "pd.Series(range(6), pd.date_range('2026', periods=6, freq='h')).resample('3h')",
        totals,
    )
    lib("frame().style.set_uuid('u')",
        "x.set_caption('more')", "a.to_html() == b.to_html()")  # fmt: skip


def indexes() -> None:
    """Declare pandas' indexes and arrays."""
    lib = PANDAS
    for make, other in (
        ("pd.Index(['a', 'b'])", "x.append(x)"),
        ("pd.RangeIndex(5)", "x[1:]"),
        ("pd.MultiIndex.from_product([['a', 'b'], [1, 2]])", "x[1:]"),
        ("pd.date_range('2026', periods=3, freq='D', tz='Europe/Berlin')", "x + pd.Timedelta('1h')"),
        ("pd.timedelta_range('1h', periods=3)", "x * 2"),
        ("pd.period_range('2026-01', periods=3, freq='M')", "x + 1"),
        ("pd.interval_range(0, 3)", "x[1:]"),
        ("pd.CategoricalIndex(['a', 'b', 'a'])", "x[1:]"),
    ):
        lib.fixed(make, other, "held(assert_index_equal, a, b)")
    for make, change in (
        ("pd.Categorical(['a', 'b', None])", "x[0] = 'b'"),
        ("pd.array([1, None, 3], dtype='Int64')", "x[0] = 9"),
        ("pd.array([1.5, None], dtype='Float64')", "x[1] = 2.5"),
        ("pd.array([True, None])", "x[1] = False"),
        ("pd.array(['a', None], dtype='str')", "x[1] = 'zz'"),
        ("pd.array(['a', None], dtype='string[python]')", "x[1] = 'zz'"),
        ("pd.arrays.ArrowExtensionArray(__import__('pyarrow').array([1, 2]))", "x[0] = 9"),
        ("pd.array(pd.interval_range(0, 3))", "x[0] = pd.Interval(5, 6)"),
        ("pd.array(pd.period_range('2026', periods=3, freq='M'))", "x[0] = x[2]"),
        ("pd.array(pd.date_range('2026', periods=3))", "x[0] = x[2]"),
        ("pd.array(pd.timedelta_range('1h', periods=3))", "x[0] = x[2]"),
        ("pd.arrays.NumpyExtensionArray(np.array([1, 2]))", "x[0] = 7"),
    ):
        lib(make, change, "held(assert_extension_array_equal, a, b)")
    lib.fixed("pd.arrays.SparseArray([0, 0, 1])", "x + 1", "held(assert_extension_array_equal, a, b)")


def scalars() -> None:
    """Declare pandas' single values, types and offsets."""
    for make, other in (
        ("pd.Timestamp('2026-01-01 10:00', tz='Asia/Tokyo')", "x + pd.Timedelta('1h')"),
        ("pd.Timedelta('1h')", "x * 2"),
        ("pd.Period('2026-01', 'M')", "x + 1"),
        ("pd.Interval(0, 1)", "x + 1"),
        ("pd.CategoricalDtype(['a', 'b'], ordered=True)", "pd.CategoricalDtype(['c'])"),
        ("pd.DatetimeTZDtype('ns', 'UTC')", "pd.DatetimeTZDtype('s', 'UTC')"),
        ("pd.PeriodDtype('M')", "pd.PeriodDtype('D')"),
        ("pd.IntervalDtype('int64')", "pd.IntervalDtype('float64')"),
        ("pd.SparseDtype('f8', 0.0)", "pd.SparseDtype('i8', 0)"),
        ("pd.Int64Dtype()", "pd.Int32Dtype()"),
        ("pd.StringDtype('pyarrow')", "pd.StringDtype('python')"),
        ("pd.ArrowDtype(__import__('pyarrow').int8())", "pd.ArrowDtype(__import__('pyarrow').int16())"),
        ("pd.DateOffset(days=1)", "pd.DateOffset(months=2)"),
        ("pd.offsets.BusinessDay(2)", "x * 2"),
        ("pd.offsets.MonthEnd(1)", "x * 2"),
        ("pd.NamedAgg('v', 'sum')", "pd.NamedAgg('v', 'max')"),
    ):
        PANDAS.fixed(make, other)
    PANDAS.fixed("pd.NA", "pd.NaT", "a is b")
    PANDAS("pd.Grouper(key='k')", "x.key = 'v'", "frame().groupby(a).ngroups == frame().groupby(b).ngroups")


def polars() -> None:
    """Declare Polars' frames, lazy frames, expressions and types."""
    lib = POLARS
    lib(
        "pl.DataFrame({'a': [1, 2], 't': ['u', None]})",
        "x.insert_column(0, pl.Series(f'n{x.width}', [1.5, 2.5]))",
    )
    lib("pl.Series('s', [1, 2, 3])", "x[0] = 10; x.append(pl.Series('s', [4]))")
    lib("pl.Series('d', [datetime.date(2026, 1, 1)])", "x.append(x)", note="dates")
    lib("pl.Series('c', ['u', 'v'], dtype=pl.Categorical)", "x.append(x)", note="categories")
    lib("pl.Series('l', [[1], [2, 3]])", "x.extend(x)", note="lists")
    lib.fixed("pl.LazyFrame({'a': [3, 1]}).sort('a')", "x.head(1)", "a.collect().equals(b.collect())")
    lib.fixed("pl.col('a') + 1", "x * 2", "a.meta.eq(b)")
    lib("pl.Schema({'a': pl.Int64})", "x['b'] = pl.String", "a == b")
    for make, other in (
        ("pl.Datetime('us', 'UTC')", "pl.Datetime('ms')"),
        ("pl.List(pl.Int8)", "pl.List(pl.Int16)"),
        ("pl.Struct({'a': pl.Int8})", "pl.Struct({'b': pl.Int8})"),
        ("pl.Enum(['a', 'b'])", "pl.Enum(['c'])"),
        ("pl.Decimal(10, 2)", "pl.Decimal(12, 3)"),
        ("pl.Int64()", "pl.Float32()"),
    ):
        lib.fixed(make, other, "a == b")


def arrow() -> None:
    """Declare PyArrow's arrays, tables and types: none of them can be changed."""
    lib = ARROW
    for make, other in (
        ("pa.array([1, None, 3])", "pa.concat_arrays([x, x])"),
        ("pa.array([0.5, None])", "x[1:]"),
        ("pa.array(['a', None, 'ccc'])", "x[1:]"),
        ("pa.array(['a', 'b'], pa.large_string())", "x[1:]"),
        ("pa.array(['a', 'b' * 30], pa.string_view())", "x[1:]"),
        ("pa.array([b'a', b'bc'])", "x[1:]"),
        ("pa.array([True, None, False])", "x[1:]"),
        ("pa.array(['a', 'b', 'a']).dictionary_encode()", "x[1:]"),
        ("pa.array([[1], [2, 3]])", "x[1:]"),
        ("pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2))", "x[1:]"),
        ("pa.array([{'a': 1}, {'a': 2}])", "x[1:]"),
        ("pa.array([[('a', 1)], []], pa.map_(pa.string(), pa.int8()))", "x[1:]"),
        ("pa.nulls(3)", "x[1:]"),
        ("pa.array([1, 2], pa.timestamp('us', 'UTC'))", "x[1:]"),
        ("pa.array([1, 2], pa.date32())", "x[1:]"),
        ("pa.array([1, 2], pa.duration('s'))", "x[1:]"),
        ("pa.array([1, 2], pa.decimal128(10, 2))", "x[1:]"),
        ("pa.chunked_array([[1, 2], [3]])", "x.slice(1)"),
        ("pa.record_batch({'a': [1, 2]})", "x.slice(1)"),
        ("pa.table({'a': [1, 2], 'b': ['u', None]})", "x.append_column('c', pa.array([1.5, 2.5]))"),
        ("pa.schema({'a': pa.int8()})", "x.with_metadata({'k': 'v'})"),
        ("pa.field('a', pa.int8())", "x.with_name('b')"),
        ("pa.int8()", "pa.int16()"),
        ("pa.list_(pa.int8())", "pa.list_(pa.int16())"),
        ("pa.timestamp('us', 'UTC')", "pa.timestamp('s')"),
        ("pa.struct({'a': pa.int8()})", "pa.struct({'b': pa.int8()})"),
        ("pa.scalar(5)", "pa.scalar(6)"),
        ("pa.scalar('a')", "pa.scalar('b')"),
        ("pa.py_buffer(b'abc')", "pa.py_buffer(b'abcd')"),
        ("pc.field('a') > 3", "pc.field('a') > 4"),
    ):
        equal = "a.equals(b, check_metadata=True)" if make.startswith("pa.schema") else ""
        lib.fixed(make, other, equal)
    lib.refused(
        "pa.BufferReader(b'abc')", "it is a file that is being read", "__reduce__|BufferReader|pickle|file"
    )


frames()
indexes()
scalars()
polars()
arrow()
LIBRARIES = (PANDAS, POLARS, ARROW)
