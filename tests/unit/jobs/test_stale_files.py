"""Files of the run before that running cells may see, and that a run in an empty directory would not have."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import footprints, observed
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.resume.files.file_history import Fate, describe_unseen_files, fates_of
from respawn_jobs.resume.files.leftover_files import stale_files
from respawn_jobs.resume.invalidation.reruns import Step
from respawn_kernels.evidence import CellEvidence

IMPORTS = "import os, glob, pathlib, shutil\nimport pandas as pd\nparts = 'parts'\nout = 'out.csv'"
MAKER = "for i in range(3):\n    pathlib.Path('parts', f'{i}.csv').write_text('x')"


def told(
    maker: str, fixed: str | None, reader: str, *written: str, first: str = IMPORTS, fate: Fate = Fate.LEFT
) -> list[str]:
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
    return list(
        stale_files(
            steps, running, sources, {1: names}, (), lambda place: f"cell {place}", dict.fromkeys(names, fate)
        )
    )


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


@pytest.mark.parametrize(
    "cell",
    [
        "n = 1\nwhile pathlib.Path(f'out_{n}.csv').exists():\n    n += 1\n"
        "pathlib.Path(f'out_{n}.csv').write_text('1')",
        "def free(n=1):\n    return n if not os.path.exists(f'out_{n}.csv') else free(n + 1)\n"
        "parts.to_csv(f'out_{free()}.csv')",
    ],
)
def test_what_a_cell_finds_a_free_name_beside_is_named(cell: str) -> None:
    [said] = told(cell, cell.replace("'1'", "'2'"), "n = 2", "out_1.csv", fate=Fate.MADE)
    assert said.startswith("cell 1 may look whether out_1.csv is there, and cell 1 left it")


def test_what_a_cell_looks_at_once_it_has_made_it_is_not_named() -> None:
    cell = "open('out.csv', 'w').write('1')\nassert os.path.exists('out.csv')"
    assert told(cell, cell.replace("'1'", "'2'"), "n = 2", "out.csv", fate=Fate.MADE) == []


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
    [said] = stale_files([Step(None, one)], [0], {0: reader}, {}, begun, lambda at: f"cell {at}", {})
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


@pytest.mark.parametrize(
    ("fate", "fix"),
    [
        (Fate.MADE, "left it in the run before; no cell above makes it again: remove it first to have"),
        (
            Fate.CHANGED,
            "changed it in the run before; no cell above makes it again: first put it back as it was",
        ),
        (
            Fate.REMOVED,
            "removed it in the run before; no cell above makes it again: first put it back as it was",
        ),
        (Fate.LEFT, "first put it back as it was before that, or remove it if it was not there, to have"),
    ],
)
def test_what_is_to_be_done_is_what_gives_back_the_file_of_before(fate: Fate, fix: str) -> None:
    cell = "open('a.txt', 'a').write('1')"
    [said] = told(cell, cell, "n = 1", "a.txt", fate=fate)
    assert fix in said


def test_file_that_is_as_it_was_before_the_run_is_not_named() -> None:
    cell = "open('a.txt', 'a').write('1')"
    assert told(cell, cell, "n = 1", "a.txt", fate=Fate.NONE) == []


@pytest.mark.parametrize(
    ("cell", "how"),
    [
        ("!gunzip a.gz", "continues from {} in a command"),
        ("!echo x >> a.gz", "continues from {} in a command"),
        ("%%bash\nsed -i s/x/y/ a.gz", "uses {} in a command"),
        ("import subprocess\nsubprocess.run(['sed', '-i', 's/x/y/', 'a.gz'])", "uses {} in a command"),
        ("!wc -l *.gz", "may list {} in a command"),
    ],
)
def test_what_an_edited_command_names_is_told(cell: str, how: str) -> None:
    [said] = told("!true", cell, "n = 1", "a.gz", fate=Fate.REMOVED)
    assert said.startswith(f"cell 1 {how.format('a.gz')}, and cell 1 removed it in the run before;")


@pytest.mark.parametrize(
    "cell",
    [
        "!cp in.csv a.csv",
        "!sort in.csv > a.csv",
        "!wget -q -O a.csv https://x/a.csv",
        "!python make.py a.csv",
    ],
)
def test_what_a_command_makes_anew_is_not_told(cell: str) -> None:
    assert told("!true", cell, "n = open('a.csv').read()", "a.csv", fate=Fate.MADE) == []


@pytest.mark.parametrize("cell", ["!pip list", "!ls other", "!cat b.csv"])
def test_commands_that_look_elsewhere_say_nothing(cell: str) -> None:
    assert told("!true", cell, "n = 1", "a.csv", fate=Fate.MADE) == []


def test_edited_command_with_a_name_that_is_filled_in_may_go_on() -> None:
    before = observed(
        footprints(["!sed -i s/x/y/ {f}"])[0],
        CellEvidence(opened=("/place/a.txt",), written=("/place/a.txt",), outside=("process",)),
        directory="/place",
    )
    source = "!sed -i s/x/z/ {f}"
    steps = [Step(before, footprints([source])[0], "edited")]
    [said] = stale_files(
        steps,
        [0],
        {0: source},
        {0: ["#file:a.txt"]},
        (),
        lambda at: f"cell {at}",
        {"#file:a.txt": Fate.CHANGED},
    )
    assert said.startswith(
        "cell 0 may continue from a.txt, which its commands changed, and cell 0 changed it"
    )


def test_cell_that_says_whether_its_file_was_there_is_named() -> None:
    cell = "%%writefile a.py\nx = 1"
    [said] = told(cell, f"{cell}2", "n = 1", "a.py", fate=Fate.MADE)
    assert said.startswith("cell 1 says whether a.py was there, and cell 1 left it in the run before;")
    assert told(cell, f"{cell}2", "n = 1", "a.py", fate=Fate.CHANGED) == []


def record(index: int, path: str, found: tuple[int, int] | None, left: tuple[int, int]) -> CellRecord:
    seen = CellEvidence(written=(path,), found=((path, *found),) if found else (), outputs=((path, *left),))
    return CellRecord(
        cell_id=str(index), index=index, source_hash="", state=CellState.EXECUTED, evidence=seen
    )


@pytest.mark.parametrize(
    ("states", "now", "fate"),
    [
        ([((-2, 0), (3, 1))], (3, 1), Fate.MADE),
        ([((-2, 0), (3, 1)), ((3, 1), (-2, 0))], (-2, 0), Fate.NONE),
        ([((-2, 0), (3, 1))], (-2, 0), Fate.NONE),
        ([((2, 0), (3, 1)), ((3, 1), (4, 2))], (4, 2), Fate.CHANGED),
        ([((2, 0), (3, 1))], (2, 9), Fate.NONE),
        ([((2, 0), (-2, 0))], (-2, 0), Fate.REMOVED),
        ([(None, (3, 1)), ((3, 1), (4, 2))], (4, 2), Fate.LEFT),
    ],
)
def test_fate_of_a_file_is_told_from_its_first_cell_to_now(
    states: list[tuple[tuple[int, int] | None, tuple[int, int]]], now: tuple[int, int], fate: Fate
) -> None:
    cells = [record(index, "/place/a", found, left) for index, (found, left) in enumerate(states)]
    assert fates_of(cells, "/place", lambda _: now) == {"#file:a": fate}


def test_commands_of_which_nobody_saw_what_they_changed_are_named() -> None:
    seen = CellEvidence(files_unwatched="there are more than 500 files", outside=("process",))
    cells = [("cell 1", "!make all"), ("cell 2", "!ls; pip list"), ("cell 3", "fit(n_jobs=4)")]
    [said] = describe_unseen_files([(cell, source, seen) for cell, source in cells])
    assert said.startswith("cell 1 runs make again, and what that changed in the run before was not seen:")
    assert not describe_unseen_files([("cell 1", "!make all", CellEvidence(outside=("process",)))])


def test_command_above_hides_nothing_that_it_was_not_seen_to_make() -> None:
    above, append = footprints(["!sed -i s/x/y/ in.txt", "!echo 1 >> out.txt"])
    seen = [
        observed(one, CellEvidence(opened=(path,), written=(path,), outside=("process",)), directory="/place")
        for one, path in ((above, "/place/in.txt"), (append, "/place/out.txt"))
    ]
    sources = {0: "!sed -i s/x/y/ in.txt", 1: "!echo 1 >> out.txt"}
    for changed in (None, "edited"):
        steps = [Step(seen[0], above if changed else seen[0], changed), Step(seen[1], seen[1])]
        written = {0: ["#file:in.txt"], 1: ["#file:out.txt"]}
        told = list(stale_files(steps, [0, 1], sources, written, (), lambda at: f"cell {at}", {}))
        assert [one.split(",")[0] for one in told][1:] == ["cell 1 reads out.txt"]


def test_what_reused_cells_made_is_to_be_put_back() -> None:
    cells = [record(0, "/place/a", (-2, 0), (3, 1)), record(1, "/place/a", (3, 1), (4, 2))]
    assert fates_of(cells, "/place", lambda _: (4, 2), {0}) == {"#file:a": Fate.CHANGED}
