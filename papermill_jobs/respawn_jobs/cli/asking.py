"""What a promotion or a resume would do, shown in a terminal, and what a person is asked before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli import printing

if TYPE_CHECKING:
    from respawn_jobs.models import Plan
    from respawn_jobs.service import Promotion, ResumeRequest, Service
    from respawn_jobs.service_versions import Agreement, Comparison, PromotionPreview

_SIGNS = {"same": " ", "added": "+", "removed": "-"}
_COLOURS = {"added": "green", "removed": "red"}
_AROUND = 3
"""Lines that are shown around a change."""


def asked(
    service: Service, promotion: Promotion, agreed: Sequence[Agreement], *, ask: bool = True
) -> tuple[Promotion, PromotionPreview]:
    """Return a promotion with what the person saw and agrees to, asking on a terminal.

    Without a terminal nothing is asked: the service refuses what was not agreed to, and says how.

    Raises:
        click.Abort: the person does not agree.
    """
    told = service.preview_promotion(promotion)
    consent: list[Agreement] = list(agreed)
    still = [question for question in told.questions if question.code not in consent]
    if ask and still and sys.stdin.isatty() and sys.stdout.isatty():
        if told.comparison is not None:
            show_comparison(told.comparison)
        for question in still:
            click.echo(question.message, err=True)
            click.confirm("Promote all the same?", default=False, abort=True, err=True)
            consent.append(question.code)
    seen = told.current or 0
    return promotion.model_copy(update={"agreed": consent, "seen": seen}), told


def confirmed(service: Service, run: str, request: ResumeRequest, planned: Plan) -> ResumeRequest:
    """Return a resume with what the person agrees to, who has seen its plan.

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
    if not planned.problems:
        click.confirm("Resume?", default=True, abort=True, err=True)
    return request


def show_preview(told: PromotionPreview) -> None:
    """Print what a promotion would do."""
    click.echo(told.message)
    for question in told.questions:
        click.echo(f"asks ({question.code}): {question.message}")
    for schedule in told.schedules:
        paused = ", paused" if schedule.paused else ""
        click.echo(f"schedule {schedule.id}: {schedule.cron!r} in {schedule.tz}{paused}")
    if told.comparison is not None and told.outcome != "unchanged":
        show_comparison(told.comparison)


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
            click.echo(f"  {cell.left_out} lines are not shown: the comparison would be too long")
        changed = [index for index, line in enumerate(cell.lines) if line.kind != "same"]
        near = {index + step for index in changed for step in range(-_AROUND, _AROUND + 1)}
        skipped = False
        for index, line in enumerate(cell.lines):
            if index in near:
                text = "".join(
                    one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}"
                    for one in line.text
                )
                click.secho(f"  {_SIGNS[line.kind]} {text}", fg=_COLOURS.get(line.kind))
            elif not skipped:
                click.echo("    …")
            skipped = index not in near
    same = len(comparison.cells) - comparison.changed
    click.echo(f"{comparison.changed} changed, {same} the same")
