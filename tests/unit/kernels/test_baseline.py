"""Modules are noted without any code of theirs being run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from respawn_kernels.session_state import patching


class _Refusing(type):
    def __getattribute__(cls, name: str) -> object:
        raise AssertionError(f"asked the class for {name}")


def test_a_class_that_answers_nothing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("refusing_module")
    module.__file__ = str(tmp_path / "refusing_module.py")
    vars(module)["Refusing"] = _Refusing("Refusing", (), {"__module__": "refusing_module"})
    monkeypatch.setitem(sys.modules, "refusing_module", module)
    try:
        patching.baseline.note(module)
        assert patching.baseline.is_local("refusing_module")
        assert vars(module)["Refusing"] in patching.baseline.classes
    finally:
        for known in (patching.baseline.modules, patching.baseline.local, patching.baseline.marks):
            known.pop("refusing_module", None)
        patching.baseline.classes.pop(vars(module)["Refusing"], None)
