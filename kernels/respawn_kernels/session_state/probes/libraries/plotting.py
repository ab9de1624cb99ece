"""matplotlib: its settings and backend, the figures that pyplot holds open, and what all bars share."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.session_state.probe.interface import Parts

_SEPARATE = {"backend", "interactive", "toolbar", "webagg.port"}
"""Settings that belong to a session's front end; the backend and `interactive` are stored below."""
_INLINE = "module://matplotlib_inline.backend_inline"


class MatplotlibSettings:
    """The settings (`rcParams`) that differ from their defaults, the backend, and `plt.ion()`.

    They are restored before variables: a figure that pyplot held asks for the backend when it is loaded.
    """

    name = "#matplotlib"
    first = True
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return what differs."""
        return repr(_changed())

    def capture(self) -> dict[str, Any] | None:
        """Return what differs."""
        return _changed() or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set those that this version of matplotlib has."""
        matplotlib = importlib.import_module("matplotlib")
        if "backend" in value:
            matplotlib.use(value["backend"])
        if "interactive" in value:
            importlib.import_module("matplotlib.pyplot")  # it sets a default
            matplotlib.interactive(value["interactive"])
        for key, one in value.items():
            if key not in _SEPARATE and key in matplotlib.rcParams:
                matplotlib.rcParams[key] = one


def _changed() -> dict[str, Any]:
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParamsDefault"):
        return {}
    default, now = matplotlib.rcParamsDefault, dict.items(matplotlib.rcParams)
    found = {key: value for key, value in now if key not in _SEPARATE and value != dict.get(default, key)}
    backend = dict.get(matplotlib.rcParams, "backend")
    # Until pyplot is imported, and after that when nobody chose one, it is no text.
    inline = isinstance(backend, str) and backend.lower() in (_INLINE, "inline")
    if isinstance(backend, str) and not inline and backend != os.environ.get("MPLBACKEND"):
        found["backend"] = backend
    pyplot = sys.modules.get("matplotlib.pyplot")
    # The inline backend switches it on when it is loaded, which is when something is drawn first.
    usual = inline and getattr(pyplot, "_backend_mod", None) is not None
    if pyplot is not None and (drawing := matplotlib.is_interactive()) != usual:
        found["interactive"] = drawing
    return found


class FigureState:
    """The figures that pyplot holds open, in their order: the last one is the current one.

    A figure that is a variable too stays the same object.
    """

    name = "#figures"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return which figures there are, and roughly what is on them."""
        return tuple((number, id(figure), *_drawn(figure)) for number, figure in _open())

    def capture(self) -> Parts | None:
        """Return the figures by place, each with its number."""
        return Parts({str(n): figure for n, (_, figure) in enumerate(_open())} | _numbers()) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Give pyplot the figures, those that it has already too, under their numbers."""
        pyplot: Any = importlib.import_module("matplotlib.pyplot")
        registry: Any = sys.modules["matplotlib._pylab_helpers"].Gcf
        numbers = value.pop("numbers", [])
        held = {id(manager.canvas.figure): manager for manager in registry.figs.values()}
        for place, figure in value.items():
            manager = held.get(id(figure))
            if manager is None:
                backend = pyplot._get_backend_mod()
                manager = backend.new_figure_manager_given_figure(numbers[int(place)], figure)
            else:
                del registry.figs[manager.num]
            held[id(figure)] = manager
        for place, figure in sorted(value.items(), key=lambda item: int(item[0])):
            held[id(figure)].num = numbers[int(place)]
            registry._set_new_active_manager(held[id(figure)])
        inline = sys.modules.get("matplotlib_inline.backend_inline")
        if inline is not None:
            # What was drawn while it was loaded is not to be shown.
            inline.show._to_draw, inline.show._draw_called = [], False


class UnitRectangle:
    """The path that all bars and rectangles of matplotlib share.

    `Axes.bar` sets in it by how many points its sides are drawn, which is seen in polar plots. A restored
    figure finds the path of its own process, where no bar was drawn.
    """

    name = "#rectangle"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: all bars set the same number."""
        return None

    def capture(self) -> int | None:
        """Return the number of points if it is not the usual one."""
        path = sys.modules.get("matplotlib.path")
        shared = getattr(path and path.Path, "_unit_rectangle", None)
        steps = getattr(shared, "_interpolation_steps", 1)
        return steps if steps != 1 else None

    def restore(self, value: int, shell: Any | None) -> None:
        """Set the number."""
        path: Any = importlib.import_module("matplotlib.path")
        path.Path.unit_rectangle()._interpolation_steps = value


def _numbers() -> dict[str, Any]:
    numbers = [number for number, _ in _open()]
    return {"numbers": numbers} if numbers else {}


def _open() -> Iterator[tuple[Any, Any]]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is not None:
        for number, manager in list(helpers.Gcf.figs.items()):
            yield number, manager.canvas.figure


def _drawn(figure: Any) -> Iterator[Hashable]:
    """Return what changes when something is drawn; asking for limits would make matplotlib compute them."""
    yield figure._suptitle and figure._suptitle.get_text()
    for axes in figure.axes:
        yield id(axes)
        yield len(getattr(axes, "_children", ()))
        yield from (text.get_text() for text in (axes.title, axes.xaxis.label, axes.yaxis.label))
        if hasattr(axes, "_viewLim"):
            yield axes._viewLim.bounds
