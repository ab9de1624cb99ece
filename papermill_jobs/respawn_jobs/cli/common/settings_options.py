"""Options that are settings of a job, not of a single run: how it is retried, queued, reported and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from respawn_jobs.cli.common.options import Size

_CAUSES = (
    "cell_error",
    "dead_kernel",
    "out_of_memory",
    "process_limit",
    "disk_limit",
    "runner_lost",
    "timeout",
)
_NUMBERS = {"delay": "delay_seconds", "factor": "factor", "longest": "max_delay_seconds", "jitter": "jitter"}


class Retry(click.ParamType[tuple[str, dict[str, Any]]]):
    """A retry policy: `CAUSE=ATTEMPTS[,delay=S][,factor=N][,longest=S][,jitter=SHARE][,restart]`.

    For `out_of_memory` also `memory=N`, by which factor the next attempt has more memory, `double` for 2; and
    `most=SIZE`, the highest memory limit that this comes to.
    """

    name = "CAUSE=ATTEMPTS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, dict[str, Any]]:
        """Return the cause and its policy, or fail saying what is wanted.

        Args:
            value: the text that was typed, or what this has returned for it before.
            param: the option, for the message; None where it is not known.
            ctx: the command that is called, for the message; None where it is not known.

        Returns:
            The cause, and the fields of its policy as the settings of a job name them.

        Raises:
            click.BadParameter: the cause is unknown, the attempts or a value are no number, or a word is not
            known.
        """
        if isinstance(value, tuple):
            return value
        first, *more = str(value).split(",")
        cause, _, attempts = first.partition("=")
        if cause not in _CAUSES or not attempts.isdecimal():
            self.fail(f"{first!r} is not CAUSE=ATTEMPTS; the causes are {', '.join(_CAUSES)}", param, ctx)
        policy: dict[str, Any] = {"attempts": int(attempts)}
        for word in more:
            key, _, text = word.partition("=")
            if word == "restart":
                policy["resume"] = False
            elif key == "memory" and cause == "out_of_memory":
                policy["memory_factor"] = 2.0 if text == "double" else self._number(text, param, ctx)
            elif key == "most" and cause == "out_of_memory":
                policy["max_memory_bytes"] = Size().convert(text, param, ctx)
            elif key in _NUMBERS:
                policy[_NUMBERS[key]] = self._number(text, param, ctx)
            else:
                self.fail(f"{word!r} is not one of {', '.join(_NUMBERS)} or restart", param, ctx)
        return cause, policy

    def _number(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(text)
        except ValueError:
            self.fail(f"{text!r} is not a number", param, ctx)


class AtTime(click.ParamType[dict[str, str]]):
    """A time of day with an optional zone: `06:00` or `06:00@Europe/Berlin`."""

    name = "HH:MM[@ZONE]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Return it as the setting has it; the service says whether it exists.

        Args:
            value: the text that was typed, or what this has returned for it before.
            param: the option; not needed here.
            ctx: the command that is called; not needed here.

        Returns:
            `time` and `tz`, which is UTC where no zone was given.
        """
        if isinstance(value, dict):
            return value
        time, _, zone = str(value).partition("@")
        return {"time": time, "tz": zone or "UTC"}


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; see `given_job_settings`."""
    for option in (
        click.option("--deadline", type=AtTime(), help="By when a run that came due must have succeeded."),
        click.option("--notify", multiple=True, metavar="CHANNEL", help="Channel to notify; repeatable."),
        click.option(
            "--keep-days", type=click.FloatRange(0, min_open=True), help="How long ended runs stay."
        ),
        click.option("--keep-runs", type=click.IntRange(1), help="How many ended runs stay."),
        click.option(
            "--overlap",
            type=click.Choice(["queue", "skip", "cancel"]),
            help="What becomes of a run that comes due while others have not ended.",
        ),
        click.option("--max-parallel", type=click.IntRange(1), help="How many runs may execute at once."),
        click.option(
            "--profile", metavar="NAME", help="The profile of the servers that its runs get, on a hub."
        ),
        click.option("--queue", help="The queue that its runs wait in."),
        click.option("--priority", type=click.IntRange(-100, 100), help="Runs of a higher one start first."),
        click.option(
            "--retry",
            "retries",
            type=Retry(),
            multiple=True,
            help="How often attempts may end by a cause, with ',delay=S', ',factor=N', ',longest=S', "
            "',jitter=SHARE', ',restart' behind it, and for out_of_memory ',memory=double', ',most=SIZE'; "
            "repeatable.",
        ),
        click.option(
            "--max-attempts",
            type=click.IntRange(1, 20),
            help="How many attempts may end by each cause that has no --retry of its own.",
        ),
    ):
        command = option(command)
    return command


def given_job_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given among the values of `settings_options` and `job_options`."""
    from respawn_jobs.cli.common.options import given_settings

    given = {name: value for name, value in given_settings(options).items() if value != ()}
    if "retries" in given:
        given["retries"] = dict(given["retries"])
    if "notify" in given:
        given["notify"] = list(given["notify"])
    return given
