"""The harness itself: it composes what it says, sees what differs, and takes no vague word for a warning."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from support.notebooks import notebook, printed_by
from truth.commands import Place, found, reference
from truth.comparing import Difference, announced, differences, is_named, losses_in, outputs
from truth.composing import CAPTURES, WAYS, Case, case, compose, hostile_case
from truth.harness import Verdict, judge
from truth.playing import play
from truth.results import uncovered
from truth.story import PLACE, Story, hostile, library, read

ALIASES = Story(
    "test", "aliases", ("q_a = [1]\nq_b = q_a", "q_b.append(2)"), ("q_a is q_b",), (("[1]", "[7]"),)
)
LATER = Story("test", "a later cell", ("q_n = 2", "q_m = q_n * 3\nprint(q_m)"), (), (("= 2", "= 5"),))
TIED = Story("test", "a generator", ("q_g = (i for i in range(4))\nq_x = next(q_g)", "q_y = next(q_g)"))


def digest(stories: dict[str, list[tuple[str, Any]]], where: Path) -> dict[str, Any]:
    write = runpy.run_path(str(PLACE / "kernel" / "digest.py"))["write"]
    looks = {prefix: [(name, lambda v=value: v) for name, value in told] for prefix, told in stories.items()}
    write(str(where / "digest.json"), looks, dict)
    return dict(json.loads((where / "digest.json").read_text()))


def test_there_are_stories_enough_and_no_two_of_one_name() -> None:
    titles = [story.title for story in library()]
    assert len(titles) >= 300
    assert max(Counter(titles).values()) == 1
    assert len(hostile()) >= 150
    assert len({story.kind for story in library()}) >= 10


def test_a_file_of_stories_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small_kind.txt"
    path.write_text(
        "# about\n\n@ one | opaque\nq_a = 1\n%%\nq_b = q_a\n? q_a + 1\n! = 1 -> = 2\n\n@ two\nx\n"
    )
    one, two = read(path)
    assert (one.title, one.cells, one.flags) == ("small kind: one", ("q_a = 1", "q_b = q_a"), {"opaque"})
    assert one.named("s3_").edited(("= 1", "= 2")).cells == ("s3_a = 2", "s3_b = s3_a")
    assert (one.observations, two.name) == (("q_a + 1",), "two")


def test_an_edit_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kind.txt"
    path.write_text("@ one\nq_a = 1\n! q_z -> q_y\n")
    with pytest.raises(ValueError, match="kind: one"):
        list(read(path))


def test_a_number_names_one_case_and_each_story_comes_up() -> None:
    stories = library()
    assert case(1, 7, stories) == case(1, 7, stories)
    dealt = Counter(story.title for n in range(200) for story in case(1, n, stories).stories)
    assert set(dealt) == {story.title for story in stories}


def test_cells_of_a_story_keep_their_order() -> None:
    made = case(3, 1, library())
    for place in range(len(made.stories)):
        assert [cell for story, cell in made.order if story == place] == list(
            range(len(made.stories[place].cells))
        )


def test_the_fixed_notebook_has_the_edit_and_no_failure() -> None:
    made = compose(1, 1, [LATER], python="3.11", capture="held", way="resume")
    made = replace(made, edits={0: ("= 2", "= 5")})
    original, fixed = ("\n".join(cell.source for cell in nb.cells) for nb in (made.original(), made.fixed()))
    assert ("s0_n = 2" in original, "RuntimeError" in original) == (True, True)
    assert ("s0_n = 5" in fixed, "RuntimeError" in fixed) == (True, False)


@pytest.mark.long
def test_every_hostile_notebook_can_be_composed_in_every_way() -> None:
    stories = hostile()
    made = [hostile_case(1, n, stories) for n in range(4 * len(stories))]
    assert {one.way for one in made} == set(WAYS)
    assert {one.capture for one in made} == set(CAPTURES)
    assert all(one.fixed().cells for one in made)


def test_small_cases_keep_what_is_left() -> None:
    made = case(2, 5, library())
    smaller = made.without([0])
    assert smaller.stories == made.stories[1:]
    assert [made.stories[1:][s] for s, _ in smaller.order] == [
        made.stories[s] for s, _ in made.order if s != 0
    ]


def test_the_digest_sees_values_types_and_aliases(tmp_path: Path) -> None:
    shared: list[int] = [1]
    right = digest({"s0_": [("a", shared), ("b", {"x": shared})]}, tmp_path)
    assert not differences(right, digest({"s0_": [("a", shared), ("b", {"x": shared})]}, tmp_path))
    for a, b in (([1], {"x": [1]}), ((1,), {"x": (1,)}), ([True], {"x": [1]})):
        assert differences(right, digest({"s0_": [("a", a), ("b", {"x": b["x"]})]}, tmp_path))


def test_the_digest_sees_shared_memory_and_does_not_mind_depth(tmp_path: Path) -> None:
    import numpy as np

    base = np.arange(6.0)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    right = digest({"s0_": [("a", base), ("v", base[2:]), ("deep", deep)]}, tmp_path)
    found = differences(
        right, digest({"s0_": [("a", base), ("v", base[2:].copy()), ("deep", deep)]}, tmp_path)
    )
    assert [one.name for one in found] == ["a & v"]


@pytest.mark.parametrize(
    ("name", "words", "is_announced"),
    [
        ("s1_g", "cell 4 reads s1_g, made by cell 3, but it could not be stored", True),
        ("s1_g", "s1_g could not be stored", False),
        ("s1_g", "cell 4: s1_gone could not be stored", False),
        ("s1_g", "some variables of cell 4 may differ\ns1_g", False),
        ("? next(s1_g)", "Cell 2 made s1_g: run cell 2 again", True),
        ("? random.random()", "Cell 2 made s1_g: run cell 2 again", False),
        ("session decimal", "cell 3 changed the context of decimal: it is not restored", True),
        ("s1_g", "cell 3 may list s1_out.txt, and cell 3 made it in the run before: remove it first", True),
        ("s1_g", "cell 3 may list s2_out.txt, and cell 3 made it in the run before: remove it first", False),
        ("s1_g", "cell 3 reads s1_out.txt, which cell 2 makes", False),
    ],
)
def test_announced_is_what_names_the_variable_or_probe_and_the_cell(
    name: str, words: str, is_announced: bool
) -> None:
    assert announced(Difference("s1_", name, "a", "b"), [words], ["s1_g"]) is is_announced


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("cell 4 reads s1_g, made by cell 3, but it could not be stored", True),
        ("s1_g     generator  cannot pickle 'generator' object  cell 3", True),
        ("s1_other  s1_g      a lock that is held               cell 3", False),
        ("- cell 3, tagged respawn:always: `s1_other = list(s1_g)`", False),
        ("- `cell 3 makes s1_other again with s1_g, s1_x as cells 4, 6–8 left them", False),
        ("- `cell 3 makes s1_g again with s1_x as cell 4 left it", True),
        ("the file s1_g.py, which cell 3 reads, changed", False),
    ],
)
def test_a_variable_is_named_as_lost_where_that_is_what_is_said(words: str, named: bool) -> None:
    assert is_named("s1_g", losses_in([words])) is named


def test_pairs_that_no_case_has_are_told() -> None:
    line = {"python": found()[0], "capture": "held", "way": "retry", "start": "warm", "kinds": ["a"]}
    missing = uncovered([line], ["a", "b"])
    assert "held with retry" not in missing
    assert "killed with retry" in missing
    assert "held with b" in missing
    assert ("retry with warm" in missing, "retry with plain" in missing) == (False, True)


def test_outputs_are_compared_without_addresses() -> None:
    class Output(dict[str, Any]):
        __getattr__ = dict.__getitem__

    told = [
        {"outputs": [Output(output_type="stream", name="stdout", text=f"<object at {where}>\n")]}
        for where in ("0x7f00aa11bb22", "0x7f00aa11cc33")
    ]
    assert outputs(told[0]) == outputs(told[1]) == "<object at 0x>"


@pytest.mark.integration
def test_what_is_as_it_should_be_passes_and_a_loss_that_is_told_is_announced(tmp_path: Path) -> None:
    made = compose(1, 2, [ALIASES, LATER, TIED], python=found()[0], capture="held", way="debug")
    verdict = judge(replace(made, failing=len(made.order)), tmp_path)
    assert (verdict.stuck, verdict.wrong) == ("", [])
    assert {one["title"] for one in verdict.announced} == {TIED.title}


@pytest.mark.long
@pytest.mark.integration
def test_kernels_of_a_warm_case_are_forked_from_a_process_that_hides_what_it_has_imported(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, found()[0], warm=True)
    nb = notebook(
        "import sys\nprint(open('/proc/self/cmdline').read().split(chr(0))[2], 'numpy' in sys.modules)"
    )
    nbformat.write(nb, place.directory / "story.ipynb")
    for command in (
        ["respawn", "run", "story.ipynb", "-o", "../out.ipynb"],
        ["papermill", "story.ipynb", "../out.ipynb"],
    ):
        (tmp_path / "out.ipynb").unlink(missing_ok=True)
        done = place.command(*command)
        assert done.returncode == 0, done.stderr
        shown = printed_by(nbformat.read(tmp_path / "out.ipynb", 4).cells[0])
        assert shown == "respawn_environments.warm.zygote False\n"


@pytest.mark.long
@pytest.mark.integration
def test_a_plan_that_overlooks_an_edit_is_found(tmp_path: Path) -> None:
    """What is resumed lacks the edit of the reference: as if the plan had reused what became stale."""
    made = compose(1, 3, [ALIASES, LATER], python=found()[0], capture="held", way="resume")
    overlooked = replace(made, edits={})
    edited = replace(made, edits={1: ("= 2", "= 5")})
    wrong = _wrong(edited, overlooked, tmp_path)
    assert {"s1_n", "s1_m"} <= wrong
    assert not {name for name in wrong if name.startswith("s0_")}


@pytest.mark.long
@pytest.mark.integration
def test_a_tampered_state_is_found(tmp_path: Path) -> None:
    """The failing cell of what is resumed changes a variable that the reference leaves alone."""
    tampers = Story(
        "test", "tampers", ("q_a = [1]\nq_b = q_a", "q_b = [*q_a]\nq_b.append(2)"), ("q_a is q_b",)
    )
    made = compose(1, 4, [ALIASES], python=found()[0], capture="held", way="resume")
    tampered = replace(made, stories=(tampers.named("s0_"),), edits={})
    assert {"s0_a", "? s0_a is s0_b"} <= _wrong(replace(made, edits={}), tampered, tmp_path)


def _wrong(right: Case, played: Case, root: Path) -> set[str]:
    got = play(played, Place(root / "respawn", right.python))
    place = Place(root / "papermill", right.python, got.seed)
    reference(place, right.fixed(), right.parameters())
    expected = place.found()
    assert expected is not None
    assert got.digest is not None, got.ended
    return {one.name for one in differences(expected, got.digest)}


def test_a_verdict_is_a_line_of_json() -> None:
    line = Verdict(1, "3.11", "held", "retry", "warm", 0, [], {}, [])
    assert json.loads(json.dumps(line.__dict__))["number"] == 1
