"""Files of the run before that running cells may see, and that a run in an empty directory would not have."""

from __future__ import annotations

import pytest

from respawn_jobs.dependencies import footprints, observed
from respawn_jobs.rerunning import Step
from respawn_jobs.stale_files import stale_files
from respawn_kernels.evidence import CellEvidence

IMPORTS = "import os, glob, pathlib, shutil\nimport pandas as pd\nparts = 'parts'\nout = 'out.csv'"
MAKER = "for i in range(3):\n    pathlib.Path('parts', f'{i}.csv').write_text('x')"


def told(maker: str, fixed: str | None, reader: str, *written: str, first: str = IMPORTS) -> list[str]:
    """What is said when a cell that wrote files is edited or gone, and a cell below it runs again."""
    before = footprints([first, maker, reader])
    after = footprints([first, reader] if fixed is None else [first, fixed, reader])
    paths = tuple(f"/place/{one}" for one in written)
    before[1] = observed(before[1], CellEvidence(written=paths), directory="/place")
    steps = [
        Step(before[0], after[0]),
        Step(before[1], None if fixed is None else after[1], "edited"),
        Step(before[2], after[-1]),
    ]
    sources = {0: first, 2: reader} | ({} if fixed is None else {1: fixed})
    running = [place for place in (1, 2) if place in sources]
    names = [f"#file:{one}" for one in written]
    return stale_files(steps, running, sources, {1: names}, (), lambda place: f"cell {place}")


@pytest.mark.parametrize(
    "reader",
    [
        "n = len(glob.glob('parts/*.csv'))",
        "n = os.listdir('parts')",
        "n = list(pathlib.Path(parts).iterdir())",
        "def count(where):\n    return len(list(where.rglob('*.csv')))\nn = count(pathlib.Path('parts'))",
    ],
)
def test_what_a_cell_lists_is_named(reader: str) -> None:
    [said] = told(MAKER, MAKER.replace("3", "2"), reader, "parts/0.csv", "parts/1.csv", "parts/2.csv")
    assert said.startswith(
        "cell 2 may list parts/0.csv, parts/1.csv, parts/2.csv, and cell 1 left them in the run before;"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "if not os.path.exists(out):\n    open(out, 'w').write('1')",
        "p = pathlib.Path(out)\nif not p.is_file():\n    p.write_text('1')",
        "def cached(p):\n    if not os.path.isfile(p):\n        open(p, 'w').write('1')\ncached(out)",
        "try:\n    n = open(out).read()\nexcept FileNotFoundError:\n    open(out, 'w').write('1')",
    ],
)
def test_what_a_cell_makes_only_where_it_is_missing_is_named(cell: str) -> None:
    [said] = told(cell, cell.replace("'1'", "'2'"), "n = open(out).read()", "out.csv")
    assert said.startswith("cell 1 may look whether out.csv is there, and cell 1 left it in the run before;")


@pytest.mark.parametrize("fixed", [None, "open('other.csv', 'w').write('1')"])
def test_what_no_cell_makes_any_more_is_named(fixed: str | None) -> None:
    [said] = told("open('out.csv', 'w').write('1')", fixed, "n = open('out.csv').read()", "out.csv")
    assert said.startswith("cell 2 reads out.csv, and cell 1 left it in the run before;")


@pytest.mark.parametrize(
    ("maker", "fixed", "reader"),
    [
        ("open('out.csv', 'w').write('1')", "open('out.csv', 'w').write('2')", "n = open('out.csv').read()"),
        ("df.to_csv(out)", "df.dropna().to_csv(out)", "n = pd.read_csv(out)"),
        ("df.to_csv(out)", "df.dropna().to_csv(out)", "n = glob.glob('*.csv')"),
        ("df.to_csv(where())", "df.dropna().to_csv(where())", "n = pd.read_csv(where())"),
        ("df.to_csv(out)", None, "n = 1"),
    ],
)
def test_what_is_made_anew_or_not_looked_at_is_not_named(maker: str, fixed: str | None, reader: str) -> None:
    first = f"{IMPORTS}\ndf = pd.DataFrame()\ndef where():\n    return '-'.join(['o', 'ut.csv'])"
    assert told(maker, fixed, reader, "out.csv", first=first) == []


def test_a_directory_that_is_made_where_it_is_missing_is_not_listed() -> None:
    first = "os.makedirs('parts', exist_ok=True)"
    assert told(MAKER, MAKER, first, "parts/0.csv") == []


def test_what_the_cell_that_failed_left_is_named() -> None:
    reader = "n = os.listdir('parts')"
    [one] = footprints([reader])
    begun = ["#file:parts/0.csv"]
    [said] = stale_files([Step(None, one)], [0], {0: reader}, {}, begun, lambda at: f"cell {at}")
    assert said.startswith("cell 0 may list parts/0.csv, and the cell that failed left it in the run before;")


@pytest.mark.parametrize(
    "first",
    [
        "import joblib\n@joblib.Memory('cache').cache\ndef f(x):\n    return x * rate",
        "from sklearn.pipeline import make_pipeline\nf = make_pipeline(step, memory='cache').fit",
    ],
)
def test_results_in_a_cache_of_files_are_named(first: str) -> None:
    [said] = told("a = f(1)", "a = f(1)\nb = 2", "n = a", "cache/f/output.pkl", first=first)
    assert said.startswith("cell 1 may find results in cache/f/output.pkl, and cell 1 left it")
