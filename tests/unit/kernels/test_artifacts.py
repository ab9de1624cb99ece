"""What `respawn.save` keeps, `respawn.load` gives back: equal, of the same type, and the latest."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import respawn
from respawn_kernels.artifacts import api
from respawn_kernels.artifacts.kinds import writing_of
from respawn_kernels.exchange.artifact_records import ArtifactError, ArtifactNotFound, ArtifactRecord, Shelf


@pytest.fixture(autouse=True)
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A session outside of any run."""
    shelf = Shelf(tmp_path / "session").make()
    monkeypatch.setattr(api, "_place", api._Place(shelf, served=False))
    return shelf


def kept(value: Any) -> tuple[str, Any]:
    """How a value is kept, and what comes back."""
    return respawn.save("it", value).kind, respawn.load("it")


TABLES = [
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}),
    pd.DataFrame({"o": pd.Series(["x", None], dtype=object), "n": pd.Series(["x", np.nan], dtype=object)}),
    pd.DataFrame({"v": [1.5, np.nan]}, index=pd.date_range("2026-01-01", periods=2, freq="h", name="at")),
    pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])),
    pd.DataFrame(
        {"i": pd.array([1, None], dtype="Int64"), "z": pd.to_datetime(["2026-01-01", None], utc=True)}
    ),
    pd.DataFrame({("a", "b"): [1]}),
    pd.DataFrame({"empty": pd.Series([], dtype="float32")}),
]
ODD_TABLES = [
    pd.DataFrame({"mixed": [1, "a"]}),
    pd.DataFrame([[1, 2]], columns=["twice", "twice"]),
    pd.DataFrame({"late": ["x"] * 9 + [3]}),
    pd.DataFrame({"both": pd.Series(["x", None, np.nan], dtype=object)}),
    pd.DataFrame({"date": [date(2026, 1, 1)]}),
    pd.DataFrame({"complex": [1j]}),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: "-".join(map(str, table.columns)))
def test_pandas_tables_become_parquet_with_their_index_and_types(table: pd.DataFrame) -> None:
    kind, back = kept(table)
    assert kind == "parquet"
    pd.testing.assert_frame_equal(back, table, check_exact=True)
    for name in [name for name, kind in table.dtypes.items() if str(kind) == "object"]:
        assert [type(value) for value in back[name]] == [type(value) for value in table[name]]


@pytest.mark.parametrize("table", ODD_TABLES, ids=lambda table: str(table.columns[0]))
def test_tables_that_parquet_would_change_are_pickled(table: pd.DataFrame) -> None:
    kind, back = kept(table)
    assert kind == "pickle"
    pd.testing.assert_frame_equal(back, table, check_exact=True)


def test_polars_and_arrow_tables_become_parquet() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": pl.Series(["u", "v"], dtype=pl.Categorical)})
    kind, back = kept(frame)
    assert (kind, back.schema) == ("parquet", frame.schema)
    assert back.equals(frame)
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode()})
    kind, back = kept(table)
    assert (kind, back) == ("parquet", table)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::3],
        np.array(3.5),
        np.zeros((0, 4), dtype=">i2"),
        np.array(["2026-01-01"], dtype="M8[D]"),
        np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_become_npy(array: np.ndarray) -> None:
    kind, back = kept(array)
    assert (kind, back.dtype, back.shape, back.flags.writeable) == ("npy", array.dtype, array.shape, True)
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("héllo", "text"),
        (b"\0\1", "bytes"),
        (bytearray(b"x"), "bytes"),
        ({"a": [1, 2.5, None, True], "b": {"c": "é"}}, "json"),
        (0, "json"),
        (None, "json"),
        (10**700, "pickle"),
        ({1: "a"}, "pickle"),
        ((1, 2), "pickle"),
        (float("inf"), "pickle"),
        ("\ud800", "pickle"),
        ({"t": (1,)}, "pickle"),
        (OrderedDict(a=1), "pickle"),
        (np.array([{}, None]), "pickle"),
        (np.float32(1.5), "pickle"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_everything_else_comes_back_equal_and_of_its_type(value: Any, kind: str) -> None:
    got, back = kept(value)
    assert (got, type(back)) == (kind, type(value))
    assert np.all(back == value)


def test_a_list_that_is_in_two_places_stays_one_list() -> None:
    inner = [1]
    back = kept({"a": inner, "b": inner})[1]
    assert back["a"] is back["b"]


def test_torch_keeps_state_dicts_and_modules_its_own_way() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(3, 2)
    kind, state = kept(module.state_dict())
    assert (kind, type(state)) == ("torch", OrderedDict)
    assert torch.equal(state["weight"], module.weight)
    kind, back = kept({"epoch": 3, "model": module, "loss": [torch.tensor(0.5)]})
    assert kind == "torch"
    assert (back["epoch"], type(back["model"])) == (3, torch.nn.Linear)
    assert torch.equal(back["model"].bias, module.bias)


def test_large_arrays_in_objects_leave_the_pickle_and_come_back_writable() -> None:
    value = {"weights": np.arange(500_000.0), "epoch": 3}
    record = respawn.save("it", value)
    back = respawn.load("it")
    back["weights"][0] = 7
    assert (record.kind, back["epoch"], back["weights"][-1]) == ("pickle", 3, 499_999.0)
    small = respawn.save("small", {"weights": np.arange(5), "tuple": (1,)})
    path = api._here().shelf.file(small)
    with path.open("rb") as file:
        assert pickle.load(file)["tuple"] == (1,)


def test_files_and_directories_come_back_as_copies(tmp_path: Path) -> None:
    source = tmp_path / "model.tar.gz"
    source.write_bytes(b"weights")
    kind, back = kept(source)
    assert (kind, back.name, back.read_bytes()) == ("file", "model.tar.gz", b"weights")
    assert back != source
    directory = tmp_path / "run"
    (directory / "deep").mkdir(parents=True)
    (directory / "deep" / "a.txt").write_text("a")
    kind, back = kept(directory)
    assert (kind, (back / "deep" / "a.txt").read_text()) == ("directory", "a")


def test_saving_again_replaces_and_leaves_one_file(session: Shelf) -> None:
    for number in range(1, 20):
        assert respawn.save("epoch", number).number == number
    assert respawn.load("epoch") == 19
    assert len(list((session.root / "files").iterdir())) == 1
    assert [(one.name, one.number, one.description) for one in respawn.artifacts()] == [("epoch", 19, "19")]


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "é", "x" * 101, 3, None])
def test_a_name_that_cannot_be_is_refused_and_told_what_a_name_is(name: Any) -> None:
    for call in (lambda: respawn.save(name, 1), lambda: respawn.load(name, None)):
        with pytest.raises(ArtifactError, match="the name of an artifact"):
            call()


def test_what_was_not_saved_is_the_default_or_an_error_that_names_what_there_is() -> None:
    assert respawn.load("model", None) is None
    respawn.save("other", 1)
    with pytest.raises(ArtifactNotFound, match=r"no artifact 'model'.*other.*respawn\.load\('model', None\)"):
        respawn.load("model")


def test_what_cannot_be_saved_is_named_and_the_one_before_is_kept(session: Shelf, tmp_path: Path) -> None:
    respawn.save("model", 1)
    with pytest.raises(ArtifactError, match=r"'model' \(generator\).*pickle"):
        respawn.save("model", (i for i in ()))
    with pytest.raises(ArtifactError, match=r"No such file.*gone.*is kept"):
        respawn.save("model", tmp_path / "gone")
    assert respawn.load("model") == 1
    assert len(list((session.root / "files").iterdir())) == 1


FULL = """
import resource, signal, sys
import numpy as np
import respawn
respawn.save("model", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for value in (np.zeros(1_000_000), {"a": np.zeros(1_000_000), "b": ()}, b"0" * 2_000_000):
    try:
        respawn.save("model", value)
    except Exception as error:
        print(type(error).__name__, error)
print(respawn.load("model"))
"""


def test_a_full_disk_is_told_with_the_fix_and_the_one_before_is_kept() -> None:
    told = subprocess.check_output([sys.executable, "-c", FULL], text=True).splitlines()
    assert told[-1] == "1"
    assert len(told) == 4
    for line in told[:3]:
        assert line.startswith("ArtifactError artifact 'model' could not be saved")
        assert "TMPDIR" in line
        assert "is kept" in line


def test_many_threads_may_save_and_load_at_once(session: Shelf) -> None:
    wrong: list[object] = []

    def work(own: int) -> None:
        for turn in range(20):
            respawn.save("shared", {"thread": own, "turn": turn, "data": (own,) * 1000})
            back = respawn.load("shared")
            if back["data"] != (back["thread"],) * 1000:
                wrong.append(back)

    threads = [threading.Thread(target=work, args=[own]) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert respawn.artifacts()[0].number == 120
    assert len(list((session.root / "files").iterdir())) == 1


KILLED = """
import os, pathlib, random, signal, sys, time
import numpy as np
import respawn
from respawn_kernels.artifacts import api as artifacts
artifacts.start(pathlib.Path(sys.argv[1]))
random.seed(int(sys.argv[2]))
before = 0
for turn in range(60):
    pid = os.fork()
    if pid == 0:
        while True:
            number = respawn.load("state", {"number": 0})["number"] + 1
            respawn.save("state", {"number": number, "data": np.full(20_000, number), "text": (str(number),)})
    time.sleep(random.uniform(0.001, 0.03))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    state = respawn.load("state", {"number": 0, "data": np.zeros(1), "text": ("0",)})
    assert (state["data"] == state["number"]).all() and state["text"] == (str(state["number"]),)
    assert state["number"] >= before
    before = state["number"]
print(before)
"""


def test_a_process_that_is_killed_while_it_saves_leaves_the_newest_whole_one(tmp_path: Path) -> None:
    told = subprocess.check_output([sys.executable, "-c", KILLED, str(tmp_path / "shelf"), "1"], text=True)
    assert int(told) > 60


FORKED = """
import os, pathlib, signal, sys
import respawn
from respawn_kernels.artifacts import api as artifacts
artifacts.start(pathlib.Path(sys.argv[1]))
with artifacts._here().shelf.publishing():
    pid = os.fork()
    if pid == 0:
        signal.pause()
print(respawn.save("model", 1).number)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


def test_a_child_forked_in_the_middle_of_a_save_blocks_nobody(tmp_path: Path) -> None:
    code = [sys.executable, "-c", FORKED, str(tmp_path / "shelf")]
    assert subprocess.check_output(code, text=True, timeout=30) == "1\n"


def test_a_session_leaves_nothing_behind() -> None:
    code = "import respawn; respawn.save('a', 1); print(respawn_kernels.artifacts.api._place.shelf.root)"
    code = f"import respawn_kernels.artifacts.api\n{code}"
    place = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert not Path(place).exists()


def test_a_debug_notebook_loads_what_the_run_kept_and_changes_nothing_of_it(tmp_path: Path) -> None:
    downloaded = Shelf(tmp_path / "download").make()
    file = downloaded.root / "files" / "model.before-4.json"
    file.write_text("41")
    record = ArtifactRecord("model", 4, "json", "int", "41", 2, "2026-01-01T00:00:00+00:00", file.name)
    downloaded.path("before", "model").write_text(record.to_json())
    large = ArtifactRecord("large", 1, "json", "int", "", 10**9, "2026-01-01T00:00:00+00:00", "large.x.json")
    downloaded.path("before", "large").write_text(large.to_json())
    api.attach(downloaded.root, "run-0a1b2c3d4e")
    assert respawn.load("model") == 41
    with pytest.raises(ArtifactError, match="respawn fetch run-0a1b2c3d4e large --debug"):
        respawn.load("large")
    assert respawn.save("model", 42).number == 5
    assert respawn.load("model") == 42
    assert json.loads(file.read_text()) == 41
    with pytest.raises(ArtifactNotFound, match="run run-0a1b2c3d4e kept"):
        respawn.load("nothing")


def test_a_path_of_a_pure_name_is_text_for_everybody_else() -> None:
    assert writing_of("some/file").kind == "text"
