"""What shared an object or memory shares it again, and what did not is loaded apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.lengths import quick
from support.namespaces import capture, notebook, restore, round_trip


def _groups(manifest: Manifest) -> list[set[str]]:
    named = [{frame.name for frame in group.frames} for group in manifest.groups]
    return [names for names in named if not any(name.startswith("#") for name in names)]


def test_names_that_share_nothing_are_groups_of_their_own(tmp_path: Path) -> None:
    manifest = capture(notebook("a = [1]; b = [1]; c = {'x': 'text'}; d = {'x': 'text'}"), tmp_path)
    assert _groups(manifest) == [{"a"}, {"b"}, {"c"}, {"d"}]


def test_instance_refers_to_its_class_by_name_and_is_a_group_of_its_own(tmp_path: Path) -> None:
    namespace = notebook("class C:\n    pass\none = C()\ntwo = C()")
    manifest = capture(namespace, tmp_path)
    assert _groups(manifest) == [{"C"}, {"one"}, {"two"}]
    back, _ = restore(manifest, tmp_path)
    assert type(back["one"]) is type(back["two"]) is back["C"]


def test_class_that_lost_its_name_ties_its_instances_together(tmp_path: Path) -> None:
    back = round_trip("class C:\n    pass\none = C()\ntwo = C()\ndel C", tmp_path)
    assert type(back["one"]) is type(back["two"])


def test_class_and_an_instance_in_it_are_one_group(tmp_path: Path) -> None:
    manifest = capture(notebook("class C:\n    pass\none = C()\nC.best = one"), tmp_path)
    assert _groups(manifest) == [{"C", "one"}]
    back, _ = restore(manifest, tmp_path)
    assert back["C"].best is back["one"]


def test_classes_that_need_each_other_are_one_group(tmp_path: Path) -> None:
    code = "class A:\n    pass\nclass B:\n    friend = A\nA.friend = B\nholder = [A]"
    manifest = capture(notebook(code), tmp_path)
    assert _groups(manifest) == [{"A", "B"}, {"holder"}]
    back, _ = restore(manifest, tmp_path)
    assert back["A"].friend is back["B"]
    assert back["B"].friend is back["A"] is back["holder"][0]


def test_zone_that_is_in_no_cache_stays_one_object(tmp_path: Path) -> None:
    code = "import datetime, zoneinfo\nzone = zoneinfo.ZoneInfo.no_cache('Europe/Paris')\n"
    back = round_trip(
        f"{code}one, other = (datetime.datetime(2025, 1, d, tzinfo=zone) for d in (1, 2))", tmp_path
    )
    assert back["one"].tzinfo is back["other"].tzinfo is back["zone"]


def test_closures_over_one_cell_go_on_counting_together(tmp_path: Path) -> None:
    back = round_trip(
        """
        def make():
            count = 0
            def step():
                nonlocal count
                count += 1
                return count
            return step, lambda: count
        step, seen = make()
        step()
        """,
        tmp_path,
    )
    assert (back["step"](), back["seen"]()) == (2, 2)


def test_function_in_its_own_closure_comes_back(tmp_path: Path) -> None:
    back = round_trip(
        "def make():\n    def f(n):\n        return 1 if n < 2 else n * f(n - 1)\n    return f\nf = make()",
        tmp_path,
    )
    assert back["f"](5) == 120


@pytest.mark.parametrize(
    "view",
    quick(
        {0, 2, 4},
        [
            "a[10:20]",
            "a[::-3]",
            "a.reshape(100, -1).T",
            "a.view('i4')[1::2]",
            "a[None, 5:9]",
            "a[:0]",
            "a[7]",
            "np.lib.stride_tricks.as_strided(a, (4,), (16,))",
        ],
        "long",
    ),
)
def test_view_lies_in_its_base_again(tmp_path: Path, view: str) -> None:
    namespace = notebook(f"import numpy as np; a = np.arange(60_000.); v = {view}")
    back, _ = restore(capture(namespace, tmp_path), tmp_path)
    assert np.array_equal(back["v"], namespace["v"])
    assert np.shape(back["v"]) == np.shape(namespace["v"])
    assert np.shares_memory(back["a"], back["v"]) == np.shares_memory(namespace["a"], namespace["v"])
    if np.shares_memory(back["a"], back["v"]):
        back["v"].fill(0)
        assert back["a"].sum() < namespace["a"].sum()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", quick({0, 4, 5}, ["f8", "M8[s]", "S3", "?", "object", "i4,f8"], "long"))
def test_two_views_of_a_base_without_a_name_share_it(tmp_path: Path, kind: str, order: str) -> None:
    code = (
        f"import numpy as np; b = np.zeros((30, 40), '{kind}', order='{order}'); x, y = b[:5], b[3:]; del b"
    )
    back = round_trip(code, tmp_path)
    assert np.shares_memory(back["x"], back["y"])
    assert back["x"].base.flags[f"{order}_CONTIGUOUS"]


def test_array_over_a_bytearray_shares_it(tmp_path: Path) -> None:
    code = "import numpy as np; b = bytearray(100); a = np.frombuffer(b, 'u1')[10:]; m = memoryview(b)"
    back = round_trip(code, tmp_path)
    back["b"][10] = 7
    assert (back["a"][0], back["m"][10]) == (7, 7)


def test_read_only_view_of_a_writable_base_stays_read_only(tmp_path: Path) -> None:
    back = round_trip("import numpy as np; a = np.ones(9); v = a[2:]; v.flags.writeable = False", tmp_path)
    assert back["a"].flags.writeable
    assert not back["v"].flags.writeable


def test_view_of_a_base_that_was_frozen_later_stays_writable(tmp_path: Path) -> None:
    back = round_trip("import numpy as np; a = np.ones(9); v = a[2:]; a.flags.writeable = False", tmp_path)
    back["v"][0] = 7
    assert back["a"][2] == 7
    assert not back["a"].flags.writeable


def test_array_of_a_subclass_keeps_its_memory_and_attributes(tmp_path: Path) -> None:
    code = """
    import numpy as np
    class Signal(np.ndarray):
        pass
    a = np.arange(50.)
    s = a[:10].view(Signal)
    s.unit = "mV"
    """
    back = round_trip(code, tmp_path)
    back["a"][3] = -1
    assert (back["s"][3], back["s"].unit, type(back["s"])) == (-1, "mV", back["Signal"])


class TestPandas:
    def test_tables_that_share_memory_still_copy_on_write(self, tmp_path: Path) -> None:
        back = round_trip(
            """
            import numpy as np, pandas as pd
            df = pd.DataFrame({"x": np.arange(20_000.), "y": 1})
            column, shallow = df["x"], df.copy(deep=False)
            """,
            tmp_path,
        )
        assert np.shares_memory(back["df"]["x"], back["column"])
        back["column"].iloc[0] = 99
        back["shallow"].iloc[1, 0] = 98
        assert back["df"]["x"].iloc[:2].tolist() == [0, 1]

    def test_index_does_not_follow_the_column_that_it_was_made_of(self, tmp_path: Path) -> None:
        back = round_trip(
            "import numpy as np, pandas as pd\n"
            "df = pd.DataFrame({'x': np.arange(20_000.)}); index = pd.Index(df['x'])",
            tmp_path,
        )
        back["df"].iloc[0, 0] = 99
        assert back["index"][0] == 0

    def test_frame_held_by_an_object_is_the_same_frame(self, tmp_path: Path) -> None:
        back = round_trip(
            "import pandas as pd\nclass Holder:\n    pass\n"
            "df = pd.DataFrame({'x': [1]}); o = Holder(); o.v = df; d = {'deep': [df]}",
            tmp_path,
        )
        assert back["o"].v is back["df"] is back["d"]["deep"][0]


class TestText:
    def test_object_columns_of_text_come_back_equal_with_what_is_missing(self, tmp_path: Path) -> None:
        code = """
        import numpy as np, pandas as pd
        words = np.array([f"wörd-{i}" for i in range(5000)] + ["", "\\ud800", "日本"], dtype=object)
        few = np.array(["red", "green", None, np.nan, pd.NA] * 1000, dtype=object).reshape(50, -1, order="F")
        mixed = np.array(["text", 1, None] * 1000, dtype=object)
        """
        namespace = notebook(code)
        back, _ = restore(capture(namespace, tmp_path), tmp_path)
        assert back["words"].tolist() == namespace["words"].tolist()
        assert back["mixed"].tolist() == namespace["mixed"].tolist()
        assert back["few"].shape == (50, 100)
        pairs = zip(back["few"].ravel(), namespace["few"].ravel(), strict=True)
        assert all(a == b if isinstance(b, str) else a is b for a, b in pairs)

    def test_text_that_repeats_is_one_object_for_all_its_places(self, tmp_path: Path) -> None:
        back = round_trip(
            "import numpy as np; few = np.array(['a long name', 'another one'] * 5000, dtype=object)",
            tmp_path,
        )
        assert len({id(value) for value in back["few"]}) == 2

    def test_large_text_is_not_pickled_element_by_element(self, tmp_path: Path) -> None:
        namespace = notebook(
            "import numpy as np; t = np.array([f'{i:06}' for i in range(100_000)], dtype=object)"
        )
        manifest = capture(namespace, tmp_path)
        [group] = [group for group in manifest.groups if group.frames[0].name == "t"]
        assert group.stream.size < 1000


class TestTorch:
    def test_tensors_and_arrays_on_one_memory_share_it(self, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        back = round_trip(
            """
            import numpy as np, torch
            a = np.zeros(20_000, "f4"); t = torch.from_numpy(a); row = t.view(100, 200)[3]
            """,
            tmp_path,
        )
        back["row"][:] = 5
        assert back["a"].sum() == back["t"].sum() == 1000

    def test_optimizer_goes_on_with_the_parameters_of_the_model(self, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        code = """
        import torch
        model = torch.nn.Linear(3, 1); optimizer = torch.optim.Adam(model.parameters())
        loss = model(torch.ones(5, 3)).pow(2).mean()
        loss.backward()
        loss = loss.item()
        """
        namespace = notebook(code)
        back, _ = restore(capture(namespace, tmp_path), tmp_path)
        for state in (namespace, back):
            state["optimizer"].step()
        ours, theirs = back["model"].weight, namespace["model"].weight
        assert ours is back["optimizer"].param_groups[0]["params"][0]
        assert ours.tolist() == theirs.tolist()
        assert ours.grad.tolist() == theirs.grad.tolist()


def test_held_memory_that_other_processes_change_is_refused_in_a_forked_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from respawn_kernels.capture.engine import GroupsEngine
    from respawn_kernels.memory import shared_memory

    namespace: dict[str, Any] = notebook(
        "import mmap, numpy as np; a = np.frombuffer(mmap.mmap(-1, 100_000), 'u1'); kept = np.ones(20_000)"
    )
    (tmp_path / "blobs").mkdir()
    monkeypatch.setattr(shared_memory, "_frozen", None)
    manifest = GroupsEngine().capture(namespace, 0, tmp_path, first_seen={}, execution_count=1, forked=True)
    assert {v.name: v.reason for v in manifest.unstored}["a"] == (
        "lies in memory that is shared with other processes"
    )
    assert "kept" in {v.name for v in manifest.variables}


@pytest.mark.parametrize("entries", ["a=1", ""])
@pytest.mark.parametrize(
    "makes",
    [
        "types.SimpleNamespace",
        "argparse.Namespace",
        "collections.UserList",
        "string.Formatter",
        "threading.local",
    ],
)
@pytest.mark.parametrize(
    "holds",
    quick(
        {0, 4},
        [
            "other = vars(space)",
            "other = [vars(space)]",
            "other = collections.ChainMap({'b': 1}, vars(space)).maps[1:]",
            "other = types.SimpleNamespace(inside=vars(space))",
            "other, space = vars(space), [space]",
        ],
        "long",
    ),
)
def test_attributes_of_a_library_object_are_those_that_others_hold(
    makes: str, holds: str, entries: str, tmp_path: Path
) -> None:
    code = f"""
        import argparse, collections, string, threading, types
        space = {makes}()
        vars(space).update(dict({entries}))
        {holds}
        """
    namespace = notebook(code)
    back, report = restore(capture(namespace, tmp_path), tmp_path)
    if makes == "threading.local":  # which has one for each thread
        assert "space" in {item.name for item in report.manifest.unstored}
        return
    space = back["space"][0] if type(back["space"]) is list else back["space"]
    other = back["other"].inside if hasattr(back["other"], "inside") else back["other"]
    inside = other[0] if type(other) is list else other
    assert inside is vars(space)
    inside["new"] = 2
    assert space.new == 2


@pytest.mark.parametrize("large", [10, 1000])
def test_a_tag_that_a_variable_holds_still_is_a_part_of_its_document(
    large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_kernels.reducers.parsed_documents.LARGE", large)
    back = round_trip(
        """
        from bs4 import BeautifulSoup
        page = BeautifulSoup("<ul>" + "<li>a</li>" * 20 + "</ul>", "html.parser")
        first = page.li
        """,
        tmp_path,
    )
    back["first"].string = "changed"
    assert back["page"].li is back["first"]
    assert str(back["page"]).startswith("<ul><li>changed</li>")


def test_flags_that_were_inverted_come_back(tmp_path: Path) -> None:
    back = round_trip(
        """
        import enum
        class Can(enum.Flag):
            READ = 1; WRITE = 2
        both, other = Can.READ | Can.WRITE, ~Can.READ
        """,
        tmp_path,
    )
    assert back["other"] is back["Can"].WRITE is ~back["Can"].READ
    assert back["both"] is back["Can"].READ | back["Can"].WRITE


def test_a_write_copies_while_an_index_has_the_memory_too(tmp_path: Path) -> None:
    back = round_trip(
        """
        import numpy as np, pandas as pd
        memory = np.array([7, 8])
        column = pd.Series(memory, copy=False)
        index = pd.Index(column)
        """,
        tmp_path,
    )
    back["column"].iloc[1] = 80
    assert (back["memory"].tolist(), back["index"].tolist()) == ([7, 8], [7, 8])


def test_numpys_own_types_are_those_of_numpy(tmp_path: Path) -> None:
    back = round_trip("import numpy as np; rows, own = np.arange(3), np.dtype([('a', 'i4')])", tmp_path)
    assert back["rows"].dtype is np.dtype("int64")
    assert back["own"] == np.dtype([("a", "i4")])
