"""What waits in a debug notebook beside builtins and classes that the notebook replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.debug_kernels import restored, take_over
from support.kernels import AGENT, Kernel, running_kernel

pytestmark = pytest.mark.integration


KEPT_BY_NAME = {
    "datetime:datetime": "datetime.datetime(2024, 3, 31, tzinfo=datetime.timezone.utc)",
    "decimal:Decimal": "decimal.Decimal('1.5')",
    "argparse:Namespace": "argparse.Namespace(a=1)",
    "collections:Counter": "collections.Counter('ab')",
    "ipaddress:IPv4Address": "ipaddress.ip_address('127.0.0.1')",
    "statistics:median": "statistics.median",
    "math:sqrt": "math.sqrt",
}


@pytest.mark.long
def test_what_waits_is_of_the_class_of_its_time_whatever_a_cell_puts_in_its_place(
    tmp_path: Path, kernel: Kernel
) -> None:
    modules = [one.partition(":")[0] for one in KEPT_BY_NAME]
    make = "".join(f"import {module}\n" for module in modules)
    make += "".join(f"kept{at} = {text}\n" for at, text in enumerate(KEPT_BY_NAME.values()))
    with running_kernel(tmp_path) as run:
        run.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
        run.run(make)
        run.silent(f"{AGENT}.checkpoint(2)")
        expected = [run.value(f"repr(kept{at})") for at in range(len(KEPT_BY_NAME))]
    take_over(tmp_path / "spool")
    restored(kernel)
    kernel.run("def mine(one): return type('Mine', (one,), {}) if isinstance(one, type) else lambda: None\n")
    for name in (one.replace(":", ".") for one in KEPT_BY_NAME):
        kernel.run(f"{name} = mine({name})")
    for at, one in enumerate(expected):
        assert kernel.value(f"repr(kept{at})").split(" at 0x")[0] == one.split(" at 0x")[0]


BUILTINS = ["sorted", "max", "min", "sum", "any", "all", "print", "open", "callable", "divmod"]


@pytest.mark.long
def test_builtins_of_the_notebook_find_what_they_read_whoever_calls_them(
    tmp_path: Path, fetched: Path, kernel: Kernel
) -> None:
    with running_kernel(tmp_path) as run:
        run.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
        run.run(
            "import builtins\n"
            f"first = {{name: getattr(builtins, name) for name in {BUILTINS}}}\n"
            "calls = 0\n"
            "def found(name): return first[name]\n"
            "def counted(name):\n"
            "    def call(*args, **more):\n"
            "        global calls\n"
            "        calls += 1\n"
            "        return found(name)(*args, **more)\n"
            "    return call\n"
        )
        run.run("".join(f"builtins.{name} = counted('{name}')\n" for name in BUILTINS))
        run.silent(f"{AGENT}.checkpoint(2)")
    take_over(tmp_path / "spool")
    restored(kernel)
    kernel.run("before = calls\nlongest = max(sorted(['a', 'bb'], key=len), key=len)")
    assert kernel.value("longest") == "bb"
    assert kernel.value("calls > before")


@pytest.mark.long
def test_what_a_cell_assigns_to_builtins_counts_in_that_cell(kernel: Kernel) -> None:
    restored(kernel)
    kernel.run("import builtins\nbuiltins.sorted, first = min, sorted\nseen = sorted([2, 1])")
    assert kernel.value("seen") == 1
    kernel.run(
        "builtins.sorted = first\nback = sorted([2, 1])\nbuiltins.extra = 5\nmore = extra\ndel builtins.extra"
    )
    assert kernel.value("(back, more)") == ([1, 2], 5)
    assert "NameError" in kernel.run("try: extra\nexcept NameError as e: print(repr(e))")


@pytest.mark.long
def test_what_was_loaded_goes_with_its_last_name(fetched: Path, kernel: Kernel) -> None:
    restored(kernel)
    kernel.run("import weakref; gone = []; ends = weakref.finalize(ada, gone.append, 'ada')")
    kernel.run("more = weakref.finalize(prices, gone.append, 'prices')")
    kernel.run("assert type(ada) is Account and column is not None\ndel ada")
    kernel.run("assert gone == ['ada'], gone\ndel prices")
    kernel.run("assert gone == ['ada', 'prices'], gone")


def test_a_class_that_is_made_in_the_debug_notebook_comes_after_the_subclasses_that_were_there(
    tmp_path: Path, fetched: Path
) -> None:
    families = (
        "class Base: pass\nclass First(Base): pass\n"
        "class Kept(dict): pass\nclass Deeper(First): pass\nnames = Base.__subclasses__"
    )
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
        kernel.run(families)
        kernel.silent(f"{AGENT}.checkpoint(2)")
    take_over(tmp_path / "spool")
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")
        restored(kernel)
        kernel.run("class Second(Base): pass\nclass Deepest(First): pass")
        assert kernel.value("[one.__name__ for one in Base.__subclasses__()]") == ["First", "Second"]
        assert kernel.value("[one.__name__ for one in First.__subclasses__()]") == ["Deeper", "Deepest"]


@pytest.mark.long
def test_a_large_array_owns_its_memory_where_a_cell_of_the_run_resized_one(
    tmp_path: Path, fetched: Path
) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
        kernel.run("import numpy as np\nbig = np.arange(100_000.)\nbig.resize(100_010)")
        kernel.silent(f"{AGENT}.checkpoint(2)")
    take_over(tmp_path / "spool")
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")
        restored(kernel)
        assert kernel.value("(big.flags.owndata, float(big[-1]))") == (True, 0.0)
