"""`%respawn` in a real kernel."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.exchange.restore_point import AlwaysCell, RestorePoint, run_directory
from support.kernels import AGENT, CellFailed, Kernel, running_kernel
from support.lengths import quick

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


@pytest.mark.parametrize("extension", quick({0}, ["respawn", "respawn_kernels"]))
def test_restore_brings_variables_back_and_shows_them(tmp_path: Path, extension: str) -> None:
    always = (AlwaysCell(0, "stream = iter([answer])"), AlwaysCell(1, "1 / 0"))
    download(tmp_path, *always)
    with running_kernel(tmp_path) as kernel:
        shown = kernel.run(f"%load_ext {extension}\n%respawn restore {RUN}")
        assert "1 variable, 28 B, as just after cell 2" in shown
        assert "answer  int   42     28 B  when used" in shown
        assert "stream  generator  cannot pickle 'generator' object  cell 2" in shown
        assert "Not run yet. These make what could not be stored; %respawn rerun runs them:" in shown
        assert "cell 0, tagged respawn:always: stream = iter([answer])\n" in shown
        assert "<code>answer</code>" in displayed_html(kernel)
        assert kernel.execution_count == 1
        assert kernel.value("type(stream).__name__") == "Placeholder", "nothing was executed"
        assert "cell 0\n  cell 1 failed: ZeroDivisionError" in kernel.run("%respawn rerun")
        assert kernel.value("next(stream)") == 42
        assert kernel.value("answer") == 42
        assert "answer  int   42     28 B  loaded" in kernel.run("%respawn state")


def test_cells_that_run_again_change_nothing_that_was_restored(tmp_path: Path) -> None:
    download(tmp_path, AlwaysCell(0, "stream = iter([answer]); answer = 0; other = 1"))
    with running_kernel(tmp_path) as kernel:
        kernel.run(f"mine = 7\n%load_ext respawn\n%respawn restore {RUN}\n%respawn rerun")
        assert kernel.value("(answer, next(stream), mine, 'other' in globals())") == (42, 42, 7, False)


@pytest.mark.long
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


OTHERS = ["archive of run-9876543210, exported by hannah", "bob"]


def of_others(tmp_path: Path) -> None:
    """Make a download whose state code of others has made, and to which nobody has agreed."""
    download(tmp_path, source="answer = 42")
    path = run_directory(RUN) / "restore.json"
    point = RestorePoint.from_json(path.read_bytes())
    path.write_text(replace(point, authors=OTHERS).to_json())


@pytest.mark.parametrize("words", [f"restore {RUN}", f"diff {RUN}"])
def test_state_that_code_of_others_made_is_loaded_only_by_consent(tmp_path: Path, words: str) -> None:
    of_others(tmp_path)
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")
        with pytest.raises(CellFailed, match=r"UsageError"):
            kernel.run(f"%respawn {words}")
        told = "".join(str(message["content"]) for message in kernel.outputs)
        assert "archive of run-9876543210, exported by hannah; bob" in told
        assert "Agree with --yes" in told
        assert kernel.value("'answer' in globals()") is False
        kernel.run(f"%respawn restore {RUN} --yes")
        assert kernel.value("answer") == 42
        kernel.run(f"%respawn {words}")  # who agreed is not asked again


@pytest.mark.parametrize(("answer", "loaded"), quick({0, 2}, [("y", True), ("n", False), ("", False)]))
def test_person_at_a_front_end_is_asked(tmp_path: Path, answer: str, loaded: bool) -> None:
    of_others(tmp_path)
    asked: list[str] = []
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")

        def give(message: dict[str, Any]) -> None:
            asked.append(message["content"]["prompt"])
            kernel.client.input(answer)

        kernel.client.execute_interactive(
            f"%respawn restore {RUN}",
            allow_stdin=True,
            stdin_hook=give,
            output_hook=lambda _: None,
            timeout=60,
        )
        assert len(asked) == 1
        assert "; bob: loading it runs their code here, with your rights. Load it?" in asked[0]
        held = "get_ipython().magics_manager.registry['RespawnMagics'].restored_run"
        assert kernel.value(held) == (RUN if loaded else None)


@pytest.mark.long
def test_consent_is_the_accounts_that_gave_it(tmp_path: Path) -> None:
    of_others(tmp_path)
    path = run_directory(RUN) / "restore.json"
    point = RestorePoint.from_json(path.read_bytes())
    path.write_text(replace(point, agreed_by=os.getuid() + 1).to_json())
    with running_kernel(tmp_path) as kernel:
        kernel.run("%load_ext respawn")
        with pytest.raises(CellFailed, match=r"UsageError"):
            kernel.run(f"%respawn restore {RUN}")
