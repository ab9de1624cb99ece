"""What leads to itself through what it is made of: it comes back attached, or is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.capture.engine import GroupsEngine
from support.namespaces import capture, notebook, round_trip

LIBRARY = """
class Round:
    def __init__(self, inside=None):
        self.inside = inside
    def __reduce__(self):
        return Round, (self.inside,)

class Endless:
    def __init__(self, inside=None):
        pass
    def __reduce__(self):
        return Endless, (Endless(),)

class Growing:
    def __reduce__(self):
        return Growing, (), {"next": Growing()}
"""


def test_factory_that_is_a_method_of_the_dict_itself_stays_attached(tmp_path: Path) -> None:
    restored = round_trip(
        """
        import functools
        from collections import defaultdict
        vocabulary = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        ids = [vocabulary[word] for word in "to be or not to be".split()]
        held = {"words": vocabulary}
        firsts = defaultdict()
        firsts.default_factory = functools.partial(firsts.get, "none", 7)

        def counting():
            made = defaultdict(lambda: len(made))
            return made

        closed = counting()
        """,
        tmp_path,
    )
    vocabulary = restored["vocabulary"]
    assert restored["held"]["words"] is vocabulary
    assert vocabulary.default_factory.__self__ is vocabulary
    assert (vocabulary["be"], vocabulary["new"], len(vocabulary)) == (1, 4, 5)
    assert (restored["firsts"]["x"], restored["firsts"].default_factory.func.__self__) == (7, {"x": 7})
    assert (restored["closed"]["a"], restored["closed"]["b"]) == (0, 1)


@pytest.mark.parametrize("factory", ["int", "list", "None", "lambda: 3", "tuple"])
def test_other_factories_come_back(tmp_path: Path, factory: str) -> None:
    code = f"from collections import defaultdict\nd = defaultdict({factory}, a=1)"
    before, after = notebook(code)["d"], round_trip(code, tmp_path)["d"]
    assert dict(after) == {"a": 1}
    if before.default_factory is None:
        assert after.default_factory is None
    else:
        assert after["b"] == before["b"]


def test_methods_that_containers_hold_of_themselves_stay_attached(tmp_path: Path) -> None:
    restored = round_trip(
        """
        from collections import OrderedDict, deque
        ordered = OrderedDict()
        ordered["length"] = ordered.__len__
        plain = {}
        plain["get"] = plain.get
        rows = [1]
        rows.append(rows.append)
        latest = deque(maxlen=3)
        latest.append(latest.append)
        seen = set()
        seen.add(seen.add)
        """,
        tmp_path,
    )
    assert restored["ordered"]["length"].__self__ is restored["ordered"]
    assert restored["plain"]["get"].__self__ is restored["plain"]
    restored["rows"][1](2)
    restored["latest"][0](5)
    [method] = restored["seen"]
    method(6)
    assert (restored["rows"][2], restored["latest"][1], 6 in restored["seen"]) == (2, 5, True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("r = Round(); r.inside = (r,)", "a cycle through a reduction: a leading.Round is made of what"),
        ("r = Endless()", "a leading.Endless is made of others more than 100000 deep"),
    ],
)
def test_a_reduction_without_an_end_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    (tmp_path / "leading.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    manifest = capture(notebook(f"from leading import Round, Endless\nx = 1\n{code}"), tmp_path)
    assert {one.name: one.reason for one in manifest.unstored}["r"].startswith(reason)
    assert manifest.seconds < 15
    assert {variable.name for variable in manifest.variables} >= {"x"}


def test_a_state_without_an_end_is_named_as_such_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leading.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "blobs").mkdir()
    manifest = GroupsEngine().capture(
        notebook("from leading import Growing\nr = Growing()"),
        0,
        tmp_path,
        first_seen={},
        execution_count=1,
        variable_seconds=1,
    )
    reason = {one.name: one.reason for one in manifest.unstored}["r"]
    assert reason == "was not pickled within 1 s (does it lead to new objects without an end?)"
