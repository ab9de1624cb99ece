"""`%respawn`: a run's variables, back in the kernel that debugs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.utils.io import ask_yes_no

from respawn_kernels.checkpoint.errors import SnapshotError
from respawn_kernels.debug import session
from respawn_kernels.debug.session import Debugged

_USAGE = """\
%respawn restore RUN         bring back the variables of a run
%respawn rerun               run the cells that make what could not be stored
%respawn state [PATTERN]     show them again, all or those whose names match
%respawn diff RUN            compare the variables here with those of a run
%respawn checkpoint [NAME]   save the variables here, to come back to: %respawn restore RUN@NAME
With --yes, restore and diff load what code of others has made without a question."""

_YES = frozenset({"-y", "--yes"})


@magics_class
class RespawnMagics(Magics):
    """The `%respawn` line magic."""

    _held: Debugged | None = None

    @property
    def restored_run(self) -> str | None:
        """The run whose variables this kernel holds; the Jupyter server asks, and then leaves it as it is."""
        return self._held.point.run if self._held is not None else None

    @line_magic
    def respawn(self, line: str) -> None:
        """Restore the variables of a run (`restore RUN`), show, compare or save them."""
        show: Any = display
        words = line.split()
        show(self._answer([word for word in words if word not in _YES], agreed=not _YES.isdisjoint(words)))

    def _answer(self, words: list[str], *, agreed: bool) -> Any:
        shell: Any = self.shell
        match words:
            case ["restore", reference]:
                with _without_traceback(reference, "be restored"):
                    _ask(reference, agreed=agreed)
                    self._restore(reference)
                return session.table(self._restored(), shell.user_ns)
            case ["rerun"]:
                held = self._restored()
                with _without_traceback(held.point.reference, "be restored"):
                    self._held = session.run_again(held, shell)
                return session.table(self._restored(), shell.user_ns)
            case ["state"]:
                return session.table(self._restored(), shell.user_ns)
            case ["state", pattern]:
                return session.table(self._restored(), shell.user_ns, pattern)
            case ["diff", reference]:
                with _without_traceback(reference, "be compared with"):
                    _ask(reference, agreed=agreed)
                    return session.difference(self._held, reference, shell)
            case ["checkpoint", *name] if len(name) <= 1:
                held = self._restored()
                with _without_traceback(held.point.run, "be saved"):
                    return session.save(held, name[0] if name else None, shell)
        raise UsageError(_USAGE)

    def _restored(self) -> Debugged:
        if self._held is None:
            raise UsageError("Nothing was restored in this kernel: %respawn restore RUN")
        return self._held

    def _restore(self, reference: str) -> None:
        shell: Any = self.shell
        prompt = shell.execution_count
        self._held = session.restore(reference, shell)
        # The cell that this magic stands in counts up too, before or after it runs: by version of IPython.
        following, shell.execution_count = shell.execution_count, prompt
        _when_the_cell_ends(shell, following)


def _ask(reference: str, *, agreed: bool) -> None:
    """Let the person agree to load what code of others has made, once for each download.

    Raises `UsageError` where they do not, or nobody can be asked.
    """
    authors = session.unagreed(reference)
    if not authors:
        return
    warning = (
        f"The state of {reference} was made by code of {'; '.join(authors)}: "
        "loading it runs their code here, with your rights."
    )
    if not agreed:
        question: Any = ask_yes_no
        try:
            agreed = bool(question(f"{warning} Load it? [y/N] ", "n"))
        except StdinNotImplementedError as error:
            raise UsageError(f"{warning} Agree with --yes.") from error
    if not agreed:
        raise UsageError(f"{warning} Nothing was loaded.")
    session.agree(reference)


@contextmanager
def _without_traceback(reference: str, what: str) -> Iterator[None]:
    """Show a person what is wrong and how to fix it, without a traceback.

    Args:
        reference: a run, or a state that was saved beside one (`run@name`).
        what: what was to be done with it, as in "could not be restored".
    """
    run, _, name = reference.partition("@")
    try:
        yield
    except FileNotFoundError as error:
        if name:
            raise UsageError(
                f"There is no {reference}: %respawn checkpoint {name} would save one."
            ) from error
        raise UsageError(
            f"The state of {run} is not on this machine. Open the run's Debug link, "
            f"or fetch it with: respawn debug {run}"
        ) from error
    except SnapshotError as error:
        raise UsageError(f"The state of {reference} could not {what}: {error}") from error
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _when_the_cell_ends(shell: Any, following: int) -> None:
    """Number the next prompt once the running cell is over."""

    def count(_result: Any) -> None:
        shell.events.unregister("post_run_cell", count)
        shell.execution_count = max(shell.execution_count, following)

    shell.events.register("post_run_cell", count)
