"""What a resume does only when a person agrees, and what it cannot do at all."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from respawn_jobs.dataflow.addresses import asks_for_addresses, describe_addresses
from respawn_jobs.dataflow.live_names import Reads
from respawn_jobs.model.checkpoints import Unstored
from respawn_jobs.model.hidden_state import hidden, label_of
from respawn_jobs.model.plans import PlanAction
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.cell_numbers import cells_in_words
from respawn_jobs.notebook.document import TAG_ALWAYS, TAG_ONCE, cell_tags, source_hash
from respawn_jobs.resume.draft import Agreed, Draft, StartingPoint, ran
from respawn_jobs.resume.files.file_history import describe_unseen_files
from respawn_jobs.resume.files.left_files import describe_left_files, seen_written
from respawn_jobs.resume.files.leftover_files import stale_files
from respawn_jobs.resume.invalidation.reruns import Reruns, Step
from respawn_jobs.resume.start_choice import cost_of
from respawn_kernels.cell_code.syntax import tree_of
from respawn_kernels.counting import noun

_BEGUN = (CellState.RUNNING, CellState.FAILED)


class Agreements:
    """Finds what a draft of a plan needs agreement for."""

    def __init__(self, draft: Draft, agreed: Agreed) -> None:
        self.draft = draft
        self.agreed = agreed

    def make_again(self) -> None:
        """Find the cells that could make what the state does not hold; let them run when that is agreed.

        Where they cannot run onto that state, they run from an earlier one, or from the empty kernel.
        """
        draft, best = self.draft, self.draft.start
        if best.checkpoint is None or not draft.python:
            return
        lost = self._lost_and_read(best.reruns)
        if not lost:
            return
        usual = set(self._running(best.reruns))
        others = [start for start in draft.starts if start is not best]
        found = self._complete([best]) or self._complete(others)
        draft.start = best
        if not found:
            return
        start = min(found, key=lambda one: cost_of(draft, one))
        draft.start = start
        again = [place for place in self._running(start.reruns) if place not in usual]
        draft.producers = [draft.indices[place] for place in again]
        if again and not self.agreed.rerun_producers:
            draft.start = best
        elif start.point < best.point:
            draft.earlier_for = sorted(lost)

    def _complete(self, starts: Sequence[StartingPoint]) -> list[StartingPoint]:
        """Return those starts, with what runs again from them, where nothing is missing that is read.

        They leave out those after which cells would run twice that must not.
        """
        draft, found = self.draft, []
        once = set(filter(self._is_once, self._running(draft.start.reruns)))
        for start in starts:
            draft.start = start
            reruns = self._with_what_is_lost()
            if reruns is None:
                continue
            repeated = set(filter(self._is_once, self._running(reruns))) - once
            if self.agreed.rerun_once or not repeated:
                found.append(replace(start, reruns=reruns))
        return found

    def _with_what_is_lost(self) -> Reruns | None:
        """Return what runs again from the start so that nothing is missing that is read.

        None where that cannot be.
        """
        draft, missing = self.draft, set[str]()
        reruns = draft.start.reruns
        while not (read := self._lost_and_read(reruns)) <= missing:
            missing |= read
            reruns = draft.reruns_at(draft.start.point, missing)
            if reruns.impossible is not None or not missing <= reruns.stale:
                return None
        return reruns

    def _lost_and_read(self, reruns: Reruns) -> set[str]:
        """Return the names that the state does not hold, that no cell makes again, and that cells read."""
        readers = self._readers(reruns)
        return {item.name for item in self._lost(reruns) if item.name in readers}

    def _running(self, reruns: Reruns) -> list[int]:
        return [place for place in range(len(self.draft.cells)) if self._runs_with(place, reruns)]

    def guard(self) -> None:
        """Tell what runs again by itself, and refuse what nobody agreed to or cannot be done."""
        draft = self.draft
        draft.always = self._report_always()
        running = [
            draft.steps[draft.step_of(place)] for place in range(len(draft.cells)) if draft.runs(place)
        ]
        found = self._stale_files()
        # What has become of a file since the run says more than that a cell may see it.
        named = {name for names in found.values() for name in names} - draft.left_files.changes.keys()
        left = describe_left_files(draft.start.reruns.left - named, draft.left_files.changes)
        stale = [*draft.stale_inputs, *found, *self._unseen_commands()]
        draft.warnings = [*draft.always, *left, *stale, *self._addresses(), *draft.lost]
        draft.notices += [*draft.warnings, *draft.left_files.unseen(running)]
        self._guard_once()
        self._guard_gone_once()
        if self.draft.python:
            self._guard_unstored()

    def _stale_files(self) -> dict[str, list[str]]:
        """Tell which cells may see files that the run before has left where a run from the top has none."""
        draft = self.draft
        running = [
            step for place in range(len(draft.cells)) if draft.runs(place) for step in [draft.step_of(place)]
        ]
        sources = {draft.step_of(place): str(cell.source) for place, cell in enumerate(draft.cells)}
        begun = draft.left_files.begun()
        written = {
            step: seen_written(record.evidence, draft.ended.directory)
            for step, place in enumerate(draft.places)
            if place.old is not None
            for record in [draft.finished[place.old]]
            if record.evidence is not None
        }
        reused = [draft.record_of(place) for place in range(len(draft.cells)) if not draft.runs(place)]
        fates = draft.left_files.fates({one.index for one in reused if one is not None})
        return stale_files(draft.steps, sorted(running), sources, written, begun, draft.name_of, fates)

    def _unseen_commands(self) -> list[str]:
        """Tell which cells run commands again that did nobody knows what."""
        draft = self.draft
        places = [place for place in range(len(draft.cells)) if draft.runs(place)]
        records = {place: draft.matches.own(place) for place in places}
        return describe_unseen_files(
            (f"cell {draft.indices[place]}", str(draft.cells[place].source), record.evidence)
            for place, record in records.items()
            if record is not None
        )

    def _addresses(self) -> list[str]:
        draft = self.draft
        bound = {name for step in draft.steps for one in step.both for name in one.writes}
        reused = [place for place in range(len(draft.cells)) if not draft.runs(place)]
        records = {place: draft.record_of(place) for place in reused}
        seen = {place: one.evidence if one is not None else None for place, one in records.items()}
        return describe_addresses(
            (draft.indices[place], asks_for_addresses(str(draft.cells[place].source), seen[place], bound))
            for place in reused
        )

    def _is_once(self, place: int) -> bool:
        return TAG_ONCE in self.draft.tags(place) and self.draft.had_finished(place)

    def _report_always(self) -> list[str]:
        """Tell which cells run again on restore; return what may become otherwise by that."""
        draft = self.draft
        found: list[str] = []
        for place, index in enumerate(draft.indices):
            if not draft.reused(place) or TAG_ALWAYS not in cell_tags(draft.cells[place]):
                continue
            made = draft.unstored_of(index)
            makes = f"makes {made} again" if made else "makes nothing that could not be stored"
            kept = self._kept(place)
            keeps = f"{kept}, which it sets too, keeps" if kept else "what was stored keeps"
            draft.notices.append(
                f"cell {index} is tagged {TAG_ALWAYS}: it runs again and {makes}; {keeps} the stored value"
            )
            if made:
                found += [f"cell {index} makes {made} again; {keeps} the stored value"] if kept else []
                found += [*self._describe_changers(index), *self._describe_inputs(place, index, made)]
        return found

    def _kept(self, place: int) -> str:
        """Return the variables that a cell which makes something again sets, and that were stored."""
        draft = self.draft
        unstored = draft.start.checkpoint.unstored if draft.start.checkpoint is not None else []
        cell = draft.steps[draft.step_of(place)].runs
        names = cell.sure - cell.reads - _imported(str(draft.cells[place].source))
        names -= {item.name for item in unstored}
        return ", ".join(sorted(name for name in names if not hidden(name)))

    def _describe_changers(self, index: int) -> Iterator[str]:
        """Say what is missing of an object that is made again, and that other cells had in hand meanwhile."""
        checkpoint = self.draft.start.checkpoint
        for item in checkpoint.unstored if checkpoint is not None else []:
            users = self._after(item.cell or 0, item.name, Step.touches) if item.cell == index else []
            if users:
                yield (
                    f"cell {index} makes {item.name} again, without what {_reused(users)} reused, "
                    f"may have done to it: tag {_that(users)} {TAG_ALWAYS} too, or restart the run"
                )

    def _describe_inputs(self, place: int, index: int, made: str) -> Iterator[str]:
        """Say what an object is made from again that cells have changed since, this one included."""
        step = self.draft.steps[self.draft.step_of(place)]
        inputs: dict[tuple[int, ...], list[str]] = {}
        for name in sorted(step.runs.reads):
            own = [index] if name in step.runs.writes else []
            if changers := (*own, *self._after(index, name, Step.writes)):
                inputs.setdefault(changers, []).append(label_of(name))
        for changers, names in inputs.items():
            left = f"{', '.join(names)} as {cells_in_words(changers)} left {'them' if names[1:] else 'it'}"
            yield (
                f"cell {index} makes {made} again with {left}: "
                "from the top it has that as it was before; restart the run if it matters"
            )

    def _guard_once(self) -> None:
        """Refuse to repeat side effects unless a person agreed."""
        draft = self.draft
        for place, cell in enumerate(draft.planned):
            if not draft.runs(place) or TAG_ONCE not in draft.tags(place):
                continue
            before = draft.matches.of(place)
            if cell.once and not self.agreed.rerun_once:
                both = f" and {TAG_ALWAYS}" if draft.reused(place) else ""
                draft.problems.append(
                    f"cell {cell.index} is tagged {TAG_ONCE}{both} and had finished: it would run again, "
                    "and so would its side effects; agree to that, or leave the cells before it as they were"
                )
            elif before is not None and before.state in _BEGUN:
                draft.notices.append(
                    f"cell {cell.index} is tagged {TAG_ONCE} and had begun: "
                    "some of its side effects may have happened already"
                )

    def _guard_gone_once(self) -> None:
        """Refuse to run what may be a finished once cell in another form; tell of one that is deleted."""
        draft = self.draft
        gone = [record for record in draft.matches.gone() if TAG_ONCE in record.tags and ran(record)]
        hashes = {record.source_hash for record in gone}
        suspects = [
            index
            for place, index in enumerate(draft.indices)
            if draft.runs(place) and self._may_be(place, hashes)
        ]
        for record in gone:
            message = f"cell {record.index} of {draft.ended.run} was tagged {TAG_ONCE} and had finished"
            if suspects and not self.agreed.rerun_once:
                draft.problems.append(
                    f"{message}; it is no longer in the notebook as it was, and cell {suspects[0]}, which is "
                    "new or edited, would run: if it does the same, so would the side effects; "
                    "agree to that, or put the cell back"
                )
            elif not suspects:
                draft.notices.append(f"{message}; it is no longer in the notebook and does not run again")

    def _may_be(self, place: int, hashes: set[str]) -> bool:
        """Return whether a cell is new, edited, or has one of these sources."""
        digest = source_hash(self.draft.cells[place].source)
        before = self.draft.matches.of(place)
        return before is None or before.source_hash != digest or digest in hashes

    # What could not be stored

    def _lost(self, reruns: Reruns) -> list[Unstored]:
        """Return what the state does not hold and no cell that runs makes again."""
        checkpoint = self.draft.start.checkpoint
        unstored = checkpoint.unstored if checkpoint is not None else []
        always = {
            index
            for place, index in enumerate(self.draft.indices)
            if TAG_ALWAYS in cell_tags(self.draft.cells[place])
            and self.draft.step_of(place) < self.draft.start.point
        }
        return [item for item in unstored if item.name not in reruns.stale and item.cell not in always]

    def _readers(self, reruns: Reruns) -> dict[str, list[int]]:
        """Return the places of the cells that run and read a name as the state left it, by the name."""
        draft, reads = self.draft, Reads()
        running = set(self._running(reruns))
        for place, cell in enumerate(draft.cells):
            if place not in running and draft.step_of(place) < draft.start.point:
                reads.define(cell.source)
        found: dict[str, list[int]] = {}
        for place in sorted(running):
            for name in reads.cell(draft.cells[place].source):
                found.setdefault(name, []).append(place)
        return found

    def _runs_with(self, place: int, reruns: Reruns) -> bool:
        draft = self.draft
        return draft.runs(place) or draft.step_of(place) in reruns.why

    def _guard_unstored(self) -> None:
        """Refuse to run a cell that reads a variable which the state could not hold."""
        draft = self.draft
        if draft.start.checkpoint is None:
            return
        readers = self._readers(draft.start.reruns)
        for item in sorted(self._lost(draft.start.reruns), key=lambda item: item.name):
            for place in readers.get(item.name, ()):
                self._cannot_restore(place, item)

    def _after(self, cell: int, name: str, does: Callable[[Step, str], bool]) -> list[int]:
        """Return the reused cells below one that do something with a name."""
        draft = self.draft
        return [
            index
            for place, index in enumerate(draft.indices)
            if index > cell and draft.reused(place) and does(draft.steps[draft.step_of(place)], name)
        ]

    def _cannot_restore(self, place: int, item: Unstored) -> None:
        draft = self.draft
        index = draft.indices[place]
        what = f"{item.name} ({item.type}) could not be stored: {item.reason}"
        producer = "" if item.cell is None else f", made by cell {item.cell},"
        fixes = (
            [] if item.cell is None or self._after(item.cell, item.name, Step.writes) else [_tag(item.cell)]
        )
        if draft.producers:
            cells = ", ".join(str(producer) for producer in draft.producers)
            which, run = noun(len(draft.producers), "cell"), noun(len(draft.producers), "runs", "run")
            fixes.append(f"agree that {which} {cells} {run} again to make it (--rerun-producers)")
        fixes.append("restart the run instead" if not fixes else "restart the run")
        fix = fixes[0] if len(fixes) == 1 else f"{', '.join(fixes[:-1])}, or {fixes[-1]}"
        draft.problems.append(f"cell {index} reads {item.name}{producer} but {what}; {fix}")
        draft.planned[place] = draft.planned[place].model_copy(
            update={"action": PlanAction.CANNOT_RESTORE, "why": what}
        )


def _imported(source: str) -> set[str]:
    """Return the names that imports bind, which are the same whenever they run."""
    tree = tree_of(source)
    return {
        (one.asname or one.name).partition(".")[0]
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in node.names
    }


def _reused(cells: list[int]) -> str:
    return f"{cells_in_words(cells)}, which {'are' if cells[1:] else 'is'}"


def _that(cells: list[int]) -> str:
    return "those cells" if cells[1:] else "that cell"


def _tag(cell: int) -> str:
    return f"tag cell {cell} {TAG_ALWAYS} to have it made again"
