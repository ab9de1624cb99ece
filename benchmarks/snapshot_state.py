"""The state that bench_snapshot.py stores and brings back, and the cells after it, as a notebook's code."""

from __future__ import annotations

STATE = """
import numpy as np, pandas as pd
from sklearn.ensemble import RandomForestClassifier
random = np.random.default_rng(0)
big = random.random({floats})
rows = {rows}
names = np.array(['customer-%06d' % n for n in range(50_000)], dtype=object)
towns = np.array(['the town of number %d' % n for n in range(500)], dtype=object)
df = pd.DataFrame({{
    'id': np.arange(rows), 'price': random.random(rows), 'ts': pd.date_range('2026', periods=rows, freq='s'),
    'name': pd.Series(names[random.integers(0, 50_000, rows)], dtype={text!r}),
    'town': pd.Series(towns[random.integers(0, 500, rows)], dtype={text!r}),
}})
del names, towns
X = random.random((2_000, 8))
forest = RandomForestClassifier(100, random_state=0, n_jobs=1).fit(X, X[:, 0] > 0.5)
lists = {{'k%d' % n: [n, n + 1, str(n)] for n in range({lists})}}
view = big[1_000:2_000_000]
shared = [1, 2]
first, second = {{'it': shared}}, {{'it': shared}}
class Holder:
    pass
obj = Holder()
obj.v = df
def make():
    count = 0
    def step():
        nonlocal count
        count += 1
        return count
    return step
step = make()
small = {{'answer': 42}}
"""
"""1 GB of random floats, a frame of 5M rows with two text columns, a forest, 100,000 lists, aliases."""

CHANGE = "big[0] = 1"
CELLS = [
    "1 + 1",
    CHANGE,
    "lists['k0'].append(1)",
    "df.loc[0, 'price'] = 2.5",
    "shared.append(3)",
    "step()",
    "obj.extra = [1, 2]",
    "view[10] = 7",
    "notes = ['a'] * 100",
    "summary = df['price'].describe()",
    "big[1_000_000:1_010_000] *= 2",
    "predicted = forest.predict(X[:100])",
    "small['answer'] += 1",
    "top = df.nlargest(10, 'price')",
    "del notes",
]
"""What is done to it, cell by cell."""

IMPORTS = "import numpy, pandas, pyarrow, sklearn.ensemble"
"""What takes its time in a fresh process whoever restores; a row tells of processes that have it."""
SMALL = "small['answer']"
ALL = "(float(big.sum()), len(lists), len(df))"

ARRAY = """
import numpy as np
big = np.random.default_rng(0).random({floats})
small = {{'answer': 42}}
"""
ARRAY_ALL = "float(big.sum())"

MANY = """
for number in range({count}):
    globals()['v%d' % number] = [number, str(number), {{'k': number}}]
del number
small = {{'answer': 42}}
"""
MANY_CHANGE = "v0.append(1)"
MANY_ALL = "len(globals())"


def state(scale: float, text: str) -> str:
    """Return the code that makes the state.

    Args:
        scale: 1 for the full size.
        text: `arrow` or `object`, how the frame holds its texts.
    """
    return STATE.format(
        floats=int(125_000_000 * scale),
        rows=int(5_000_000 * scale),
        lists=int(100_000 * scale),
        text={"arrow": "str", "object": object.__name__}[text],
    )
