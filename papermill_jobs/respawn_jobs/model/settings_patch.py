"""Settings of a job with some of them changed; what is wrong is named before anything is."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.settings import RETRIED, Cause, JobSettings
from respawn_jobs.model.validation_errors import wanted
from respawn_kernels.sizes import how_large


def with_changes(settings: JobSettings, changes: dict[str, Any]) -> JobSettings:
    """Return settings with changes. Raises `InvalidInput` naming the first that is unknown or refused."""
    known = JobSettings.model_fields
    for name in changes:
        if name not in known:
            raise InvalidInput(
                f"{name!r} is no setting of a job; the settings are {', '.join(sorted(known))}", setting=name
            )
    document = settings.model_dump(mode="json")
    defaults = JobSettings().model_dump(mode="json")
    for name, value in changes.items():
        if name == "retries" and value is not None:
            document[name] = _retries(document[name], value)
        else:
            document[name] = defaults[name] if value is None else value
    try:
        found = JobSettings.model_validate(document)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        raise InvalidInput(
            f"the setting {where} cannot be {problem['input']!r}: it {wanted(problem)}", setting=where
        ) from error
    if {"retries", "memory_limit_bytes"} & changes.keys():
        check_retries(found)
    return found


def check_retries(settings: JobSettings) -> None:
    """Refuse retry policies that say what cannot be meant. Raises `InvalidInput` naming the policy."""
    for cause, policy in settings.retries.items():
        limit, most = settings.memory_limit_bytes, policy.max_memory_bytes
        if cause not in RETRIED:
            why = "no attempt is followed by another after it"
        elif cause is not Cause.OUT_OF_MEMORY and (policy.memory_factor != 1 or most is not None):
            why = "more memory is for out_of_memory alone"
        elif most is not None and policy.memory_factor == 1:
            why = "max_memory_bytes needs a memory_factor above 1"
        elif policy.memory_factor > 1 and policy.attempts == 1:
            why = "with one attempt no other one has more memory: give more attempts"
        elif most is not None and limit is not None and most <= limit:
            why = f"its most, {how_large(most)}, is not above the job's memory limit, {how_large(limit)}"
        elif policy.max_delay_seconds < policy.delay_seconds:
            why = "max_delay_seconds is below delay_seconds"
        else:
            continue
        raise InvalidInput(f"the retry policy of {cause.value} has no meaning: {why}", setting="retries")


def _retries(before: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Return retry policies changed cause by cause; None takes the policy of a cause away."""
    if not isinstance(changes, dict):
        raise InvalidInput(
            f"the setting retries is a policy for each cause, not {changes!r}", setting="retries"
        )
    causes = [cause.value for cause in RETRIED]
    for cause in changes:
        if cause not in causes:
            raise InvalidInput(
                f"{cause!r} is no cause of retries; the causes are {', '.join(causes)}", setting="retries"
            )
    return {cause: policy for cause, policy in {**before, **changes}.items() if policy is not None}
