"""Session state that was seen to change and that the restored state does not hold: made again, or named.

A cell is run again on restore, for its effect alone, only when that is safe to do and gives the same: nothing
of it leaves the process, nothing is drawn, it is quick, and what it reads is as it was when it ran.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from respawn_jobs.dataflow import Footprint
from respawn_jobs.dataflow.live_names import Reads
from respawn_jobs.model.checkpoints import Unstored
from respawn_jobs.model.hidden_state import hidden, label_of
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.notebook.document import TAG_ALWAYS, TAG_ONCE, TAG_SKIP
from respawn_kernels.counting import how_many

MAX_SECONDS = 10.0
"""How long a cell may have taken that is run again unasked."""
_SETTING = "#settings:"
"""Begins the name of something that a cell set in a library, whose cells are known one by one."""
_RANDOM = ("#random", "#numpy.random", "#torch.random")
_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell that the restored state covers."""

    index: int | None
    """In the notebook that goes on, where it is reused; else None."""
    record: CellRecord
    footprint: Footprint
    source: str
    tags: frozenset[str] = frozenset()

    def sets(self, part: str) -> bool:
        """Return whether it was seen to change a part of the session's state or a library's setting."""
        evidence = self.record.evidence
        if evidence is None:
            return False
        return part.removeprefix(_SETTING) in (
            evidence.settings if part.startswith(_SETTING) else evidence.changed
        )


@dataclass
class LostState:
    """What becomes of session state that the restored state does not hold."""

    again: dict[int, str] = field(default_factory=dict)
    """Cells that run again on restore, by index, each with what it makes."""
    messages: list[str] = field(default_factory=list)


def lost_state(
    unstored: Sequence[Unstored], done: Sequence[FinishedCell], running: Sequence[Footprint]
) -> LostState:
    """Tell what is made again on restore, and name the rest.

    Args:
        unstored: what the restored state does not hold.
        done: the cells that it covers, in their order.
        running: what those do that run again in any case.
    """
    found = LostState()
    parts: dict[str, list[Unstored]] = {}
    for item in unstored:
        if item.name.startswith("#"):
            part = item.name if item.name.startswith(_SETTING) else item.name.partition(":")[0]
            parts.setdefault(part, []).append(item)
    lasting = definitions([cell.source for cell in done])
    for part, items in parts.items():
        what, reason = _title(items), items[0].reason
        setters = [(place, cell) for place, cell in enumerate(done) if cell.sets(part)]
        producers = [(place, cell) for place, cell in setters if cell.index is not None]
        refused = [(cell, why) for place, cell in producers if (why := _why_not(place, done, lasting, part))]
        if refused:
            found.messages += [_message(cell, what, reason, why) for cell, why in refused]
        elif producers:
            for _, cell in producers:
                assert cell.index is not None  # noqa: S101  producers are reused
                found.again[cell.index] = _and(found.again.get(cell.index), what)
        elif setters and part.startswith(_SETTING):
            continue  # they run again in any case, or are gone
        elif not any(one.may_write(part) for one in running):
            found.messages.append(f"{what} could not be stored: {reason}; no reused cell is known to set it")
    return found


def definitions(sources: Sequence[str]) -> set[str]:
    """Return the names that stand for modules, functions and classes in cells, and for nothing else."""
    defined: set[str] = set()
    others: set[str] = set()
    for source in sources:
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except _TOO_MUCH:
            continue
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                defined |= {one.asname or one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                others.add(node.id)
    return defined - others


def _why_not(place: int, done: Sequence[FinishedCell], lasting: Set[str], part: str) -> str | None:
    """Return why a cell is not run again unasked to make a part, in words; None when it is."""
    cell = done[place]
    evidence, seconds = cell.record.evidence, cell.record.seconds
    if TAG_ALWAYS in cell.tags:
        return None
    if TAG_ONCE in cell.tags:
        return f"it is tagged {TAG_ONCE}"
    if TAG_SKIP in cell.tags or evidence is None or evidence.overflow:
        return "it is not known what else it does"
    if evidence.written or evidence.outside:
        kinds = [*(["files"] if evidence.written else []), *evidence.outside]
        return f"it changes what is outside of the kernel ({', '.join(kinds)})"
    if evidence.background_work:
        return f"{', '.join(evidence.background_work)} went on after it"
    if any(name in evidence.changed for name in _RANDOM):
        return "it draws random numbers"
    if part.startswith(_SETTING) and "seed" in part.rpartition(".")[2].lower():
        return "numbers that were drawn since would be drawn again"
    if seconds is None or seconds > MAX_SECONDS:
        return f"it took {how_many(round(seconds or 0), 'second')}"
    moved = _moved(place, done, lasting)
    return f"{moved}, which it reads, may have changed since" if moved else None


def _moved(place: int, done: Sequence[FinishedCell], lasting: Set[str]) -> str | None:
    """Return something that a cell reads and that may be another by now; None when all is as it was.

    Of modules, functions and classes it is taken that they are as they were, unless another one has the name.
    """
    cell, later = done[place], done[place:]
    reads = Reads()
    for one in done[:place]:
        reads.define(one.source)
    names = {name for name in reads.cell(cell.source) if not hasattr(builtins, name)}
    if cell.record.evidence is not None:
        names |= set(cell.record.evidence.reads)
    if cell.footprint.opaque is None:
        names |= {name for name in cell.footprint.reads if not hidden(name)}
    if cell.record.evidence is not None and cell.record.evidence.unwatched is None:
        names -= _read_later(cell.source) - set(cell.record.evidence.reads)
    for name in sorted(names):
        bound = any(one.record.evidence and name in one.record.evidence.bound for one in done[place + 1 :])
        if bound or (name not in lasting and any(one.footprint.may_write(name) for one in later)):
            return name
    written = {path for one in later if one.record.evidence for path in one.record.evidence.written}
    opened = set(cell.record.evidence.opened) if cell.record.evidence else set()
    return next(iter(sorted(written & opened)), None)


def _read_later(source: str) -> set[str]:
    """Return the names that a cell reads in bodies of functions alone, which find the live ones."""
    try:
        waiting: list[ast.AST] = [ast.parse(source)]
    except _TOO_MUCH:
        return set()
    later: set[str] = set()
    at_once: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            later |= {one.id for part in node.body for one in ast.walk(part) if isinstance(one, ast.Name)}
            waiting += [*node.decorator_list, node.args]
        else:
            at_once |= {node.id} if isinstance(node, ast.Name) else set()
            waiting += ast.iter_child_nodes(node)
    return later - at_once


def _message(cell: FinishedCell, what: str, reason: str, why: str) -> str:
    return (
        f"cell {cell.index} set {what}, which could not be stored ({reason}) and is not there after a "
        f"restore; it is not run again by itself, for {why}: tag it {TAG_ALWAYS} to have it run on each "
        "restore, or restart the run"
    )


def _title(items: Sequence[Unstored]) -> str:
    part = items[0].name.partition(":")[0]
    details = [detail for item in items if (detail := item.name.partition(":")[2])]
    return f"{label_of(part)} ({', '.join(details[:3])})" if details else label_of(part)


def _and(before: str | None, what: str) -> str:
    return what if before is None else f"{before}, {what}"
