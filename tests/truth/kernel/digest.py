"""What a kernel holds at the end of a notebook, told so that two processes can be compared.

The last cell of a truth notebook loads this file by its path, so nothing of it is imported by the notebook.
Objects that can change are numbered in the order in which a walk from a name meets them; which objects two
names share is told by these numbers. Lines hold no addresses. Nothing is imported that the notebook did not.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import logging
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_INLINE_DEPTH = 40
_MAX_OBJECTS = 20_000
_MAX_TEXT = 4000
_MAX_SHARED = 50
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented))
_NAMED = (
    types.ModuleType,
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
)
# Their objects hold what differs from process to process; what matters of them is observed by the stories.
_NOT_LOOKED_INTO = frozenset(
    [
        "matplotlib",
        "subprocess",
        "multiprocessing",
        "lightgbm",
        "joblib",
        "dask",
        "tornado",
        "zmq",
        "traitlets",
        "weakref",
        "unittest",
    ]
)
_NOT_OF_A_CLASS = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "__doc__",
        "__annotations__",
        "__slotnames__",
        "__firstlineno__",
        "__static_attributes__",
        "__annotate_func__",
        "__annotations_cache__",
        "__abstractmethods__",
        "_abc_impl",
        "__match_args__",
        "__dataclass_params__",
    ]
)


_NEVER_CHANGE = {
    "pathlib": ("PosixPath", "PurePosixPath", "PureWindowsPath"),
    "pathlib._local": ("PosixPath", "PurePosixPath", "PureWindowsPath"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "uuid": ("UUID",),
    "pandas": ("Timestamp", "Timedelta", "Period", "Interval"),
}


def _never_changes(kind: type) -> bool:
    """Whether two variables that are one such object may come back as two (docs: what comes back)."""
    module = kind.__module__.removesuffix("._libs.tslibs.timestamps").removesuffix("._libs.tslibs.timedeltas")
    numbers = kind.__module__ == "numpy" and any(base.__name__ == "number" for base in kind.__mro__)
    return numbers or kind.__name__ in _NEVER_CHANGE.get(module, ())


class Walk:
    """Describes values without recursion over containers, so that depth does not matter."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        """By the object's id; the objects are kept, so no id comes up twice."""
        self.arrays: list[tuple[int, int, int]] = []
        self._queue: list[tuple[int, Any]] = []
        self._keep: list[Any] = []

    def describe(self, value: Any) -> str:
        """Return what a value is, and all that it leads to."""
        lines = [self._ref(value, 0)]
        while self._queue:
            number, one = self._queue.pop(0)
            lines.append(f"#{number} {self._safely(one, number)}")
        return "\n".join(lines)

    def _ref(self, value: Any, depth: int) -> str:
        if type(value) in _PLAIN:
            return f"{type(value).__name__}:{_plain(repr(value))}"
        if isinstance(value, type) and value.__module__ != "__main__":
            return f"type {value.__module__}.{value.__qualname__}"
        if isinstance(value, _NAMED) and getattr(value, "__self__", None) is None:
            return f"named {getattr(value, '__name__', value)}"
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if type(value) in (tuple, frozenset) and depth < _INLINE_DEPTH:
            parts = [self._ref(one, depth + 1) for one in value]
            return (
                f"{type(value).__name__}({', '.join(sorted(parts) if type(value) is frozenset else parts)})"
            )
        if isinstance(value, types.MethodType):
            return f"method {value.__func__.__qualname__} of {self._ref(value.__self__, depth + 1)}"
        if _never_changes(type(value)):  # which object it is says nothing
            return f"{type(value).__name__}:{_plain(repr(value))}"
        number = self.numbers.get(id(value))
        if number is None:
            if len(self.numbers) >= _MAX_OBJECTS:
                return "more"
            number = self.numbers[id(value)] = len(self.numbers)
            self._keep.append(value)
            self._queue.append((number, value))
        return f"#{number}"

    def _safely(self, value: Any, number: int) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        try:
            return f"{kind} {self._inside(value, number)}"
        except Exception as error:  # whatever an object of the notebook raises is a fact about it
            return f"{kind} raises {type(error).__name__}: {_plain(str(error))}"

    def _inside(self, value: Any, number: int) -> str:
        library = _of_a_library(self, value, number)
        if library is not None:
            return library
        if isinstance(value, dict):
            items = ", ".join(f"{self._ref(k, 0)}: {self._ref(v, 0)}" for k, v in _pairs(value))
            return f"{{{items}}}{self._attributes(value)}"
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self._ref(one, 0) for one in value)}]{self._attributes(value)}"
        if isinstance(value, (set, frozenset)):
            return f"{{{', '.join(sorted(self._ref(one, 0) for one in value))}}}{self._attributes(value)}"
        if isinstance(value, (bytearray, memoryview)):
            return _cut(repr(bytes(value)))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.CellType):
            return self._cell(value)
        if isinstance(value, type):
            inside = {k: v for k, v in vars(value).items() if _of_the_notebook(k, v)}
            bases = [self._ref(base, 0) for base in value.__bases__]
            return f"{value.__qualname__} {bases} {[(k, self._ref(inside[k], 0)) for k in sorted(inside)]}"
        if isinstance(value, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
            return value.__name__
        if isinstance(value, io.IOBase):
            return f"{getattr(value, 'mode', '')} closed={value.closed}"
        return self._other(value)

    def _other(self, value: Any) -> str:
        if type(value).__module__.partition(".")[0] in _NOT_LOOKED_INTO:
            return ""
        if isinstance(value, (property, staticmethod, classmethod)):
            parts = [getattr(value, part, None) for part in ("fget", "fset", "fdel", "__func__")]
            return f"{[self._ref(part, 0) for part in parts]}"
        told = self._attributes(value) + self._slots(value)
        if isinstance(value, BaseException):
            return f"{self._ref(value.args, 0)} {self._ref(value.__cause__, 0)}{told}"
        if type(value).__repr__ is not object.__repr__ and type(value).__module__ != "__main__":
            told = f"{_plain(repr(value))} {told}" if not told else told + " " + type(value).__name__
        return told

    def _function(self, value: Any) -> str:
        return ", ".join(
            [
                value.__qualname__,
                _code(value.__code__),
                f"defaults {[self._ref(one, 0) for one in value.__defaults__ or ()]}",
                f"more {[(k, self._ref(v, 0)) for k, v in sorted((value.__kwdefaults__ or {}).items())]}",
                f"closure {[self._ref(cell, 0) for cell in value.__closure__ or ()]}",
                f"of {value.__globals__.get('__name__')}{self._attributes(value)}",
            ]
        )

    def _cell(self, value: types.CellType) -> str:
        try:
            return self._ref(value.cell_contents, 0)
        except ValueError:
            return "empty"

    def _attributes(self, value: Any) -> str:
        try:
            inside = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return ""
        if not isinstance(inside, dict) or not inside:
            return ""
        return f" with {[(str(k), self._ref(v, 0)) for k, v in _state(value, inside)]}"

    def _slots(self, value: Any) -> str:
        told = ""
        for kind in type(value).__mro__:
            for name, member in list(vars(kind).items()):
                if isinstance(member, types.MemberDescriptorType) and kind.__module__ == "__main__":
                    try:
                        told += f" .{name}={self._ref(member.__get__(value, kind), 0)}"
                    except AttributeError:
                        told += f" .{name} unset"
        return told


_STATE = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")


def _state(value: Any, inside: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Return the attributes of an object; of one that a library stores in its own way what that is about."""
    theirs = [kind for kind in type(value).__mro__[:-1] if kind.__module__ != "__main__"]
    if type(value).__module__ == "logging":
        inside = {name: one for name, one in inside.items() if name != "_cache"}  # which levels are enabled
    if not any(name in vars(kind) for kind in theirs for name in _STATE):
        return list(inside.items())
    if any("__getstate__" in vars(kind) for kind in theirs):
        state = value.__getstate__()
        inside = state if isinstance(state, dict) else inside
    return sorted(inside.items(), key=lambda item: str(item[0]))


def _pairs(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Return what is in a dictionary, without what `exec` puts there."""
    items = OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value)
    return [(key, one) for key, one in items if not (type(key) is str and key == "__builtins__")]


def _of_a_library(walk: Walk, value: Any, number: int) -> str | None:
    """Describe a value of NumPy, pandas, Polars, SciPy or PyTorch; None when it is no such thing."""
    np = sys.modules.get("numpy")
    if np is not None and isinstance(value, np.ndarray):
        return _array(walk, np, value, number)
    if np is not None and isinstance(value, (np.generic, np.dtype)):
        return _plain(repr(value))
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        return _table(walk, pd, value)
    top = type(value).__module__.partition(".")[0]
    if top == "polars" and hasattr(value, "to_dict") and hasattr(value, "columns"):
        return f"{value.schema} {_plain(repr(value.to_dict(as_series=False)))}"
    if top == "scipy" and hasattr(value, "tocoo"):
        coo = value.tocoo()
        return f"{value.shape} {[walk._ref(part, 0) for part in (coo.row, coo.col, coo.data)]}"
    if top == "torch" and hasattr(value, "tolist"):
        return f"{value.dtype} {value.requires_grad} {_plain(repr(value.tolist()))}"
    if isinstance(value, logging.Manager):
        return "the loggers"  # which there are tells who was imported; `session` tells how they are set
    if top == "numpy" and type(value).__name__ == "RandomState":
        return f"state {hashlib.sha256(repr(value.get_state()).encode()).hexdigest()[:16]}"
    if top == "numpy" and type(value).__name__ == "Generator":
        return f"state {hashlib.sha256(repr(value.bit_generator.state).encode()).hexdigest()[:16]}"
    if top == "random" and hasattr(value, "getstate"):
        return f"state {hashlib.sha256(repr(value.getstate()).encode()).hexdigest()[:16]}"
    if hasattr(type(value), "get_params") and hasattr(type(value), "fit"):
        return walk._attributes(value)
    return None


def _array(walk: Walk, np: Any, value: Any, number: int) -> str:
    if value.size and not value.dtype.hasobject:
        low, high = np.lib.array_utils.byte_bounds(value)
        walk.arrays.append((low, high, number))
    data = value.data if isinstance(value, np.ma.MaskedArray) else value
    if value.dtype.hasobject:
        items = str([walk._ref(one, 0) for one in np.asarray(data).ravel().tolist()])
    else:
        items = _cut(repr(np.asarray(data).tolist()))
    mask = f" mask {np.ma.getmaskarray(value).tolist()}" if isinstance(value, np.ma.MaskedArray) else ""
    flags = f"{'C' if value.flags.c_contiguous else ''}{'F' if value.flags.f_contiguous else ''}"
    flags += "" if value.flags.writeable else " read-only"
    return f"{value.dtype!r} {value.shape} {flags} {items}{mask}{walk._attributes(value)}"


def _table(walk: Walk, pd: Any, value: Any) -> str:
    attrs = f" attrs {walk._ref(dict(value.attrs), 0)}" if getattr(value, "attrs", None) else ""
    if isinstance(value, pd.DataFrame):
        columns = [
            f"{c!r} {value.dtypes.iloc[i]}: {_items(walk, value.iloc[:, i])}"
            for i, c in enumerate(value.columns)
        ]
        return _plain(f"{columns} by {_items(walk, value.index)} named {value.columns.names}") + attrs
    if isinstance(value, pd.Series):
        return (
            _plain(f"{value.name!r} {value.dtype} {_items(walk, value)} by {_items(walk, value.index)}")
            + attrs
        )
    return _plain(f"{value.dtype} {value.names} {_items(walk, value)}")


def _items(walk: Walk, values: Any) -> str:
    return _cut(str([walk._ref(one, 0) for one in values.tolist()[:200]]))


def _of_the_notebook(name: str, value: Any) -> bool:
    """Return whether a class's attribute was written by the notebook, and not by Python or pydantic."""
    slot = isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
    return not slot and name not in _NOT_OF_A_CLASS and "pydantic" not in name


def _code(code: types.CodeType) -> str:
    consts = [_code(one) if isinstance(one, types.CodeType) else _consts(one) for one in code.co_consts]
    return f"{code.co_name} {code.co_code.hex()[:200]} {code.co_names} {code.co_freevars} {consts}"


def _consts(value: Any) -> str:
    return f"frozenset {sorted(map(repr, value))}" if isinstance(value, frozenset) else repr(value)


_root = ["/no/such/directory"]
"""Where the notebook works; both sides of a case have a directory of their own."""


def _plain(text: str) -> str:
    return _cut(_ADDRESS.sub("0x", text.replace(_root[0], "<root>")))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}… {len(text)}"


def _looked(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except BaseException as error:  # an observation that fails is one; SystemExit too
        return f"raises {type(error).__name__}: {_plain(str(error))}"


def _story(looks: list[tuple[str, Callable[[], Any]]]) -> dict[str, str]:
    """Return what a story's names and observations are, and for each two names what they share."""
    told, walks = {}, {}
    for name, look in looks:
        walks[name] = Walk()
        told[name] = walks[name].describe(_looked(look))
    variables = [name for name, _ in looks if not name.startswith("?")]
    for one, two in itertools.combinations(variables, 2):
        told |= {f"{one} & {two}": shared} if (shared := _shared(walks[one], walks[two])) else {}
    return told


def _shared(one: Walk, two: Walk) -> str:
    """Return which objects two walks have both met, and which of their arrays overlap at which distance."""
    same = sorted((one.numbers[i], two.numbers[i]) for i in one.numbers.keys() & two.numbers.keys())
    told = [f"#{a} is #{b}" for a, b in same[:_MAX_SHARED]]
    for low, high, a in one.arrays:
        told += [f"#{a} overlaps #{b} at {at - low}" for at, end, b in two.arrays if at < high and low < end]
    return ", ".join(told)


def write(
    place: str,
    stories: dict[str, list[tuple[str, Callable[[], Any]]]],
    probes: Callable[[], dict[str, Callable[[], Any]]],
) -> None:
    """Write what the stories' names and observations are, and the state of the session.

    Args:
        place: the file.
        stories: names and observations by story; each is looked at when its turn comes.
        probes: returns the parts of the session's state by name.
    """
    _root[0] = str(Path(place).parent)
    found: dict[str, Any] = {"stories": {}}
    for story, looks in stories.items():
        found["stories"][story] = _story(looks)
    # Last, for a debug notebook loads libraries, and with them what they set, when a name is first used.
    found["session"] = {name: _plain(repr(_looked(look))) for name, look in probes().items()}
    Path(place).write_text(json.dumps(found))
