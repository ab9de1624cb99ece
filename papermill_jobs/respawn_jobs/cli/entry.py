"""How a command line ends: its exit status, and errors in words or as one JSON document.

0: done, or the run succeeded. 1: the run did not succeed. 2: the call was wrong or could not be carried out.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

WRONG_CALL = 2
_INTERRUPTED = 130
_MAX_PROBLEMS = 5


def run_command(arguments: Sequence[str]) -> int:
    """Carry out a command line.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status.
    """
    from respawn_jobs.cli.commands import respawn
    from respawn_jobs.errors import RespawnError

    as_json = "--json" in arguments
    try:
        status = respawn.main(args=list(arguments), prog_name="respawn", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_CALL
    except click.ClickException as error:
        if not as_json:
            error.show()
        return _refused(
            as_json, {"error": "usage", "message": error.format_message(), "fields": {}}, quiet=True
        )
    except RespawnError as error:
        return _refused(as_json, error.as_dict())
    except (click.Abort, KeyboardInterrupt):
        _refused(as_json, {"error": "interrupted", "message": "interrupted", "fields": {}})
        return _INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        return _refused(as_json, {"error": "system", "message": str(error), "fields": {}})
    except Exception as error:  # noqa: BLE001  the boundary of the program: a defect is refusal whole
        if problems := _problems_of_request(error):
            return _refused(as_json, {"error": "invalid_input", "message": problems, "fields": {}})
        traceback.print_exc()
        refusal = {"error": "internal", "message": f"{type(error).__name__}: {error}", "fields": {}}
        return _refused(as_json, refusal, quiet=True)


def _problems_of_request(error: Exception) -> str:
    """Return in words what is wrong with a request; empty for other errors.

    What the service answers is read, and refused, by `respawn_jobs.remote`.
    """
    if "pydantic" not in sys.modules:  # nothing was validated, and its import costs more than a help text
        return ""
    from pydantic import ValidationError

    from respawn_jobs.model.validation_errors import in_words

    if not isinstance(error, ValidationError):
        return ""
    return "; ".join(in_words(problem, place=False) for problem in error.errors()[:_MAX_PROBLEMS])


def _refused(as_json: bool, error: dict[str, Any], *, quiet: bool = False) -> int:
    if as_json:
        click.echo(json.dumps(error, default=str))
    elif not quiet:
        click.echo(f"respawn: {error['message']}", err=True)
    return WRONG_CALL
