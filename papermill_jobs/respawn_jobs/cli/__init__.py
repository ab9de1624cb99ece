"""The `respawn` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    from respawn_jobs.cli.entry import run_command
    from respawn_jobs.host.fast_imports import leave_out_grammars

    leave_out_grammars()
    sys.exit(run_command(sys.argv[1:]))
