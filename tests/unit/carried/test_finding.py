"""What a notebook needs of the files beside it, found in its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.api.carried_files import MAX_FILE_BYTES
from respawn_jobs.carried.finding import FileChoice, find_files, matching_files, written_names
from respawn_jobs.errors import InvalidInput
from support.notebooks import notebook

FILES = {
    "helpers.py": "from lib import a\nimport json\nTABLE = 'rates.csv'\n",
    "lib/__init__.py": "",
    "lib/a.py": "from . import b\n",
    "lib/b.py": "from pathlib import Path\nSAID = Path(__file__).parent / 'words.txt'\n",
    "lib/never.py": "",
    "lib/words.txt": "hello",
    "alone.py": "",
    "space/inner.py": "",
    "rates.csv": "1",
    "data/1.csv": "1",
    "data/2.csv": "2",
    "data/notes.txt": "",
    "run_me.py": "",
    "load.sh": "cat data/notes.txt\n",
    "tool.py": "import alone\nopen('rates.csv')\n",
    "report.csv": "of the last time",
    ".env": "KEY=1",
    "api_token.txt": "t",
    "other.ipynb": "{}",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "nb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "nb"


def found(directory: Path, *cells: str, **wanted: list[str]) -> set[str]:
    return {one.path for one in find_files(notebook(*cells), directory, FileChoice(**wanted)).files}


def outside(directory: Path, *cells: str) -> list[str]:
    return find_files(notebook(*cells), directory).outside


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import numpy, json", set()),
        ("import helpers", {"helpers.py", "rates.csv", *(name for name in FILES if name.startswith("lib/"))}),
        ("from space import inner", {"space/inner.py"}),
        ("from space.inner import x", {"space/inner.py"}),
        ("import importlib\nimportlib.import_module('alone')", {"alone.py"}),
        ("def f():\n    import alone", {"alone.py"}),
        ("import sys\nsys.path.append('space')\nimport inner", {"space/inner.py"}),
        ("open('rates.csv')", {"rates.csv"}),
        ("open('./data/../rates.csv')", {"rates.csv"}),
        ("import glob\nglob.glob('data/*.csv')", {"data/1.csv", "data/2.csv"}),
        ("glob.glob('data/**/*.csv', recursive=True)", {"data/1.csv", "data/2.csv"}),
        ("glob.glob('**/*.csv', recursive=True)", set()),
        ("%run run_me.py --fast", {"run_me.py"}),
        ("!bash load.sh < rates.csv", {"load.sh", "rates.csv", "data/notes.txt"}),
        ("%%bash\nsort data/1.csv", {"data/1.csv"}),
        ("x = 1\n%matplotlib inline\nopen('rates.csv')", {"rates.csv"}),
        ("df.to_csv('report.csv')", set()),
        ("open('report.csv', 'w')", set()),
        ("open('report.csv', mode='a+')", {"report.csv"}),
        ("Path('report.csv').write_text('x')", set()),
        ("pd.read_csv('rates.csv').to_csv('report.csv')", {"rates.csv"}),
        ("df.to_csv('report.csv')\nopen('report.csv')", {"report.csv"}),
        ("open('other.ipynb')", set()),
        ("%load_ext alone", {"alone.py"}),
        ("!python tool.py", {"tool.py", "alone.py", "rates.csv"}),
        ("%%bash\nbash load.sh", {"load.sh", "data/notes.txt"}),
    ],
)
def test_what_code_names_is_found(directory: Path, code: str, files: set[str]) -> None:
    assert found(directory, code) == files


def test_a_person_adds_files_by_patterns_and_leaves_out_others(directory: Path) -> None:
    assert found(directory, "x = 1", more=["data", ".env"]) == {
        "data/1.csv",
        "data/2.csv",
        "data/notes.txt",
        ".env",
    }
    assert found(directory, "import helpers", without=["lib"]) == {"helpers.py", "rates.csv"}
    assert found(directory, "import helpers", without=["*.py"]) == {"lib/words.txt", "rates.csv"}
    assert "api_token.txt" not in found(directory, "x = 1", more=["*"]), "nobody has asked for that one"
    assert found(directory, "x = 1", more=["api_token.txt"]) == {"api_token.txt"}
    assert [one.path for one in matching_files(directory, ["data/*.csv"])] == ["data/1.csv", "data/2.csv"]


@pytest.mark.parametrize("pattern", ["none.csv", "../nb/rates.csv", "other.ip*"])
def test_a_pattern_that_leads_nowhere_is_refused(directory: Path, pattern: str) -> None:
    if pattern.startswith("other"):
        assert found(directory, "x = 1", more=[pattern]) == set()
        return
    with pytest.raises(InvalidInput, match="fits no file"):
        found(directory, "x = 1", more=[pattern])


def test_what_cannot_be_carried_is_named(directory: Path, tmp_path: Path) -> None:
    (directory / "large.bin").write_bytes(b"0" * (MAX_FILE_BYTES + 1))
    (tmp_path / "above.csv").write_text("x")
    (directory / "link.csv").symlink_to(tmp_path / "above.csv")
    told = outside(
        directory,
        "open('large.bin'), open('../above.csv'), open('.env'), open('api_token.txt'), open('link.csv')",
        f"open('{directory}/rates.csv'), 'data'",
    )
    named = " | ".join(sorted(told))
    assert len(told) == 7
    for part in (
        "large.bin, which has 10 MiB: too large",
        "../above.csv, which lies above",
        ".env, which may hold a secret",
        "api_token.txt, which may hold a secret",
        "link.csv, which is a link that leads out",
        "by its full path: write rates.csv",
        "data/, of which the code names no single file",
    ):
        assert part in named


def test_what_is_of_the_machine_is_no_slip(directory: Path) -> None:
    assert outside(directory, "open('/etc/hosts'), '/', '.', 'a text', 'https://example.org/rates.csv'") == []


def test_too_much_is_refused_with_what_to_leave_out(directory: Path) -> None:
    for number in range(4):
        (directory / "data" / f"{number}.bin").write_bytes(b"0" * MAX_FILE_BYTES)
    with pytest.raises(InvalidInput, match="leave some out"):
        found(directory, "x = 1", more=["data"])


def test_a_module_above_the_notebook_is_named(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "common.py").write_text("x = 1\n")
    (named,) = outside(directory, "import sys\nsys.path.append('..')\nimport common")
    assert named == f"{tmp_path / 'common.py'}, a module that lies outside of the notebook's directory"


def test_what_code_writes_is_told_from_what_it_reads() -> None:
    code = "df.to_csv('./out/report.csv')\nopen('log.txt', 'w')\nopen('rates.csv')\nPath('a.txt').touch()"
    assert written_names(notebook(code)) >= {"out/report.csv", "log.txt", "a.txt"}
    assert "rates.csv" not in written_names(notebook(code))


def test_a_directory_that_is_carried_in_part_is_named(directory: Path) -> None:
    code = "import glob, pathlib\nglob.glob('data/*.csv')\n(pathlib.Path('data') / 'notes.txt').read_text()"
    assert outside(directory, code) == [
        "data/, of which the code names no single file: add those that it needs"
    ]
    assert outside(directory, "import glob\nglob.glob('data/*')\npathlib.Path('data')") == []
