"""The command `respawn`: one group that holds all others, in the blocks that its help shows."""

from __future__ import annotations

import click

from respawn_jobs.cli.administer import admin, audit, kernels
from respawn_jobs.cli.automate import backfills, dependencies, hooks, limits, schedules, sensors
from respawn_jobs.cli.common.blocks import BlockGroup
from respawn_jobs.cli.fix import debug, resume, why
from respawn_jobs.cli.run import (
    artifacts,
    files,
    history,
    job_life,
    jobs,
    profiles,
    run,
    runs,
    settings,
    usage,
    versions,
)


@click.group(cls=BlockGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jupyterhub-respawn", prog_name="respawn")
def respawn() -> None:
    """Notebooks that run without you, and come back to life where they died.

    Works on this machine's own store (RESPAWN_DATA), or on a hub when RESPAWN_URL and RESPAWN_TOKEN are set.
    """


respawn.add_block(
    "Run",
    (
        run.run,
        jobs.promote,
        jobs.jobs,
        job_life.job,
        settings.settings,
        profiles.profiles,
        versions.versions,
        versions.diff,
        runs.runs,
        runs.show,
        runs.logs,
        runs.cancel,
        files.files,
        artifacts.artifacts,
        artifacts.fetch,
        history.pin,
        history.export_run,
        history.import_run,
        job_life.remove,
        usage.usage,
    ),
)
respawn.add_block("Fix", (why.why, debug.debug, resume.resume, resume.restart, resume.retry))
respawn.add_block(
    "Automate",
    (
        schedules.schedule,
        dependencies.dependency,
        hooks.hook,
        sensors.sensor,
        backfills.backfill,
        limits.limit,
    ),
)
respawn.add_block("Administer", (kernels.kernels, admin.admin, audit.audit))
