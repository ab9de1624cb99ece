"""`%respawn` in a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.restore import AlwaysCell, RestorePoint, run_directory
from support.kernels import AGENT, CellFailed, Kernel, running_kernel

pytestmark = pytest.mark.integration

RUN = "run-0123456789"


STATE = "answer = 42; stream = (n for n in [])"


def download(tmp_path: Path, *always: AlwaysCell, cell: int | None = 2, source: str = STATE) -> None:
    """Make a download as the server extension would."""
    directory = run_directory(RUN)
    directory.mkdir(parents=True)
    if cell is not None:
        with running_kernel(tmp_path) as kernel:
            kernel.silent(f"{AGENT}.start({str(directory)!r})")
            kernel.run(source)
            kernel.silent(f"{AGENT}.checkpoint({cell})")
    point = RestorePoint(RUN, cell, "python3", failing_cell=3, error="KeyError: 'x'", always=list(always))
    (directory / "restore.json").write_text(point.to_json())


def displayed_html(kernel: Kernel) -> str:
    [message] = [m for m in kernel.outputs if m["msg_type"] == "display_data"]
    return str(message["content"]["data"]["text/html"])


@pytest.mark.parametrize("extension", ["respawn", "respawn_kernels"])
def test_restore_brings_variables_back_and_shows_them(tmp_path: Path, extension: str) -> None:
    always = (AlwaysCell(0, "stream = iter([answer])"), AlwaysCell(1, "1 / 0"))
    download(tmp_path, *always)
    with running_kernel(tmp_path) as kernel:
        shown = kernel.run(f"%load_ext {extension}\n%respawn restore {RUN}")
        assert "1 variable, 28 bytes, as just after cell 2" in shown
        assert "answer  int   42     28 bytes  when used" in shown
        assert "stream  generator  cannot pickle 'generator' object  cell 2" in shown
        assert "Not run yet. These make what could not be stored; %respawn rerun runs them:" in shown
        assert "cell 0, tagged respawn:always: stream = iter([answer])\n" in shown
        assert "<code>answer</code>" in displayed_html(kernel)
        assert kernel.execution_count == 1
        assert kernel.value("type(stream).__name__") == "Placeholder", "nothing was executed"
        assert "cell 0\n  cell 1 failed: ZeroDivisionError" in kernel.run("%respawn rerun")
        assert kernel.value("next(stream)") == 42
        assert kernel.value("answer") == 42
        assert "answer  int   42     28 bytes  loaded" in kernel.run("%respawn state")


def test_cells_that_run_again_change_nothing_that_was_restored(tmp_path: Path) -> None:
    download(tmp_path, AlwaysCell(0, "stream = iter([answer]); answer = 0; other = 1"))
    with running_kernel(tmp_path) as kernel:
        kernel.run(f"mine = 7\n%load_ext respawn\n%respawn restore {RUN}\n%respawn rerun")
        assert kernel.value("(answer, next(stream), mine, 'other' in globals())") == (42, 42, 7, False)


def test_what_such_cells_make_shares_what_they_left_as_it_was(tmp_path: Path) -> None:
    kept, changed = "kept = (n for n in rows)", "lost = (n for n in other); other.append(9)"
    state = f"class Row:\n    pass\nrows, other = [Row()], [1]\n{kept}\n{changed}"
    download(tmp_path, AlwaysCell(0, kept), AlwaysCell(1, changed), source=state)
    with running_kernel(tmp_path) as kernel:
        kernel.run(f"%load_ext respawn\n%respawn restore {RUN}")
        shown = kernel.run("%respawn rerun")
        assert kernel.value("(rows.append(Row()), len(list(kept)), type(rows[0]) is Row)") == (None, 2, True)
        assert "it was made again from other" in shown
        assert kernel.value("(type(lost).__name__, len(other))") == ("Placeholder", 2)


def test_run_that_failed_in_its_first_cell_has_nothing_to_restore(tmp_path: Path) -> None:
    download(tmp_path, cell=None)
    with running_kernel(tmp_path) as kernel:
        assert "nothing to restore" in kernel.run(f"%load_ext respawn\n%respawn restore {RUN}")


def test_missing_download_and_wrong_calls_say_what_to_do(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")
        for code, words in [
            (f"%respawn restore {RUN}", f"respawn debug {RUN}"),
            ("%respawn restore ../etc", "not the id of a run"),
            ("%respawn state", "Nothing was restored"),
            ("%respawn what", "%respawn restore RUN"),
        ]:
            with pytest.raises(CellFailed, match=r"UsageError"):
                kernel.run(code)
            told = "".join(str(m["content"]) for m in kernel.outputs)
            assert words in told
