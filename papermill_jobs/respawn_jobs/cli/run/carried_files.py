"""What a promotion carries beside its notebook, by the options of the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common import printing

if TYPE_CHECKING:
    from respawn_jobs.api.service import Promotion
    from respawn_jobs.api.versions import PromotionPreview


def with_files(
    promotion: Promotion, more: tuple[str, ...], without: tuple[str, ...], *, in_place: bool
) -> Promotion:
    """Return a promotion with the files that it carries; where none is found it is as it was.

    Args:
        promotion: the promotion, with its notebook and its directory.
        more: patterns of files that are carried beside those that are found.
        without: patterns of files that are not.
        in_place: whether it carries nothing in any case.

    Raises:
        click.UsageError: patterns come with `in_place`.
        InvalidInput: a pattern leads nowhere, or to what cannot be carried.
    """
    from respawn_jobs.carried.finding import FileChoice, find_files
    from respawn_jobs.notebook.document import read_notebook

    if in_place and (more or without):
        raise click.UsageError("--in-place carries no files: leave out --with and --without")
    if in_place or promotion.directory is None:
        return promotion
    found = find_files(
        read_notebook(promotion.notebook), Path(promotion.directory), FileChoice(more=more, without=without)
    )
    for one in found.outside:
        click.echo(f"not carried: {printing.plain(one)}", err=True)
    return promotion.model_copy(update={"files": found.files}) if found.files else promotion


def say_opened(preview: PromotionPreview) -> None:
    """Tell what the last run of the file has read, and the job does not carry."""
    for one in preview.opened:
        path = printing.plain(one.path)
        click.echo(f"not carried: {path}, which {one.run} has read: add it by --with", err=True)
