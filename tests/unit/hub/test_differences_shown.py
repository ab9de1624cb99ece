"""A run that failed says what differs from the last run of its job that succeeded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_kernels.evidence import CellEvidence
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

RUNS = "/services/respawn/runs"
NOON = 1_767_182_400_000_000_000  # 31 December 2025, 12:00 UTC, in nanoseconds
HOUR = 3_600_000_000_000
CELLS = ("read()", "total = 1", "check(total)", "report()")


def promote(ada: ActorService, home: Path, *cells: str, kernel: str | None = None) -> None:
    made = notebook(*(cells or CELLS), parameters="rate = 1")
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    ada.promote(Promotion(name="prices", notebook=text(made), directory=str(home), kernel=kernel))


def read(*files: tuple[str, int, int], written: tuple[str, ...] = ()) -> CellEvidence:
    return CellEvidence(opened=tuple(path for path, *_ in files), inputs=files, written=written)


def play(
    ledger: Ledger, ada: ActorService, *seen: CellEvidence, fail: int | None = None, **parameters: object
) -> str:
    """Play a run whose cells show `seen`, in this order; return its id."""
    clock = ledger.context.clock
    assert isinstance(clock, MovedClock)
    clock.forward(minutes=1)
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="prices", parameters=parameters)).id)
    runner.begin()
    cells = ada.show(runner.run).cells
    for cell, evidence in zip(cells, [*seen, *[None] * len(cells)], strict=False):
        if cell.index == fail:
            runner.fail(cell.index)
            return runner.run
        runner.execute(cell.index, evidence=evidence)
    runner.succeed()
    return runner.run


def test_a_first_run_has_nothing_to_be_compared_with(
    browse: Browse, ledger: Ledger, ada: ActorService, tmp_path: Path
) -> None:
    promote(ada, tmp_path)
    failed = play(ledger, ada, fail=2)
    play(ledger, ada)
    assert ada.differences(failed).good is None, "a run that came later does not count"
    assert "No run of this job has succeeded before it" in browse("GET", f"{RUNS}/{failed}").text


def test_what_is_the_same_is_said_to_be(
    browse: Browse, ledger: Ledger, ada: ActorService, tmp_path: Path
) -> None:
    promote(ada, tmp_path)
    same = read((f"{tmp_path}/a.csv", 5, NOON))
    play(ledger, ada, same)
    good = play(ledger, ada, same)
    found = ada.differences(failed := play(ledger, ada, same, fail=2))
    assert found.good == good, "the newest counts"
    assert not found.differs
    assert "Its code, parameters and kernel were the same" in browse("GET", f"{RUNS}/{failed}").text


def test_code_up_to_the_failing_cell_is_compared_by_the_places_of_the_executed_notebook(
    browse: Browse, ledger: Ledger, ada: ActorService, tmp_path: Path
) -> None:
    promote(ada, tmp_path)
    play(ledger, ada)
    promote(ada, tmp_path, "read()", "total = 2", "check(total)", "report(1)")
    failed = play(ledger, ada, fail=4, rate=3)
    found = ada.differences(failed)
    assert found.versions == (1, 2)
    # The cell of parameters is the second of six; the failing one is the fifth.
    assert [(one.kind, one.old, one.new) for one in found.cells] == [("changed", 2, 3)]
    assert found.later_cells == 1
    (rate,) = found.parameters
    assert (rate.name, rate.kind, rate.then, rate.now) == ("rate", "changed", 1, 3)
    assert (rate.then_default, rate.now_default) == (True, False)
    page = browse("GET", f"{RUNS}/{failed}").text
    section = page[page.index('id="differences"') :].partition("</section>")[0]
    assert 'href="#cell-3"' in section
    assert re.findall(r"<code>(total = \d)</code>", section) == ["total = 1", "total = 2"]
    assert "1 cell up to the failing one, 1 cell below it" in section


def test_a_parameter_that_is_given_as_its_default_is_no_other_and_an_edited_default_is(
    ledger: Ledger, ada: ActorService, tmp_path: Path
) -> None:
    promote(ada, tmp_path)
    play(ledger, ada)
    assert not ada.differences(play(ledger, ada, fail=3, rate=1)).parameters
    edited = notebook(*CELLS, parameters="rate = 2")
    ada.promote(Promotion(name="prices", notebook=text(edited), directory=str(tmp_path)))
    (rate,) = ada.differences(play(ledger, ada, fail=2)).parameters
    assert (rate.then, rate.now, rate.then_default, rate.now_default) == (1, 2, True, True)


@pytest.mark.parametrize(
    ("then", "now", "kind"),
    [
        ((5, NOON), (7, NOON + HOUR), "other"),
        ((5, NOON), (5, NOON + HOUR), "touched"),
        (None, (5, NOON), "new"),
    ],
    ids=["another size", "another time", "not read before"],
)
def test_a_file_that_is_not_as_it_was_is_named_with_both_states(
    ledger: Ledger,
    ada: ActorService,
    tmp_path: Path,
    then: tuple[int, int] | None,
    now: tuple[int, int],
    kind: str,
) -> None:
    promote(ada, tmp_path)
    path = f"{tmp_path}/in/a.csv"
    play(ledger, ada, read((path, *then)) if then else read())
    (one,) = ada.differences(play(ledger, ada, read((path, *now)), fail=2)).inputs
    assert (one.path, one.cell) == ("in/a.csv", 0)
    assert one.now.size == now[0]
    assert (one.then.size if one.then else None) == (then[0] if then else None)
    assert one.same_size == (kind == "touched")


def test_what_the_run_wrote_itself_and_what_only_later_cells_read_is_left_out(
    ledger: Ledger, ada: ActorService, tmp_path: Path
) -> None:
    promote(ada, tmp_path)
    own, late = f"{tmp_path}/own.csv", f"{tmp_path}/late.csv"
    play(ledger, ada, read(written=(own,)), read((own, 5, NOON)), read(), read((late, 5, NOON)))
    seen = (read(written=(own,)), read((own, 6, NOON + HOUR)), read(), read((late, 6, NOON)))
    assert not ada.differences(play(ledger, ada, *seen, fail=2)).inputs
    play(ledger, ada, *seen)
    assert ada.differences(play(ledger, ada, CellEvidence(overflow=True), fail=2)).all_inputs_seen is False


def test_the_command_says_it(
    ledger: Ledger,
    ada: ActorService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    promote(ada, tmp_path)
    good = play(ledger, ada, read((f"{tmp_path}/a.csv", 5, NOON)))
    promote(ada, tmp_path, "read()", "total = 2", "check(total)", "report()")
    failed = play(ledger, ada, read((f"{tmp_path}/a.csv", 2048, NOON)), fail=4, rate=3)
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_USER", "ada")
    assert run_command(["why", failed]) == 0
    shown = capsys.readouterr().out
    assert f"the last good run is {good}" in shown
    assert "    - total = 1\n    + total = 2\n" in shown
    assert "parameter rate: 1 (the default) → 3\n" in shown
    assert re.search(r"^file a\.csv \(cell 0\): 5 B of .* → 2 KiB of ", shown, re.MULTILINE), shown
