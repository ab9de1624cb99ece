"""Files that a reused cell names, or that came into a directory it listed: the plan says what changed.

A child process opens them, or a library in C does, or the cell only looked whether they were there: no event
tells of this. Modules beside the notebook that read its variables are here for the same reason.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration

CELLS = {
    "import glob, os, subprocess, sys\nimport polars as pl, pandas as pd\nimport loading": "",
    "by_glob = sorted(glob.glob('in/*.csv'))": "in/late.csv",
    "listed = sorted(os.listdir('listed'))": "listed/late.csv",
    "there = os.path.exists('skip.txt')": "skip.txt",
    "rows = pl.read_csv('native.csv').height": "native.csv",
    "parts = pd.read_parquet('parts').shape[0]": "parts/late.parquet",
    "by_helper = loading.load('helped.csv')": "helped.csv",
    "sorted_names = subprocess.check_output(['sort', '-r', 'names.txt'], text=True)": "names.txt",
    "in_shell = subprocess.run('wc -l < lines.txt', shell=True, capture_output=True).stdout": "lines.txt",
    "counted = !wc -l < counted.txt": "counted.txt",
    "made = !{sys.executable} prep.py 20": "prep.py",
    "%%bash\ncat shown.txt": "shown.txt",
    "PLACE = 'named/by/variable.csv'": "named/by/variable.csv",
    "try:\n    import extra\nexcept ImportError:\n    extra = None": "extra.py",
    "try:\n    from speed.ups import fast\nexcept ImportError:\n    fast = None": "speed/__init__.py",
    "import importlib.util\nspec = importlib.util.find_spec('plugin')": "plugin/__init__.py",
}
LATE = ("skip.txt", "extra.py", "speed/__init__.py", "plugin/__init__.py")
"""They come only when the run has ended."""
UNCHANGED = [
    "quiet = pl.read_csv('quiet.csv').height",
    "text = 'no file'",
    "own = open('own.txt', 'w').write('x')",
]
LOADING = "import polars as pl\ndef load(path): return pl.scan_csv(path).collect().height\n"


def _write(path: str, content: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


@pytest.mark.long
def test_what_a_reused_cell_names_is_told_when_it_was_written_since(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    for path in (*CELLS.values(), "in/first.csv", "listed/first.csv", "quiet.csv"):
        if path and path not in LATE and "late" not in path:
            _write(path, "print(1)\n" if path.endswith(".py") else "a\n1\n")
    _write("loading.py", LOADING)
    Path("parts").mkdir()
    pd.DataFrame({"a": [1]}).to_parquet("parts/first.parquet")
    sources = [*CELLS, *UNCHANGED]
    Path("report.ipynb").write_text(text(notebook(*sources, "1/0")))
    Path("fixed.ipynb").write_text(text(notebook(*sources, "print(rows)")))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    quiet = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert [cell["changed_inputs"] for cell in quiet["cells"]] == [[]] * (len(sources) + 1)
    for path in filter(None, CELLS.values()):
        if path.endswith(".parquet"):
            pd.DataFrame({"a": [1, 2]}).to_parquet(path)
        else:
            _write(path, "print(22)\n" if path.endswith(".py") else "a\n1\n2\n")
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    for cell, (source, path) in zip(plan["cells"], CELLS.items(), strict=False):
        told = " ".join(cell["changed_inputs"])
        assert Path(path).name in told or cell["action"] == "run", f"{source}: {plan}"
    for cell in plan["cells"][len(CELLS) :]:
        assert cell["changed_inputs"] == []
    ended = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb")
    notes = [cell["note"] for cell in ended["cells"]]
    assert any("names.txt was written since" in (note or "") for note in notes), notes


HELPERS = [
    "def get():\n    import __main__\n    return __main__.LIMIT\n",
    "def get():\n    from __main__ import LIMIT\n    return LIMIT\n",
    "import sys\ndef get():\n    return sys.modules['__main__'].LIMIT\n",
    "from IPython import get_ipython\ndef get():\n    return get_ipython().user_ns['LIMIT']\n",
    "import importlib\nclass Getter:\n    @property\n    def it(self):\n"
    "        return vars(importlib.import_module('__main__'))['LIMIT']\ndef get(): return Getter().it\n",
]


@pytest.mark.long
def test_modules_that_read_the_notebooks_variables_tie_their_callers_to_them(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, source in enumerate(HELPERS):
        Path(f"helper{number}.py").write_text(source)
    imports = "\n".join(f"import helper{number}" for number in range(len(HELPERS)))
    calls = [f"got{number} = helper{number}.get()" for number in range(len(HELPERS))]
    shown = f"print({', '.join(f'got{number}' for number in range(len(HELPERS)))})"
    Path("report.ipynb").write_text(text(notebook(imports, "LIMIT = 1", *calls, "1/0", shown)))
    Path("fixed.ipynb").write_text(text(notebook(imports, "LIMIT = 2", *calls, "", shown)))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    ended = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb")
    cells = json.loads(Path(ended["notebook"]).read_text())["cells"]
    assert printed_by(cells[-1]) == "2 2 2 2 2\n"
