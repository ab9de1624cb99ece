"""How numbers are computed and shown: the contexts of `decimal`, NumPy's errors and printing."""

from __future__ import annotations

import contextvars
import importlib
import os
import sys
from collections.abc import Hashable
from typing import Any

_DECIMAL = (
    "Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, flags=[], "
    "traps=[InvalidOperation, DivisionByZero, Overflow])"
)
_TEMPLATES = ("DefaultContext", "BasicContext", "ExtendedContext")


class DecimalContext:
    """The current context of `decimal`, and the templates that new threads start from.

    A flag is part of it: a computation that rounds for the first time changes the context.
    """

    name = "#decimal"

    def fingerprint(self) -> Hashable:
        """Return the current context and the default one as text; None while they are as at first."""
        decimal = _decimal()
        if decimal is None:
            return None
        contexts = repr(_current(decimal) or decimal.DefaultContext), repr(decimal.DefaultContext)
        return None if contexts == (_DECIMAL, _DECIMAL) else contexts

    def capture(self) -> dict[str, Any] | None:
        """Return the context itself, since variables may refer to it, and the templates."""
        decimal = _decimal()
        if decimal is None:
            return None
        # By their fields: the templates themselves are references to those of the session that loads them.
        return {
            "": _current(decimal),
            **{name: _fields(getattr(decimal, name)) for name in _TEMPLATES},
        }

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them; a template stays the object that it is, for libraries refer to it."""
        decimal = importlib.import_module("decimal")
        for name in _TEMPLATES:
            now = getattr(decimal, name)
            for field, one in value[name].items():
                if isinstance(one, dict):
                    getattr(now, field).update(one)
                else:
                    setattr(now, field, one)
        if value[""] is not None:
            decimal.setcontext(value[""])


def _current(decimal: Any) -> Any | None:
    """Return the current context; None where nothing has asked for one: it will begin as the default then is.

    `decimal.getcontext` would make it.
    """
    held = (one for var, one in contextvars.copy_context().items() if var.name == "decimal_context")
    return next((one for one in held if isinstance(one, decimal.Context)), None)


def _fields(context: Any) -> dict[str, Any]:
    plain = {
        name: getattr(context, name) for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    }
    return plain | {"flags": dict(context.flags), "traps": dict(context.traps)}


def _decimal() -> Any | None:
    module = sys.modules.get("decimal")
    return module if module is not None and hasattr(module, "getcontext") else None


class NumpyErrors:
    """What NumPy does about overflow, division by zero and so on, and the size of its buffers."""

    name = "#numpy.errors"

    def fingerprint(self) -> Hashable:
        """Return the settings; None while they are NumPy's own."""
        found = self.capture()
        if found is None:
            return None
        return tuple(found["errors"].values()), id(found["call"]), found["buffer"]

    def capture(self) -> dict[str, Any] | None:
        """Return the settings, if they are not NumPy's own."""
        numpy = _numpy()
        if numpy is None:
            return None
        found = {"errors": numpy.geterr(), "call": numpy.geterrcall(), "buffer": numpy.getbufsize()}
        return None if found == _NUMPY_ERRORS else found

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        numpy = importlib.import_module("numpy")
        numpy.seterr(**value["errors"])
        if value["call"] is not numpy.geterrcall():
            numpy.seterrcall(value["call"])
        if value["buffer"] != numpy.getbufsize():
            numpy.setbufsize(value["buffer"])


_NUMPY_ERRORS = {
    "errors": {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    "call": None,
    "buffer": 8192,
}


class NumpyPrinting:
    """How NumPy shows arrays and polynomials."""

    name = "#numpy.print"

    def fingerprint(self) -> Hashable:
        """Return the options as text; None while they are NumPy's own."""
        found = self.capture()
        return None if found is None else repr(found)

    def capture(self) -> dict[str, Any] | None:
        """Return the options, if they are not NumPy's own."""
        numpy = _numpy()
        if numpy is None:
            return None
        options: dict[str, Any] = numpy.get_printoptions()
        start = {"precision": 8, "threshold": 1000, "edgeitems": 3, "linewidth": 75, "suppress": False}
        usual = all(options.get(key) == value for key, value in start.items())
        others = {key: value for key, value in options.items() if key not in start}
        plain = {"nanstr": "nan", "infstr": "inf", "sign": "-", "floatmode": "maxprec"}
        if usual and all(not value or plain.get(key) == value for key, value in others.items()):
            options = {}
        return (options | _polynomial_style()) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set the options that this NumPy has."""
        numpy = importlib.import_module("numpy")
        if _STYLE in value:
            numpy.polynomial.set_default_printstyle(value[_STYLE])
        known = numpy.get_printoptions()
        if options := {key: one for key, one in value.items() if key in known}:
            numpy.set_printoptions(**options)


_STYLE = "polynomial style"
_STYLES = {True: "unicode", False: "ascii"}


def _polynomial_style() -> dict[str, str]:
    """Return how polynomials are shown, if it is not NumPy's own way."""
    base = getattr(sys.modules.get("numpy.polynomial._polybase"), "ABCPolyBase", None)
    unicode = getattr(base, "_use_unicode", None)
    usual = os.name != "nt"
    return {} if unicode is None or unicode == usual else {_STYLE: _STYLES[bool(unicode)]}


def _numpy() -> Any | None:
    module = sys.modules.get("numpy")
    return module if module is not None and hasattr(module, "set_printoptions") else None
