"""What cells set through libraries, where those keep it out of sight, is set again on a resume, or named."""

from __future__ import annotations

import importlib.util
import py_compile
from pathlib import Path

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.debug.rerun_cells import cells_to_run
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

SHY = """
import threading

_own = threading.local()
_own.state = None

class _Slots:
    __slots__ = ("level", "names")
    def __init__(self): self.level, self.names = 0, {"a"}

class _Plain:
    def __init__(self): self.seen = []

options, other = _Slots(), _Slots()
plain = _Plain()

def configure(level): _own.state = [level]
def configured(): return _own.state

def _like_c():
    kept, listeners = dict.fromkeys("abcdef", 0), []
    def setter(key):
        def set(value): kept[key] = value
        set.__qualname__ = f"set_{key}"
        return set
    def listens_for(event):
        def given(function):
            listeners.append((event, function))
            return function
        return given
    def fire(event): return [call() for name, call in listeners if name == event]
    return [*map(setter, kept)], lambda: [*kept.values()], listens_for, fire

(set_a, set_b, set_c, set_d, set_e, set_seed), kept, listens_for, fire = _like_c()
"""


@pytest.fixture
def shy(bench, tmp_path: Path) -> None:
    """A library without sources, as one that is written in C: it is no helper of the notebook's."""
    (tmp_path / "shy.py").write_text(SHY)
    py_compile.compile(str(tmp_path / "shy.py"), cfile=str(bench.directory / "shy.pyc"), doraise=True)


def resumed(bench, *before: str, after: str) -> tuple[list[int], str]:
    """Run cells, fail, and resume; return which cells run again for what is lost, and what `after` prints."""
    failed = bench.run(*before, "1/0", after)
    fixed = notebook(*before, "", after)
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert plan.rerun == []
    there = bench.resume(failed.run.id, fixed)
    assert there.run.state.value == "succeeded", there.run.error
    assert [cell.state.value for cell in there.cells] == [*["reused"] * len(before), *["executed"] * 2]
    return plan.again, bench.printed(there.run.id, len(before) + 1)


@pytest.mark.long
@pytest.mark.usefixtures("shy")
def test_the_cells_that_called_the_library_run_again(bench) -> None:
    cells = [
        "import shy, random, warnings\nfrom shy import set_b as sb",
        "shy.configure(3)",
        "sb(2)",
        "def prepare():\n    import shy as s\n    s.set_c(3)",
        "prepare()",
        "warnings.simplefilter('ignore')\nif True:\n    shy.set_d(4)",
        "seen = []\n@shy.listens_for('end')\ndef end(): return len(seen)",
        "old = shy.set_a(1)",
    ]
    after = "print(shy.configured(), shy.kept(), shy.fire('end'))"
    assert resumed(bench, *cells, after=after) == ([1, 2, 4, 5, 6, 7], "[3] [1, 2, 3, 4, 0, 0] [0]\n")


@pytest.mark.usefixtures("shy")
def test_what_is_set_on_objects_of_a_library_comes_back_as_it_is(bench) -> None:
    cells = [
        "import shy\nfrom shy import other as o",
        "shy.options.level = 3\no.level = 4\nshy.options.names.add('b')\nshy.plain.seen.append('b')\n"
        "open('log', 'a').write('x')",
    ]
    after = "print(shy.options.level, shy.other.level, sorted(shy.options.names), shy.plain.seen)"
    assert resumed(bench, *cells, after=after) == ([], "3 4 ['a', 'b'] ['b']\n")
    assert (bench.directory / "log").read_text() == "x"


@pytest.mark.long
def test_what_a_library_changes_through_a_function_that_it_was_given_is_stored(bench) -> None:
    pytest.importorskip("sqlalchemy")
    cells = [
        "from sqlalchemy import create_engine, event\nfrom sqlalchemy.engine import Engine\nlog = []",
        "@event.listens_for(Engine, 'connect')\ndef on_connect(con, rec): log.append('connected')",
        "'the state after the next cell builds on that after this one'",
        "create_engine('sqlite://').connect().close()",
    ]
    tags = {1: ["respawn:checkpoint"], 2: ["respawn:checkpoint"]}
    failed = bench.run(*cells, "1/0", "print(log)", tags=tags)
    there = bench.resume(failed.run.id, notebook(*cells, "", "print(log)", tags=tags))
    assert bench.printed(there.run.id, 5) == "['connected']\n"


@pytest.mark.long
@pytest.mark.usefixtures("shy")
def test_what_is_not_safe_to_set_again_is_named_and_does_not_keep_others_from_it(bench) -> None:
    cells = [
        "import shy",
        "shy.configure(3)\nopen('log', 'a').write('x')",
        "shy.set_a(4)",
        "shy.set_seed(5)",
    ]
    failed = bench.run(*cells, "1/0", "2")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(notebook(*cells, "", "2"))))
    assert plan.again == [2]
    configured, seeded = sorted(notice for notice in plan.notices if "settings of libraries" in notice)
    assert "cell 1 set settings of libraries (shy.configure)" in configured
    assert "what shy.configure set is kept where it cannot be seen" in configured
    assert "changes what is outside of the kernel (files)" in configured
    assert "tag it respawn:always" in configured
    assert "cell 3 set settings of libraries (shy.set_seed)" in seeded
    again = cells_to_run(bench.service.debug(failed.run.id))
    assert ([cell.index for cell in again.cells], len(again.lost)) == ([2], 2)


@pytest.mark.long
@pytest.mark.usefixtures("shy")
def test_a_setting_is_there_in_the_resume_of_a_resume(bench) -> None:
    cells = ["import shy", "shy.set_a(3)\nshy.options.level = 4"]
    failed = bench.run(*cells, "1/0", "2", "print(shy.kept()[0], shy.options.level)")
    second = bench.resume(
        failed.run.id, notebook(*cells, "", "1/0", "print(shy.kept()[0], shy.options.level)")
    )
    assert second.run.state.value == "failed"
    third = bench.resume(second.run.id, notebook(*cells, "", "", "print(shy.kept()[0], shy.options.level)"))
    assert bench.printed(third.run.id, 4) == "3 4\n"


@pytest.mark.long
@pytest.mark.usefixtures("shy")
def test_a_setting_whose_cell_is_edited_or_gone_is_neither_made_again_nor_named(bench) -> None:
    cells = ["import shy", "shy.set_a(3)", "shy.configure(4)"]
    failed = bench.run(*cells, "1/0", "print(shy.kept()[0], shy.configured())")
    fixed = notebook("import shy", "shy.set_a(7)", "", "print(shy.kept()[0], shy.configured())")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert (plan.again, [one for one in plan.notices if "settings of" in one]) == ([], [])
    there = bench.resume(failed.run.id, fixed)
    assert bench.printed(there.run.id, 3) == "7 None\n"


LIBRARIES = {
    "joblib": ("joblib.parallel_config(n_jobs=2)", "joblib.Parallel().n_jobs", "2"),
    "torch": (
        "torch.set_default_device('meta')\ntorch.set_num_threads(1)",
        "(str(torch.zeros(1).device), torch.get_num_threads())",
        "('meta', 1)",
    ),
    "threadpoolctl": (
        "import numpy\nthreadpoolctl.threadpool_limits(limits=1)",
        "{one['num_threads'] for one in threadpoolctl.threadpool_info()}",
        "{1}",
    ),
    "sqlalchemy": (
        "log = []\n@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, 'connect')\n"
        "def on_connect(con, rec): log.append('connected')",
        "(sqlalchemy.create_engine('sqlite://').connect().close(), log)[1]",
        "['connected']",
    ),
}


@pytest.mark.long
def test_settings_of_libraries_that_people_use(bench) -> None:
    there = {name: told for name, told in LIBRARIES.items() if importlib.util.find_spec(name)}
    if not there:
        pytest.skip("none of the libraries is installed")
    cells = [f"import {', '.join(there)}", *(sets for sets, _, _ in there.values())]
    after = "\n".join(f"print({reads})" for _, reads, _ in there.values())
    again, printed = resumed(bench, *cells, after=after)
    assert again == list(range(1, len(cells)))
    assert printed.splitlines() == [told for _, _, told in there.values()]


@pytest.mark.long
def test_settings_that_come_back_without_their_cells(bench) -> None:
    pytest.importorskip("networkx")
    cells = [
        "import asyncio, zoneinfo, networkx as nx\nget = asyncio.get_running_loop",
        "nx.config.warnings_to_ignore.add('cache')\nnx.config.cache_converted_graphs = False",
        "zoneinfo.reset_tzpath(to=['/nowhere'])",
        "get().set_exception_handler(lambda loop, context: print('mine', context['message']))",
    ]
    after = (
        "print(nx.config.warnings_to_ignore, nx.config.cache_converted_graphs, zoneinfo.TZPATH)\n"
        "get().call_exception_handler({'message': 'x'})"
    )
    assert resumed(bench, *cells, after=after) == ([], "{'cache'} False ('/nowhere',)\nmine x\n")


@pytest.mark.long
def test_calls_that_set_nothing_out_of_sight_are_not_named(bench) -> None:
    cells = [
        "import warnings, logging, random, os, sys\nimport numpy as np, pandas as pd\n"
        "import matplotlib.pyplot as plt, networkx as nx, sklearn",
        "warnings.filterwarnings('ignore')\nlogging.basicConfig()\nos.environ.setdefault('A', '1')\n"
        "sys.setrecursionlimit(2000)\npd.set_option('display.max_rows', 7)\n"
        "np.set_printoptions(precision=3)\nnp.seterr(all='warn')\nnp.random.seed(1)\nrandom.seed(1)\nsklearn.set_config(display='text')",
        "plt.style.use('ggplot')\nfig, ax = plt.subplots()\nax.set_title('x')\nplt.gca().set_xlabel('y')",
        "frame = pd.DataFrame({'a': [1]})\nframe.set_index('a')\ngraph = nx.Graph([(1, 2)])\n"
        "nx.set_node_attributes(graph, {1: 2}, 'x')",
        "import asyncio\nawait asyncio.sleep(0)",
    ]
    failed = bench.run(*cells, "1/0")
    assert [item.name for item in failed.checkpoints[-1].unstored] == []
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(notebook(*cells, ""))))
    assert (plan.again, plan.lost) == ([], [])


MONEY = """
class Money(pa.ExtensionType):
    def __init__(self, currency='USD'):
        self.currency = currency
        super().__init__(pa.int64(), 'example.money')
    def __arrow_ext_serialize__(self): return self.currency.encode()
    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized): return cls(serialized.decode())

pa.register_extension_type(Money())
"""


@pytest.mark.long
def test_a_type_that_a_library_lists_in_python_and_keeps_in_c_is_registered_again(bench) -> None:
    prices = "prices = pa.ExtensionArray.from_storage(Money('GBP'), pa.array([1, 2]))"
    sink = "sink = pa.BufferOutputStream()\npq.write_table(pa.table({'m': prices}), sink)"
    after = "print(pq.read_table(sink.getvalue()).schema.field('m').type.currency)"
    cells = ["import pyarrow as pa, pyarrow.parquet as pq", MONEY, "kept = 1"]
    again, printed = resumed(bench, *cells, after=f"{prices}\n{sink}\n{after}")
    assert again == [1]
    assert printed == "GBP\n"
