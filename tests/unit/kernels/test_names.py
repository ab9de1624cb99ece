"""Which names a snapshot keeps outside IPython; inside it is tested with a real kernel."""

from __future__ import annotations

from respawn_kernels.names import user_names


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
