"""Objects with traits, such as widgets, come back with who observes them, which traitlets leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.namespaces import round_trip


@pytest.fixture
def watched() -> str:
    return """
        import ipywidgets
        rate, seen = 2, []
        one, other = ipywidgets.IntText(value=1), ipywidgets.IntText(value=0)
        tie = ipywidgets.dlink((one, "value"), (other, "value"), lambda value: value * rate)
        def note(change): seen.append(change["new"])
        one.observe(note, "value")
        tabs, choice = ipywidgets.Tab([one, other], selected_index=0), ipywidgets.Dropdown(options=["a", "b"])
        pair = ipywidgets.link((tabs, "selected_index"), (choice, "index"))
    """


def test_a_widget_calls_who_observes_it(watched: str, tmp_path: Path) -> None:
    back = round_trip(watched, tmp_path)
    back["one"].value = 7
    assert back["seen"] == [7]
    back["one"].unobserve(back["note"], "value")
    back["one"].value = 8
    assert back["seen"] == [7]


def test_widgets_stay_linked_until_they_are_not(watched: str, tmp_path: Path) -> None:
    back = round_trip(watched, tmp_path)
    back["rate"] = 3
    back["one"].value = 7
    assert back["other"].value == 21
    back["tabs"].selected_index = 1
    assert back["choice"].index == 1
    back["pair"].unlink()
    back["choice"].index = 0
    assert back["tabs"].selected_index == 1


def test_what_a_class_of_the_library_observes_is_called_once(tmp_path: Path) -> None:
    back = round_trip(
        """
        import traitlets
        seen = []
        class Panel(traitlets.HasTraits):
            size = traitlets.Int()
            @traitlets.observe("size")
            def note(self, change): seen.append(change["new"])
        panel = Panel()
        import ipywidgets
        class Own(ipywidgets.IntText):
            @traitlets.observe("value")
            def note(self, change): seen.append(-change["new"])
        own = Own()
        """,
        tmp_path,
    )
    back["panel"].size = 3
    back["own"].value = 4
    assert back["seen"] == [3, -4]
