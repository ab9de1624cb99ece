"""Write docs/reference/stories.md from the results of `make truth`.

PYTHONPATH=tests python -m truth.table [RESULTS ...]
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from support.sources import ROOT
from truth.results import DIMENSIONS, Line, label, losses, read, uncovered
from truth.story import Story, library

PAGE = ROOT / "docs" / "reference" / "stories.md"
_WAYS = {"resumed runs": ("resume", "retry", "parameter"), "debug notebooks": ("debug",)}
_HEAD = """\
# What was seen to come back

Made by `make truth`, which writes its results to `.respawn/truth`; this command writes the page from them:

    PYTHONPATH=tests .venv/bin/python -m truth.table

A *story* is a small independent piece of a notebook: cells, what must be seen at its end, edits. Sixteen
are mixed in one notebook. It fails at a cell (an error, a dead kernel, a time limit, with and without a held
child), and comes back by a resume with edits, a retry, a resume with other parameters, or a debug notebook.
What is there at the end is compared with the fixed notebook run from the top by papermill: values, types, who
is the same object, the state of the session, and what cells put out.

- **comes back**: no difference was seen
- **named**: plan, note or debug notebook names the variable or the part of the session, and the cell
- **lost**: it came back otherwise at least once, and nothing said so
- *not seen*: no notebook of these results had it

{summary}
"""


def page(lines: Sequence[Line], stories: Sequence[Story]) -> str:
    """Return the page."""
    compared = [line for line in lines if not line["stuck"]]
    found = {name: _found(compared, ways) for name, ways in _WAYS.items()}
    text = _HEAD.format(summary=_summary(compared, stories))
    for kind in sorted({story.kind for story in stories}):
        own = [story for story in stories if story.kind == kind]
        rows = [(story.name, *(_word(one, story.title) for one in found.values())) for story in own]
        text += f"\n## {kind.capitalize()}\n\n{_table(('story', *_WAYS), rows)}"
    parts = sorted({name for one in found.values() for name in one["seen"] if name.startswith("session ")})
    rows = [(part.removeprefix("session "), *(_word(one, part) for one in found.values())) for part in parts]
    return text + f"\n## The session, in all notebooks\n\n{_table(('part', *_WAYS), rows)}"


def _summary(lines: Sequence[Line], stories: Sequence[Story]) -> str:
    instances = sum(len(line["titles"]) for line in lines)
    lost = sum(len({label(one) for one in line["wrong"]}) for line in lines)
    named, truly = losses(lines)
    missing = uncovered(lines, {story.kind for story in stories})
    return (
        f"{len(lines)} notebooks with {instances} stories were compared; {lost} stories or parts of the "
        f"session came back otherwise with no word. {named} variables were named as lost, {truly} were. "
        f"{len(missing)} pairs of {', '.join(DIMENSIONS)} and kind were not met."
    )


def _found(lines: Sequence[Line], ways: Sequence[str]) -> dict[str, Counter[str]]:
    """Return how often each story and part was seen, lost and named."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        if line["way"] in ways:
            found["seen"].update(line["titles"])
            for what in ("wrong", "announced"):
                names = {name for one in line[what] for name in label(one).split("; ")}
                found[what].update(names)
                found["seen"].update(names)
    return found


def _word(found: dict[str, Counter[str]], name: str) -> str:
    if found["wrong"][name]:
        return "**lost**"
    if found["announced"][name]:
        return "named"
    return "comes back" if found["seen"][name] or name.startswith("session ") else "*not seen*"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main(arguments: Sequence[str]) -> None:
    """Write the page from the files of results that are given, or all that are there."""
    paths = [Path(one) for one in arguments] or sorted((ROOT / ".respawn" / "truth").glob("[0-9]*.jsonl"))
    lines = [line for path in paths for line in read(path)]
    PAGE.write_text(page(lines, library()))
    print(f"wrote {PAGE.relative_to(ROOT)} from {len(lines)} notebooks")


if __name__ == "__main__":
    main(sys.argv[1:])
