"""Whether somebody else refers to an object of a group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.checkpoints import Notebook, main_module


def _is_owned(made: str, tmp_path: Path) -> bool:
    """Return whether the group of `x` is known to be nobody else's."""
    with main_module() as namespace:
        book = Notebook(namespace, tmp_path)
        book.run(made)
        manifest = book.checkpoint()
    [place] = [variable.group for variable in manifest.variables if variable.name == "x"]
    owned: list[bool] = json.loads((tmp_path / "baselines" / "0.json").read_bytes())["owned"]
    return owned[place or 0]


OWNED = [
    "x = [1, [2], {'a': (3, [4])}]",
    "x = {i: [i] for i in range(1000)}",
    "x = y = [1]",
    "x = []; x.append(x)",
    "class C:\n    def __init__(self): self.v = [1]\nx = C()",
    "import collections; x = collections.OrderedDict(a=collections.deque([[1]]))",
    "import numpy as np; x = np.ones(50_000); v = x[5:]",
    "def make():\n    n = [1]\n    return lambda: n\nx = make()",
    "import types; x = types.SimpleNamespace(v=[1])",
]
FRAMES = "import numpy as np, pandas as pd\n"
OWNED += [
    FRAMES + "x = pd.DataFrame({'a': np.arange(9000.0), 'b': 1}); x['c'] = x.a * 2; x = x[x.a > 5]",
    FRAMES + "x = pd.DataFrame({'t': pd.Series([str(n) for n in range(5000)], dtype=object)})",
    FRAMES + "x = pd.Series(np.arange(9000.0), index=np.arange(9000) * 2)",
    FRAMES
    + "x = pd.DataFrame({'k': pd.Categorical(['a', 'b'] * 3000), 'd': pd.date_range('2026', periods=6000)})",
]
OPEN = [
    FRAMES + "import json; x = pd.DataFrame({'a': np.arange(9000.0)}); json.kept = x.a.to_numpy()",
    FRAMES + "import json; x = pd.Series(np.arange(9000.0)); json.kept = x",
    "import json; x = [1]; json.kept = x",
    "import json; x = {'a': [1]}; json.kept = x['a']",
    "x = [1]; it = iter(x)",
    "x = [1]; gen = (i for i in [x])",
    "import numpy as np, json; x = np.ones(50_000); json.kept = x[5:]",
    "import numpy as np, json; x = np.ones(50_000); json.kept = memoryview(x)",
    "class C: pass\nx = C(); x.v = [1]; import json; json.kept = x.v",
    "class C: pass\nx = C(); x.v = [1]; import json; json.kept = vars(x)",
    "class C: pass\nx = C(); x.v = [1]; y = vars(x); import json; json.kept = y; del y",
    "import random; x = random.Random(1)",
    "import io; x = io.BytesIO(b'1')",
]


@pytest.fixture(autouse=True)
def forget() -> Any:
    yield
    vars(json).pop("kept", None)


@pytest.mark.parametrize("made", OWNED)
def test_group_that_only_its_names_refer_to_is_exclusively_owned(made: str, tmp_path: Path) -> None:
    assert _is_owned(made, tmp_path)


@pytest.mark.parametrize("made", OPEN)
def test_group_that_somebody_else_may_change_is_not_exclusively_owned(made: str, tmp_path: Path) -> None:
    assert not _is_owned(made, tmp_path)
