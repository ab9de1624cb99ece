"""What `-p NAME VALUE` options mean, by what the notebook of a job declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.model.jobs import Parameter


def parsed(declared: list[Parameter], given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what `-p NAME VALUE` options mean, by what the notebook declares."""
    from respawn_jobs.notebook.parameter_values import parse

    return {name: parse(declared, name, text) for name, text in given}


def parsed_for_job(
    service: Service, ref: str, given: tuple[tuple[str, str], ...], number: int | None = None
) -> dict[str, Any]:
    """Return what `-p` options mean for a version of a job.

    Args:
        service: has the job.
        ref: the job: `namespace/name`, name or id.
        given: names with the texts of their values, as they were typed.
        number: of the version that declares the parameters; None for the current one.

    Raises:
        NotFound: the job has no such version.
        InvalidInput: a text is no list or dict where one is declared.
    """
    if not given:
        return {}
    from respawn_jobs.errors import NotFound

    wanted = service.job(ref).version if number is None else number
    for version in service.versions(ref):
        if version.number == wanted:
            return parsed(version.parameters, given)
    raise NotFound(f"{ref} has no version {wanted}", job=ref, version=wanted)


def parsed_for_run(service: Service, run: str, given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what `-p` options mean for the version that a run executed.

    Args:
        service: has the run.
        run: its id.
        given: names with the texts of their values, as they were typed.

    Raises:
        InvalidInput: a text is no list or dict where one is declared.
    """
    if not given:
        return {}
    ran = service.show(run).run
    version = next(version for version in service.versions(ran.job) if version.number == ran.version)
    return parsed(version.parameters, given)
