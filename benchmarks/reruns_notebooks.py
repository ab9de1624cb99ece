"""Small notebooks, each with an edit of one cell, for `bench_reruns.py`.

Half of them are of the kind that people write; the others are made so that a cell depends on another in a way
that is easy to miss.
"""

# ruff: noqa: E501  a notebook is one entry of the table

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """A notebook whose last cell fails, and what is edited before it is resumed."""

    name: str
    cells: tuple[str, ...]
    place: int
    """Which cell is edited."""
    source: str
    """What it then is."""
    ordinary: bool
    """Whether it is of the kind that people write."""


_TABLE = "import numpy as np\nimport pandas as pd\ndf = pd.DataFrame({'k': list('aabb'), 'x': [1, 2, 3, 4]})"


def _ordinary(name: str, place: int, source: str, *cells: str) -> Edit:
    return Edit(name, cells, place, source, ordinary=True)


def _hidden(name: str, source: str, *cells: str) -> Edit:
    """Return one whose second cell is edited, followed by what depends on it and what does not."""
    return Edit(name, (*cells, "apart = [1, 2, 3]", "total = sum(apart)"), 1, source, ordinary=False)


ORDINARY = [
    _ordinary("another column", 2, "df['z'] = df.x * 3", _TABLE, "limit = 2", "df['z'] = df.x * 2",
              "small = df[df.x < limit]", "means = df.groupby('k').z.mean()", "n = len(small)"),
    _ordinary("another limit", 1, "limit = 3", _TABLE, "limit = 2", "small = df[df.x < limit]",
              "means = df.groupby('k').x.mean()", "n = len(small)", "top = means.max()"),
    _ordinary("a cell that only prints", 3, "print(df.head(2))", _TABLE, "clean = df.dropna()",
              "means = clean.groupby('k').x.mean()", "print(df.head())", "top = means.max()", "wide = df.assign(y=1)"),
    _ordinary("a function", 1, "def scaled(v):\n    return v * 3", _TABLE, "def scaled(v):\n    return v * 2",
              "apart = df.x.sum()", "y = df.x.apply(scaled)", "n = y.sum()", "names = sorted(set(df.k))"),
    _ordinary("a function of one branch", 2, "def late(v):\n    return -v", _TABLE, "def early(v):\n    return v",
              "def late(v):\n    return v", "y = df.x.map(early)", "z = df.x.map(late)", "n = y.sum()", "m = z.sum()"),
    _ordinary("a setting at the top", 1, "pd.set_option('display.max_rows', 20)", _TABLE,
              "pd.set_option('display.max_rows', 10)", "settings = {'a': 1}", "n = settings['a'] + 1", "x = df.x.sum()"),
    _ordinary("a model", 2, "weights = np.linalg.lstsq(a, b * 2, rcond=None)[0]", _TABLE,
              "a = np.eye(3)\nb = np.arange(3.0)", "weights = np.linalg.lstsq(a, b, rcond=None)[0]",
              "predicted = a @ weights", "error = float(np.abs(predicted - b).mean())", "means = df.groupby('k').x.mean()"),
    _ordinary("a loop that collects", 1, "found = []\nfor v in df.x:\n    found.append(v * 2)", _TABLE,
              "found = []\nfor v in df.x:\n    found.append(v)", "n = len(found)", "counts = df.k.value_counts()", "top = counts.max()"),
    _ordinary("a merge", 1, "right = pd.DataFrame({'k': ['a', 'b'], 'w': [5, 6]})", _TABLE,
              "right = pd.DataFrame({'k': ['a', 'b'], 'w': [1, 2]})", "both = df.merge(right, on='k')",
              "w = both.w.sum()", "x = df.x.sum()", "means = df.groupby('k').x.mean()"),
    _ordinary("a plot", 2, "fig, ax = plt.subplots()\nax.plot(df.x * 2)\nplt.close(fig)",
              f"{_TABLE}\nimport matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt", "means = df.groupby('k').x.mean()",
              "fig, ax = plt.subplots()\nax.plot(df.x)\nplt.close(fig)", "top = means.max()", "n = len(df)"),
    _ordinary("a class", 1, "class Scaler:\n    def __init__(self, by):\n        self.by = by\n    def apply(self, v):\n        return v * self.by + 1",
              _TABLE, "class Scaler:\n    def __init__(self, by):\n        self.by = by\n    def apply(self, v):\n        return v * self.by",
              "scaler = Scaler(2)", "y = scaler.apply(3)", "x = df.x.sum()", "means = df.groupby('k').x.mean()"),
    _ordinary("an object in use", 3, "y = scaler.apply(5)", _TABLE,
              "class Scaler:\n    def __init__(self, by):\n        self.by = by\n    def apply(self, v):\n        return v * self.by",
              "scaler = Scaler(2)", "y = scaler.apply(3)", "z = scaler.apply(1)", "x = df.x.sum()"),
    _ordinary("text", 1, "words = 'a few more words'.split()", "import re, collections", "words = 'a few words'.split()",
              "counts = collections.Counter(words)", "top = counts.most_common(1)", "pattern = re.compile('a+')", "n = len(pattern.findall('banana'))"),
    _ordinary("dates", 1, "first = datetime.date(2024, 2, 1)", "import datetime", "first = datetime.date(2024, 1, 1)",
              "last = first + datetime.timedelta(days=30)", "shown = last.isoformat()", "other = datetime.date(2020, 1, 1)", "year = other.year"),
    _ordinary("files of its own", 2, "df[df.x > 2].to_csv('large.csv')", _TABLE, "df[df.x < 2].to_csv('small.csv')",
              "df[df.x > 1].to_csv('large.csv')", "small = pd.read_csv('small.csv')", "large = pd.read_csv('large.csv')", "n = len(small)", "m = len(large)"),
    _ordinary("an output directory", 2, "df.assign(y=1).to_csv('out/a.csv')", _TABLE, "import os\nos.makedirs('out', exist_ok=True)",
              "df.to_csv('out/a.csv')", "means = df.groupby('k').x.mean()", "means.to_csv('out/b.csv')", "top = means.max()"),
    _ordinary("seeded random numbers", 3, "sample = rng.permutation(4)[:3]", _TABLE, "rng = np.random.default_rng(1)", "x = df.x.sum()",
              "sample = rng.permutation(4)[:2]", "chosen = df.iloc[sample]", "means = df.groupby('k').x.mean()"),
    _ordinary("global random numbers", 2, "noise = np.random.normal(size=3) * 2", _TABLE, "np.random.seed(1)", "noise = np.random.normal(size=3)",
              "means = df.groupby('k').x.mean()", "top = means.max()", "spread = noise.std()"),
    _ordinary("warnings at the top", 1, "warnings.filterwarnings('ignore', category=FutureWarning)", f"{_TABLE}\nimport warnings",
              "warnings.filterwarnings('ignore')", "settings = {'a': [1]}", "settings['a'].append(2)", "n = len(settings['a'])"),
    _ordinary("a query", 1, "limit = 3", _TABLE, "limit = 2", "small = df.query('x < @limit')", "n = len(small)", "means = df.groupby('k').x.mean()", "top = means.max()"),
    _ordinary("an aggregation by name", 2, "stats = df.groupby('k').agg(low=('x', 'min'))", _TABLE, "clean = df.dropna()",
              "stats = df.groupby('k').agg(low=('x', 'min'), high=('x', 'max'))", "n = len(stats)", "m = len(clean)", "w = clean.x.sum()"),
    _ordinary("an aggregation by functions", 1, "def spread(s):\n    return s.max() - s.min() + 1", _TABLE, "def spread(s):\n    return s.max() - s.min()",
              "stats = df.groupby('k').agg({'x': [spread, 'sum']})", "n = stats.shape", "m = df.x.sum()", "w = df.k.nunique()"),
    _ordinary("configuration in a dict", 1, "config = {'rate': 3, 'name': 'b'}", _TABLE, "config = {'rate': 2, 'name': 'b'}",
              "y = df.x * config['rate']", "z = df.x.sum()", "title = config['name'].upper()", "w = df.k.nunique()"),
    _ordinary("comprehensions", 1, "squares = [v ** 3 for v in range(5)]", "import math", "squares = [v ** 2 for v in range(5)]",
              "roots = [math.sqrt(v) for v in squares]", "evens = [v for v in range(10) if v % 2 == 0]", "total = sum(evens)", "top = max(roots)"),
    _ordinary("magics", 1, "!true\nlimit = 3", _TABLE, "!true\nlimit = 2", "small = df[df.x < limit]", "n = len(small)", "means = df.groupby('k').x.mean()", "!true\ntop = means.max()"),
]  # fmt: skip

HIDDEN = [
    _hidden("a lambda in a tuple", "scale = 10", _TABLE, "scale = 2", "stats = df.groupby('k').agg(t=('x', lambda s: s.sum() * scale))"),
    _hidden("a random function in a dict", "np.random.seed(1)", _TABLE, "np.random.seed(0)", "n = {'n': np.random.normal}['n']()"),
    _hidden("the precision of decimal", "getcontext().prec = 10", "from decimal import Decimal, getcontext", "getcontext().prec = 6", "third = Decimal(1) / 3"),
    _hidden("changed in place by an argument", "np.nan_to_num(a, copy=False, nan=9)", "import numpy as np\na = np.array([1.0, np.nan])", "np.nan_to_num(a, copy=False, nan=7)", "b = a * 2"),
    _hidden("a query in a variable", "limit = 2", _TABLE, "limit = 1", "q = 'x > @limit'\nlarge = df.query(q)"),
    _hidden("a property's setter", "scale = 5", "class A:\n    @property\n    def v(self):\n        return 1\n    @v.setter\n    def v(self, value):\n        self.w = value * scale\na = A()", "scale = 2", "a.v = 3"),
    _hidden("a registering metaclass", "class C(metaclass=Registers):\n    pass", "registry = []\nclass Registers(type):\n    def __init__(cls, name, bases, body):\n        registry.append(name)", "class B(metaclass=Registers):\n    pass", "names = list(registry)"),
    _hidden("a default factory", "base = 2", "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    v: list = field(default_factory=lambda: [base])", "base = 1", "a = A()"),
    _hidden("an encoder", "scale = 3", "import json\nclass Enc(json.JSONEncoder):\n    def default(self, o):\n        return scale", "scale = 2", "text = json.dumps({1}, cls=Enc)"),
    _hidden("the current figure", "plt.plot([1, 2])\nplt.plot([1, 3])", "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt", "plt.plot([1, 2])", "n = len(plt.gca().lines)"),
    _hidden("a question mark in a text", "limit = 2", "pass", "limit = 1", "!true\ntext = f'''\n{limit}?'''"),
    _hidden("what cells show", "%config InteractiveShell.ast_node_interactivity = 'all'", "pass", "%config InteractiveShell.ast_node_interactivity = 'last_expr'", "1\n2"),
    _hidden("the first day of the week", "calendar.setfirstweekday(6)", "import calendar", "calendar.setfirstweekday(0)", "header = calendar.weekheader(3)"),
    _hidden("a directory", "os.makedirs('d/one', exist_ok=True)\nos.makedirs('d/two', exist_ok=True)", "import os", "os.makedirs('d/one', exist_ok=True)", "names = sorted(os.listdir('d'))"),
    _hidden("a file", "open('a.txt', 'w').write('two')", "from pathlib import Path", "open('a.txt', 'w').write('one')", "text = Path('a.txt').read_text()"),
    _hidden("NumPy's errors", "np.seterr(divide='ignore')", "import numpy as np\nzero = np.zeros(2)", "np.seterr(divide='raise')", "try:\n    one = 1 / zero\nexcept FloatingPointError:\n    one = None"),
    _hidden("the environment", "os.environ['RESPAWN_BENCH'] = 'b'", "import os", "os.environ['RESPAWN_BENCH'] = 'a'", "got = os.environ['RESPAWN_BENCH']"),
    _hidden("a dialect", "csv.register_dialect('d', delimiter=',')", "import csv", "csv.register_dialect('d', delimiter=';')", "rows = list(csv.reader(['a;b,c'], 'd'))"),
    _hidden("a method of a descriptor", "scale = 3", "class D:\n    def __get__(self, o, t):\n        return scale\nclass A:\n    v = D()\na = A()", "scale = 2", "got = a.v"),
    _hidden("a subclass hook", "class C(A):\n    pass", "registry = []\nclass A:\n    def __init_subclass__(cls, **kw):\n        registry.append(cls.__name__)", "class B(A):\n    pass", "names = list(registry)"),
    _hidden("a patched class", "pd.DataFrame.total = lambda t: t.x.sum() * 2", _TABLE, "pd.DataFrame.total = lambda t: t.x.sum()", "total_of_x = df.total()"),
    _hidden("an accessor", "scale = 3", f"{_TABLE}\n@pd.api.extensions.register_dataframe_accessor('geo')\nclass Geo:\n    def __init__(self, t):\n        self.t = t\n    def total(self):\n        return self.t.x.sum() * scale", "scale = 2", "got = df.geo.total()"),
    _hidden("a view", "view[0] = 9.0", "import numpy as np\na = np.zeros(3)\nview = a[1:]", "view[0] = 5.0", "n = a.sum()"),
]  # fmt: skip

EDITS = [*ORDINARY, *HIDDEN]
