"""The command on an embedded store: what it prints, what it leaves, and how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import psutil
import pytest

from respawn_jobs.cli.entry import run_command
from support.grammars import compiled_grammars
from support.lengths import quick
from support.notebooks import notebook, printed_by, text
from support.waiting import wait_for

pytestmark = pytest.mark.integration

SLOW = (
    "x = 41",
    "import time; open('begun', 'w')\nfor i in range(300):\n    print(i, flush=True); time.sleep(0.2)",
    "print(x + 1)",
)


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, *cells: str, **more: Any) -> Path:
    path = Path(name)
    path.write_text(text(notebook(*cells, **more)))
    return path


@pytest.fixture
def respawn(capsys: pytest.CaptureFixture[str]):
    """Run a command line with `--json`; returns the exit status and the one document on stdout."""

    def respawn(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = run_command([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return respawn


def test_a_run_that_succeeds_exits_with_0(respawn) -> None:
    write("report.ipynb", "x = 1", "print(x)")
    status, told = respawn("run", "report.ipynb", "--output", "out.ipynb")
    assert (status, told["state"], told["error"], told["notebook"]) == (0, "succeeded", None, "out.ipynb")
    assert [(cell["index"], cell["state"]) for cell in told["cells"]] == [(0, "executed"), (1, "executed")]
    assert printed_by(nbformat.read("out.ipynb", 4).cells[1]) == "1\n"


def test_an_older_file_is_not_taken_for_the_notebook_of_a_run_whose_kernel_never_started(
    respawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "jupyter" / "kernels" / "broken"
    directory.mkdir(parents=True)
    spec = {"argv": ["/no/such/program", "{connection_file}"], "display_name": "b", "language": "python"}
    (directory / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    older = write("out.ipynb", "older = 1").read_text()
    write("report.ipynb", "x = 1", kernel="broken")
    status, told = respawn("run", "report.ipynb", "--output", "out.ipynb")
    assert (status, told["state"], told["error"]["name"]) == (1, "failed", "KernelStart")
    assert told["notebook"] is None
    assert Path("out.ipynb").read_text() == older


def test_a_run_that_fails_exits_with_1_and_can_be_debugged_and_resumed(respawn) -> None:
    write("report.ipynb", "x = 1", "raise KeyError('price')", "print(x)")
    status, failed = respawn("run", "report.ipynb")
    assert (status, failed["state"]) == (1, "failed")
    assert {key: failed["error"][key] for key in ("cell", "name", "value")} == {
        "cell": 1,
        "name": "KeyError",
        "value": "'price'",
    }
    assert [cell["state"] for cell in failed["cells"]] == ["executed", "failed", "skipped"]
    status, opened = respawn("debug", failed["run"], "-o", "debug.ipynb")
    assert (status, (Path(opened["restore"]) / "restore.json").exists()) == (0, True)
    fixed = nbformat.read("debug.ipynb", 4)
    next(
        cell for cell in fixed.cells if "price" in cell.source and cell.cell_type == "code"
    ).source = "x += 1"
    nbformat.write(fixed, "debug.ipynb")
    status, planned = respawn("resume", failed["run"], "--notebook", "debug.ipynb", "--plan")
    assert (status, planned["first"]) == (0, 1)
    status, resumed = respawn("resume", failed["run"], "--notebook", "debug.ipynb")
    assert (status, [cell["state"] for cell in resumed["cells"]]) == (0, ["reused", "executed", "executed"])
    assert printed_by(nbformat.read(resumed["notebook"], 4).cells[-1]) == "2\n"
    status, refused = respawn("resume", failed["run"])
    assert (status, refused["error"]) == (2, "conflict")


@pytest.mark.long
def test_restart_runs_again_from_the_top(respawn) -> None:
    write("report.ipynb", "x = 1", "1/0")
    _, failed = respawn("run", "report.ipynb")
    write("fixed.ipynb", "x = 1", "x / 1")
    status, again = respawn("restart", failed["run"], "--notebook", "fixed.ipynb")
    assert (status, [cell["state"] for cell in again["cells"]]) == (0, ["executed", "executed"])
    assert again["origin"] == failed["run"]


def test_a_promoted_job_runs_with_parameters(respawn) -> None:
    write("report.ipynb", "print(n * 2)", parameters="n: int = 1")
    assert respawn("promote", "report.ipynb", "--name", "report")[1]["number"] == 1
    status, told = respawn("run", "report", "-p", "n", "21")
    assert (status, told["parameters"]) == (0, {"n": 21})
    assert respawn("logs", told["run"])[1]["cells"][0]["text"] == "42\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "missing.ipynb"], "missing.ipynb"),
        (["run", "broken.ipynb"], "broken.ipynb"),
        (["run", "report.ipynb", "-p", "n", "many"], "'n'"),
        (["run", "report.ipynb", "-p", "m", "1"], "'m'"),
        (["run", "report.ipynb", "--kernel", "no-such-kernel"], "no-such-kernel"),
        (["run", "no-such-job"], "no-such-job"),
        (["show", "run-0000000000"], "run-0000000000"),
        (["runs", "--state", "asleep"], "asleep"),
        (["run", "--no-such-option"], "--no-such-option"),
    ],
)
def test_a_wrong_call_exits_with_2_and_names_what_is_wrong(respawn, arguments: list[str], named: str) -> None:
    write("report.ipynb", "print(n)", parameters="n: int = 1")
    Path("broken.ipynb").write_text("{}")
    status, told = respawn(*arguments)
    assert status == 2
    assert named in told["message"]
    assert respawn("runs")[1] == []


def test_a_schedule_that_cannot_be_is_refused(respawn) -> None:
    write("report.ipynb", "1")
    respawn("promote", "report.ipynb", "--name", "report")
    assert respawn("schedule", "add", "report", "--cron", "0 3 * * *", "--tz", "Mars/Base")[0] == 2
    assert respawn("schedule", "add", "report", "--cron", "0 0 30 2 *", "--tz", "UTC")[0] == 2
    status, made = respawn("schedule", "add", "report", "--cron", "0 3 * * *", "--tz", "Europe/Berlin")
    assert (status, len(made["next"])) == (0, 5)


def test_a_debug_notebook_keeps_its_edits_and_replaces_no_other_file(respawn) -> None:
    write("broken.ipynb", "1/0")
    run = respawn("run", "broken.ipynb")[1]["run"]
    assert respawn("debug", run, "-o", "debug.ipynb")[1]["kept"] is False
    edited = Path("debug.ipynb").read_text().replace("1/0", "1/1")
    Path("debug.ipynb").write_text(edited)
    assert respawn("debug", run, "-o", "debug.ipynb")[1]["kept"] is True
    assert Path("debug.ipynb").read_text() == edited
    mine = Path("broken.ipynb").read_text()
    status, told = respawn("debug", run, "-o", "broken.ipynb")
    assert (status, told["error"]) == (2, "conflict")
    assert Path("broken.ipynb").read_text() == mine


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("-o", "/proc/nope/out.ipynb"), "/proc"),
        (("-o", "report.ipynb"), "--output"),
        (("--timeout", "nan"), "nan"),
        (("--cell-timeout", "inf"), "inf"),
        (("--timeout", "1e300"), "1e300"),
        (("-p", "a", "1", "-p", "a", "2"), "more than once"),
    ],
)
def test_what_cannot_be_is_refused_before_a_run_is_made(respawn, arguments, named) -> None:
    write("report.ipynb", "1", parameters="a = 0")
    status, told = respawn("run", "report.ipynb", *arguments)
    assert (status, told["error"]) == (2, "usage")
    assert named in told["message"]
    assert respawn("runs")[1] == []


def test_a_fixed_notebook_that_is_none_is_named(respawn) -> None:
    write("broken.ipynb", "1/0")
    run = respawn("run", "broken.ipynb")[1]["run"]
    Path("fixed.ipynb").write_text("{}")
    status, told = respawn("resume", run, "--notebook", "fixed.ipynb")
    assert status == 2
    assert "fixed.ipynb" in told["message"]


def test_a_token_that_cannot_be_one_is_refused_without_being_shown(respawn, monkeypatch) -> None:
    monkeypatch.setenv("RESPAWN_URL", "http://127.0.0.1:1/services/respawn")
    monkeypatch.setenv("RESPAWN_TOKEN", "secret\nvalue")
    status, told = respawn("runs")
    assert (status, told["error"], "secret" in told["message"]) == (2, "invalid_input", False)


def test_a_schedule_can_be_looked_at_before_it_is_saved(respawn) -> None:
    write("report.ipynb", "1")
    respawn("promote", "report.ipynb", "--name", "report")
    berlin = ("report", "--cron", "0 3 * * *", "--tz", "Europe/Berlin")
    status, seen = respawn("schedule", "preview", *berlin)
    assert (status, seen["schedule"], len(seen["next"])) == (0, None, 5)
    assert respawn("schedule", "list", "report")[1]["schedules"] == []


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from respawn_jobs.cli import main; main()", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def running_cell(path: Path, sign: str) -> None:
    wait_for(lambda: path.exists() and sign in path.read_text(), 60, f"{sign!r} in {path}")


@pytest.mark.long
def test_ctrl_c_cancels_the_run_and_records_it(respawn) -> None:
    write("slow.ipynb", *SLOW)
    command = start("run", "slow.ipynb", "--output", "out.ipynb")
    wait_for(Path("begun").exists, 60, "the slow cell")
    os.kill(command.pid, signal.SIGINT)
    told = json.loads(command.communicate(timeout=60)[0])
    assert (command.returncode, told["state"]) == (1, "cancelled")
    assert respawn("runs")[1][0]["state"] == "cancelled"


@pytest.mark.long
def test_a_killed_run_is_lost_and_goes_on_from_its_last_finished_cell(
    respawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("slow.ipynb", *SLOW)
    command = start("run", "slow.ipynb", "--output", "out.ipynb", "--checkpoint-share", "1")
    running_cell(Path("out.ipynb"), '"completed"')
    wait_for(lambda: _seen(respawn), 60, "output of the running cell")
    kernels = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    command.communicate()
    _, alive = psutil.wait_procs(kernels, timeout=5)
    assert [kernel for kernel in alive if kernel.status() != psutil.STATUS_ZOMBIE] == []

    def lost() -> Any:
        run = respawn("runs")[1][0]
        return run if run["state"] == "lost" else None

    run = wait_for(lost, 40, "the lease to be over")
    shown = respawn("show", run["id"])[1]
    assert [cell["state"] for cell in shown["cells"]] == ["executed", "failed", "skipped"]
    assert respawn("logs", run["id"])[1]["cells"][0]["text"].startswith("0\n1\n")
    write("fixed.ipynb", SLOW[0], "pass", SLOW[2])
    status, resumed = respawn("resume", run["id"], "--notebook", "fixed.ipynb")
    assert (status, [cell["state"] for cell in resumed["cells"]]) == (0, ["reused", "executed", "executed"])
    assert printed_by(nbformat.read(resumed["notebook"], 4).cells[-1]) == "42\n"


def _seen(respawn) -> bool:
    run = respawn("runs")[1][0]["id"]
    cells = respawn("logs", run)[1]["cells"]
    return bool(cells) and "1\n" in cells[0]["text"]


def test_help_needs_no_heavy_imports() -> None:
    heavy = "{'papermill', 'nbformat', 'sqlalchemy', 'rich', 'pydantic', 'jupyter_client'}"
    code = "import sys; from respawn_jobs.cli.entry import run_command; run_command(['--help']);"
    code += f"print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    "arguments", quick({1}, [["debug", "RUN"], ["resume", "RUN", "--plan", "--notebook", "broken.ipynb"]])
)
def test_commands_compile_no_grammars(respawn, arguments: list[str], tmp_path: Path) -> None:
    write("broken.ipynb", "1/0")
    run = respawn("run", "broken.ipynb")[1]["run"]
    words = ["respawn", *(run if word == "RUN" else word for word in arguments)]
    code = f"import sys; sys.argv = {words!r}\nfrom respawn_jobs.cli import main\n"
    code += "try:\n    main()\nfinally:\n    import jsonschema"
    assert not compiled_grammars(code, tmp_path)


@pytest.fixture
def imported(respawn) -> str:
    """A failed run that came in an archive; its importer is the store's owner."""
    write("report.ipynb", "x = 1", "raise KeyError('price')")
    _, failed = respawn("run", "report.ipynb")
    respawn("export", failed["run"], "-o", "run.zip")
    status, told = respawn("import", "run.zip")
    assert status == 0, told
    return str(told["id"])


def test_debugging_an_imported_run_without_a_terminal_needs_yes(respawn, imported: str) -> None:
    status, told = respawn("debug", imported, "-o", "debug.ipynb")
    assert (status, told["error"]) == (2, "forbidden")
    assert "archive of run-" in told["message"]
    assert "Agree with --yes" in told["message"]
    assert not Path("debug.ipynb").exists()
    status, opened = respawn("debug", imported, "-o", "debug.ipynb", "--yes")
    assert status == 0
    point = json.loads((Path(opened["restore"]) / "restore.json").read_text())
    assert point["agreed_by"] == os.getuid(), "the kernel does not ask again"


@pytest.mark.long
def test_resuming_an_imported_run_without_a_terminal_needs_yes(respawn, imported: str) -> None:
    write("fixed.ipynb", "x = 1", "x")
    status, told = respawn("resume", imported, "--notebook", "fixed.ipynb")
    assert (status, told["error"]) == (2, "conflict")
    assert "archive of run-" in told["message"]
    assert "agree to that (--yes)" in told["message"]
    status, resumed = respawn("resume", imported, "--notebook", "fixed.ipynb", "--yes")
    assert (status, [cell["state"] for cell in resumed["cells"]]) == (0, ["reused", "executed"])


@pytest.mark.long
@pytest.mark.parametrize(("answer", "resumed"), quick({0}, [("y", True), ("n", False), ("", False)]))
def test_person_at_a_terminal_is_asked_before_a_resume_loads_an_archive(
    respawn, imported: str, answer: str, resumed: bool
) -> None:
    command = str(Path(sys.executable).with_name("respawn"))
    terminal = pexpect.spawn(command, ["resume", imported], encoding="utf-8", timeout=60)
    terminal.expect("Load the state that was made elsewhere .*exported by")
    terminal.sendline(answer)
    if resumed:
        terminal.expect("Resume?")
        terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (respawn("show", imported)[1]["resumed_by"] is not None) is resumed


@pytest.mark.long
@pytest.mark.parametrize(("answer", "written"), quick({0, 2}, [("y", True), ("n", False), ("", False)]))
def test_person_at_a_terminal_is_asked_whose_code_is_loaded(
    imported: str, answer: str, written: bool
) -> None:
    command = str(Path(sys.executable).with_name("respawn"))
    terminal = pexpect.spawn(command, ["debug", imported, "-o", "debug.ipynb"], encoding="utf-8", timeout=60)
    terminal.expect("exported by .*loading it runs their code with your rights")
    terminal.expect("Load it?")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert Path("debug.ipynb").exists() is written
    assert (terminal.exitstatus == 0) is written
