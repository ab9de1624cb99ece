"""Options that several commands share, and what they refuse before anything is done."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Seconds(click.ParamType[float]):
    """A duration in seconds, up to a year."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail saying what is wanted."""
        from respawn_jobs.models import LONGEST_SECONDS

        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if not (math.isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS):
            self.fail(f"{value!r} is not between 0 and {LONGEST_SECONDS:.0f} seconds", param, ctx)
        return seconds


def writable(_ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse an output file whose directory cannot take it, before a run is made for it."""
    if path is None:
        return None
    directory = path.absolute().parent
    while not directory.exists():
        directory = directory.parent
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise click.BadParameter(f"{str(path)!r} cannot be written: {directory} is not a writable directory")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{str(path)!r} cannot be written: {error.strerror}") from error
    return path


def _once(_ctx: click.Context, _param: click.Parameter, given: tuple[tuple[str, str], ...]) -> Any:
    """Refuse a parameter that is given twice: one of the values would be lost without a word."""
    names = [name for name, _ in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.BadParameter(f"{twice[0]!r} is given more than once")
    return given


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
parameter_option = click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    callback=_once,
    metavar="NAME VALUE",
    help="A parameter; repeatable.",
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=writable,
    help="Where the executed notebook goes; by default beside the store.",
)
timeout_option = click.option("--timeout", type=Seconds(), help="Seconds a run may take.")
cell_timeout_option = click.option("--cell-timeout", type=Seconds(), help="Seconds each cell may take.")
notebook_option = click.option(
    "--notebook", type=click.Path(path_type=Path), help="The fixed notebook; its own when left out."
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that are settings of a job, but for how often it is tried; see `given_settings`."""
    for option in (
        click.option(
            "--fork/--no-fork",
            "snapshot_fork",
            default=None,
            help="Whether the state before a cell is held in a forked child; else checkpoints are in line.",
        ),
        click.option(
            "--snapshot-memory",
            "snapshot_memory_mb",
            type=click.IntRange(min=1),
            metavar="MIB",
            help="What kernel and snapshot may take together.",
        ),
        click.option(
            "--strict-resume/--no-strict-resume",
            "strict_resume",
            default=None,
            help="Whether a resume runs again everything from the first change on.",
        ),
        click.option(
            "--checkpoint-share",
            type=click.FloatRange(0, 1),
            help="What checkpoints may cost of a run while all goes well; 1 stores one after each cell.",
        ),
        cell_timeout_option,
        timeout_option,
    ):
        command = option(command)
    return command


_FIELDS = {"timeout": "timeout_seconds", "cell_timeout": "cell_timeout_seconds"}


def given_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given among the values of `settings_options`."""
    return {_FIELDS.get(name, name): value for name, value in options.items() if value is not None}


def agree(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone, unless the person has said yes.

    Raises `click.UsageError` where there is no terminal to ask on, `click.Abort` for a no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask on: agree with --yes")
    click.confirm(question, abort=True, err=True)
