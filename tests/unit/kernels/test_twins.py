"""What the same code of the notebook makes twice is one thing to whoever registers it."""

from __future__ import annotations

import json
from typing import Any

from respawn_kernels.session_state.probe.duplicates import is_twin

SOURCE = """
def note(kind): seen.append(kind)
def makes(name):
    return lambda kind: seen.append((name, kind))
class Handler:
    def emit(self, record): lines.append(record)
"""


def made(source: str = SOURCE) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(source, space)
    return space


def test_a_cell_that_runs_twice_makes_twins() -> None:
    first, second = made(), made()
    for name in ("note", "Handler"):
        assert is_twin(first[name], second[name])
    assert is_twin(first["makes"]("a"), second["makes"]("a"))
    one, other = first["Handler"](), second["Handler"]()
    assert is_twin(one, other)
    assert is_twin(one.emit, other.emit)
    assert is_twin(one, first["Handler"]())


def test_other_code_makes_others() -> None:
    first, edited = made(), made(SOURCE.replace("append(kind)", "append(str(kind))"))
    assert not is_twin(first["note"], edited["note"])
    assert not is_twin(first["note"], first["makes"]("a"))
    assert not is_twin(first["Handler"](), first["note"])


def test_of_a_library_only_the_same_object_is() -> None:
    assert is_twin(json.dumps, json.dumps)
    assert not is_twin(json.dumps, json.loads)
    assert not is_twin(json.JSONEncoder(), json.JSONEncoder())
    assert not is_twin([1], [1])
