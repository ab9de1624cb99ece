"""What a promotion or a resume would do, shown in a terminal, and what a person is asked before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from respawn_jobs.cli.common import printing
from respawn_jobs.errors import Conflict
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.api.service import Promotion, ResumeRequest, Service
    from respawn_jobs.api.versions import Agreement, Comparison, CurrentRequest, PromotionPreview
    from respawn_jobs.model.plans import Plan

    _Request = TypeVar("_Request", ResumeRequest, CurrentRequest)
_Answer = TypeVar("_Answer")
_SIGNS = {"same": " ", "added": "+", "removed": "-"}
_COLOURS = {"added": "green", "removed": "red"}
_AROUND = 3
"""Lines that are shown around a change."""


def asked(
    service: Service, promotion: Promotion, agreed: Sequence[Agreement], *, ask: bool = True
) -> tuple[Promotion, PromotionPreview]:
    """Return a promotion with what the person saw and agrees to, asking on a terminal.

    Without a terminal nothing is asked: the service refuses what was not agreed to, and says how.

    Args:
        service: tells what the promotion would do.
        promotion: the request as it was made from the options.
        agreed: what the person has agreed to by options.
        ask: whether questions may be asked at all, as they may not where the answer is a document.

    Returns:
        The promotion to send, and the service's preview of it.

    Raises:
        click.Abort: the person does not agree.
    """
    from respawn_jobs.model.open_values import UNKNOWN

    preview = service.preview_promotion(promotion)
    consent: list[Agreement] = list(agreed)
    still = [question for question in preview.questions if question.code not in consent]
    if ask and still and sys.stdin.isatty() and sys.stdout.isatty():
        if preview.comparison is not None:
            show_comparison(preview.comparison)
        for question in still:
            click.echo(question.message, err=True)
            if question.code == UNKNOWN:  # the service asks for more than this command can agree to
                continue
            click.confirm("Promote all the same?", default=False, abort=True, err=True)
            consent.append(question.code)
    seen = preview.current or 0
    return promotion.model_copy(update={"agreed": consent, "seen": seen}), preview


def confirmed(service: Service, run: str, request: ResumeRequest, planned: Plan) -> ResumeRequest:
    """Return a resume with what the person agrees to, who has seen its plan.

    Args:
        service: plans again after each answer that changes the plan.
        run: id of the run that is resumed.
        request: the resume as it was made from the options.
        planned: the plan of this request, which was shown.

    Raises:
        click.Abort: the person does not agree.
    """
    if planned.imported and not request.load_imported:
        made = printing.plain("; ".join(planned.imported))
        click.confirm(
            f"Load the state that was made elsewhere ({made})?", default=False, abort=True, err=True
        )
        request = request.model_copy(update={"load_imported": True})
        planned = service.plan(run, request)
    if planned.breaks and "break_triggers" not in request.agreed:
        click.confirm("Resume all the same, so that these runs fail?", default=False, abort=True, err=True)
        request = request.model_copy(update={"agreed": ["break_triggers"]})
        planned = service.plan(run, request)
    if not planned.problems:
        click.confirm("Resume?", default=True, abort=True, err=True)
    return request


def asked_about_triggers(
    act: Callable[[_Request], _Answer], request: _Request, word: str, *, ask: bool
) -> _Answer:
    """Do what may leave triggers with parameters that a version does not take, asking on a terminal.

    Args:
        act: does it; what it raises where that was not agreed to names the question.
        request: what it is given; it has a field `agreed`.
        word: what it is, for the question.
        ask: whether a person may be asked.

    Raises:
        click.Abort: the person does not agree.
    """
    try:
        return act(request)
    except Conflict as error:
        questions = error.fields.get("questions", [])
        if not ask or not questions or not sys.stdin.isatty():
            raise
        click.echo(questions[0]["message"], err=True)
        click.confirm(f"{word} all the same?", default=False, abort=True, err=True)
        return act(request.model_copy(update={"agreed": ["break_triggers"]}))


def show_preview(preview: PromotionPreview) -> None:
    """Print what a promotion would do."""
    click.echo(" ".join([preview.message, *preview.notes]))
    for question in preview.questions:
        click.echo(f"asks ({question.code}): {question.message}")
    for schedule in preview.schedules:
        paused = ", paused" if schedule.paused else ""
        click.echo(f"schedule {schedule.id}: {schedule.cron!r} in {schedule.tz}{paused}")
    if preview.comparison is not None and preview.outcome != "unchanged":
        show_comparison(preview.comparison)


def show_comparison(comparison: Comparison) -> None:
    """Print how two notebooks differ: changed cells with their lines, the others counted."""
    if comparison.kernels is not None:
        click.echo(f"kernel: {' → '.join(comparison.kernels)}")
    for cell in comparison.cells:
        if cell.kind == "same":
            continue
        place = cell.new if cell.new is not None else cell.old
        moved = f", moved from {cell.old}" if cell.moved and cell.kind != "moved" else ""
        moved = f" from {cell.old}" if cell.kind == "moved" else moved
        click.secho(f"cell {place} ({cell.cell_type}): {cell.kind}{moved}", bold=True)
        if cell.tags is not None:
            click.echo(f"  tags: {', '.join(cell.tags) or 'none'}")
        if cell.left_out:
            lines = how_many(cell.left_out, "line is", "lines are")
            click.echo(f"  {lines} not shown: the comparison would be too long")
        changed = [index for index, line in enumerate(cell.lines) if line.kind != "same"]
        near = {index + step for index in changed for step in range(-_AROUND, _AROUND + 1)}
        skipped = False
        for index, line in enumerate(cell.lines):
            if index in near:
                text = "".join(
                    one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}"
                    for one in line.text
                )
                click.secho(f"  {_SIGNS.get(line.kind, '?')} {text}", fg=_COLOURS.get(line.kind))
            elif not skipped:
                click.echo("    …")
            skipped = index not in near
    for change in comparison.files:
        click.secho(f"file {printing.plain(change.path)}: {change.kind}", bold=True)
    if comparison.places is not None:
        where = {"own": "in a directory of their own", "notebook": "where the notebook lies"}
        click.echo(f"runs worked {where[comparison.places[0]]}, and work {where[comparison.places[1]]}")
    same = len(comparison.cells) - comparison.changed
    click.echo(f"{comparison.changed} changed, {same} the same")
