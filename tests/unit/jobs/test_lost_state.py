"""Session state that a restore cannot give back: what runs again for it, and what is told of the rest."""

from __future__ import annotations

import pytest

from respawn_jobs.model.checkpoints import Checkpoint, Unstored
from respawn_jobs.model.plans import Plan
from respawn_jobs.resume.plan import plan_resume
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook
from support.plans import edited, ended

SETS = CellEvidence(changed=("#patches",))
QUIET = CellEvidence()
LOST = Unstored(name="#patches:settings.URL", type="function", reason="it cannot be pickled")
CELLS = ("import settings\ndef fake(): pass", "settings.URL = fake", "b = 2", "1/0")


def planned(
    evidence: CellEvidence | None = SETS,
    *,
    seconds: float = 1.0,
    tags: list[str] | None = None,
    cells: tuple[str, ...] = CELLS,
    lost: Unstored = LOST,
) -> Plan:
    nb = notebook(*cells, tags={1: tags or []})
    past = ended(nb, 3, kept={2}, unstored=(lost,))
    seen = [QUIET, evidence, QUIET, None]
    past.cells[:] = [
        cell.model_copy(update={"evidence": one, "seconds": seconds})
        for cell, one in zip(past.cells, seen, strict=True)
    ]
    assert isinstance(past.checkpoints[0], Checkpoint)
    fixed = edited(notebook(*cells, tags={1: tags or []}), 3, "c = 3")
    return plan_resume(past, fixed, kernel="python3", lock="lock-1", language="python")


def test_a_cell_whose_effect_is_lost_runs_again_on_restore() -> None:
    plan = planned()
    assert (plan.again, plan.rerun, plan.first) == ([1], [], 3)
    assert plan.cells[1].why == (
        "reused; runs again on restore for assignments into modules and foreign classes (settings.URL), "
        "which could not be stored"
    )
    assert not any("settings.URL" in notice for notice in plan.notices)


@pytest.mark.parametrize(
    ("evidence", "more", "why"),
    [
        (SETS, {"tags": ["respawn:once"]}, "it is tagged respawn:once"),
        (CellEvidence(changed=("#patches",), written=("/out",)), {}, "outside of the kernel (files)"),
        (CellEvidence(changed=("#patches",), outside=("socket",)), {}, "outside of the kernel (socket)"),
        (CellEvidence(changed=("#patches", "#random")), {}, "it draws random numbers"),
        (CellEvidence(changed=("#patches",), background_work=("thread w",)), {}, "thread w went on after it"),
        (CellEvidence(changed=("#patches",), overflow=True), {}, "it is not known what else it does"),
        (SETS, {"seconds": 11.0}, "it took 11 seconds"),
    ],
)
def test_a_cell_that_may_do_more_than_set_it_is_named_instead(evidence, more, why) -> None:
    plan = planned(evidence, **more)
    assert plan.again == []
    (told,) = (notice for notice in plan.notices if "settings.URL" in notice)
    assert told.startswith("cell 1 set assignments into modules and foreign classes (settings.URL)")
    assert why in told
    assert "tag it respawn:always" in told


def test_a_cell_whose_inputs_have_changed_since_is_named_instead() -> None:
    cells = ("fake = 1", "x = fake", "fake = 2", "1/0")
    plan = planned(cells=cells)
    assert plan.again == []
    assert any("fake, which it reads, may have changed since" in notice for notice in plan.notices)


def test_what_no_cell_was_seen_to_set_is_named() -> None:
    plan = planned(QUIET)
    assert any("no reused cell is known to set it" in notice for notice in plan.notices)


def test_a_cell_tagged_always_needs_no_more_words() -> None:
    plan = planned(tags=["respawn:always"])
    assert plan.again == [1]
    assert not any("settings.URL" in notice for notice in plan.notices)


SET = Unstored(name="#settings:lib.set_level", type="setting", reason="it is out of sight")


def test_a_setting_of_a_library_is_made_by_the_cell_that_was_seen_to_make_it() -> None:
    plan = planned(CellEvidence(settings=("lib.set_level",)), lost=SET)
    assert (plan.again, plan.lost) == ([1], [])
    other = planned(CellEvidence(settings=("lib.set_other",)), lost=SET)
    assert other.again == []
    assert "no reused cell is known to set it" in other.lost[0]


def test_a_seed_is_not_set_again_for_numbers_were_drawn_since() -> None:
    seed = SET.model_copy(update={"name": "#settings:lib.set_seed"})
    plan = planned(CellEvidence(settings=("lib.set_seed",)), lost=seed)
    assert plan.again == []
    assert "numbers that were drawn since would be drawn again" in plan.lost[0]


def test_what_only_the_body_of_a_registered_function_reads_may_have_changed() -> None:
    cells = ("import lib\nlog = []", "@lib.listens_for('x')\ndef f(): log.append(1)", "log.append(2)", "1/0")
    listens = SET.model_copy(update={"name": "#settings:lib.listens_for"})
    seen = CellEvidence(settings=("lib.listens_for",), bound=("f",))
    assert planned(seen, lost=listens, cells=cells).again == [1]
    ran = CellEvidence(settings=("lib.listens_for",), bound=("f",), reads=("log",))
    assert "log, which it reads" in planned(ran, lost=listens, cells=cells).lost[0]
    blind = CellEvidence(settings=("lib.listens_for",), bound=("f",), unwatched="Python 3.11")
    assert "log, which it reads" in planned(blind, lost=listens, cells=cells).lost[0]
