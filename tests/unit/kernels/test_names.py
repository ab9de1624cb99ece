"""Which names a snapshot keeps outside IPython; inside it is tested with a real kernel."""

from __future__ import annotations

from respawn_kernels.agent.removal import in_cell_order
from respawn_kernels.namespace import put_in_order, user_names


def test_private_names_of_the_user_are_kept() -> None:
    assert user_names({"_private": 1, "__version__": "2", "_i_am": 3, "x1": 4}) == [
        "_private",
        "__version__",
        "_i_am",
        "x1",
    ]


def test_names_of_python_and_of_the_history_are_left_out() -> None:
    own = [
        "__name__",
        "__builtins__",
        "__annotations__",
        "In",
        "Out",
        "_ih",
        "_i",
        "_ii",
        "_i12",
        "_12",
        "_oh",
    ]
    assert user_names(dict.fromkeys(own, object())) == []


def test_underscore_that_the_user_bound_is_kept() -> None:
    assert user_names({"_": "", "__": ""}) == []
    assert user_names({"_": 9}) == ["_"]


def test_names_come_into_an_order_and_new_ones_come_last() -> None:
    kept = object()
    namespace = {"__name__": "m", "d": 4, "new": 5, "b": kept, "a": 1}
    put_in_order(namespace, ["a", "b", "gone", "c", "d"])
    assert list(namespace) == ["__name__", "a", "b", "d", "new"]
    assert namespace["b"] is kept


def test_names_of_cells_that_ran_again_come_where_their_cells_are() -> None:
    before = ["a", "b", "c", "d"]
    now = ["a", "c", "d", "new", "b", "newer"]
    bound = {"a": 0, "new": 1, "b": 1, "c": 2, "newer": 3, "d": 5}
    assert in_cell_order(before, now, bound, [1, 3]) == ["a", "new", "b", "c", "newer", "d"]


def test_a_name_whose_first_cell_is_not_known_stays_where_it_was() -> None:
    assert in_cell_order(["a", "b", "c"], ["a", "c", "b"], {}, [1]) == ["a", "b", "c"]
    assert in_cell_order(["a", "c"], ["a", "c", "b"], {"c": 4}, [1]) == ["a", "c", "b"]


def test_a_name_that_was_deleted_and_bound_again_is_where_it_was_bound_again() -> None:
    bound = {"gone": 1, "b": 2, "c": 3}
    assert in_cell_order(["c"], ["c", "b", "gone"], bound, [1, 2]) == ["b", "gone", "c"]
