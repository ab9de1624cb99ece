"""Arrays that come back can be made larger in place where a notebook does that."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.cell_code.array_resizes import resizes
from respawn_kernels.memory.owned_memory import owning
from respawn_kernels.restore.restore import StoredState
from support.namespaces import capture, notebook, run

SIZES = {"in the stream": 5, "read": 10_000, "mapped": 200_000}
CODE = "import numpy as np\nx = np.arange({size}.)\ny = np.asfortranarray(np.ones(({size}, 2)))"


def loaded(directory: Path, size: int, *, owned: bool) -> dict[str, object]:
    manifest = capture(notebook(CODE.format(size=size)), directory)
    space: dict[str, object] = {"__name__": "__main__"}
    state = StoredState(manifest, directory, space)
    with owning(owned):
        space.update(state.load(["x", "y"]))
    state.release()
    space["state"] = state  # it lives on while cells run, as in a debug notebook
    return space


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_arrays_are_made_larger_in_place_where_a_cell_may_do_so(tmp_path: Path, size: int) -> None:
    space = loaded(tmp_path, size, owned=True)
    run(f"owned = x.flags.owndata, y.flags.owndata, y.flags.f_contiguous\nx.resize({size + 9})", space)
    run("told = x.shape, x[3], x[-1]", space)
    assert space["owned"] == (True, True, True)
    assert space["told"] == ((size + 9,), 3.0, 0.0)


@pytest.mark.parametrize("kind", ["in the stream", "read"])
def test_small_arrays_always_own_their_memory(tmp_path: Path, kind: str) -> None:
    space = loaded(tmp_path, SIZES[kind], owned=False)
    run("x.resize(7)\ntold = x.tolist()", space)
    assert space["told"][:3] == [0.0, 1.0, 2.0]  # type: ignore[index]


def test_large_arrays_are_mapped_for_other_notebooks(tmp_path: Path) -> None:
    space = loaded(tmp_path, SIZES["mapped"], owned=False)
    with pytest.raises(ValueError, match="resize"):
        run("x.resize(7)", space)


@pytest.mark.parametrize(
    ("source", "expected"), [("a.resize(9)", True), ("np.resize", True), ("resized = 1", False)]
)
def test_word_is_looked_for(source: str, expected: bool) -> None:
    assert resizes(source) is expected
