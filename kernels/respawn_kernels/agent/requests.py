"""What a runner asks of a kernel, in silent requests between the cells.

Its state lives in this module, never in the user's namespace. What goes wrong here is raised to the runner,
which notes it in the cell's record; the run continues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from respawn_kernels import hash_seed, session_state
from respawn_kernels.agent import hidden_cells
from respawn_kernels.agent.boundary import Boundary, KernelSession
from respawn_kernels.agent.provenance import Provenance
from respawn_kernels.agent.silent_requests import unheard
from respawn_kernels.artifacts import api
from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.cell_code.write_set import WriteSet
from respawn_kernels.checkpoint.errors import SnapshotError
from respawn_kernels.checkpoint.manifest import UnstoredVariable, read_manifest
from respawn_kernels.digest import write_whole
from respawn_kernels.early_objects import set_apart
from respawn_kernels.evidence.recording import forget_state, leave, watch
from respawn_kernels.exchange.messages import DROP, Held, HeldChildFiles, KernelFacts, Options, saving
from respawn_kernels.exchange.versions import CAPABILITIES, PROTOCOL
from respawn_kernels.fork.fork import hold as fork_and_hold
from respawn_kernels.host.forking import find_handlers, pass_over_handlers
from respawn_kernels.host.lazy_variables import lazy_names
from respawn_kernels.memory.owned_memory import owning
from respawn_kernels.namespace import live_shell, user_names
from respawn_kernels.originals import dumps, getppid
from respawn_kernels.restore.report import RestoreReport
from respawn_kernels.restore.restore import present, restore_now
from respawn_kernels.restore.unchanged_objects import Unchanged

_spool: Path | None = None
_engine = GroupsEngine()
_producers = Provenance()
_session: KernelSession | None = None
_options = Options()
_runner = 0
_held: HeldChildFiles | None = None
_names: set[str] = set()
"""The user's names just after the last restore."""
_unchanged: Unchanged | None = None
"""What the variables were before the cells that run between two restores."""
_lost: list[UnstoredVariable] = []
"""What the restored checkpoint could not give back: later checkpoints list it, too."""


def prepare(hidden: Mapping[str, ModuleType]) -> Callable[[str], AbstractContextManager[None]]:
    """Find and note, in a process that forks kernels, what each would find at its start; none of it shows.

    Args:
        hidden: modules that are imported and do not show until a notebook imports them, by name.

    Returns:
        What must surround the import of such a module, by its name.
    """
    find_handlers()
    around = session_state.prepare(hidden)
    _engine.import_parts()
    return around


@unheard()
def start(spool: str, runner_pid: int | None = None, options: str | None = None) -> None:
    """Set where checkpoints go, before the first cell.

    Args:
        spool: path of the directory, which is made.
        runner_pid: id of the process that adopts held children; None for the kernel's parent.
        options: `exchange.messages.Options` as JSON; None for the defaults.

    Raises:
        SnapshotError: this is no IPython kernel.
        OSError: the directory cannot be written.
        ValueError, TypeError: the options are not such a document.
    """
    global _spool, _producers, _session, _options, _runner
    directory = Path(spool)
    for part in ("blobs", "manifests", "holds"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    shell = _shell()
    if _session is not None:
        _session.leave(shell)
    _spool = directory
    pass_over_handlers()
    KernelFacts(hash_seed.own(), PROTOCOL, CAPABILITIES).write(directory)
    api.start(directory / "artifacts")
    _options = Options.from_json(options)
    _runner = runner_pid or getppid()
    _producers = Provenance()
    _producers.note(shell.user_ns, -1)
    _session = KernelSession(directory, shell.user_ns, WriteSet(shell.user_ns), [])
    _session.follow(shell)
    session_state.watch()
    watch(shell, directory)
    set_apart()


@unheard()
def hold(cell: int) -> Held:
    """Hold the state just after a cell in a child, and write so into the spool.

    The child that held the state before is then dropped, unless it is just saving itself: should the kernel
    die meanwhile, one of the two has a state.

    Args:
        cell: index of the cell that just finished.

    Raises:
        SnapshotError: `start` was not called.
        OSError: the spool cannot be written.
    """
    global _held
    session, boundary = _boundary(cell, forked=True)
    place, before = HeldChildFiles(session.spool, cell), _held
    held = fork_and_hold(place, boundary, _runner, _options, leave)
    place.write_held(held)
    _held = place
    if before is not None:
        before.tell(DROP)
    return held


@unheard()
def checkpoint(cell: int) -> None:
    """Write the state just after a cell into the spool, in line; its manifest comes last and whole.

    Args:
        cell: index of the cell that just finished.

    Raises:
        SnapshotError: nothing could be stored; single variables that could not be are in the manifest.
        OSError: the spool cannot be written, for instance because the disk is full.
    """
    session, boundary = _boundary(cell, forked=False)
    with saving(session.spool):
        manifest = boundary(progress=lambda _: None, leave_out={})
        path = session.spool / "manifests" / f"{cell}.json"
        write_whole(path, manifest.to_json().encode(), durable=False)


def _boundary(cell: int, *, forked: bool) -> tuple[KernelSession, Boundary]:
    if _session is None:
        raise SnapshotError("checkpoints were not started in this kernel")
    shell = _shell()
    lost = [*_lost, *_load_pending(shell.user_ns)]
    _producers.note(shell.user_ns, cell)
    changed_in = session_state.note(cell)
    _session.pass_by(cell)
    _engine.import_parts()
    return _session, Boundary(
        _session,
        _engine,
        cell,
        {**_producers.cells, **changed_in},
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
def leave_session() -> None:
    """Leave the session to a person: nothing is recorded of its cells any more, and none is held.

    Raises:
        SnapshotError: this is no IPython kernel.
    """
    global _session, _held
    shell = _shell()
    if _session is not None:
        _session.leave(shell)
        _session = None
    if _held is not None:
        _held.tell(DROP)
        _held = None
    leave()


@unheard()
def restore(
    directory: str,
    cell: int,
    report_to: str | None = None,
    producers: Sequence[str] = (),
    *,
    owned: bool = False,
) -> RestoreReport:
    """Bring back the state just after a cell from a directory with its manifest and blobs.

    Args:
        directory: where they are.
        cell: index of the cell.
        report_to: path of a file that gets what could not be loaded, as JSON: `failed`, each with `name`,
            `type`, `reason`, `cell` and `present` (whether the session has a variable of that name all the
            same). None for no file.
        producers: sources of the cells that run next, before `restore_again`; empty for none.
        owned: arrays get memory of their own, since a cell may resize them in place.

    Raises:
        SnapshotError: no such checkpoint, or it cannot be read here; nothing was changed.
    """
    global _unchanged
    with owning(owned):
        report = _restore(directory, cell, report_to, None)
    if producers:
        _unchanged = Unchanged(report.manifest, _shell(), producers)
        hidden_cells.begin(_shell())
    return report


@unheard()
def restore_again(
    directory: str, cell: int, report_to: str | None = None, *, owned: bool = False
) -> RestoreReport:
    """Restore once more after the cells ran that `restore` was given as producers.

    Every variable that the checkpoint holds gets the checkpoint's value again, so such a cell gives back only
    what the checkpoint could not hold or what would not load here; other names that it made are removed.
    What a cell left as it was stays the same object. What it made from a variable that it changed is reported
    as not restored.

    Args:
        directory: as for `restore`.
        cell: as for `restore`.
        report_to: as for `restore`.
        owned: as for `restore`.

    Raises:
        SnapshotError: as `restore`, or it was given no producers.
    """
    global _unchanged
    after, _unchanged = _unchanged, None
    if after is None:
        raise SnapshotError("restore was not given the cells that were going to run")
    hidden_cells.end(_shell())
    manifest = read_manifest(Path(directory), cell)
    namespace = _shell().user_ns
    known = {variable.name for variable in manifest.variables}
    known |= {variable.name for variable in manifest.unstored}
    made = set(user_names(namespace)) - _names - known
    with owning(owned):
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
    _producers.take_over(manifest, shell.user_ns)
    if _session is not None:
        _session.write_set.everything()
        _session.cells.clear()
    _names.clear()
    _names.update(user_names(shell.user_ns))
    # Variables that could not be given back are placeholders in the namespace, where later checkpoints find
    # them.
    _lost[:] = [item for item in [*manifest.unstored, *report.failed] if item.name.startswith("#")]
    if report_to is not None:
        failed = [{**asdict(item), "present": present(shell.user_ns, item.name)} for item in report.failed]
        write_whole(Path(report_to), dumps({"failed": failed}).encode(), durable=False)
    return report


def _shell() -> Any:
    shell = live_shell()
    if shell is None:
        raise SnapshotError("this is not an IPython kernel")
    return shell
