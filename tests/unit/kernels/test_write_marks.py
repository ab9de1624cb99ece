"""A container that was written to is told by its mark, whatever was done to it and whatever Python has it."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from respawn_kernels.session_state.probe.write_marks import WriteMarks


class Owner:
    """An object whose attributes may lie in itself; its class is that of many."""

    def __init__(self) -> None:
        self.x: Any = [1]
        self.y = 2


class Table(dict[Any, Any]):
    """A dict of a class of its own."""


def changes_of_dict(container: dict[Any, Any], one: random.Random) -> Callable[[], object]:
    key, value = one.randrange(9), object()
    return one.choice(
        [
            lambda: container.__setitem__(key, value),
            lambda: container.pop(key, None),
            lambda: container.update({key: value}),
            lambda: container.setdefault(key, value),
            lambda: container and container.popitem(),
            lambda: container.clear(),
        ]
    )


def changes_of_list(container: list[Any], one: random.Random) -> Callable[[], object]:
    return one.choice(
        [
            lambda: container.append(object()),
            lambda: container and container.pop(),
            lambda: container and container.__setitem__(0, object()),
            lambda: container.extend(object() for _ in range(50)),
            container.reverse,
            container.clear,
        ]
    )


def changes_of_set(container: set[Any], one: random.Random) -> Callable[[], object]:
    value = object()
    return one.choice(
        [
            lambda: container.add(value),
            lambda: container and container.pop(),
            lambda: container.update(object() for _ in range(50)),
            container.clear,
        ]
    )


def changes_of_object(owner: Owner, one: random.Random) -> Callable[[], object]:
    name, value = one.choice("xyabcdefghijklm"), object()
    return one.choice(
        [
            lambda: setattr(owner, name, value),
            lambda: hasattr(owner, name) and delattr(owner, name),
            lambda: vars(owner).__setitem__(name, value),
            lambda: vars(owner).pop(name, None),
            lambda: vars(owner).clear(),
        ]
    )


def held(container: Any) -> list[int]:
    if isinstance(container, dict):
        return [*map(id, container), *map(id, container.values())]
    return [*map(id, container)]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_written_to_is_told(seed: int) -> None:
    print(f"seed {seed}")
    one = random.Random(seed)
    owners = [Owner() for _ in range(60)]
    dicts = [{i: [i] for i in range(n)} for n in range(20)] + [
        defaultdict(list),
        Table(a=1),
        OrderedDict(a=1),
    ]
    lists, sets = [[object()] * n for n in range(20)], [set(range(n)) for n in range(20)]
    known: list[tuple[Any, Any, Callable[..., Callable[[], object]]]] = [
        *((vars(owner), owner, changes_of_object) for owner in owners),
        *((d, d, changes_of_dict) for d in dicts),
        *((li, li, changes_of_list) for li in lists),
        *((s, s, changes_of_set) for s in sets),
    ]
    marks = WriteMarks(container for container, _, _ in known)
    kept: list[list[Any]] = []  # so that no address is given twice
    first = marks.differing()
    assert first == list(range(len(known)))
    for at in first:
        marks.note(at)
    kept: list[Any] = []  # so that no address is given twice
    for _ in range(400):
        before = [held(container) for container, _, _ in known]
        for container, _, _ in known:
            kept.append([*container.values()] if isinstance(container, dict) else [*container])
        touched = {one.randrange(len(known)) for _ in range(one.randrange(4))}
        for at in touched:
            _, what, changes = known[at]
            changes(what, one)()
        changed = {at for at, (container, _, _) in enumerate(known) if held(container) != before[at]}
        differing = set(marks.differing())
        assert changed <= differing
        for at in differing:
            marks.note(at)


def test_what_was_not_noted_is_told_again_and_what_was_noted_is_not() -> None:
    some, others = {"a": 1}, [1]
    marks = WriteMarks([some, others])
    for at in marks.differing():
        marks.note(at)
    assert marks.differing() == []
    some["a"] = 2
    assert marks.differing() == [0]
    assert marks.differing() == [0]
    marks.note(0)
    assert marks.differing() == []
    others[0] = 2
    assert marks.differing() == [1]


def test_an_order_that_is_kept_beside_the_dict_is_never_taken_for_seen() -> None:
    ordered = OrderedDict(a=1, b=2)
    marks = WriteMarks([ordered])
    marks.differing()
    marks.note(0)
    ordered.move_to_end("a")
    assert marks.differing() == [0]
