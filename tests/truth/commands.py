"""The real commands: `respawn`, `papermill`, and the kernel of a debug notebook, in a directory of a case."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from support.sources import ROOT
from truth.warm_command import PLAINLY

INTERPRETERS = {"3.11": ROOT / ".venv" / "bin", "3.13": ROOT / ".respawn" / "pythons" / "3.13" / "bin"}
_WARM_COMMAND = Path(__file__).with_name("warm_command.py")
SLOWER = float(os.environ.get("TRUTH_SLOWER", "1"))
"""How much longer than on a machine of its own everything may take."""
_LIMIT = 150 * SLOWER


def found() -> tuple[str, ...]:
    """Return the versions of Python whose environments are there."""
    return tuple(version for version, path in INTERPRETERS.items() if (path / "respawn").exists())


def children_cpu() -> float:
    """Return the processor time of all children of this process that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Stuck(Exception):
    """A command did not end in time, or ended in a way that says nothing."""


class EndedElsewhere(Exception):
    """A first run ended at another cell than the failing one; `places` are those of the stories at fault."""

    def __init__(self, message: str, places: list[int]) -> None:
        super().__init__(message)
        self.places = places


@dataclass
class Place:
    """Where one side of a case works: a directory for the notebook, and files of the harness beside it."""

    root: Path
    python: str
    seed: str | None = None
    """The hash seed that kernels get; None leaves it to the command."""
    store: Path | None = None
    warm: bool = False
    """Whether kernels come from a zygote with its imports done, as a runner of the service has them."""
    spent: list[tuple[str, float, float]] = field(default_factory=list)
    """What each command took, in seconds, and in seconds of the processor."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    @property
    def directory(self) -> Path:
        """The notebook's own directory; both sides give it the same name."""
        return self.root / "work"

    @property
    def digest(self) -> Path:
        """Where the last cell writes."""
        return self.root / "digest.json"

    @property
    def ready(self) -> Path:
        """The file without which a failing cell that is retried fails."""
        return self.root / "ready"

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment.

        Raises:
            Stuck: it did not end in time, and it and what it started are killed; or a kernel was not warm.
        """
        command = [str(INTERPRETERS[self.python] / name), *arguments]
        if self.warm:
            command = [str(INTERPRETERS[self.python] / "python"), str(_WARM_COMMAND), *command]
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        started, used = time.monotonic(), children_cpu()
        try:
            out, err = process.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Stuck(f"{name} {' '.join(arguments[:2])} did not end in {_LIMIT:g} s") from None
        took = (round(time.monotonic() - started, 2), round(children_cpu() - used, 2))
        self.spent.append((f"{name} {arguments[0]}", *took))
        if PLAINLY in err:
            raise Stuck(err[err.index(PLAINLY) :][:800])
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def respawn(self, *arguments: str) -> dict[str, Any]:
        """Run `respawn` and return the document that it prints. Raises `Stuck` when it prints none."""
        done = self.command("respawn", *arguments, "--json")
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            raise Stuck(f"respawn {arguments[0]} printed no document: {done.stderr[-800:]}") from None

    def _environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "USER", "TMPDIR")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        if "PYTHONPATH" in os.environ:  # absolute, for each command works in a directory of its own
            places = os.environ["PYTHONPATH"].split(os.pathsep)
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places))
        environment["PATH"] = f"{INTERPRETERS[self.python]}:{environment['PATH']}"
        # Two workers share the machine; a pool of threads in every library would only get in their way.
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        environment |= {"TRUTH_DIGEST": str(self.digest), "TRUTH_READY": str(self.ready)}
        environment |= {
            "RESPAWN_DATA": str(self.store or self.root / "store"),
            "TRUTH_SLOWER": str(SLOWER),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        environment |= {
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "MPLCONFIGDIR": str(ROOT / ".respawn" / "truth" / "mpl"),
        }
        environment |= {"IPYTHONDIR": str(self.root / "ipython")}
        if self.seed is not None:
            environment["PYTHONHASHSEED"] = self.seed
        return environment

    def found(self) -> dict[str, Any] | None:
        """Return what the last cell wrote; None when it did not run."""
        try:
            return dict(json.loads(self.digest.read_bytes()))
        except FileNotFoundError:
            return None


def reference(place: Place, nb: Any, parameters: dict[str, int]) -> Any:
    """Run a notebook from the top with plain papermill; return it as it was executed.

    Raises:
        Stuck: papermill failed; the message ends with why.
    """
    place.ready.touch()
    nbformat.write(nb, place.directory / "story.ipynb")
    given = [part for name, value in parameters.items() for part in ("-p", name, str(value))]
    done = place.command("papermill", "story.ipynb", "../executed.ipynb", "--no-progress-bar", *given)
    # A cell that is tagged `raises-exception` makes papermill fail in the end, when all cells have run.
    if not place.digest.exists():
        raise Stuck(f"papermill failed: {done.stderr[-1200:]}")
    (place.directory / "story.ipynb").unlink()
    return nbformat.read(place.root / "executed.ipynb", 4)
