"""Attributes that a class leaves out when it stores its objects come back, or are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.checkpoints import Notebook, bring_back, in_a_child, main_module, run

MAKERS = {
    "DataFrame": "import pandas as pd\nx = pd.DataFrame({'a': [1]})",
    "Series": "import pandas as pd\nx = pd.Series([1])",
    "Index": "import pandas as pd\nx = pd.Index([1, 2])",
    "Index of text": "import pandas as pd\nx = pd.Index(['a', 'b'])",
    "MultiIndex": "import pandas as pd\nx = pd.MultiIndex.from_tuples([(1, 2)])",
    "Random": "import random\nx = random.Random(3)",
    "Session": "import requests\nx = requests.Session()",
    "Response": "import requests\nx = requests.Response(); x._content = b'abc'; x.url = 'u'",
    "Image": "from PIL import Image\nx = Image.new('RGB', (4, 3))",
    "a class of the notebook": (
        "import fractions\n"
        "class Half(fractions.Fraction):\n"
        "    __slots__ = ('__dict__',)\n"
        "    def __reduce__(self): return type(self), (1, 2)\n"
        "x = Half(1, 2)"
    ),
}
NOTE = "import warnings\nwarnings.simplefilter('ignore')\nnote = {'from': ['crm']}\n"


def taken(directory: Path, code: str, cell: str = "", *, forked: bool = True) -> Manifest:
    with main_module() as namespace:
        notebook = Notebook(namespace, directory)
        notebook.run(code)
        in_a_child(lambda: notebook.checkpoint(forked=forked, seconds=120))
        if cell:
            notebook.stored()
            notebook.run(cell)
            in_a_child(lambda: notebook.checkpoint(forked=True, seconds=120))
        return notebook.stored()


def back(directory: Path, cell: int = 0) -> dict[str, Any]:
    with main_module() as namespace:
        assert not bring_back(directory, cell, namespace)
        return namespace


@pytest.mark.long
@pytest.mark.parametrize("kind", MAKERS)
def test_attributes_that_a_notebook_gave_come_back_and_share_what_they_shared(
    tmp_path: Path, kind: str
) -> None:
    code = f"{NOTE}{MAKERS[kind]}\nx.source = 'crm'\nx.note = note\nx._mine = note['from']\nsame = x"
    manifest = taken(tmp_path, code, "note['from'].append('web')")
    assert not manifest.unstored
    assert not manifest.unchecked()
    found = back(tmp_path, 1)
    assert found["x"].source == "crm"
    assert found["x"].note is found["note"]
    assert found["x"]._mine is found["note"]["from"]
    assert found["note"] == {"from": ["crm", "web"]}
    assert found["same"] is found["x"]


BASES = {
    "datetime.datetime": "(2026, 5, 1)",
    "datetime.timedelta": "(days=1)",
    "decimal.Decimal": "('1.5')",
    "fractions.Fraction": "(1, 2)",
    "collections.Counter": "('aab')",
    "collections.defaultdict": "(list)",
    "collections.OrderedDict": "(a=1)",
    "collections.deque": "([1])",
    "random.Random": "(3)",
    "pathlib.PurePosixPath": "('/a')",
    "ipaddress.IPv4Address": "('127.0.0.1')",
    "itertools.count": "(3)",
    "functools.partial": "(int, '3')",
    "array.array": "('i', [1])",
    "builtins.int": "(3)",
    "builtins.set": "([1])",
    "requests.Session": "()",
}


@pytest.mark.parametrize("forked", [True, False], ids=["compared", "without a fork"])
@pytest.mark.parametrize("base", BASES)
def test_attributes_of_what_the_notebook_derives_come_back(tmp_path: Path, base: str, forked: bool) -> None:
    code = f"import {base.partition('.')[0]}\nclass Own({base}): pass\nx = Own{BASES[base]}\n"
    given = "x.source = note['from']\nx._mine = {1: note}\nx.kept = None"
    manifest = taken(tmp_path, f"{NOTE}{code}{given}", forked=forked)
    assert not manifest.unstored
    found = back(tmp_path)
    x, note = found["x"], found["note"]
    assert type(x) is found["Own"]
    assert x.source is note["from"]
    assert x._mine[1] is note
    assert x.kept is None


def test_what_the_notebooks_own_methods_leave_out_stays_out_without_a_fork(tmp_path: Path) -> None:
    code = """
import threading, datetime
class Day(datetime.date):
    def __reduce__(self): return day, (self.year,)
def day(year):
    made = Day(year, 1, 1)
    made.lock = threading.Lock()
    return made
x = day(2026)
"""
    assert not taken(tmp_path, code, forked=False).unstored
    assert back(tmp_path)["x"].lock.acquire(blocking=False)


@pytest.mark.parametrize("kind", MAKERS)
def test_an_attribute_that_cannot_be_stored_is_named(tmp_path: Path, kind: str) -> None:
    manifest = taken(tmp_path, f"{NOTE}{MAKERS[kind]}\nx.opened = open('/dev/null')\nrows = [1]")
    told = {name: why for why, names in manifest.unchecked().items() for name in names}
    told |= {one.name: one.reason for one in manifest.unstored}
    assert told.keys() == {"x"}
    assert "comes back without opened" in told["x"]


def test_an_object_of_a_file_has_what_its_methods_ask_for(tmp_path: Path) -> None:
    code = """
import io
from PIL import Image
file = io.BytesIO()
Image.new('RGB', (4, 3), 'red').save(file, 'PNG')
file.seek(0)
image = Image.open(file)
image.load()
del file
"""
    assert not taken(tmp_path, code).unchecked()
    found = back(tmp_path)
    run("told = image.get_format_mimetype(), image.text, image.is_animated", found)
    assert found["told"] == ("image/png", {}, False)


def test_what_a_class_computes_anew_is_not_missed(tmp_path: Path) -> None:
    code = """
import functools, types, sys
module = types.ModuleType("shapes")
exec('''
import functools, threading
class Shape:
    def __init__(self, side): self.side = side; self._lock = threading.Lock()
    def __getstate__(self): return {"side": self.side}
    def __setstate__(self, state): self.side = state["side"]
    def use(self):
        with self._lock: return self.area
    @functools.cached_property
    def area(self): return [self.side ** 2]
''', vars(module))
sys.modules["shapes"] = module
shape = module.Shape(3)
shape.area
del module
"""
    manifest = taken(tmp_path, code)
    assert not manifest.unstored
    assert not manifest.unchecked()
    assert "area" not in vars(back(tmp_path)["shape"])


def test_what_is_written_anew_after_the_last_check_says_that_it_was_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_kernels.capture.group_check._ROUNDS", 1)
    manifest = taken(tmp_path, f"{NOTE}{MAKERS['DataFrame']}\nx.source = 'crm'")
    assert manifest.unchecked() == {"it was written again after each of 1 checks": ["x"]}
