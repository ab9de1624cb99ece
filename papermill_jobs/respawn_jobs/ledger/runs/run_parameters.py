"""Parameters of runs held against a version, whoever gives them: a person or a trigger."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.notebook import parameter_values, parameters
from respawn_jobs.store.tables import VersionRow

PARAMETER_DUE = "respawn_logical_date"
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def check_parameters(version: VersionRow, given: dict[str, Any]) -> dict[str, Any]:
    """Return `given`, dates and their like in one spelling, when it fits the version. Raises `InvalidInput`.

    What is not given of `respawn_logical_date` counts as given: a run gets it when it is made.
    """
    if not parameters.inspectable(version.language):
        parameter_values.check_json(given)
        return dict(given)
    declared = [Parameter.model_validate(document) for document in version.parameters]
    checked = parameter_values.check(declared, with_due(version, given, _SOME_TIME))
    return {name: checked[name] for name in given}


def with_due(version: VersionRow, given: dict[str, Any], logical_date: datetime) -> dict[str, Any]:
    """Return parameters with `respawn_logical_date`, where the notebook declares it and it is not given.

    Args:
        version: the version that a run executes.
        given: parameters by name.
        logical_date: the run's logical date, with a zone; a `date` parameter gets the day in UTC.
    """
    declared = next((one for one in version.parameters if one.get("name") == PARAMETER_DUE), None)
    if declared is None or PARAMETER_DUE in given:
        return given
    due = logical_date.astimezone(UTC)
    return {**given, PARAMETER_DUE: (due.date() if declared.get("type") == "date" else due).isoformat()}


def misfit(version: VersionRow, given: dict[str, Any]) -> str | None:
    """Return why parameters do not fit a version; None when they do."""
    try:
        check_parameters(version, given)
    except InvalidInput as error:
        return error.message
    return None


def check_fixed_parameters(
    version: VersionRow, fixed: dict[str, Any], later: Collection[str]
) -> dict[str, Any]:
    """Return a trigger's fixed parameters when they fit the version.

    Args:
        version: the job's newest.
        fixed: given to every run.
        later: names whose values come with each trigger event.

    Raises:
        InvalidInput: a name that the notebook does not declare, a wrong value, a required parameter that
            nothing gives, or one that is given twice.
    """
    for name in later:
        if name in fixed:
            raise InvalidInput(
                f"parameter {name!r} is given twice: fixed, and by each trigger", parameter=name
            )
    if not parameters.inspectable(version.language):
        return check_parameters(version, fixed)
    declared = {item.name: item for item in map(Parameter.model_validate, version.parameters)}
    for name in later:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise InvalidInput(f"unknown parameter {name!r}: the notebook declares {known}", parameter=name)
    given_anyway = {*later, PARAMETER_DUE} - set(fixed)
    return parameter_values.check(
        [item for name, item in declared.items() if name not in given_anyway], fixed
    )
