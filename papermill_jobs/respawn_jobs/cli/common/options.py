"""Options that several commands share, and what they refuse before anything is done."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from respawn_kernels.sizes import how_large, parse_size

_MIN_MEMORY = 64 << 20
"""`model.limits.MIN_MEMORY_BYTES`, which is not imported for every command."""


class Seconds(click.ParamType[float]):
    """A duration in seconds, up to a year."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail saying what is wanted.

        Args:
            value: the text that was typed, or a number that is the option's default.
            param: the option, for the message; None where it is not known.
            ctx: the command that is called, for the message; None where it is not known.

        Raises:
            click.BadParameter: it is no number, not above 0, or longer than a duration may be.
        """
        from respawn_jobs.model.base import MAX_DURATION_SECONDS

        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if not (math.isfinite(seconds) and 0 < seconds <= MAX_DURATION_SECONDS):
            self.fail(f"{value!r} is not between 0 and {MAX_DURATION_SECONDS:.0f} seconds", param, ctx)
        return seconds


class Size(click.ParamType[int]):
    """A size in bytes: `800M`, `8G`, `1.5 GiB`, all of them in powers of 1024."""

    name = "size"

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes, or fail saying what is wanted.

        Args:
            value: the text that was typed, or what this has returned for it before.
            param: the option, for the message; None where it is not known.
            ctx: the command that is called, for the message; None where it is not known.

        Raises:
            click.BadParameter: it is no size, or too small or too large a one.
        """
        if isinstance(value, int):
            return value
        try:
            size = parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < self.least:
            self.fail(f"{value!r} is less than {how_large(self.least)}, which is the least", param, ctx)
        return size


def writable(_ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse an output file whose directory cannot take it, before a run is made for it.

    A directory that is missing is made.

    Raises:
        click.BadParameter: the directory is not writable, or cannot be made.
    """
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


agree_option = click.option(
    "--agree",
    multiple=True,
    type=click.Choice(["break_triggers"]),
    help="Agree that runs of triggers fail, whose parameters a fixed notebook does not take.",
)
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
memory_option = click.option(
    "--memory",
    "memory_bytes",
    type=Size(_MIN_MEMORY),
    help="The memory limit of the new run, as 8G; by default as the job says.",
)
notebook_option = click.option(
    "--notebook", type=click.Path(path_type=Path), help="The fixed notebook; its own when left out."
)


with_option = click.option(
    "--with",
    "more",
    multiple=True,
    metavar="PATTERN",
    help="Carry these files too, from the notebook's directory; repeatable.",
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
            "--disk", "disk_limit_bytes", type=Size(1 << 20), help="By how much the run's directory may grow."
        ),
        click.option(
            "--processes",
            "process_limit",
            type=click.IntRange(1, 100_000),
            help="How many processes there may be at a time, the kernel included.",
        ),
        click.option(
            "--cpus",
            "cpu_limit",
            type=click.FloatRange(0, 1024, min_open=True),
            help="How many cores the kernel may use.",
        ),
        click.option(
            "--memory",
            "memory_limit_bytes",
            type=Size(_MIN_MEMORY),
            help="What the kernel may have in memory, as 8G.",
        ),
        click.option(
            "--keep-kernel",
            type=click.FloatRange(min=0),
            help="Seconds for which the kernel of a failed run lives on in its job server; 0 for not at all.",
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
        click.option(
            "--blocked-timeout",
            type=Seconds(),
            help="Seconds without CPU, output and bytes after which a cell is ended.",
        ),
        click.option(
            "--blocked-after",
            type=Seconds(),
            help="Seconds without CPU, output and bytes after which a cell is shown as blocked.",
        ),
        cell_timeout_option,
        timeout_option,
    ):
        command = option(command)
    return command


_FIELDS = {
    name: f"{name}_seconds"
    for name in ("timeout", "cell_timeout", "blocked_after", "blocked_timeout", "keep_kernel")
}


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
