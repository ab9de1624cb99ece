"""What pickles of ours name lasts: functions of `respawn_kernels.rebuild`, and nothing else of ours."""

from __future__ import annotations

import importlib
import json
import os
import pickletools
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

from respawn_kernels import rebuild
from support.sources import modules

KINDS = {
    "arrays": """
        import numpy as np
        a = np.arange(20_000); view = a[3:9]; turned = a.reshape(100, 200).T; small = np.arange(5)
        texts = np.array([f"word {i % 7}" for i in range(2000)], dtype=object)
        masked = np.ma.masked_array([1, 2], [0, 1]); rows = np.zeros(3, [("x", "i4")]).view(np.recarray)
        row = rows[0]; memory = bytearray(80)
        inside = np.frombuffer(memory); held = np.asarray(memoryview(memory))
        class Own(np.ndarray): pass
        own = a.view(Own); own.note = "mine"; part = own[2:5]
        on_disk = np.memmap("mapped.bin", "u1", "w+", shape=(100,)); of_it = on_disk[3:9]
    """,
    "tables": """
        import numpy as np, pandas as pd
        frame = pd.DataFrame({"x": np.arange(9.0), "text": "some text"}); column = frame["x"]
        frame.source = "crm"
        dates = pd.date_range("2024", periods=5); kinds = pd.Series(["a", "b"], dtype="category")
    """,
    "classes": """
        import abc, dataclasses, enum, typing
        class Account(abc.ABC):
            limit: int = 5
            def __init__(self): self.owner = "ada"
        class Slots:
            __slots__ = ("x",)
        class Number(int): pass
        class Color(enum.Enum):
            RED = 1
        class Failed(Exception): pass
        @dataclasses.dataclass
        class Point:
            x: int
        account, slots, number, red, point = Account(), Slots(), Number(3), Color.RED, Point(1)
        slots.x = 1; lent = vars(account)
        try:
            raise Failed("no") from ValueError("why")
        except Failed as error:
            failed = error
        T = typing.TypeVar("T"); Name = typing.NewType("Name", str)
    """,
    "functions": """
        import contextlib, functools, unittest.mock as mock
        def make():
            count = 0
            def step():
                nonlocal count
                count += 1
                return count
            return step, lambda: count
        step, seen = make(); step.note = 1
        @functools.lru_cache
        def cached(n): return n
        cached(3)
        class Lazily:
            @functools.cached_property
            def value(self): return 1
        double = mock.Mock(); double.go(1); calls = double.mock_calls
    """,
    "of Python": """
        import collections, contextvars, logging, re, sys, threading, types, weakref
        class Thing: pass
        thing = Thing(); weak = weakref.ref(thing); dead = weakref.ref(Thing())
        members = weakref.WeakSet([thing]); finalizer = weakref.finalize(thing, print)
        lock, again = threading.Lock(), threading.RLock(); match = re.match("a(b)", "abc")
        words = {f"word {i}" for i in range(50)}; words.discard("word 3"); data = {"a": 1}; keys = data.keys()
        left = iter(words); items = iter({"a": 1, "b": 2}.items())
        proxy = types.MappingProxyType(data)
        of_class = Thing.__dict__; out = sys.stdout; variable = contextvars.ContextVar("who", default=1)
        handler = logging.NullHandler(); made = types.ModuleType("made"); made.x = 1
        view = memoryview(b"abc")
        counts = collections.defaultdict(int); counts.default_factory = counts.__len__; nan = float("nan")
    """,
    "the session": """
        import decimal, logging, random, sys, warnings, os
        random.seed(5); decimal.getcontext().prec = 6; os.environ["OF_NOTEBOOK"] = "1"
        logging.getLogger("mine").setLevel("INFO"); warnings.simplefilter("ignore", ResourceWarning)
        sys.setrecursionlimit(2_000); real = random.random
        def mine(): return 1
        random.shuffle = mine
    """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_streams_name_nothing_else_of_ours(kind: str, tmp_path: Path) -> None:
    # In a process of its own: what other tests left in libraries would be part of the session.
    command = [sys.executable, "-m", "support.stream_names"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.run(
        command, input=KINDS[kind], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    unstored, found = json.loads(answer.stdout)
    assert unstored == []
    assert found
    ours = {(module, name) for module, name in found if str(module).startswith("respawn_")}
    assert {module for module, _ in ours} <= {rebuild.__name__}
    assert {name for _, name in ours} <= set(rebuild.MODULES)
    assert ours or kind == "the session"


def test_artifacts_name_nothing_else_of_ours(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom respawn_kernels.artifacts.pickles import write_pickle\n"
        "class Mine: pass\nwrite_pickle(pathlib.Path(sys.argv[1]), Mine())"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "mine")], check=True)
    data = (tmp_path / "mine").read_bytes()
    found = [
        argument
        for opcode, argument, _ in pickletools.genops(data)
        if isinstance(argument, str) and "UNICODE" in opcode.name
    ]
    assert rebuild.__name__ in found
    assert {text for text in found if text.startswith("respawn_")} == {rebuild.__name__}
    assert "notebook_class" in found


@pytest.mark.parametrize("name", sorted(rebuild.MODULES))
def test_a_name_means_the_function_that_pickles_name_so(name: str) -> None:
    function = getattr(rebuild, name)
    assert (type(function), function.__module__, function.__name__) == (FunctionType, rebuild.__name__, name)


def test_what_makes_and_fills_objects_has_a_stable_name() -> None:
    rooms = ("pickling.", "reducers.", "streams.")
    wrong = [
        f"{module.name}.{name}"
        for module in modules("respawn_kernels")
        if module.name.removeprefix("respawn_kernels.").startswith(rooms)
        for name, value in vars(importlib.import_module(module.name)).items()
        if name.startswith(("make_", "fill_")) and type(value) is FunctionType
        if value.__module__ != rebuild.__name__ and value.__module__ == module.name
    ]
    assert not wrong


def test_a_name_that_is_not_listed_is_refused() -> None:
    def make_something() -> None: ...

    with pytest.raises(LookupError):
        rebuild.stable_name(make_something)
    with pytest.raises(AttributeError, match="make_something"):
        rebuild.make_something  # noqa: B018
