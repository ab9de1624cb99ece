"""Notebooks composed of stories, and what happens to them: seeded, so that a number names a case."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from support.notebooks import notebook
from truth.commands import SLOWER
from truth.story import PLACE, Story

PYTHONS = ("3.11", "3.13")
CAPTURES = ("held", "killed", "timed out", "no fork")
WAYS = ("resume", "retry", "parameter", "debug")
STARTS = ("plain", "warm")
"""How Respawn's kernels start: each by itself, or forked from a process with its imports done."""
STORIES = 16
"""How many stories a notebook has."""
CELL_SECONDS = 20
"""What `--cell-timeout` allows where the failing cell waits for ever."""

MAX_CELL_SECONDS = round(60 * SLOWER)
"""What it allows otherwise: a cell that hangs after a restore is a finding."""

_TURNS = ("none",) * 6 + ("tables",) * 2 + ("many",)
"""Which libraries the notebooks load, in turn; about as the stories are."""
_RAISES = "raise RuntimeError('the failing cell')"
_STOPS = {
    "held": _RAISES,
    "no fork": _RAISES,
    "killed": "os.kill(os.getpid(), 9)",
    "timed out": "time.sleep(600)",
}
# Plain statements: what an analysis cannot follow here would make every cell of every notebook run again.
_FIRST = (
    "import os, random, time\nrandom.seed(7)\ntruth_trail = ['first']\n"
    "print('seed', os.environ.get('PYTHONHASHSEED'))"
)
# What the failing cell does before it stops must not be seen afterwards.
_PARTIAL = "truth_trail.append('failing')\nrandom.random()"


@dataclass(frozen=True)
class Case:
    """One notebook and what happens to it."""

    number: int
    python: str
    capture: str
    way: str
    stories: tuple[Story, ...]
    """With their prefixes, as they run first."""
    order: tuple[tuple[int, int], ...]
    """The cells in order: place of the story, place in the story."""
    failing: int
    """Before which of these the failing cell stands."""
    edits: dict[int, tuple[str, str]] = field(default_factory=dict)
    """What is edited before the resume, by the place of the story."""
    start: str = "plain"

    def original(self) -> Any:
        """Return the notebook that fails."""
        return self._notebook(self.stories, fixed=False)

    def fixed(self) -> Any:
        """Return the notebook that runs to its end."""
        return self._notebook(self.after(), fixed=True)

    def after(self) -> list[Story]:
        """Return the stories with their edits."""
        return [
            story.edited(self.edits[n]) if n in self.edits else story for n, story in enumerate(self.stories)
        ]

    def parameters(self) -> dict[str, int]:
        """Return the parameters of the resume."""
        return {"boom": 0, "rate": 5} if self.way == "parameter" else {}

    def failing_index(self) -> int:
        """Return the place of the failing cell in the notebook, without an injected cell."""
        return 2 + self.failing

    def stories_at(self, index: int | None, *, injected: bool = False) -> list[int]:
        """Return the place of the story of a cell, as a list that is empty for the harness's own cells.

        Args:
            index: in the executed notebook.
            injected: whether a cell with parameters was put into it.
        """
        at = (index or 0) - 2 - injected
        at -= at > self.failing
        return [self.order[at][0]] if index is not None and 0 <= at < len(self.order) else []

    def titles(self) -> list[str]:
        """Return what each cell of the fixed notebook belongs to; empty for the harness's own."""
        told = [self.stories[story].title for story, _ in self.order]
        return ["", "", *told[: self.failing], "", *told[self.failing :], ""]

    def without(self, places: Sequence[int]) -> Case:
        """Return the same case with fewer stories, for making a small one of a difference."""
        kept = [n for n in range(len(self.stories)) if n not in places]
        order = [(story, cell) for story, cell in self.order if story in kept]
        failing = sum(story in kept for story, _ in self.order[: self.failing])
        return replace(
            self,
            stories=tuple(self.stories[n] for n in kept),
            order=tuple((kept.index(story), cell) for story, cell in order),
            failing=failing,
            edits={kept.index(n): edit for n, edit in self.edits.items() if n in kept},
        )

    def _notebook(self, stories: Sequence[Story], *, fixed: bool) -> Any:
        sources = [stories[story].cells[cell] for story, cell in self.order]
        tags, cells = zip(*map(_tagged, sources), strict=True) if sources else ((), ())
        cells = [
            _FIRST,
            *cells[: self.failing],
            self._failing_cell(fixed),
            *cells[self.failing :],
            self._last(stories),
        ]
        spread = [[], *tags[: self.failing], [], *tags[self.failing :], []]
        nb = notebook(*cells, parameters="rate = 2\nboom = 1", tags=dict(enumerate(spread)))
        nb.metadata["kernelspec"]["language"] = "python"
        return nb

    def _failing_cell(self, fixed: bool) -> str:
        stop = _STOPS[self.capture]
        if self.way == "parameter":
            return f"{_PARTIAL}\nif boom:\n    {stop}"
        if self.way == "retry":
            return (
                f"truth_ready = os.environ['TRUTH_READY']\n{_PARTIAL}\n"
                f"if not os.path.exists(truth_ready):\n    open(truth_ready, 'w').close()\n    {stop}"
            )
        return _PARTIAL if fixed else f"{_PARTIAL}\n{stop}"

    def _last(self, stories: Sequence[Story]) -> str:
        told = []
        for story in stories:
            looks = [f"({name!r}, lambda: {name})" for name in story.names()]
            looks += [f"({f'? {one}'!r}, lambda: ({one}))" for one in story.observations]
            told.append(f"    {story.prefix!r}: [{', '.join(looks)}],")
        kernel = PLACE / "kernel"
        looking = "\n".join(
            [
                "import runpy as truth_runpy",
                f"truth_digest = truth_runpy.run_path({str(kernel / 'digest.py')!r})",
                f"truth_session = truth_runpy.run_path({str(kernel / 'session.py')!r})",
                "truth_digest['write'](__import__('os').environ['TRUTH_DIGEST'], {",
                "    'truth_': [('truth_trail', lambda: truth_trail), ('rate', lambda: rate)],",
                *told,
                "}, truth_session['probes'])",
            ]
        )
        # What looks is a text, so that no plan follows it; what it reads stands before, for the plan to see.
        names = [story.names() for story in stories]
        reads = [f"try: ({', '.join(own)},)\nexcept NameError: pass" for own in names if own]
        return "\n".join([*reads, f"truth_code = {looking!r}", "exec(truth_code)"])


def hostile_case(seed: int, number: int, stories: Sequence[Story]) -> Case:
    """Return a case whose notebook is one story: in turn an edit, then the other ways."""
    turn, place = divmod(number, len(stories))
    way = ("resume", "debug", "retry", "parameter")[turn % len(WAYS)]
    capture = CAPTURES[(place + turn // len(WAYS)) % len(CAPTURES)]
    python = PYTHONS[(place // len(CAPTURES) + turn) % len(PYTHONS)]
    start = STARTS[(place // len(CAPTURES) // len(PYTHONS) + turn // len(PYTHONS)) % len(STARTS)]
    made = compose(seed, number, [stories[place]], python=python, capture=capture, way=way, start=start)
    if way != "resume" or not made.stories or not made.stories[0].edits:
        return made
    return replace(made, edits={0: made.stories[0].edits[turn // len(WAYS) % len(made.stories[0].edits)]})


def case(seed: int, number: int, stories: Sequence[Story], **fixed: Any) -> Case:
    """Return the case of a number.

    Args:
        seed: of all cases together.
        number: of this one.
        stories: to choose from.
        fixed: `python`, `capture`, `way` or `start` where it is not taken in turn.
    """
    combinations = [(p, c, w) for p in PYTHONS for c in CAPTURES for w in WAYS]
    around, place = divmod(number, len(combinations))
    random.Random(f"{seed}/{around}").shuffle(combinations)
    turn = dict(zip(("python", "capture", "way"), combinations[place], strict=True))
    starts = [*STARTS] * (len(combinations) // len(STARTS))
    random.Random(f"{seed}/{around}/start").shuffle(starts)
    turn["start"] = starts[place]
    return compose(seed, number, _chosen(seed, number, stories), **(turn | fixed))


def compose(
    seed: int,
    number: int,
    stories: Sequence[Story],
    *,
    python: str,
    capture: str,
    way: str,
    start: str = "plain",
) -> Case:
    """Return a case of given stories; those that its Python cannot run are left away."""
    chance = random.Random(f"{seed}/{number}")
    fits = [story for story in stories if python != "3.11" or "py312" not in story.flags]
    chosen = tuple(story.named(f"s{place}_") for place, story in enumerate(fits))
    order = _interleaved(chance, chosen)
    failing = chance.randint(len(order) // 2, len(order))  # so that most of it must come back
    made = Case(number, python, capture, way, chosen, tuple(order), failing, start=start)
    return replace(made, edits=_edits(chance, made)) if way == "resume" else made


def _chosen(seed: int, number: int, stories: Sequence[Story]) -> list[Story]:
    """Deal stories that load about the same libraries, for importing is most of what a notebook costs.

    Three of four notebooks get no story that makes every cell dependent on it, or a retry start over: it
    would hide what the others show.
    """
    families: dict[str, list[Story]] = {"none": [], "tables": [], "many": [], "hiding": []}
    for story in stories:
        families["hiding" if "opaque" in story.flags or story.tied else story.family].append(story)
    plain, tables, many, hiding = families.values()
    around, turn = divmod(number, len(_TURNS))
    kind = _TURNS[turn]
    first = {"none": plain, "tables": tables, "many": many}[kind] or plain or tables or many
    turns = around * _TURNS.count(kind) + _TURNS[:turn].count(kind)
    if kind == "many":
        # The others' shares of these notebooks come from the end of their decks, with numbers of their own.
        dealt = _dealt(seed, turns, first, STORIES // 2) + _dealt(seed, -1 - turns, plain, STORIES // 2)
    else:
        dealt = _dealt(seed, turns, first, STORIES)
    return dealt if number % 4 else dealt[: STORIES // 2] + _dealt(seed, number // 4, hiding, STORIES // 2)


def _dealt(seed: int, number: int, stories: Sequence[Story], count: int) -> list[Story]:
    """Return the next stories of decks: each comes up before any comes up again."""
    dealt: list[Story] = []
    if not stories:
        return dealt
    for place in range(number * count, (number + 1) * count):
        deck, card = divmod(place, len(stories))
        order = list(range(len(stories)))
        random.Random(f"{seed}/{stories[0].title}/{deck}").shuffle(order)
        if stories[order[card]] not in dealt:
            dealt.append(stories[order[card]])
    return dealt


def _tagged(source: str) -> tuple[list[str], str]:
    """Return a cell's tags and what is left of its source."""
    first, _, rest = source.partition("\n")
    return (first.removeprefix("# tags:").split(), rest) if first.startswith("# tags:") else ([], source)


def _interleaved(chance: random.Random, stories: Sequence[Story]) -> list[tuple[int, int]]:
    turns = [place for place, story in enumerate(stories) for _ in story.cells]
    chance.shuffle(turns)
    seen = dict.fromkeys(turns, 0)
    order = []
    for place in turns:
        order.append((place, seen[place]))
        seen[place] += 1
    return order


def _edits(chance: random.Random, made: Case) -> dict[int, tuple[str, str]]:
    """Choose what is edited: few edits at once, for what one makes run again hides what another should."""
    able = [place for place, story in enumerate(made.stories) if story.edits]
    count = min(len(able), chance.choice((0, 1, 1, 2, 3, 5)))
    return {place: chance.choice(made.stories[place].edits) for place in sorted(chance.sample(able, count))}
