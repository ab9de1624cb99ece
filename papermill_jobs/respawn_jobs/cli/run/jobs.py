"""The commands that make and list jobs: `promote`, `jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.options import json_option, settings_options, with_option
from respawn_jobs.cli.common.settings_options import given_job_settings, job_options

if TYPE_CHECKING:
    from respawn_jobs.api.versions import Agreement, PromotionPreview
    from respawn_jobs.model.jobs import Job, Parameter, Version


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The job's name.")
@click.option("--namespace", help="user/NAME or team/GROUP; your own when left out.")
@click.option("-k", "--kernel", help="Kernel, instead of the one that the notebook names.")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen; change nothing.")
@click.option(
    "--agree",
    multiple=True,
    type=click.Choice(
        [
            *("replace_fix", "take_over", "undo_roll_back", "break_triggers", "take_name", "ignore_drift"),
            "unknown_kernel",
        ]
    ),
    help="Agree to what the promotion asks; can be repeated.",
)
@click.option(
    "--propose",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Where packages differ from the lock, write an environment.toml that has them there, and promote.",
)
@with_option
@click.option(
    "--without", multiple=True, metavar="PATTERN", help="Do not carry these files; can be repeated."
)
@click.option(
    "--in-place", is_flag=True, help="Carry no files: runs work where the notebook lies, with what is there."
)
@settings_options
@job_options
@json_option
def promote(
    notebook: Path,
    name: str,
    namespace: str | None,
    kernel: str | None,
    more: tuple[str, ...],
    without: tuple[str, ...],
    in_place: bool,
    dry_run: bool,
    agree: tuple[Agreement, ...],
    propose: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Make a notebook a version of a job.

    It carries the modules and files beside it that its code names.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.prompts import asked, show_preview
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.cli.run.carried_files import say_opened, with_files
    from respawn_jobs.cli.run.kernel_drift import proposed, with_drift, write_proposal
    from respawn_jobs.model.settings import JobSettings
    from respawn_jobs.model.settings_patch import with_changes
    from respawn_jobs.notebook.promotion import prepare

    given = given_job_settings(options)
    settings = with_changes(JobSettings(), given) if given else None
    promotion = prepare(notebook, name, namespace=namespace, kernel=kernel, settings=settings)
    promotion = with_files(with_drift(promotion), more, without, in_place=in_place)
    with connection() as connected:
        if dry_run:
            preview = connected.service.preview_promotion(promotion)
            say_opened(preview)
            if as_json:
                printing.document(preview.model_dump(mode="json"))
            else:
                show_preview(preview)
            return 0
        proposal = None
        if propose is not None and promotion.drift:
            proposal = proposed(promotion, propose)
            agree = (*agree, "ignore_drift")
        promotion, preview = asked(connected.service, promotion, agree, ask=not as_json)
        say_opened(preview)
        version = connected.service.promote(promotion)
    if proposal is not None and propose is not None:
        write_proposal(proposal, propose)
    if as_json:
        printing.document(version.model_dump(mode="json"))
        return 0
    _say(preview, version)
    return 0


def _say(preview: PromotionPreview, version: Version) -> None:
    """Print what has come of a promotion."""
    from respawn_jobs.cli.common import printing

    if preview.outcome == "unchanged":
        click.echo(f"unchanged: version {version.number} of {version.job} has the same notebook already")
        return
    if preview.outcome == "new_version":
        click.echo(preview.message)
    click.echo(f"{version.job} is at version {version.number}, kernel {version.kernel}")
    for note in preview.notes:
        click.echo(note)
    if version.files is not None:
        carried = ", ".join(printing.plain(file.path) for file in version.files) or "nothing"
        click.echo(f"it carries {carried}: runs work in a directory of their own")
    if version.git is not None:
        changed = " with uncommitted changes" if version.git.dirty else ""
        click.echo(f"from commit {version.git.commit[:12]}{changed}")
    rows = [
        [printing.plain(p.name), printing.plain(_type(p)), _default(p), printing.plain(p.help)]
        for p in version.parameters
    ]
    if rows:
        printing.table(["parameter", "type", "default", "help"], rows)


@click.command()
@click.option("--namespace", help="Only this namespace.")
@click.option("--archived", is_flag=True, help="The archived ones.")
@json_option
def jobs(namespace: str | None, archived: bool, as_json: bool) -> int:
    """List jobs."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.jobs(namespace, archived=archived)
    if as_json:
        printing.document([job.model_dump(mode="json") for job in found])
        return 0
    if not found:
        click.echo("no such jobs" if namespace or archived else "no jobs yet")
        return 0
    rows = [
        [printing.plain(job.ref), str(job.version), _last(job), ", ".join(s.cron for s in job.schedules)]
        for job in found
    ]
    printing.table(["job", "version", "last run", "schedules"], rows)
    return 0


def _type(parameter: Parameter) -> str:
    if parameter.choices:
        return " | ".join(map(repr, parameter.choices))
    kind = f"{parameter.type}[{parameter.items}]" if parameter.items else parameter.type or "any"
    return f"{kind} | None" if parameter.nullable else kind


def _default(parameter: Parameter) -> str:
    from respawn_jobs.cli.common.printing import plain

    return "required" if parameter.required else plain(parameter.default_source)


def _last(job: Job) -> str:
    from respawn_jobs.cli.common.printing import coloured, moment

    if job.last_run is None:
        return ""
    return f"{coloured(job.last_run.state.value)} {moment(job.last_run.created_at)}"
