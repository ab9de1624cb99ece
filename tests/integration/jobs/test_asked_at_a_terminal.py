"""What the command asks a person at a terminal before it replaces or removes something."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from respawn_jobs.cli.entry import run_command
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
ANSWERS: dict[str, tuple[Callable[[pexpect.spawn], object], bool]] = {
    "yes": (lambda terminal: terminal.sendline("y"), True),
    "no": (lambda terminal: terminal.sendline("n"), False),
    "nothing": (lambda terminal: terminal.sendline(""), False),
    "Ctrl-C": (lambda terminal: terminal.sendintr(), False),
    "Ctrl-D": (lambda terminal: terminal.sendeof(), False),
}


@pytest.fixture
def went_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose current version is the first: somebody went back from the second, which the file holds."""
    monkeypatch.chdir(tmp_path)
    for code in ("a = 1", "a = 2"):
        Path("report.ipynb").write_text(text(notebook(code)))
        assert run_command(["promote", "report.ipynb", "--name", "report"]) == 0
    assert run_command(["job", "use", "report", "1"]) == 0


def agreed(words: list[str], question: str, say: Callable[[pexpect.spawn], object]) -> bool:
    """Run a command at a terminal, answer its question, and tell whether it went on."""
    command = str(Path(sys.executable).with_name("respawn"))
    terminal = pexpect.spawn(command, words, encoding="utf-8", timeout=60)
    terminal.expect(question)
    say(terminal)
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus == 0


def versions(capsys: pytest.CaptureFixture[str]) -> list[int]:
    capsys.readouterr()
    assert run_command(["versions", "report", "--json"]) == 0
    return sorted(version["number"] for version in json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_promotion_shows_what_differs_and_does_only_what_is_agreed_to(
    went_back: None, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    say, agrees = ANSWERS[answer]
    promote = ["promote", "report.ipynb", "--name", "report"]
    assert agreed(promote, r"a = 2[\s\S]*went back[\s\S]*Promote all the same\?", say) is agrees
    assert versions(capsys) == ([1, 2, 3] if agrees else [1, 2])


@pytest.mark.parametrize("answer", ["yes", "Ctrl-D"])
def test_a_version_is_removed_only_when_that_is_agreed_to(
    went_back: None, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    say, agrees = ANSWERS[answer]
    remove = ["job", "remove-version", "report", "2"]
    assert agreed(remove, r"Remove version 2 of report for good\?", say) is agrees
    assert versions(capsys) == ([1] if agrees else [1, 2])


@pytest.fixture
def renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A failed run of a job whose parameter a schedule gives; a file has a fix that calls it otherwise."""
    monkeypatch.chdir(tmp_path)
    for name, declared, code in (("report", "old = 1", "1 / 0"), ("fixed", "new = 1", "1 / 1")):
        Path(f"{name}.ipynb").write_text(text(notebook("a = 1", code, parameters=declared)))
    assert run_command(["promote", "report.ipynb", "--name", "report"]) == 0
    assert run_command(["schedule", "add", "report", "--cron", "0 2 * * *", "-p", "old", "2"]) == 0
    capsys.readouterr()
    assert run_command(["run", "report", "--json"]) == 1
    return str(json.loads(capsys.readouterr().out)["run"])


@pytest.mark.long
@pytest.mark.parametrize("way", ["resume", "restart"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_fix_that_a_schedule_does_not_fit_goes_on_only_when_that_is_agreed(
    renames: str, capsys: pytest.CaptureFixture[str], way: str, answer: str
) -> None:
    say, agrees = ANSWERS[answer]
    question = r"schedule '0 2[\s\S]*all the same"

    def answered(terminal: pexpect.spawn) -> None:
        say(terminal)
        if agrees and way == "resume":
            terminal.expect(r"Resume\?")
            terminal.sendline("y")

    assert agreed([way, renames, "--notebook", "fixed.ipynb"], question, answered) is agrees
    assert versions(capsys) == ([1, 2] if agrees else [1])


@pytest.mark.long
@pytest.mark.parametrize("way", ["resume", "restart"])
def test_without_a_terminal_a_fix_that_a_schedule_does_not_fit_is_refused_until_an_option_agrees(
    renames: str, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    assert run_command([way, renames, "--notebook", "fixed.ipynb"]) == 2
    assert "--agree break_triggers" in capsys.readouterr().err
    assert versions(capsys) == [1]
    assert run_command([way, renames, "--notebook", "fixed.ipynb", "--agree", "break_triggers"]) == 0
    assert versions(capsys) == [1, 2]
