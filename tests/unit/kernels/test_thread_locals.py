"""Thread-local data, and what libraries keep in it, comes back as the thread that runs cells had it."""

from __future__ import annotations

import threading
from pathlib import Path

from support.namespaces import capture, notebook, round_trip

SUBCLASS = """
import threading
class Counts(threading.local):
    def __init__(self, start, step=1):
        self.n, self.step = start, [step]
counts = Counts(10, step=3)
counts.n = 99
counts.own = counts
"""


def test_the_attributes_of_this_thread_come_back(tmp_path: Path) -> None:
    back = round_trip("import threading\nlocal = threading.local(); rows = local.rows = [1]", tmp_path)
    assert back["local"].rows is back["rows"]
    assert type(back["local"]) is threading.local


def test_another_thread_begins_as_the_class_has_it(tmp_path: Path) -> None:
    back = round_trip(SUBCLASS, tmp_path)
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append((back["counts"].n, back["counts"].step)))
    thread.start()
    thread.join()
    assert seen == [(10, [3])]
    assert (back["counts"].n, back["counts"].own is back["counts"]) == (99, True)


def test_a_class_with_slots_is_listed(tmp_path: Path) -> None:
    code = """
        import threading
        class Slots(threading.local):
            __slots__ = ("a",)
        odd = Slots(); odd.a = 1
        kept = 1
    """
    manifest = capture(notebook(code), tmp_path)
    assert [(one.name, one.reason) for one in manifest.unstored] == [
        ("odd", "thread-local data with slots, which all threads share")
    ]


def test_a_console_goes_on_with_what_it_has_recorded(tmp_path: Path) -> None:
    back = round_trip(
        """
        import io
        from rich.console import Console
        console = Console(file=io.StringIO(), width=40, record=True)
        console.print("[b]first[/b]")
        """,
        tmp_path,
    )
    back["console"].print("second")
    assert back["console"].file.getvalue() == back["console"].export_text() == "first\nsecond\n"


def test_a_property_of_hypothesis_can_be_tried_again(tmp_path: Path) -> None:
    """It holds an object whose `__getattr__` counts on what its `__init__` has set."""
    back = round_trip(
        """
        from hypothesis import given, settings, strategies as st
        met = []
        @settings(max_examples=3, database=None, derandomize=True)
        @given(st.integers(0, 5))
        def holds(x):
            met.append(x)
        """,
        tmp_path,
    )
    back["holds"]()
    assert back["met"]
