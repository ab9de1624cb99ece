"""One case from its composition to its verdict."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from truth.commands import EndedElsewhere, Place, Stuck, children_cpu, reference
from truth.comparing import Difference, announced, differences, is_named, losses_in, output_differences
from truth.composing import Case
from truth.playing import Played, play

_MAX_TURNS = 5


@dataclass
class Verdict:
    """What was found in one case; a line of the results."""

    number: int
    python: str
    capture: str
    way: str
    start: str
    failing: int
    titles: list[str]
    """The stories, by their prefixes' numbers."""
    edits: dict[str, list[str]]
    kinds: list[str]
    wrong: list[dict[str, Any]] = field(default_factory=list)
    announced: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    """What differs between two runs of papermill."""
    named: list[str] = field(default_factory=list)
    """Variables that plan or notes named as lost."""
    named_wrongly: list[str] = field(default_factory=list)
    """Those of them that came back as they were, and were not made again."""
    made_again: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Stories that fail in the first run, before anything is restored."""
    stuck: str = ""
    """Why there is nothing to compare."""
    ran: int = 0
    cells: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of processor time of all commands."""
    spent: list[tuple[str, float, float]] = field(default_factory=list)


def judge(case: Case, root: Path) -> Verdict:
    """Play a case in a fresh directory and compare it with the notebook run from the top.

    Args:
        case: what to play.
        root: the directory.
    """
    started, used = time.monotonic(), children_cpu()
    verdict = Verdict(
        case.number,
        case.python,
        case.capture,
        case.way,
        case.start,
        case.failing,
        [story.title for story in case.stories],
        {case.stories[n].title: list(edit) for n, edit in case.edits.items()},
        sorted({story.kind for story in case.stories}),
    )
    try:
        _judge(case, root, verdict)
    except Stuck as error:
        verdict.stuck = str(error)
    verdict.seconds, verdict.cpu = round(time.monotonic() - started, 2), round(children_cpu() - used, 2)
    return verdict


def _judge(case: Case, root: Path, verdict: Verdict) -> None:
    """Play a case; a story that ends the run early is counted, and the others are played without it."""
    for turn in range(_MAX_TURNS):
        places = {
            side: Place(root / f"{side}{turn}", case.python) for side in ("respawn", "papermill", "again")
        }
        places["respawn"].warm = case.start == "warm"
        try:
            played = play(case, places["respawn"])
            if played.digest is None:
                culprits, what = _named(case, played.ended), played.ended
                said = played.refused or _said(case, culprits, played)
                _count_end(case, places["papermill"], culprits, played.ended, said, verdict)
            else:
                _compare(case, places, played, verdict)
                return
        except EndedElsewhere as error:
            culprits = _named(case, str(error)) or error.places
            what = str(error)
            _count_first_run(case, places["papermill"], culprits, what, verdict)
        finally:
            verdict.spent += [one for place in places.values() for one in place.spent]
        if not culprits:
            verdict.stuck = f"no story is named by what ended the run: {what[-400:]}"
            return
        case = case.without(culprits)
    verdict.stuck = f"{_MAX_TURNS} turns did not come to a comparison"


def _said(case: Case, culprits: list[int], played: Played) -> bool:
    """Return whether it was announced what ended a run, for each story that is at fault."""
    stories = [case.stories[n] for n in culprits]
    named = [[name for name in story.names() if re.search(rf"\b{name}\b", played.ended)] for story in stories]
    one = Difference("", "output", "", "")
    return bool(stories) and all(announced(one, played.words, names) for names in named)


def _count_first_run(case: Case, place: Place, culprits: list[int], what: str, verdict: Verdict) -> None:
    """Count a first run that ended early: wrong where papermill does not, else the story is at fault."""
    titles = [case.stories[n].title for n in culprits]
    if _ends_early(case, place):
        verdict.skipped += [f"{title}: {what}" for title in titles]
        return
    told = asdict(Difference("", "end of the first run", "as papermill's", what[-400:]))
    verdict.wrong.append({**told, "title": "; ".join(titles)})


def _count_end(
    case: Case, place: Place, culprits: list[int], what: str, said: bool, verdict: Verdict
) -> None:
    """Count a run that came back and ended early: announced, or at fault as its story, or wrong."""
    titles = [case.stories[n].title for n in culprits]
    if not said and titles and _ends_early(case, place):
        verdict.skipped += [f"{title}: {what[-400:]}" for title in titles]
        return
    told = asdict(Difference("", "end of the run", "succeeded", what[-400:]))
    (verdict.announced if said else verdict.wrong).append({**told, "title": "; ".join(titles)})


def _ends_early(case: Case, place: Place) -> bool:
    """Return whether the fixed notebook ends early by papermill as well."""
    try:
        reference(place, case.fixed(), case.parameters())
    except Stuck:
        return True
    return False


def _named(case: Case, text: str) -> list[int]:
    """Return the places of the stories whose names a text has."""
    return [n for n, story in enumerate(case.stories) if re.search(rf"\b{story.prefix}\w", text)]


def _compare(case: Case, places: dict[str, Place], played: Played, verdict: Verdict) -> None:
    verdict.ran, verdict.cells, verdict.made_again = played.ran, played.cells, played.made_again
    verdict.titles = [story.title for story in case.stories]
    places["papermill"].seed = places["again"].seed = played.seed
    right, executed = _reference(case, places["papermill"])
    found = _found(case, right, executed, played)
    names = {story.prefix: story.names() for story in case.stories}
    words = losses_in(played.words)
    named = [one for own in names.values() for one in own if is_named(one, words)]
    lost = {one.name for one in found} | set(played.made_again) | set(played.unstored)
    over = played.ran == played.cells  # everything was made again
    verdict.named, verdict.named_wrongly = named, [one for one in named if one not in lost and not over]
    if not found:
        return
    other, executed_again = _reference(case, places["again"])
    unstable = {(one.story, one.name) for one in differences(right, other)}
    unstable |= {(one.story, one.name) for one in _shown(case, executed, executed_again)}
    for one in found:
        told = {**asdict(one), "title": _title(case, one)}
        told["expected"], told["got"] = _contrast(one.expected, one.got)
        if (one.story, one.name) in unstable:
            verdict.left_out.append(told)
        elif announced(one, played.words, names.get(one.story, [])):
            verdict.announced.append(told)
        else:
            verdict.wrong.append(told)


def _reference(case: Case, place: Place) -> tuple[dict[str, Any], Any]:
    executed = reference(place, case.fixed(), case.parameters())
    digest = place.found()
    assert digest is not None  # `reference` raises when there is none
    return digest, executed


def _found(case: Case, right: dict[str, Any], executed: Any, played: Played) -> list[Difference]:
    assert played.digest is not None  # asked before
    found = differences(right, played.digest)
    if played.notebook is not None:
        found += _shown(case, executed, played.notebook)
    return found


def _shown(case: Case, executed: Any, other: Any) -> list[Difference]:
    prefixes = {story.title: story.prefix for story in case.stories}
    return output_differences(executed, other, case.titles(), prefixes)


def _title(case: Case, one: Difference) -> str:
    return next((story.title for story in case.stories if story.prefix == one.story), "")


def _contrast(one: str, two: str, around: int = 160) -> tuple[str, str]:
    """Return both texts from shortly before their first difference."""
    at = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = max(0, at - 60)
    return one[start : at + around], two[start : at + around]
