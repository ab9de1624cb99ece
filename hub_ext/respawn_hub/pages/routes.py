"""The routes of the pages, in the order in which they are tried."""

from __future__ import annotations

from fastapi import APIRouter

from respawn_hub.pages import (
    debug,
    environments,
    job_forms,
    jobs,
    login,
    notebooks,
    outputs,
    resume,
    run_files,
    runs,
    trigger_forms,
    usage,
    version,
)

_MODULES = (
    usage,
    environments,
    login,
    jobs,
    job_forms,
    version,
    notebooks,
    outputs,
    run_files,
    runs,
    resume,  # after `runs`: its forms are `/runs/{run}/{way}`
    trigger_forms,
    debug,
)


def page_routers() -> tuple[APIRouter, ...]:
    """Return what browsers ask for."""
    return tuple(module.router for module in _MODULES)
