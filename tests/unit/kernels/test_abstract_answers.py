"""The answers that abstract classes keep are read without asking any class."""

from __future__ import annotations

import abc

import pytest

from respawn_kernels.session_state.probes.python.abstract_answers import AbstractAnswers

ARMED: list[bool] = []


class _Refuses(abc.ABCMeta):
    def __getattribute__(cls, name: str) -> object:
        if ARMED:
            raise AssertionError(f"asked the class for {name}")
        return super().__getattribute__(name)


class _RefusesToo(type):
    def __getattribute__(cls, name: str) -> object:
        if ARMED:
            raise AssertionError(f"asked the class for {name}")
        return super().__getattribute__(name)


class Base(metaclass=_Refuses):
    pass


class Asked(metaclass=_RefusesToo):
    pass


class Plain(metaclass=abc.ABCMeta):  # noqa: B024  its hook is what makes it one
    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return other is float


def test_a_class_whose_metaclass_answers_for_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = vars(Plain)["__subclasshook__"].__func__
    monkeypatch.setattr(hook, "__module__", "__main__")
    assert issubclass(float, Plain)
    assert not issubclass(Asked, Base)
    monkeypatch.setattr(f"{__name__}.ARMED", [True])
    assert (Plain, float, True) in (AbstractAnswers().capture() or [])
