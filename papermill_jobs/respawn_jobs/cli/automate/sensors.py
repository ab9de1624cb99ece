"""The group `sensor`: objects that appear in the inbox run a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.automate.shared import check_of_job
from respawn_jobs.cli.common.job_parameters import parsed_for_job
from respawn_jobs.cli.common.options import json_option, parameter_option

if TYPE_CHECKING:
    from respawn_jobs.api.triggers import ObjectSensor


@click.group()
def sensor() -> None:
    """Run a job for each object that appears in the inbox."""


@sensor.command()
@click.argument("job")
@click.option(
    "--prefix",
    required=True,
    help="Directory below the job's namespace in the inbox, such as incoming/orders.",
)
@click.option("--parameter", metavar="NAME", help="The parameter that is given the object's address.")
@parameter_option
@json_option
def add(
    job: str, prefix: str, parameter: str | None, parameters: tuple[tuple[str, str], ...], as_json: bool
) -> int:
    """Run a job for each object that appears under a prefix.

    The prefix is in the inbox. Objects that are there already make no run.
    """
    from respawn_jobs.api.triggers import SensorRequest
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        service = connected.service
        values = parsed_for_job(service, job, parameters)
        service.add_sensor(SensorRequest(job=job, prefix=prefix, parameter=parameter, parameters=values))
        _show(job, service.triggers(job).sensors, as_json)
    return 0


@sensor.command("list")
@click.argument("job")
@json_option
def list_sensors(job: str, as_json: bool) -> int:
    """List the sensors of a job, and what troubles them."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _show(job, connected.service.triggers(job).sensors, as_json)
    return 0


@sensor.command()
@click.argument("job")
@click.argument("sensor_id", metavar="SENSOR")
@json_option
def remove(job: str, sensor_id: str, as_json: bool) -> int:
    """Remove a sensor; its runs stay."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        service = connected.service
        check_of_job("sensor", sensor_id, [one.id for one in service.triggers(job).sensors], job)
        service.remove_sensor(sensor_id)
        _show(job, service.triggers(job).sensors, as_json)
    return 0


def _show(job: str, sensors: list[ObjectSensor], as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document({"sensors": [one.model_dump(mode="json") for one in sensors]})
    elif not sensors:
        click.echo(f"{job} has no sensor")
    else:
        rows = [
            [
                one.id,
                printing.plain(one.address or one.prefix),
                printing.plain(one.parameter or ""),
                printing.plain(one.message or ""),
            ]
            for one in sensors
        ]
        printing.table(["sensor", "objects under", "parameter", "trouble"], rows)
