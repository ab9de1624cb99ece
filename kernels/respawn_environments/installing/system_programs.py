"""What an environment needs of the system beside Python: programs, found on PATH.

No lock pins them: which version there is, the machine or the image's base decides.
"""

from __future__ import annotations

import shlex
import shutil

from respawn_environments.definition import EnvironmentSource
from respawn_environments.errors import ProgramMissing
from respawn_kernels.counting import noun


def missing_programs(wanted: dict[str, str]) -> dict[str, str]:
    """Return those of some programs that are not on PATH, each with the package of Debian that has it."""
    return {program: package for program, package in wanted.items() if shutil.which(program) is None}


def to_install(missing: dict[str, str]) -> str:
    """Return how Debian installs programs that are missing, as a command."""
    return f"apt-get install {shlex.join(sorted(set(missing.values())))}"


def check_programs(source: EnvironmentSource) -> None:
    """Raise ProgramMissing, which says what to install, when a program that it needs is not on PATH."""
    missing = missing_programs(source.definition.system_packages)
    if missing:
        which = noun(len(missing), "which is", "which are")
        raise ProgramMissing(
            f"{source.name} needs {', '.join(sorted(missing))}, {which} not on PATH: "
            f"install it (Debian: {to_install(missing)})"
        )
