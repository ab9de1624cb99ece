"""`%respawn restore RUN` and `%respawn state`: a run's variables, back in the kernel that debugs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from respawn_kernels import agent
from respawn_kernels.restore import RestorePoint, run_directory
from respawn_kernels.snapshot import RestoreReport, SnapshotError
from respawn_kernels.state_table import RerunCell, StateTable

_USAGE = "%respawn restore RUN   bring back the variables of a run\n%respawn state         show them again"


@dataclass(frozen=True)
class _Loaded:
    point: RestorePoint
    report: RestoreReport | None
    rerun: list[RerunCell]


@magics_class
class RespawnMagics(Magics):
    """The `%respawn` line magic."""

    _last: _Loaded | None = None

    @property
    def restored_run(self) -> str | None:
        """The run whose variables this kernel holds; the Jupyter server asks, and then leaves it as it is."""
        return self._last.point.run if self._last is not None else None

    @line_magic
    def respawn(self, line: str) -> None:
        """Bring back the variables of a run (`restore RUN`), or show what was brought back (`state`)."""
        match line.split():
            case ["restore", run]:
                self._last = self._restore(run)
            case ["state"]:
                if self._last is None:
                    raise UsageError("Nothing was restored in this kernel: %respawn restore RUN")
            case _:
                raise UsageError(_USAGE)
        show: Any = display
        show(StateTable(self._last.point, self._last.report, self._last.rerun))

    def _restore(self, run: str) -> _Loaded:
        point = _read_point(run)
        shell: Any = self.shell
        prompt, report = shell.execution_count, None
        if point.cell is not None:
            report = self._checked(agent.restore, point)
        rerun = [self._rerun(cell.index, cell.source) for cell in point.always]
        if point.cell is not None and rerun:
            report = self._checked(agent.restore_again, point)
        # The cell that this magic stands in counts up too, before or after it runs: by version of IPython.
        following, shell.execution_count = shell.execution_count, prompt
        _when_the_cell_ends(shell, following)
        return _Loaded(point, report, rerun)

    def _checked(self, restore: Callable[[str, int], RestoreReport], point: RestorePoint) -> RestoreReport:
        assert point.cell is not None  # noqa: S101  asked by the caller
        try:
            return restore(str(run_directory(point.run)), point.cell)
        except SnapshotError as error:
            raise UsageError(f"The state of {point.run} could not be restored: {error}") from error

    def _rerun(self, index: int, source: str) -> RerunCell:
        shell: Any = self.shell
        result = shell.run_cell(source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        return RerunCell(index, None if error is None else f"{type(error).__name__}: {error}")


def _when_the_cell_ends(shell: Any, following: int) -> None:
    """Number the next prompt once the running cell is over."""

    def count(_result: Any) -> None:
        shell.events.unregister("post_run_cell", count)
        shell.execution_count = max(shell.execution_count, following)

    shell.events.register("post_run_cell", count)


def _read_point(run: str) -> RestorePoint:
    try:
        directory = run_directory(run)
        return RestorePoint.from_json((directory / "restore.json").read_bytes())
    except FileNotFoundError as error:
        raise UsageError(
            f"The state of {run} is not on this machine. Open the run's Debug link, "
            f"or fetch it with: respawn debug {run}"
        ) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
