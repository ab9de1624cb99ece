"""A file that is opened and gone through: the cell reads or writes that file, and nothing else."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import footprints

IMPORTS = "import csv, io, json, os, pickle\nimport pandas as pd\nfrom pathlib import Path"


def touched(*cells: str) -> tuple[set[str], set[str]]:
    """What the last cell reads and writes of files and libraries."""
    last = footprints([IMPORTS, *cells])[-1]
    assert last.opaque is None, last.opaque
    reads, writes = ({name for name in names if name[0] == "#"} for names in (last.reads, last.writes))
    return reads - {"#cwd"}, writes


@pytest.mark.parametrize(
    "cell",
    [
        "text = open('a').read()",
        "path = 'a'\nwith open(path, encoding='utf-8') as file:\n    lines = file.readlines()",
        "with open('a') as file:\n    rows = [line.split(',') for line in file]",
        "with open('a', 'rb') as file:\n    head = file.read(4)\n    file.seek(0)",
        "with open('a') as file:\n    data = json.load(file)",
        "with open('a', newline='') as file:\n    rows = list(csv.DictReader(file))",
        "with open('a') as file:\n    df = pd.read_csv(file)",
        "file = open('a')\nfor line in file:\n    print(line)\nfile.close()",
        "with Path('a').open() as file:\n    text = file.read()",
    ],
)
def test_who_reads_an_open_file_reads_that_file_alone(cell: str) -> None:
    assert touched(cell) == ({"#file:a"}, set())


@pytest.mark.parametrize(
    "cell",
    [
        "with open('a', 'w') as file:\n    file.write('text')",
        "with open('a', 'w') as file:\n    file.writelines(['b', 'c'])\n    print('more', file=file)",
        "with open('a', 'w') as file:\n    json.dump({'x': 1}, file)",
        "with open('a', 'wb') as file:\n    pickle.dump([1], file)",
        "with open('a', 'w') as file:\n    pd.DataFrame({'x': [1]}).to_csv(file)",
        "with open('a', 'w') as file:\n    rows = csv.writer(file)\n    rows.writerow([1, 2])",
    ],
)
def test_who_writes_to_an_open_file_writes_that_file_alone(cell: str) -> None:
    assert touched(cell)[1] == {"#file:a"}
    assert touched(cell)[0] <= {"#file:a"}


def test_who_appends_reads_the_file_as_well() -> None:
    assert touched("with open('a', 'a') as file:\n    file.write('x')") == ({"#file:a"}, {"#file:a"})


def test_a_file_that_was_opened_before_is_read_and_written_where_it_is_used() -> None:
    assert touched("file = open('a')", "text = file.read()") == ({"#file:a"}, set())
    assert touched("file = open('a', 'w')", "file.write('x')")[1] == {"#file:a"}
    assert touched("file = open('a', 'w')", "held = [file]", "held[0].write('x')")[1] >= {"#file:a"}


def test_reading_on_in_an_open_file_depends_on_who_read_before() -> None:
    cells = [IMPORTS, "file = open('a')", "head = file.readline()", "rest = file.read()"]
    assert "file" in footprints(cells)[2].writes
    assert "file" in footprints(cells)[3].reads


@pytest.mark.parametrize(
    "cells",
    [
        ("with open('a', opener=mine) as file:\n    text = file.read()",),
        ("with open('a') as file:\n    file.read = mine\n    text = file.read()",),
        ("with open('a') as file:\n    data = json.load(file, object_hook=mine)",),
        ("file = open('a', 'w')\nfile.note = mine", "json.dump(1, file)"),
    ],
)
def test_code_of_the_notebook_that_an_open_file_leads_to_runs(cells: tuple[str, ...]) -> None:
    before = "limit = 1\ndef mine(*given):\n    return limit"
    assert "limit" in footprints([IMPORTS, before, *cells])[-1].reads


def test_codecs_and_errors_that_the_notebook_registers_are_not_overlooked() -> None:
    cells = "import codecs\nlimit = 1\ncodecs.register_error('mine', lambda error: ('?' * limit, error.end))"
    last = footprints([IMPORTS, cells, "with open('a', errors='mine') as file:\n    text = file.read()"])[-1]
    assert last.opaque or "limit" in last.reads or "#libraries" in last.reads
