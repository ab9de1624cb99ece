"""How IPython finds pending variables: in cells that mention them, for completion and for inspection.

IPython looks into the namespace, where a pending variable is not; `host.lazy_variables` only serves code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from respawn_kernels.cell_code.array_resizes import resizes
from respawn_kernels.host.lazy_variables import LazyNames
from respawn_kernels.memory.owned_memory import owning

_RESULTS = re.compile(r"\b(Out|_oh)\b")
_RESULT = re.compile(r"_\d+")
_LAST_RESULTS = ("_", "__", "___")
_LOOKED_INTO = re.compile(r"([^\W\d]\w*)\s*[.\[(]")


class LazyShell:
    """Follows a shell while names of its namespace are pending.

    Args:
        shell: the IPython shell.
        lazy: the pending names of its namespace.
        is_cheap: returns whether a name can be loaded between two key strokes.
        line: returns a line that describes a pending name, shown in place of its value.
    """

    def __init__(
        self, shell: Any, lazy: LazyNames, is_cheap: Callable[[str], bool], line: Callable[[str], str]
    ) -> None:
        self._shell = shell
        self._lazy = lazy
        self._is_cheap = is_cheap
        self._line = line

    def attach(self) -> None:
        """Register with the shell; `detach` is called by itself when nothing is pending any more."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)
        with suppress(AttributeError):
            self._shell.Completer.custom_matchers.append(self._complete)
        self._inspect = self._shell.object_inspect_mime
        self._shell.object_inspect_mime = self._inspect_pending
        self._update = self._shell.displayhook.update_user_ns
        self._shell.displayhook.update_user_ns = self._update_results
        self._lazy.settled.append(self.detach)

    def detach(self) -> None:
        """Give the shell its own functions back, where the notebook has not replaced them since."""
        for event, call in (("pre_run_cell", self._before_cell), ("post_run_cell", self._after_cell)):
            with suppress(ValueError):  # the notebook removed it
                self._shell.events.unregister(event, call)
        with suppress(AttributeError, ValueError):
            self._shell.Completer.custom_matchers.remove(self._complete)
        if self._shell.__dict__.get("object_inspect_mime") == self._inspect_pending:
            del self._shell.object_inspect_mime
        if vars(self._shell.displayhook).get("update_user_ns") == self._update_results:
            del self._shell.displayhook.update_user_ns

    def _before_cell(self, info: Any) -> None:
        self._lazy.refresh()
        try:
            source = getattr(info, "transformed_cell", None) or self._shell.transform_cell(info.raw_cell)
        except Exception:  # noqa: BLE001  input transformers are anybody's, and the cell will raise it again
            source = info.raw_cell
        try:
            with owning(resizes(source) or any(map(resizes, self._shell.user_ns.get("In", ())))):
                if _RESULTS.search(source):
                    # `Out` is a plain dict and reports no missing key, so all results are loaded.
                    self._lazy.load(name for name in self._lazy.pending if _RESULT.fullmatch(name))
                self._lazy.load_for(source)
        except KeyboardInterrupt:
            # IPython would print it and run the cell all the same. So the cell fails at the first pending
            # name.
            self._lazy.stopped = True

    def _after_cell(self, _result: Any) -> None:
        self._lazy.stopped = False
        self._lazy.prune()

    def _update_results(self, result: Any) -> None:
        """Load the last results first: IPython looks for them in the namespace when there is a new one."""
        with suppress(Exception):
            self._lazy.load(_LAST_RESULTS)
        self._update(result)

    def _complete(self, text: str) -> list[str]:
        """Complete pending names; load small ones whose attributes the matchers after this one ask for."""
        line = str(getattr(self._shell.Completer, "text_until_cursor", text))
        looked_into = {*_LOOKED_INTO.findall(line), *_LOOKED_INTO.findall(text)}
        with suppress(Exception):
            small = [n for n in looked_into if self._lazy.is_pending(n) and self._is_cheap(n)]
            self._lazy.load(small)
        if not text or not text.isidentifier():
            return []
        return [name for name in self._lazy.pending if name.startswith(text)]

    def _inspect_pending(self, name: str, *arguments: Any, **options: Any) -> Any:
        head, _, rest = name.partition(".")
        if self._lazy.is_pending(head):
            if not rest and not self._is_cheap(head):
                return {"text/plain": self._line(head)}
            with suppress(Exception):
                self._lazy.load([head])
        return self._inspect(name, *arguments, **options)
