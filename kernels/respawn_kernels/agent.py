"""What a runner asks of a kernel, in silent requests between the cells.

Its state lives in this module, never in the user's namespace. What goes wrong here is raised to the runner,
which notes it in the cell's record; the run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from respawn_kernels import artifacts, hash_seed, session_state, unseen
from respawn_kernels.boundary import Boundary, Session
from respawn_kernels.digest import write_whole
from respawn_kernels.evidence.watch import forget_state, watch
from respawn_kernels.forking import pass_over_handlers
from respawn_kernels.held import DROP, Held, KernelFacts, Options, Place, saving
from respawn_kernels.hold import hold as fork_and_hold
from respawn_kernels.lazy import lazy_names
from respawn_kernels.makers import Makers
from respawn_kernels.manifest import Manifest, UnstoredVariable
from respawn_kernels.names import live_shell, user_names
from respawn_kernels.originals import dumps, getppid
from respawn_kernels.restoring import present, restore_now
from respawn_kernels.snapshot import RestoreReport, SnapshotError, engine
from respawn_kernels.touch import Touched
from respawn_kernels.unchanged import Unchanged
from respawn_kernels.unheard import unheard

_spool: Path | None = None
_engine = engine()
_makers = Makers()
_session: Session | None = None
_options = Options()
_runner = 0
_held: Place | None = None
_names: set[str] = set()
"""The user's names just after the last restore."""
_unchanged: Unchanged | None = None
"""What the cells that run between two restores may change."""
_lost: list[UnstoredVariable] = []
"""What the restored checkpoint could not give back: later checkpoints go on saying so."""


@unheard()
def start(spool: str, runner_pid: int | None = None, options: str | None = None) -> None:
    """Say where checkpoints go, before the first cell. Raises when this kernel cannot take snapshots.

    Args:
        spool: the directory.
        runner_pid: the process that adopts held children; by default the kernel's parent.
        options: `held.Options` as JSON.
    """
    global _spool, _makers, _session, _options, _runner
    directory = Path(spool)
    for part in ("blobs", "manifests", "holds"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    shell = _shell()
    if _session is not None:
        _session.leave(shell)
    _spool = directory
    pass_over_handlers()
    KernelFacts(hash_seed.own()).write(directory)
    artifacts.start(directory / "artifacts")
    _options = Options.from_json(options)
    _runner = runner_pid or getppid()
    _makers = Makers()
    _makers.note(shell.user_ns, -1)
    _session = Session(directory, shell.user_ns, Touched(shell.user_ns), [])
    _session.follow(shell)
    session_state.watch()
    watch(shell, directory)


@unheard()
def hold(cell: int) -> Held:
    """Hold the state just after a cell in a child, and say so in the spool.

    The child that held the state before is then dropped, unless it is just saving itself: should the kernel
    die meanwhile, one of the two has a state.

    Raises:
        SnapshotError: `start` was not called.
        OSError: the spool cannot be written.
    """
    global _held
    session, boundary = _boundary(cell, forked=True)
    place, before = Place(session.spool, cell), _held
    held = fork_and_hold(place, boundary, _runner, _options)
    place.write_held(held)
    _held = place
    if before is not None:
        before.tell(DROP)
    return held


@unheard()
def checkpoint(cell: int) -> None:
    """Write the state just after a cell into the spool, in line; its manifest comes last and whole.

    Raises:
        SnapshotError: nothing could be stored; single variables that could not be are in the manifest.
        OSError: the spool cannot be written, for instance because the disk is full.
    """
    session, boundary = _boundary(cell, forked=False)
    with saving(session.spool):
        manifest = boundary(progress=lambda _: None, leave_out={})
        path = session.spool / "manifests" / f"{cell}.json"
        write_whole(path, manifest.to_json().encode(), durable=False)


def _boundary(cell: int, *, forked: bool) -> tuple[Session, Boundary]:
    if _session is None:
        raise SnapshotError("checkpoints were not started in this kernel")
    shell = _shell()
    lost = [*_lost, *_load_pending(shell.user_ns)]
    _makers.note(shell.user_ns, cell)
    changed_in = session_state.note(cell)
    _session.pass_by(cell)
    return _session, Boundary(
        _session,
        _engine,
        cell,
        {**_makers.cells, **changed_in},
        shell.execution_count,
        lost,
        _options.variable_seconds,
        forked,
        session_state.capture_before_fork() if forked else None,
    )


def _load_pending(namespace: dict[str, Any]) -> list[UnstoredVariable]:
    """Load what a cell of the run restored lazily from another; return what would not load."""
    lazy = lazy_names(namespace)
    lazy.load(lazy.pending)
    return [UnstoredVariable(name, "unknown", "it could not be loaded") for name in lazy.pending]


@unheard()
def restore(
    directory: str, cell: int, report_to: str | None = None, makers: Sequence[str] = ()
) -> RestoreReport:
    """Bring back the state just after a cell from a directory with its manifest and blobs.

    Args:
        directory: where they are.
        cell: the cell.
        report_to: file that gets what could not be loaded, as JSON: `failed`, each with `name`, `type`,
            `reason`, `cell` and `present` (whether the session has a variable of that name all the same).
        makers: the cells that run next, before `restore_again`: their sources.

    Raises:
        SnapshotError: no such checkpoint, or it cannot be read here; nothing was changed.
    """
    global _unchanged
    report = _restore(directory, cell, report_to, None)
    if makers:
        _unchanged = Unchanged(report.manifest, _shell(), makers)
        unseen.begin(_shell())
    return report


@unheard()
def restore_again(directory: str, cell: int, report_to: str | None = None) -> RestoreReport:
    """Restore once more after the cells ran of which `restore` was told.

    Every variable that the checkpoint holds gets the checkpoint's value again, so such a cell gives back only
    what the checkpoint could not hold or what would not load here; other names that it made are removed.
    What a cell left as it was stays the same object. What it made from a variable that it changed is told as
    not restored.

    Raises:
        SnapshotError: as `restore`, or it was not told of any.
    """
    global _unchanged
    after, _unchanged = _unchanged, None
    if after is None:
        raise SnapshotError("restore was not told which cells were going to run")
    unseen.end(_shell())
    manifest = read_manifest(Path(directory), cell)
    namespace = _shell().user_ns
    known = {variable.name for variable in manifest.variables}
    known |= {variable.name for variable in manifest.unstored}
    made = set(user_names(namespace)) - _names - known
    report = _restore(directory, cell, report_to, after)
    for name in made:
        namespace.pop(name, None)
    return report


def _restore(directory: str, cell: int, report_to: str | None, after: Unchanged | None) -> RestoreReport:
    manifest = read_manifest(Path(directory), cell)
    shell = _shell()
    report = restore_now(manifest, Path(directory), shell.user_ns, shell, after=after)
    forget_state()
    # Never backwards: a prompt number that comes twice in a session upsets IPython's history.
    shell.execution_count = max(shell.execution_count, manifest.execution_count)
    _makers.take_over(manifest, shell.user_ns)
    if _session is not None:
        _session.touched.everything()
        _session.cells.clear()
    _names.clear()
    _names.update(user_names(shell.user_ns))
    # Placeholders in the namespace tell later checkpoints what could not be given back.
    _lost[:] = [item for item in [*manifest.unstored, *report.failed] if item.name.startswith("#")]
    if report_to is not None:
        failed = [{**asdict(item), "present": present(shell.user_ns, item.name)} for item in report.failed]
        write_whole(Path(report_to), dumps({"failed": failed}).encode(), durable=False)
    return report


def read_manifest(directory: Path, cell: int) -> Manifest:
    """Read the manifest of a cell's checkpoint. Raises SnapshotError naming it when there is none."""
    path = directory / "manifests" / f"{cell}.json"
    try:
        return Manifest.from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SnapshotError(f"no checkpoint after cell {cell} in {directory}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the manifest {path} cannot be read: {error}") from error


def _shell() -> Any:
    shell = live_shell()
    if shell is None:
        raise SnapshotError("this is not an IPython kernel")
    return shell
