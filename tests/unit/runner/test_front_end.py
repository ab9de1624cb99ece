"""What a front end knows comes back, finds its cells again, and is refused when it is something else."""

from __future__ import annotations

import pytest

from respawn_jobs.notebook.document import source_hash
from respawn_jobs.runner.kernel.front_end import Displays, FrontEnd, displays_of
from support.notebooks import notebook

SHOWN = [
    {"output_type": "stream", "name": "stdout", "text": "a"},
    {"output_type": "display_data", "data": {}},
]


def cells(*sources: str, **ids: int) -> list:
    made = notebook(*sources).cells
    for cell in made:
        cell.outputs = list(SHOWN)
    return made


def test_it_comes_back_as_it_was() -> None:
    content = {"data": {"text/plain": "1"}, "metadata": {}}
    known = FrontEnd(
        [Displays("a", "b", {"d": [1, 2]}, {"d": content})], {"m": {"value": 1}}, {"m": [{"path": ["x"]}]}
    )
    assert FrontEnd.from_json(known.to_json()) == known
    assert not FrontEnd()


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"displays": [1], "widgets": {}, "buffers": {}}', b'{"displays": 1}']
)
def test_something_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"front end|Expecting"):
        FrontEnd.from_json(text)


def test_cells_are_found_by_id_and_source_or_by_a_source_that_is_there_once() -> None:
    before = cells("a", "b", "b")
    known = FrontEnd(displays_of(before, {"d": {0: [1], 1: [1], 2: [0, 1]}, "gone": {1: []}}))
    assert known.places_in(before, [0, 1, 2]) == {"d": {0: [1], 1: [1], 2: [1]}}, "place 0 is no display"
    moved = cells("new", "a", "b", "b")
    moved[1].id, moved[2].id, moved[3].id = "other", before[1].id, "another"
    assert known.places_in(moved, [1, 2, 3]) == {"d": {1: [1], 2: [1]}}, "which b the last is, nobody knows"
    assert known.places_in(moved, [2]) == {"d": {2: [1]}}, "a is not reused"
    assert [one.source_hash for one in known.displays] == [source_hash(text) for text in "abb"]
