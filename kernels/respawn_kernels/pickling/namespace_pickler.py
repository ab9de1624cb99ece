"""Pickling of a live namespace, so that it comes back as one.

cloudpickle takes functions and classes of the notebook by value. What differs here:

- functions of the notebook refer to *the namespace itself* instead of a copy of the globals they read, so
  that a restored function sees later changes;
- a function or class that has a name of its own in the namespace is referred to by that name from other
  variables, so that instances do not have to be loaded together with everything else of their class;
- classes and their instances are taken apart as they are (`classes`, `instances`), so that
  none of the notebook's code runs when they are made again;
- what stands for the session (its output streams, its shell) is taken by reference, while open files are
  refused instead of being read into memory; so is what a library keeps in its module, such as a sentinel;
- arrays, tables and tensors are reduced by the room `reducers`, which keeps views as views.

Numbers and text pass the pickler by value: Python pickles them without asking. A `CarefulPickler` is asked
for each, and is used only where their identity can be seen: a `nan`, or a text that is a variable itself.
"""

from __future__ import annotations

import builtins
import io
import pickle
import struct
import sys
from collections.abc import Callable, Collection, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import cloudpickle
from cloudpickle import cloudpickle as _internals

from respawn_kernels.host.standard_streams import name_of, own_stream
from respawn_kernels.introspection.class_origin import is_importable, is_made_in_c, is_notebooks
from respawn_kernels.memory.exposed_memory import MemoryOwners
from respawn_kernels.namespace import live_shell
from respawn_kernels.pickling.classes import reduce_class
from respawn_kernels.pickling.dispatch import Ways
from respawn_kernels.pickling.enums import is_enum, reduce_enum
from respawn_kernels.pickling.omitted_attributes import (
    may_forget,
    reduce_plainly,
    with_given,
    with_left_out,
)
from respawn_kernels.pickling.references import NAN, VALUE, References, named_value
from respawn_kernels.pickling.replaced_functions import as_written, reduce_replaced
from respawn_kernels.rebuild import stable_name

PROTOCOL = 5
NAMESPACE_MEMO = 0
"""The place of the namespace in the memo of both sides, so no object needs to be asked whether it is it."""
BUILTINS_MEMO = 1
"""The place of the dict of builtins, which is in the globals of every function."""
PREAMBLE = b"\x80\x05\x8c\x09namespaceQ\x940\x8c\x08builtinsQ\x94."
"""A pickle before all others in a stream: two persistent ids, which load what the memo begins with."""
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
"""Returns what `__reduce_ex__` does (function, arguments, state, items, pairs, setter), or NotImplemented."""


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
            file: an object with `write`, which gets the stream.
            namespace: the live namespace.
            buffer_callback: called with each buffer; returns whether it stays in the stream (PEP 574).
            reducers: how objects of exact types are reduced; None for no such types.
            named: names of the functions and classes of the notebook that are variables, by their `id`.
        """
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
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
        """Objects that must outlive the pickling, since the memo knows them by their address."""
        self.by_value: set[int] = set()
        """Ids of the functions and classes that were pickled by value since `start`."""
        self._held: Collection[int] = ()
        self.lent: set[int] = set()
        """Ids of dicts that an instance and somebody else refer to."""
        self.roots: dict[tuple[int, int], Callable[[], Any]] = {}
        """The array that stands for a piece of memory, by address and size: a weak reference to it."""
        self.plains: dict[int, Any] = {}
        """Plain arrays that stand for the memory of arrays of a subclass, by the id of these."""
        self.unaliased: set[int] = set()
        """Ids of arrays whose memory is stored as their own, whoever else it belongs to."""
        self.left_out: dict[str, set[str]] = {}
        """Attributes that classes leave out and that are stored all the same, by the class's name."""
        self.uncompared = False
        """Nothing will be loaded to be compared, so what classes store is looked at."""
        self.lenders = MemoryOwners()
        """Objects in whose memory others may lie that do not refer to them."""
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
        """Names of classes whose own `__reduce__` or `__getstate__` stores their instances."""
        return self._ways.asked

    def ask_classes(self) -> bool:
        """Use the own methods of classes from now on whose instances were stored without; False for none."""
        return self._ways.ask()

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is pickled that is not a plain builtin (`pickle.Pickler.reducer_override`).

        Raises:
            pickle.PicklingError: it cannot be, such as an open file.
        """
        kind: type = type(obj)
        if self.left_out and (names := self.left_out.get(f"{kind.__module__}.{kind.__qualname__}")):
            return with_left_out(obj, names, self)
        if self.uncompared and may_forget(kind):
            return with_given(obj, self)
        reducer = self._reducers.get(kind)
        if reducer is not None:
            return reducer(obj, self)
        if kind is FunctionType or issubclass(kind, type):
            return self._code(obj)
        if obj is self._shell and obj is not None:
            return the_shell, ()
        if isinstance(obj, io.IOBase):
            if (name := name_of(obj)) is not None:
                return own_stream, (name,)
            if isinstance(obj, _FILES):
                for name in ("stdout", "stderr", "stdin"):
                    if obj is getattr(sys, name):
                        return getattr, (sys, name)
                raise pickle.PicklingError(f"{'a closed' if obj.closed else 'an open'} file")
        return self.reduced_otherwise(obj)

    def reduced_otherwise(self, obj: Any) -> Any:
        """Return how an object is pickled whose class no reducer is for."""
        way = self._ways.of(type(obj))
        return way(obj, self) if way is not None else NotImplemented

    def reduced_by_class(self, obj: Any) -> Any:
        """Return how an object is made again without what its class leaves out."""
        before = self.left_out, self.uncompared
        self.left_out, self.uncompared = {}, False
        try:
            reduced = self.reducer_override(obj)
        finally:
            self.left_out, self.uncompared = before
        return reduce_plainly(obj, self) if reduced is NotImplemented else reduced

    def is_lent(self, inside: dict[str, Any], references: int) -> bool:
        """Return whether somebody besides its instance refers to a `__dict__`.

        Args:
            inside: the `__dict__`.
            references: how many there are to it besides those of instance and caller.
        """
        if not references:
            return False
        # Who pickles refers to what was met in an earlier stream: then the number says nothing, and `lent`
        # counts.
        if id(inside) not in self._held:
            self.keep.append(inside)  # its address must not be given to another one
            self.lent.add(id(inside))
        return id(inside) in self.lent

    def is_made(self, module: ModuleType) -> bool:
        """Return whether a module was made by a cell, so that nobody can import it."""
        return not _internals._should_pickle_by_reference(module)

    def _code(self, obj: Any) -> Any:
        """Return how a function or class is pickled."""
        name = self._named.get(id(obj))
        if name is not None and id(obj) not in self._home:
            self.required.add(name)
            return named_value, (name,)
        if (replaced := reduce_replaced(obj)) is not NotImplemented:
            return replaced
        if type(obj) is not FunctionType and is_notebooks(obj):
            self.by_value.add(id(obj))
            return reduce_enum(obj) if is_enum(obj) else reduce_class(obj)
        if type(obj) is not FunctionType and not is_importable(obj) and is_made_in_c(obj):
            raise pickle.PicklingError(
                f"the class {obj.__module__}.{obj.__qualname__}, which cannot be imported"
            )
        reduced = super().reducer_override(obj)
        if reduced is not NotImplemented and type(obj) is FunctionType:
            # Those of another type are Respawn's own, see `lazy_variables`; named tuples have none.
            own: Any = cast("Any", obj).__builtins__
            if type(own) is dict and own and own is not _BUILTINS:
                raise pickle.PicklingError("a function that has other builtins than the notebook")
            self.by_value.add(id(obj))
        return reduced

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        reduced = super()._dynamic_function_reduce(func)
        attributes, slots = reduced[2]
        if self.is_lent(func.__dict__, _references(func) - _OURS):
            attributes = func.__dict__
        slots["__closure__"] = None  # other functions may have its cells: they come with the arguments
        slots.pop("__globals__")
        if getattr(func, "__type_params__", None):
            slots["__type_params__"] = func.__type_params__  # type: ignore[attr-defined]
        if func.__globals__ is self._namespace:
            self.reads.update(_internals._extract_code_globals(func.__code__))
        return *reduced[:2], (attributes, slots), *reduced[3:5], fill_function

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


def _references(func: Any) -> int:
    """Return how many references there are to a function's `__dict__`, those of this module included."""
    inside = func.__dict__
    return sys.getrefcount(inside)


_OURS = _references(lambda: None)


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
        """Set the objects for which a reference is written: references by the ids of the objects."""
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


class NamespaceUnpickler(pickle.Unpickler):
    """Loads what a `NamespacePickler` wrote: what referred to the namespace refers to the live one.

    Args:
        file: an object with `read`, `readinto` and `readline`, which gives the stream.
        namespace: the live namespace.
        buffers: the buffers that left the stream, in their order (PEP 574).
    """

    def __init__(self, file: Any, namespace: dict[str, Any], buffers: Any) -> None:
        super().__init__(file, buffers=buffers)
        self._references = References(namespace)

    def persistent_load(self, pid: str) -> Any:
        """Return what a reference in the stream stands for."""
        return self._references.answer(pid)

    def find_class(self, module: str, name: str) -> Any:
        """Return what a stream names; functions of the notebook are made with the notebook's own builtins."""
        if name == "_make_function" and module == _internals.__name__:
            return _make_function
        return as_written(module, name, super().find_class(module, name))


def _make_function(code: CodeType, globals: dict[str, Any], name: str, defaults: Any, cells: Any) -> Any:
    # cloudpickle's puts builtins of its own into the namespace, which knows pending names by its builtins.
    if globals.get("__name__") == "__main__":
        globals.setdefault("__builtins__", builtins)
    return FunctionType(code, globals, name, defaults, cells)


@stable_name
def fill_function(function: FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set the attributes of a function."""
    inside, slots = state
    function.__dict__ = inside  # a variable may hold it
    slots.pop("_cloudpickle_submodules", None)  # that they were loaded is what they were there for
    if slots.get("__closure__") is None:
        slots.pop("__closure__", None)  # it came with the arguments
    for name, value in slots.items():
        setattr(function, name, value)


def reason(error: BaseException) -> str:
    """Return in one short line why something could not be pickled or loaded."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (TypeError, pickle.PickleError)):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 200 else text[:199] + "…"


@stable_name
def the_shell() -> Any:
    """Return the IPython shell of this kernel."""
    return live_shell()
