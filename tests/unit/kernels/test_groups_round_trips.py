"""What comes back from a plain snapshot as it was.

Not promised by this engine: an array and a view of it come back as two arrays with equal contents.
"""

from __future__ import annotations

import logging
import math
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from respawn_kernels.checkpoint.placeholder import NotRestored
from support.namespaces import capture, notebook, restore, round_trip, run


def test_names_that_shared_an_object_share_it_again(tmp_path: Path) -> None:
    back = round_trip("rows = [1, 2]; same = rows; left = {'r': rows}; right = {'r': rows}", tmp_path)
    assert back["same"] is back["rows"]
    assert back["left"]["r"] is back["right"]["r"] is back["rows"]


def test_frame_held_by_an_object_stays_the_same_frame(tmp_path: Path) -> None:
    back = round_trip(
        """
        import pandas as pd
        class Holder: pass
        df = pd.DataFrame({"x": range(20_000)})
        holder = Holder(); holder.v = df
        """,
        tmp_path,
    )
    assert back["holder"].v is back["df"]


def test_equal_arrays_that_were_two_stay_two(tmp_path: Path) -> None:
    back = round_trip("import numpy as np; a = np.zeros(50_000); b = a.copy(); c = a", tmp_path)
    back["a"][0] = 1
    assert back["c"] is back["a"]
    assert back["b"][0] == 0


def test_self_reference_comes_back(tmp_path: Path) -> None:
    back = round_trip("knot = []; knot.append(knot)", tmp_path)
    assert back["knot"][0] is back["knot"]


def test_the_namespace_itself_comes_back_as_the_live_one(tmp_path: Path) -> None:
    back = round_trip("here = globals(); nested = [here]", tmp_path)
    assert back["here"] is back
    assert back["nested"][0] is back


def test_function_sees_globals_that_change_after_the_restore(tmp_path: Path) -> None:
    back = round_trip("rate = 2\ndef price(x): return x * rate", tmp_path)
    assert back["price"](3) == 6
    run("rate = 10", back)
    assert back["price"](3) == 30


def test_function_that_reads_an_unpicklable_global_is_stored(tmp_path: Path) -> None:
    code = "import threading; lock = threading.Lock()\ndef hold():\n    with lock: return 1\nlock.acquire()"
    namespace = notebook(code)
    manifest = capture(namespace, tmp_path)
    back, _ = restore(manifest, tmp_path)
    assert [variable.name for variable in manifest.unstored] == ["lock"]
    with pytest.raises(NotRestored, match="lock"):
        back["hold"]()
    run("import threading; lock = threading.Lock()", back)
    assert back["hold"]() == 1


def test_functions_that_call_each_other_come_back(tmp_path: Path) -> None:
    back = round_trip(
        """
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        """,
        tmp_path,
    )
    assert back["even"](10)


def test_closure_keeps_counting(tmp_path: Path) -> None:
    back = round_trip(
        """
        def counter():
            n = 0
            def step():
                nonlocal n
                n += 1
                return n
            return step
        step = counter(); step(); step()
        """,
        tmp_path,
    )
    assert back["step"]() == 3


def test_instance_belongs_to_the_class_that_came_back(tmp_path: Path) -> None:
    back = round_trip(
        """
        from dataclasses import dataclass
        scale = 2
        @dataclass
        class Point:
            x: int
            def scaled(self): return self.x * scale
        class Child(Point):
            def scaled(self): return -super().scaled()
        point, child = Point(3), Child(4)
        """,
        tmp_path,
    )
    assert type(back["point"]) is back["Point"]
    assert isinstance(back["child"], back["Point"])
    back["scale"] = 5
    assert (back["point"].scaled(), back["child"].scaled()) == (15, -20)


def test_modules_come_back_under_their_alias(tmp_path: Path) -> None:
    back = round_trip("import math as m; import numpy.linalg as la; from math import pi", tmp_path)
    assert back["m"] is math
    assert back["la"] is np.linalg
    assert back["pi"] == math.pi


@pytest.mark.parametrize("size", [10, 1_000_000], ids=["in the stream", "a blob of its own"])
def test_restored_array_is_writable_and_its_blob_unchanged(tmp_path: Path, size: int) -> None:
    manifest = capture(notebook(f"import numpy as np; a = np.arange({size})"), tmp_path)
    first, _ = restore(manifest, tmp_path)
    first["a"][0] = 99
    second, _ = restore(manifest, tmp_path)
    assert (first["a"][0], second["a"][0]) == (99, 0)


def test_restored_arrays_keep_no_files_open(tmp_path: Path) -> None:
    namespace = notebook("import numpy as np; many = [np.full(8192, i) for i in range(50)]")
    manifest = capture(namespace, tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    back, _ = restore(manifest, tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert back["many"][49][0] == 49


def test_array_that_was_read_only_stays_so(tmp_path: Path) -> None:
    back = round_trip("import numpy as np; a = np.zeros(100_000); a.flags.writeable = False", tmp_path)
    assert not back["a"].flags.writeable


def test_arrays_of_every_layout_come_back(tmp_path: Path) -> None:
    back = round_trip(
        """
        import numpy as np
        base = np.arange(90_000.0).reshape(300, 300)
        fortran, strided, empty = np.asfortranarray(base), base[::2, ::3], np.empty((0, 4))
        objects = np.array([{"a": 1}, None], dtype=object)
        """,
        tmp_path,
    )
    assert back["fortran"].flags.f_contiguous
    np.testing.assert_array_equal(back["strided"], back["base"][::2, ::3])
    assert back["empty"].shape == (0, 4)
    assert back["objects"][0] == {"a": 1}


def test_frame_comes_back_and_can_be_changed(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import pandas as pd
        df = pd.DataFrame({"n": range(40_000), "s": ["x", "y"] * 20_000},
                          index=pd.date_range("2026-01-01", periods=40_000, freq="h"))
        """
    )
    back, _ = restore(capture(namespace, tmp_path), tmp_path)
    pd.testing.assert_frame_equal(back["df"], namespace["df"])
    back["df"].iloc[0, 0] = -1
    assert back["df"].n.iloc[0] == -1


def test_flags_that_a_name_holds_are_those_of_their_table(tmp_path: Path) -> None:
    code = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\ns = df['a']"
    code += "\nflags, others = df.flags, s.flags"
    restored = round_trip(code, tmp_path)
    assert restored["flags"] is restored["df"].flags
    assert restored["others"] is restored["s"].flags
    restored["flags"].allows_duplicate_labels = False
    with pytest.raises(ValueError, match="Index has duplicates"):
        restored["df"].rename(index={0: 1})


def test_random_draws_go_on_where_they_stopped(tmp_path: Path) -> None:
    namespace = notebook("import random; import numpy as np; random.seed(1); np.random.seed(2)")
    manifest = capture(namespace, tmp_path)
    expected = (random.random(), np.random.random())
    restore(manifest, tmp_path)
    assert (random.random(), np.random.random()) == expected


def test_loggers_and_standard_output_are_those_of_this_process(tmp_path: Path) -> None:
    back = round_trip("import logging, sys; log = logging.getLogger('a.b'); out = sys.stderr", tmp_path)
    assert back["log"] is logging.getLogger("a.b")
    assert back["out"] is sys.stderr


def test_restore_keeps_the_builtins_of_the_namespace(tmp_path: Path) -> None:
    manifest = capture(notebook("def f(): return len([])"), tmp_path)
    import builtins

    from respawn_kernels.restore.restore import restore_now

    namespace = {"__name__": "__main__", "__builtins__": builtins}
    restore_now(manifest, tmp_path, namespace, None)
    assert namespace["__builtins__"] is builtins
    assert namespace["f"]() == 0  # type: ignore[operator]


def test_directory_and_import_path_are_those_of_the_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    here.mkdir()
    library.mkdir()
    (library / "helper_of_the_notebook.py").write_text("def triple(x): return 3 * x\n")
    monkeypatch.chdir(here)
    with monkeypatch.context() as there:
        there.syspath_prepend(str(library))
        namespace = notebook("from helper_of_the_notebook import triple")
        manifest = capture(namespace, tmp_path)
    del sys.modules["helper_of_the_notebook"]
    monkeypatch.chdir(tmp_path)
    back, report = restore(manifest, tmp_path)
    assert back["triple"](2) == 6
    assert Path.cwd() == here
    assert report.cwd == str(here)
    assert sys.path[0] == str(library)


def test_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    manifest = capture(notebook("a = 1"), tmp_path)
    monkeypatch.chdir(tmp_path)
    here.rmdir()
    _, report = restore(manifest, tmp_path)
    assert report.cwd is None
    assert Path.cwd() == tmp_path


def test_constructor_of_the_notebook_finds_what_the_notebook_imported(tmp_path: Path) -> None:
    namespace = round_trip(
        """
        import fractions
        class Point(fractions.Fraction):
            def __reduce__(self):
                return (load, ())
        def load():
            made = Point()
            made.root = math.sqrt(4)
            return made
        point = load
        import math
        point = Point()
        """,
        tmp_path,
    )
    assert namespace["point"].root == 2


@pytest.mark.parametrize(
    "history",
    [
        "s = set(range(8)); first = s.pop(); s.add(first)",
        "s = set(range(1000)); [s.discard(n) for n in range(1000) if n not in (3, 8, 900)]",
        "s = set(range(1000)); [s.discard(n) for n in range(2, 1000)]",
        "s = set(range(40)); [s.pop() for _ in range(40)]",
        "s = set(range(40)); [s.pop() for _ in range(39)]",
        "s = set(set(range(100)))",
        "s = {0, 8, 16}; s.discard(8)",
    ],
)
def test_set_goes_on_as_it_would_have(history: str, tmp_path: Path) -> None:
    def on(one: set[int]) -> list[int]:
        one |= {32, 8, 0, 1, 1024}
        return [*one, *(one.pop() for _ in range(3))]

    there: dict[str, Any] = {}
    exec(history, there)
    assert on(round_trip(history, tmp_path)["s"]) == on(there["s"])


EMPTY = """
class Places:
    __slots__ = ("_parent",)
    def __init__(self, parent):
        self._parent = parent
    def __getattr__(self, name):
        return self._parent[name]

class Curve:
    def __new__(cls, mu=None):
        return super().__new__(Flat if mu is None else cls)
    def __init__(self, mu=None):
        self.mu = mu

class Flat(Curve):
    pass

class Sized:
    __slots__ = ("size",)
    def __new__(cls, size):
        made = super().__new__(cls)
        made.size = size
        return made
"""


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("Places({'a': 1})", "(type(made).__name__, made.a)"),
        ("Curve(2.0)", "(type(made).__name__, made.mu)"),
        ("Curve()", "(type(made).__name__, made.mu)"),
        ("Sized(3)", "(type(made).__name__, made.size)"),
    ],
)
def test_an_object_of_a_library_comes_back_past_what_its_class_does_with_an_empty_one(
    made: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "empty_ones.py").write_text(EMPTY)
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.delitem(sys.modules, "empty_ones", raising=False)
    code = f"from empty_ones import Curve, Places, Sized\nmade = {made}\ntold = {told}"
    back = round_trip(code, tmp_path)
    assert eval(told, back) == back["told"]


def test_a_class_that_sqlalchemy_maps_is_named_and_not_restored_as_a_shell(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import sqlalchemy as sa
        from sqlalchemy import orm
        class Base(orm.DeclarativeBase): pass
        class Trade(Base):
            __tablename__ = 'trades'
            id = orm.mapped_column(sa.Integer, primary_key=True)
        row = Trade(id=7)
        """
    )
    assert {one.name for one in capture(namespace, tmp_path).unstored} == {"Base", "Trade", "row"}


def test_a_stamp_of_the_second_of_two_hours_of_one_name_stays_that(tmp_path: Path) -> None:
    back = round_trip(
        """
        import datetime
        import pandas as pd
        hour = datetime.datetime(2024, 10, 27, 2, 30, fold=1)
        second, first = pd.Timestamp(hour), pd.Timestamp(hour.replace(fold=0))
        zoned = pd.Timestamp(hour, tz="Europe/Berlin")
        """,
        tmp_path,
    )
    assert [back[name].fold for name in ("second", "first", "zoned")] == [1, 0, 1]
    assert back["zoned"].utcoffset().total_seconds() == 3600
