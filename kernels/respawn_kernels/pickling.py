"""Pickling of a live namespace, so that it comes back as one.

cloudpickle takes functions and classes of the notebook by value. What differs here:

- functions of the notebook refer to *the namespace itself* instead of a copy of the globals they read, so
  that a restored function sees later changes;
- a function or class that has a name of its own in the namespace is referred to by that name from other
  variables, so that instances do not have to be loaded together with everything else of their class;
- classes and their instances are taken apart as they are (`class_reductions`, `instance_reductions`), so that
  none of the notebook's code runs when they are made again;
- what stands for the session (its output streams, its shell) is taken by reference, while open files are
  refused instead of being read into memory; so is what a library keeps in its module, such as a sentinel;
- arrays, tables and tensors are reduced by `reductions`, which keeps views as views.

Numbers and text pass the pickler by value: Python pickles them without asking. A `CarefulPickler` is asked
for each, and is used only where their identity can be seen: a `nan`, or a text that is a variable itself.
"""

from __future__ import annotations

import builtins
import io
import math
import pickle
import struct
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as _internals

from respawn_kernels.class_reductions import is_importable, is_made_in_c, is_notebooks, reduce_class
from respawn_kernels.names import live_shell
from respawn_kernels.own_streams import name_of, own_stream
from respawn_kernels.replaced import as_written, reduce_replaced

PROTOCOL = 5
NAMESPACE_MEMO = 0
"""The place of the namespace in the memo of both sides, so no object needs to be asked whether it is it."""
BUILTINS_MEMO = 1
"""The place of the dict of builtins, which is in the globals of every function."""
PREAMBLE = b"\x80\x05\x8c\x09namespaceQ\x940\x8c\x08builtinsQ\x94."
"""A pickle of its own before all others in a stream: it asks for what the memo begins with."""
NANS = (b"G\x7f\xf8", b"G\xff\xf8")
"""How the pickle of a float that is not a number begins."""

_FILES = (
    io.FileIO,
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.BufferedRWPair,
)


_BUILTINS = vars(builtins)
Reducer = Callable[[Any, "NamespacePickler"], Any]
_resolver: ContextVar[Callable[[str], Any]] = ContextVar("respawn_named")


class NamespacePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler for the values of one namespace.

    Several dumps into one stream share one memo: objects that two variables share are written once.
    """

    def __init__(
        self,
        file: Any,
        namespace: dict[str, Any],
        buffer_callback: Callable[[pickle.PickleBuffer], object],
        *,
        reducers: Mapping[type, Reducer] | None = None,
        named: Mapping[int, str] | None = None,
    ) -> None:
        """Make a pickler.

        Args:
            file: where the stream goes.
            namespace: the live namespace.
            buffer_callback: is asked of each buffer whether it stays in the stream.
            reducers: how objects of exact types are reduced.
            named: functions and classes of the notebook that are variables, by their `id`.
        """
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
        from respawn_kernels.ways import Ways

        self._namespace = namespace
        self._shell = live_shell()
        self._reducers = reducers or {}
        self._named = named or {}
        self._ways = Ways()
        self._spaces: dict[int, _Space] = {}
        self._home: Collection[int] = ()
        self.reads: set[str] = set()
        """Global names that the functions seen since `start` refer to."""
        self.required: set[str] = set()
        """Variables that were referred to by name since `start`."""
        self.keep: list[Any] = []
        """What must outlive the pickling, since its address stands for it."""
        self.by_value: set[int] = set()
        """Ids of the functions and classes that were pickled by value since `start`."""
        self._held: Collection[int] = ()
        self.lent: set[int] = set()
        """Ids of dicts that belong to an instance and to somebody else beside it."""
        self.roots: dict[tuple[int, int], Callable[[], Any]] = {}
        """Who stands for a piece of memory, by address and size: a reference, weak where it can be."""
        self.plains: dict[int, Any] = {}
        """Plain arrays that stand for the memory of arrays of a subclass, by the id of these."""
        self.unaliased: set[int] = set()
        """Ids of arrays whose memory is stored as their own, whoever else it belongs to."""
        self.start(())

    def start(self, home: Collection[int], held: Collection[int] = ()) -> None:
        """Begin a stream of its own.

        Args:
            home: ids of the named objects that this stream holds by value.
            held: ids of objects that whoever pickles refers to, since they were met in another stream.
        """
        self._home = home
        self._held = held
        self.memo = {
            id(self._namespace): (NAMESPACE_MEMO, self._namespace),
            id(_BUILTINS): (BUILTINS_MEMO, _BUILTINS),
        }
        self.globals_ref = {id(self._namespace): self._namespace}
        self.reads, self.required, self.by_value = set(), set(), set()
        self._ways.asking.clear()

    @property
    def asked(self) -> set[str]:
        """Names of classes that say themselves how their instances are stored."""
        return self._ways.asked

    def ask_classes(self) -> bool:
        """From now on let classes say how their instances are stored that failed as they are, if any."""
        return self._ways.ask()

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object that is not a plain builtin is pickled."""
        kind = type(obj)
        reducer = self._reducers.get(kind)
        if reducer is not None:
            return reducer(obj, self)
        if kind is FunctionType or issubclass(kind, type):
            return self._code(obj)
        if obj is self._shell and obj is not None:
            return _the_shell, ()
        if isinstance(obj, io.IOBase):
            if (name := name_of(obj)) is not None:
                return own_stream, (name,)
            if isinstance(obj, _FILES):
                for name in ("stdout", "stderr", "stdin"):
                    if obj is getattr(sys, name):
                        return getattr, (sys, name)
                raise pickle.PicklingError(f"{'a closed' if obj.closed else 'an open'} file")
        way = self._ways.of(kind)
        return way(obj, self) if way is not None else NotImplemented

    def is_lent(self, inside: dict[str, Any], references: int) -> bool:
        """Tell whether somebody besides its instance refers to a `__dict__`.

        Args:
            inside: the `__dict__`.
            references: how many there are to it besides those of instance and caller. Whoever pickles keeps
                what was met before, so these say nothing then.
        """
        if not references:
            return False
        if id(inside) not in self._held:
            self.keep.append(inside)  # its address must not be given to another one
            self.lent.add(id(inside))
        return id(inside) in self.lent

    def is_made(self, module: ModuleType) -> bool:
        """Tell whether a module was made by a cell, so that nobody can import it."""
        return not _internals._should_pickle_by_reference(module)

    def _code(self, obj: Any) -> Any:
        """Say how a function or class is pickled."""
        name = self._named.get(id(obj))
        if name is not None and id(obj) not in self._home:
            self.required.add(name)
            return named_value, (name,)
        if (replaced := reduce_replaced(obj)) is not NotImplemented:
            return replaced
        if type(obj) is not FunctionType and is_notebooks(obj):
            self.by_value.add(id(obj))
            from respawn_kernels.enum_reductions import is_enum, reduce_enum

            return reduce_enum(obj) if is_enum(obj) else reduce_class(obj)
        if type(obj) is not FunctionType and not is_importable(obj) and is_made_in_c(obj):
            raise pickle.PicklingError(
                f"the class {obj.__module__}.{obj.__qualname__}, which cannot be imported"
            )
        reduced = super().reducer_override(obj)
        if reduced is not NotImplemented and type(obj) is FunctionType:
            self.by_value.add(id(obj))
        return reduced

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        reduced = super()._dynamic_function_reduce(func)
        slots = reduced[2][1]
        slots["__closure__"] = None  # its cells are shared by others: they come with the arguments
        slots.pop("__globals__")
        if getattr(func, "__type_params__", None):
            slots["__type_params__"] = func.__type_params__  # type: ignore[attr-defined]
        if func.__globals__ is self._namespace:
            self.reads.update(_internals._extract_code_globals(func.__code__))
        return *reduced[:5], fill_function

    def _function_getnewargs(self, func: FunctionType) -> Any:
        return func.__code__, self._globals_of(func), None, None, func.__closure__

    def _globals_of(self, func: FunctionType) -> Any:
        """Return what stands for a function's globals: a module where it is one's, else the dict itself."""
        space = func.__globals__
        if space is self._namespace:
            return space
        if id(space) not in self._spaces:
            made = (one for one in self._namespace.values() if type(one) is ModuleType)
            named = sys.modules.get(str(space.get("__name__")))
            module = next((one for one in (named, *made) if one is not None and vars(one) is space), None)
            if module is None:
                return space
            self._spaces[id(space)] = _Space(module)
        return self._spaces[id(space)]


class _Space:
    """Stands for the globals of a module."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __reduce__(self) -> Any:
        return vars, (self._module,)


class CarefulPickler(NamespacePickler):
    """A pickler that also keeps the identity of text and of what is not a number; slower."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._known: Mapping[int, str] = {}
        self._numbers: dict[int, str] = {}

    def know(self, known: Mapping[int, str]) -> None:
        """Say for what a reference is written: references by the id of the object."""
        self._known, self._numbers = known, {}

    def persistent_id(self, obj: Any) -> str | None:
        """Return the reference that is written for an object; None where it is pickled."""
        known = self._known.get(id(obj))
        if known is not None:
            if known.startswith(VALUE):
                self.required.add(known.removeprefix(VALUE))
            return known
        if type(obj) is float and obj != obj:
            self.keep.append(obj)  # its address must not be given to another one
            bits = struct.pack(">d", obj).hex()
            return self._numbers.setdefault(id(obj), f"{NAN}{len(self._numbers)}:{bits}")
        return None


VALUE, NAN, INTERNED, LIBRARY = "value:", "nan:", "interned:", "library:"
"""How references begin: to a variable, a number of this stream, a text kept by Python, a library's value."""
_OF_LIBRARIES = (("argparse", "SUPPRESS"), ("numpy", "nan"), ("math", "nan"), ("cmath", "nan"))


def library_values() -> dict[int, str]:
    """Return references to text and numbers of libraries that are known by identity, by their ids."""
    found: dict[int, str] = {}
    for module, name in _OF_LIBRARIES:
        value = getattr(sys.modules.get(module), name, None)
        if value is not None:
            found.setdefault(id(value), f"{LIBRARY}{module}:{name}")
    return found


def _referred(reference: str, numbers: dict[str, float]) -> Any:
    """Return what a reference stands for."""
    if reference.startswith(VALUE):
        return named_value(reference.removeprefix(VALUE))
    if reference.startswith(INTERNED):
        return sys.intern(reference.removeprefix(INTERNED))
    if reference.startswith(LIBRARY):
        module, _, name = reference.removeprefix(LIBRARY).partition(":")
        return getattr(_internals.subimport(module), name, math.nan)
    if reference.startswith(NAN):
        if reference not in numbers:
            numbers[reference] = struct.unpack(">d", bytes.fromhex(reference.rpartition(":")[2]))[0]
        return numbers[reference]
    raise pickle.UnpicklingError(f"unknown reference {reference!r}")


class References:
    """Answers what a stream asks for besides its own objects."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[str, float] = {}

    def answer(self, reference: str) -> Any:
        """Return what a reference stands for."""
        if reference == "namespace":
            return self._namespace
        if reference == "builtins":
            return _BUILTINS
        return _referred(reference, self._numbers)


class NamespaceUnpickler(pickle.Unpickler):
    """The other side: what referred to the namespace refers to the live one."""

    def __init__(self, file: Any, namespace: dict[str, Any], buffers: Any) -> None:
        super().__init__(file, buffers=buffers)
        self._references = References(namespace)

    def persistent_load(self, pid: str) -> Any:
        """Answer what a stream asks for."""
        return self._references.answer(pid)

    def find_class(self, module: str, name: str) -> Any:
        """Return what a stream names; functions of the notebook are made with its own builtins."""
        if name == "_make_function" and module == _internals.__name__:
            return _make_function
        return as_written(module, name, super().find_class(module, name))


def _make_function(code: CodeType, globals: dict[str, Any], name: str, defaults: Any, cells: Any) -> Any:
    # cloudpickle's puts builtins of its own into the namespace, which knows pending names by its builtins.
    if globals.get("__name__") == "__main__":
        globals.setdefault("__builtins__", builtins)
    return FunctionType(code, globals, name, defaults, cells)


def fill_function(function: FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a function its attributes."""
    inside, slots = state
    function.__dict__.update(inside)
    slots.pop("_cloudpickle_submodules", None)  # that they were loaded is what they were there for
    if slots.get("__closure__") is None:
        slots.pop("__closure__", None)  # it came with the arguments
    for name, value in slots.items():
        setattr(function, name, value)


@contextmanager
def resolving(resolve: Callable[[str], Any]) -> Iterator[None]:
    """Answer references by name with `resolve` while streams are loaded in this context."""
    token = _resolver.set(resolve)
    try:
        yield
    finally:
        _resolver.reset(token)


def named_value(name: str) -> Any:
    """Return the variable of the checkpoint that a stream refers to by name."""
    try:
        resolve = _resolver.get()
    except LookupError:
        raise pickle.UnpicklingError(f"{name} can only be loaded together with its checkpoint") from None
    return resolve(name)


def reason(error: BaseException) -> str:
    """Return in one short line why something could not be pickled or loaded."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (TypeError, pickle.PickleError)):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 200 else text[:199] + "…"


def _the_shell() -> Any:
    return live_shell()
