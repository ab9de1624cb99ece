"""Profiles of job servers: what an administrator lets jobs choose from, and what people see of it.

    [small]
    title = "Small"
    default_for = ["*"]                     # where a job says nothing; "*": everywhere else
    user_options = { profile = "small" }    # what the hub's Spawner gets

    [gpu]
    title = "One GPU"
    allowed = ["team/risk", "ml"]           # namespaces, and groups of the hub; everybody without this line
    user_options = { profile = "gpu" }
    slots = 1                               # how many runs a server of it executes at once

Jobs know the names alone. Options are for the Spawner, and no place for secrets: the hub keeps them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from respawn_jobs.access import check_namespace
from respawn_jobs.api.job_server_protocol import NONCE_OPTION, PROFILE_OPTION
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.settings import ProfileName
from respawn_jobs.model.validation_errors import wanted

EVERYWHERE = "*"
"""In `default_for`: all namespaces for which no other profile is the default."""
_NAME: TypeAdapter[str] = TypeAdapter(ProfileName)
_OWN = {NONCE_OPTION, PROFILE_OPTION}
"""Options that the service gives itself."""


class JobProfile(Model):
    """One profile, as an administrator defines it."""

    title: str = Field(default="", max_length=100)
    """How people see it; empty for its name."""
    description: str = Field(default="", max_length=1000)
    allowed: Many[str] = []
    """Namespaces (`team/risk`) and groups of the hub (`ml`) whose jobs may use it; empty for everybody."""
    default_for: Many[str] = []
    """Namespaces and groups whose jobs get it when they say nothing; `*` for all others."""
    executor: Literal["hub", "local"] = "hub"
    """`local` lets runs execute beside the service, as its account, for jobs that are trusted with that."""
    user_options: dict[str, Any] = {}
    """What the hub's Spawner gets as `user_options`: `{"profile": "gpu"}`, `{"image": "…"}`."""
    slots: int | None = Field(default=None, ge=1, le=100)
    """How many attempts a server of it executes at once; None for what the service says."""
    idle_seconds: float | None = Field(default=None, ge=0)
    """How long a server of it is kept that has nothing to do; None for what the service says."""


Profiles = Mapping[str, JobProfile]
"""All profiles, by their names."""


def read_profiles(given: str) -> dict[str, JobProfile]:
    """Return the profiles that a setting names.

    Args:
        given: JSON, an object of profiles by name; or the path of a file with the same in TOML or JSON.

    Raises:
        InvalidInput: it cannot be read, or a profile cannot be used; the message names it.
    """
    if given.lstrip().startswith("{"):
        return checked_profiles(_json(given, "RESPAWN_JOB_PROFILES"))
    path = Path(given)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the file of profiles {path} cannot be read: {error}") from error
    if path.suffix == ".json":
        return checked_profiles(_json(text, str(path)))
    try:
        return checked_profiles(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the file of profiles {path} is not TOML: {error}") from error


def checked_profiles(given: Mapping[str, Any]) -> dict[str, JobProfile]:
    """Return profiles that can be used together.

    Args:
        given: the fields of each profile, by its name.

    Raises:
        InvalidInput: one of them cannot be used; the message names it, and what is wanted.
    """
    profiles = {name: _profile(name, fields) for name, fields in given.items()}
    defaults: dict[str, str] = {}
    for name, profile in profiles.items():
        for whose in profile.default_for:
            if whose in defaults:
                raise InvalidInput(
                    f"the profiles {defaults[whose]} and {name} are both the default for {whose!r}: keep one",
                    profile=name,
                )
            defaults[whose] = name
    return profiles


def _json(text: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"the profiles in {where} are not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"the profiles in {where} are no object of profiles by name")
    return document


def _profile(name: str, fields: Any) -> JobProfile:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise InvalidInput(
            f"{name[:80]!r} is no name of a profile: use small letters, digits and '-', 30 at most, with a "
            "letter or digit at both ends",
            profile=name[:80],
        ) from error
    try:
        profile = JobProfile.model_validate(fields)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "it"
        raise InvalidInput(f"the profile {name}: {where} {wanted(problem)}", profile=name) from error
    _check_whose(name, profile)
    _check_server(name, profile)
    own = sorted(_OWN & profile.user_options.keys())
    if own:
        raise InvalidInput(
            f"the profile {name}: the option {own[0]} is given by the service itself; leave it out",
            profile=name,
        )
    return profile


def _check_server(name: str, profile: JobProfile) -> None:
    given = sorted(profile.model_fields_set & {"user_options", "slots", "idle_seconds"})
    if profile.executor == "local" and given:
        raise InvalidInput(
            f"the profile {name}: {given[0]} is for servers of the hub, and its runs execute beside the "
            "service (executor = 'local'): leave it out",
            profile=name,
        )


def _check_whose(name: str, profile: JobProfile) -> None:
    for whose in (*profile.allowed, *profile.default_for):
        if "/" in whose:
            check_namespace(whose)
    more = _beyond(profile.default_for, profile.allowed)
    if more:
        raise InvalidInput(
            f"the profile {name} is the default for {more[0]!r}, which may not use it: add that to "
            "`allowed`, or take it from `default_for`",
            profile=name,
        )


def _beyond(named: Collection[str], allowed: Collection[str]) -> list[str]:
    return [one for one in named if allowed and one not in allowed]
