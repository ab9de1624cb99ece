"""What is cut of outputs and errors."""

from __future__ import annotations

from typing import Any

import pytest

from respawn_jobs.model.runs import CellError
from respawn_jobs.runner.kernel.output_limits import OutputBound, bounded_error


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"msg_type": kind, "header": {"msg_type": kind}, "content": content}


def kept(bound: OutputBound, kind: str, **content: Any) -> dict[str, Any] | None:
    found = bound.bounded(message(kind, **content), 0)
    return found["content"] if found else None


def test_a_stream_is_cut_once_and_says_so() -> None:
    bound = OutputBound(10)
    assert kept(bound, "stream", name="stdout", text="12345678") == {"name": "stdout", "text": "12345678"}
    assert kept(bound, "stream", name="stdout", text="9abc")["text"].startswith("9a\n[output cut")
    assert kept(bound, "stream", name="stdout", text="more") is None
    assert kept(bound, "error", ename="E", evalue="", traceback=["long" * 10]) is not None


def test_a_display_that_is_too_large_is_replaced_by_a_line() -> None:
    bound = OutputBound(10)
    assert "output cut" in kept(bound, "display_data", data={"text/html": "x" * 20}, metadata={})["text"]
    assert kept(bound, "display_data", data={"text/html": "x"}, metadata={}) is None


def test_cleared_outputs_do_not_count() -> None:
    bound = OutputBound(10)
    for _ in range(5):
        kept(bound, "clear_output", wait=True)
        assert kept(bound, "stream", name="stdout", text="12345678")["text"] == "12345678"


@pytest.mark.parametrize(("value", "cut"), [("short", False), ("x" * 5000, True)])
def test_errors_are_cut_and_say_by_how_much(value: str, cut: bool) -> None:
    error = bounded_error(CellError(cell=0, name="E", value=value, traceback="t" * 300_000))
    assert (error.value == value) is not cut
    assert error.value.startswith(value[:4000])
    assert error.traceback.startswith("[100,000 of 300,000 characters cut")


def test_an_error_is_always_writable_as_utf_8() -> None:
    assert bounded_error(CellError(cell=0, name="E", value="\ud800")).model_dump_json()
