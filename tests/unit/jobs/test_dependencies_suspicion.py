"""What is not known to be pure or independent is taken for dependent.

Each case is a notebook of one line a cell: the first assigns `scale` or another input, the last is the cell that
must be seen to depend on it, however the input reaches it.
"""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints

IMPORTS = "import json, dataclasses, functools, operator, calendar, csv, decimal, abc, enum, random, os\nfrom dataclasses import dataclass, field\nfrom decimal import Decimal, getcontext, localcontext\nimport numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt"
DATA = "df = pd.DataFrame({'k': ['a', 'b'], 'x': [1, 2]})\narray = np.ones(3)\nitems = [3, 1, 2]"


def notebook(*cells: str) -> list[Footprint]:
    return footprints([IMPORTS, DATA, *cells])


def last(*cells: str) -> Footprint:
    return notebook(*cells)[-1]


CALLABLES = [
    "new = df.groupby('k').agg(t=('x', lambda s: s.sum() * scale))",
    "new = df.groupby('k').agg({'x': lambda s: s.sum() * scale})",
    "new = df.groupby('k').agg([lambda s: s.sum() * scale])",
    "new = df.agg({'x': [lambda s: s.sum() * scale]})",
    "new = df.assign(**{'y': lambda t: t.x * scale})",
    "new = df.apply(functools.partial(lambda s, by: s * scale, by=1))",
    "new = df.pipe((lambda data: data * scale, 'data'))",
    "new = df.x.map({'a': lambda: scale}.get('a'))",
    "new = df.sort_values('x', key=lambda s: s * scale)",
    "new = df.rename(columns=lambda c: c * scale)",
    "new = json.dumps([1, {1}], default=lambda o: scale)",
    "new = json.loads('[1]', object_hook=lambda o: scale)",
    "new = json.loads('[1]', **{'parse_int': lambda o: scale})",
    "new = functools.reduce(lambda a, b: a + b * scale, items)",
    "new = sorted(items, key=functools.cmp_to_key(lambda a, b: scale))",
    "new = np.vectorize(lambda v: v * scale)(array)",
    "new = np.apply_along_axis(lambda v: v * scale, 0, array)",
    "new = np.fromfunction(lambda i: i * scale, (3,))",
    "new = np.piecewise(array, [array > 0], [lambda v: v * scale])",
    "new = max(items, key=lambda v: v * scale)",
    "new = list(map([lambda v: v * scale][0], items))",
    "new = {'f': lambda: scale}['f']()",
    "new = [f() for f in (lambda: scale,)]",
    "new = operator.methodcaller('apply', lambda v: v * scale)(df)",
    "new = functools.partial(lambda v: v * scale)(1)",
    "new = dict(f=lambda: scale).get('f')()",
]


@pytest.mark.parametrize("cell", CALLABLES)
def test_callables_run_wherever_they_lie_among_the_arguments(cell):
    assert last("scale = 2", cell).may_read("scale")


MADE_BEFORE = [
    ("def total(s):\n    return s.sum() * scale", "new = df.groupby('k').agg({'x': total})"),
    ("def total(s):\n    return s.sum() * scale", "how = {'x': [total]}\nnew = df.groupby('k').agg(how)"),
    ("how = {'x': lambda s: s.sum() * scale}", "new = df.groupby('k').agg(how)"),
    ("how = {'x': lambda s: s.sum() * scale}", "new = df.groupby('k').agg(**how)"),
    ("how = [('x', lambda s: s.sum() * scale)]", "new = df.groupby('k').agg(**dict(how))"),
    ("grouped = df.groupby(lambda i: i % scale)", "new = grouped.sum()"),
    (
        "class Total:\n    def __call__(self, s):\n        return s.sum() * scale",
        "new = df.groupby('k').agg({'x': Total()})",
    ),
    (
        "class Total:\n    def of(self, s):\n        return s.sum() * scale\ntotal = Total()",
        "new = df.groupby('k').x.apply(total.of)",
    ),
    (
        "class Total:\n    @staticmethod\n    def of(s):\n        return s.sum() * scale",
        "new = df.x.apply(Total.of)",
    ),
    (
        "class Enc(json.JSONEncoder):\n    def default(self, o):\n        return scale",
        "new = json.dumps({1}, cls=Enc)",
    ),
    (
        "class Enc(json.JSONEncoder):\n    def default(self, o):\n        return scale",
        "new = Enc().encode({1})",
    ),
    (
        "class Enc(json.JSONEncoder):\n    def default(self, o):\n        return scale",
        "kw = {'cls': Enc}\nnew = json.dumps({1}, **kw)",
    ),
    (
        "class A:\n    def __array__(self, *a, **k):\n        return np.ones(2) * scale\na = A()",
        "new = np.mean(a)",
    ),
    (
        "class A:\n    def __array_function__(self, *a, **k):\n        return scale\na = A()",
        "new = np.mean(a)",
    ),
    ("class A:\n    def __format__(self, spec):\n        return str(scale)\na = A()", "new = f'{a}'"),
    ("class A:\n    def __repr__(self):\n        return str(scale)\na = [A()]", "new = str(a)"),
    ("class A:\n    def __repr__(self):\n        return str(scale)\na = [A()]", "a"),
    ("class A:\n    def _ipython_display_(self):\n        print(scale)\na = A()", "a"),
    ("class A:\n    def _repr_html_(self):\n        return str(scale)\na = A()", "a"),
    (
        "class A:\n    def _repr_mimebundle_(self, **kw):\n        return {'text/plain': str(scale)}\na = A()",
        "display(a)",
    ),
    ("class A:\n    def __getattr__(self, name):\n        return scale\na = A()", "new = a.anything"),
    (
        "class A:\n    def __enter__(self):\n        return scale\n    def __exit__(self, *a):\n        pass\na = A()",
        "with a as new:\n    pass",
    ),
    (
        "class A:\n    def __missing__(self, k):\n        return scale\nclass B(A, dict):\n    pass\na = B()",
        "new = a['k']",
    ),
    (
        "import pydantic, typing\ndef kind(row):\n    return scale\nclass Batch(pydantic.BaseModel):\n    row: typing.Annotated[int | str, pydantic.Discriminator(kind)]",
        "new = Batch(row=1)",
    ),
    (
        "import pydantic, typing\ndef twice(row):\n    return scale\n@pydantic.validate_call\ndef f(row: typing.Annotated[int, pydantic.BeforeValidator(twice)]):\n    return row",
        "new = f(1)",
    ),
    ("class A:\n    def __getitem__(self, k):\n        return scale\na = A()", "new = a['k']"),
    ("class A:\n    def __iter__(self):\n        yield scale\na = A()", "new = list(a)"),
    ("class A:\n    def __iter__(self):\n        yield scale\na = A()", "new = pd.Series(a)"),
    ("class A:\n    def __lt__(self, o):\n        return scale\na = [A(), A()]", "new = sorted(a)"),
    ("class A:\n    def __hash__(self):\n        return scale\na = A()", "new = {a: 1}"),
    (
        "class A:\n    def __reduce__(self):\n        return str, (scale,)\na = A()",
        "import copy\nnew = copy.deepcopy(a)",
    ),
    ("class A:\n    @property\n    def v(self):\n        return scale\na = A()", "new = a.v"),
    ("class A:\n    v = property(lambda self: scale)\na = A()", "new = a.v"),
    (
        "class A:\n    @functools.cached_property\n    def v(self):\n        return scale\na = A()",
        "new = a.v",
    ),
    (
        "class D:\n    def __get__(self, o, t):\n        return scale\nclass A:\n    v = D()\na = A()",
        "new = a.v",
    ),
    (
        "class A:\n    @property\n    def v(self):\n        return 1\n    @v.setter\n    def v(self, value):\n        self.w = value * scale\na = A()",
        "a.v = 1",
    ),
    (
        "class A:\n    def get(self):\n        return 1\n    def put(self, value):\n        self.w = value * scale\n    v = property(get, put)\na = A()",
        "a.v = 1",
    ),
    (
        "class A:\n    @property\n    def v(self):\n        return 1\n    @v.deleter\n    def v(self):\n        self.w = scale\na = A()",
        "del a.v",
    ),
    (
        "class D:\n    def __set__(self, o, value):\n        o.w = value * scale\nclass A:\n    v = D()\na = A()",
        "a.v = 1",
    ),
    (
        "class A:\n    def __setattr__(self, name, value):\n        self.__dict__[name] = value * scale\na = A()",
        "a.v = 1",
    ),
    (
        "class A:\n    @property\n    def v(self):\n        return 1\n    @v.setter\n    def v(self, value):\n        self.w = value * scale\na = A()",
        "for a.v in items:\n    pass",
    ),
    (
        "class A:\n    @property\n    def v(self):\n        return 1\n    @v.setter\n    def v(self, value):\n        self.w = value * scale\na = A()",
        "a.v += 1",
    ),
    (
        "import traitlets\nclass A(traitlets.HasTraits):\n    v = traitlets.Int()\n    @traitlets.observe('v')\n    def moved(self, change):\n        self.w = scale\na = A()",
        "a.v = 2",
    ),
    (
        "import traitlets\nclass A(traitlets.HasTraits):\n    v = traitlets.Int()\na = A()\na.observe(lambda change: seen.append(scale), 'v')",
        "a.v = 2",
    ),
    (
        "import traitlets\nclass A(traitlets.HasTraits):\n    v = traitlets.Int()\n    def _v_default(self):\n        return scale\na = A()",
        "new = a.v",
    ),
    ("@dataclass\nclass A:\n    v: list = field(default_factory=lambda: [scale])", "new = A()"),
    (
        "def make():\n    return [scale]\n@dataclass\nclass A:\n    v: list = field(default_factory=make)",
        "new = A()",
    ),
    (
        "class Other:\n    def __init__(self):\n        self.v = scale\n@dataclass\nclass A:\n    v: Other = field(default_factory=Other)",
        "new = A()",
    ),
    (
        "@dataclass\nclass A:\n    v: int = 1\n    def __post_init__(self):\n        self.v *= scale",
        "new = A()",
    ),
    (
        "@dataclasses.dataclass\nclass A:\n    v: list = dataclasses.field(default_factory=lambda: [scale])\nmakers = [A]",
        "new = [m() for m in makers]",
    ),
    ("@functools.singledispatch\ndef show(v):\n    return scale", "new = show(1)"),
    ("@functools.lru_cache\ndef show(v):\n    return v * scale", "new = show(1)"),
    ("@functools.wraps(len)\ndef show(v):\n    return v * scale", "new = show(1)"),
    (
        "import contextlib\n@contextlib.contextmanager\ndef on():\n    yield scale",
        "with on() as new:\n    pass",
    ),
    ("import collections\nd = collections.defaultdict(lambda: scale)", "new = d['k']"),
    (
        "class M(type):\n    def __call__(cls):\n        return scale\nclass A(metaclass=M):\n    pass",
        "new = A()",
    ),
    (
        "class M(type):\n    def __iter__(cls):\n        return iter([scale])\nclass A(metaclass=M):\n    pass",
        "new = list(A)",
    ),
    (
        "class E(enum.Enum):\n    A = 1\n    @classmethod\n    def _missing_(cls, v):\n        return E(scale)",
        "new = E(5)",
    ),
    (
        "class A(abc.ABC):\n    def run(self):\n        return self.step()\nclass B(A):\n    def step(self):\n        return scale\nb = B()",
        "new = b.run()",
    ),
    (
        "@pd.api.extensions.register_dataframe_accessor('geo')\nclass Geo:\n    def __init__(self, t):\n        self.t = t\n    def total(self):\n        return self.t.x.sum() * scale",
        "new = df.geo.total()",
    ),
    (
        "class A:\n    def area(self):\n        return scale\nimport pickle\nkept = pickle.dumps(A())",
        "a = pickle.loads(kept)\nnew = a.area()",
    ),
    ("class A:\n    def area(self):\n        return scale", "a = pd.read_pickle('a.pkl')\nnew = a.area()"),
    (
        "class A:\n    def area(self):\n        return scale",
        "import joblib\nnew = joblib.load('a.bin').area()",
    ),
    ("class A:\n    def __lt__(self, other):\n        return scale\nboth = [A(), A()]", "both.sort()"),
    (
        "class A:\n    @property\n    def v(self):\n        return scale\na = A()",
        "match a:\n    case A(v=1):\n        new = 1",
    ),
    (
        "class A:\n    def __str__(self):\n        return str(scale)\ntable = pd.DataFrame({'a': [A()]})",
        "table.to_csv('a.csv')",
    ),
    (
        "fig, ax = plt.subplots()\nax.yaxis.set_major_formatter(lambda v, p: str(v * scale))",
        "fig.savefig('a.png')",
    ),
    ("plt.gca().yaxis.set_major_formatter(lambda v, p: str(v * scale))", "plt.savefig('a.png')"),
    (
        "class K:\n    def __init__(self, d):\n        self.d = d\n    def v(self):\n        return scale",
        "new = json.loads('{}', object_hook=K).v()",
    ),
    ("n = 1", "from __main__ import scale as s\nnew = s + 1"),
    ("n = 1", "from sys import modules\nnew = modules['__main__'].scale"),
    ("async def go():\n    return scale", "new = await go()"),
    ("it = (v * scale for v in items)", "new = list(it)"),
    ("it = map(lambda v: v * scale, items)", "new = pd.Series(it)"),
    (
        "def deco(f):\n    def inner(*a):\n        return f(*a) * scale\n    return inner\n@deco\ndef show(v):\n    return v",
        "new = show(1)",
    ),
    (
        "handlers = {}\ndef on(name):\n    def keep(f):\n        handlers[name] = f\n        return f\n    return keep\n@on('a')\ndef show(v):\n    return v * scale",
        "new = handlers['a'](1)",
    ),
]


@pytest.mark.parametrize(("made", "cell"), MADE_BEFORE)
def test_code_of_the_notebook_runs_however_it_is_come_by(made, cell):
    assert last("scale = 2\nseen = []", made, cell).may_read("scale")


REGISTERING = [
    (
        "registry = []\nclass Registers(type):\n    def __init__(cls, name, bases, body):\n        registry.append(name)",
        "class B(metaclass=Registers):\n    pass",
    ),
    (
        "registry = []\nclass Registers(type):\n    def __new__(mcs, name, bases, body):\n        registry.append(name)\n        return type.__new__(mcs, name, bases, body)",
        "class B(metaclass=Registers):\n    pass",
    ),
    (
        "registry = []\nclass Registers(type):\n    def __init__(cls, name, bases, body):\n        registry.append(name)\nclass A(metaclass=Registers):\n    pass",
        "class B(A):\n    pass",
    ),
    (
        "registry = []\nclass A:\n    def __init_subclass__(cls, **kw):\n        registry.append(cls)",
        "class B(A):\n    pass",
    ),
    (
        "registry = []\nclass A:\n    def __init_subclass__(cls, **kw):\n        registry.append(cls)",
        "B = type('B', (A,), {})",
    ),
    (
        "registry = []\nclass D:\n    def __set_name__(self, owner, name):\n        registry.append(name)",
        "class B:\n    v = D()",
    ),
    (
        "registry = []\nclass A:\n    def __class_getitem__(cls, key):\n        registry.append(key)\n        return cls",
        "new = A[int]",
    ),
    (
        "registry = []\ndef register(cls):\n    registry.append(cls)\n    return cls",
        "@register\nclass B:\n    pass",
    ),
    (
        "registry = []\ndef register(f):\n    registry.append(f)\n    return f",
        "@register\ndef b():\n    pass",
    ),
    ("registry = []\nclass A:\n    def __del__(self):\n        registry.append(1)\na = A()", "del a"),
]


@pytest.mark.parametrize(("made", "cell"), REGISTERING)
def test_making_classes_runs_what_their_making_runs(made, cell):
    assert last(made, cell).may_write("registry")
    assert last(made, cell, "new = list(registry)").may_read("registry")


CHANGED = [
    "np.nan_to_num(array, copy=False, nan=9)", "np.nan_to_num(array, False)", "np.nan_to_num(array, *(False,))",
    "kw = {'copy': False}\nnp.nan_to_num(array, **kw)", "flag = bool(items)\nnp.nan_to_num(array, copy=flag)",
    "np.median(array, overwrite_input=True)", "np.median(array, 0, None, True)", "np.percentile(array, 50, 0, None, True)",
    "np.add(array, 1, out=array)", "np.add(array, 1, array)", "np.add(*(array, 1, array))", "np.add(array, 1, **{'out': array})",
    "np.nan_to_num(array, copy=False)[0] = 1", "new = np.nan_to_num(array, copy=False)\nnew[0] = 1",
    "np.clip(array, 0, 1, array)", "np.cumsum(array, 0, None, array)", "np.round(array, 1, array)",
    "view = array[1:]\nview[0] = 5", "view = array.T\nview[0] = 5", "np.ravel(array)[0] = 5", "np.asarray(array)[0] = 5",
    "for v in np.split(array, 3):\n    v[0] = 1", "np.broadcast_to(array, (2, 3)).base[0] = 2", "array.view()[0] = 1",
    "array.astype(float, copy=False)[0] = 1", "np.array(array, copy=False)[0] = 1", "array.reshape(3, 1)[0] = 1",
    "np.put(array, [0], [1])", "np.copyto(array, 3)", "np.place(array, array > 0, 1)", "array.sort()", "array += 1", "np.expand_dims(array, 0)[0] = 1",
    "memoryview(array)[0] = 1", "np.lib.stride_tricks.as_strided(array, (2,), (8,))[0] = 1", "random.shuffle(array)",
]  # fmt: skip


@pytest.mark.parametrize("cell", CHANGED)
def test_arrays_are_changed_by_arguments_that_say_so(cell):
    assert last(cell).may_write("array")


@pytest.mark.parametrize(
    "cell",
    [
        "new = np.nan_to_num(array)", "new = np.nan_to_num(array, copy=True)", "new = np.median(array, overwrite_input=False)",
        "new = np.add(array, 1, out=None)", "new = np.sum(array, 0)", "new = np.clip(array, 0, 1)", "new = df.drop(columns='x', inplace=False)",
        "new = np.where(array > 1, np.nan, array)", "new = df.agg({'x': [np.mean, 'sum']})", "new = df.x.apply(np.sqrt)",
        "new = df.astype({'x': np.float64})", "new = pd.Series([np.nan, np.inf])", "np.save('a.npy', array)",
        "new = np.mean(array, dtype=np.float64)", "new = df.to_csv()",
    ],
)  # fmt: skip
def test_what_is_only_looked_at_stays_as_it_is(cell):
    footprint = last(cell)
    assert not footprint.may_write("array")
    assert not footprint.may_write("df")
    assert not footprint.may_write("#numpy.random")
    assert not footprint.may_read("items")


LOOKED_UP = [
    ("q = 'x > @limit'", "new = df.query(q)"),
    ("q = 'x > @' + name", "new = df.query(q)"),
    ("q = f'x > @{name}'", "new = df.query(q)"),
    ("q = 'x > @{}'.format(name)", "new = df.query(q)"),
    ("q = 'x > @%s' % name", "new = df.query(q)"),
    ("qs = ['x > @limit']", "new = df.query(qs[0])"),
    ("def q():\n    return 'x > @limit'", "new = df.query(q())"),
    ("q = ' and '.join(['x > @limit'])", "new = df.query(q)"),
    ("q = open('q.txt').read()", "new = df.query(expr=q)"),
    ("kw = {'expr': 'x > @limit'}", "new = df.query(**kw)"),
    ("q = 'y = x * @limit'", "new = df.eval(q)"),
    ("q = 'limit + 1'", "new = pd.eval(q)"),
    ("q = 'limit + ' + name", "new = pd.eval(q)"),
    ("q = 'limit + ' + name", "import numexpr\nnew = numexpr.evaluate(q)"),
    ("q = 'x ~ limit'", "import patsy\nnew = patsy.dmatrix(q, df)"),
    ("q = 'x ~ ' + name", "import patsy\nnew = patsy.dmatrix(q, df)"),
    ("q = 'k ~ x + limit'", "import statsmodels.formula.api as smf\nnew = smf.ols(q, data=df)"),
    ("def big(v):\n    return v > limit", "new = df.query('@big(x)')"),
    ("def big(v):\n    return v > limit\nq = '@big(x)'", "new = df.query(q)"),
    ("def find(t, q):\n    return t.query(q)", "new = find(df, 'x > @limit')"),
]


@pytest.mark.parametrize(("made", "cell"), LOOKED_UP)
def test_texts_that_are_not_known_may_name_everything(made, cell):
    assert last("limit = 1\nname = str('limit')", made, cell).may_read("limit")
