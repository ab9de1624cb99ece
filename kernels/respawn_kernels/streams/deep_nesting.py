"""Pickling what is nested too deeply for the pickler in C, which follows each step down with a call.

This pickler in pure Python keeps its place in a list instead. It is some thirty times slower, reduces objects
as the pickler in C does, and continues with its memo; so both can write into one stream. The opcodes are
those of `pickle._Pickler`.
"""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respawn_kernels.pickling.namespace_pickler import NamespacePickler

Steps = Iterator[Any]
"""Yields what has to be pickled next."""
_BATCH = 1000
_MAX_TIMES = 1000
_DEEPEST = 100_000
_ATOMS = (type(None), bool, int, float, bytes, str, bytearray, pickle.PickleBuffer)
_Plain: Any = pickle._Pickler


def dump(pickler: NamespacePickler, value: Any, file: Any, buffer_callback: Callable[[Any], Any]) -> None:
    """Write the pickle of a value as `pickler` would.

    Args:
        pickler: whose memo, reducers and references are used; its memo is continued.
        value: what is nested deeply.
        file: an object with `write`, which gets the pickle.
        buffer_callback: called with each buffer; returns whether it stays in the stream (PEP 574).

    Raises:
        pickle.PicklingError: a reduction has no end.
    """
    deep = _DeepPickler(pickler, file, buffer_callback)
    deep.dump(value)
    pickler.memo = deep.memo


class _DeepPickler(_Plain):  # type: ignore[misc]
    memo: dict[int, tuple[int, Any]]

    def __init__(self, pickler: NamespacePickler, file: Any, buffer_callback: Callable[[Any], Any]) -> None:
        super().__init__(file, pickler.proto, buffer_callback=buffer_callback)
        self.memo = pickler.memo.copy()
        self._pickler = pickler
        self._open: Counter[int] = Counter()
        """Objects whose arguments are being pickled, by id: they are not in the memo yet."""
        self._depth = 0
        self._persistent_id = getattr(pickler, "persistent_id", None)

    def dump(self, obj: Any) -> None:
        """Write a pickle without frames."""
        self.write(pickle.PROTO + bytes([self.proto]))
        self.save(obj)
        self.write(pickle.STOP)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Write an object and all that it leads to."""
        stack = [self._steps(obj)]
        while stack:
            try:
                stack.append(self._steps(next(stack[-1])))
            except StopIteration:
                stack.pop()

    def _steps(self, obj: Any) -> Steps:
        reference = self._persistent_id(obj) if self._persistent_id is not None else None
        if reference is not None:
            self._atom(reference)
            self.write(pickle.BINPERSID)
            return iter(())
        kind = type(obj)
        if kind in (type(None), bool, int, float):
            _Plain.dispatch[kind](self, obj)
            return iter(())
        known = self.memo.get(id(obj))
        if known is not None:
            self.write(self.get(known[0]))
            return iter(())
        if kind in _ATOMS:
            self._atom(obj)
            return iter(())
        by_kind: dict[Any, Callable[[Any], Steps]] = {
            **{list: self._list, dict: self._dict, tuple: self._tuple},
            **{set: self._set, frozenset: self._frozenset},
        }
        return by_kind.get(kind, self._object)(obj)

    def _atom(self, obj: Any) -> None:
        known = self.memo.get(id(obj))
        if known is not None:
            self.write(self.get(known[0]))
        else:
            _Plain.dispatch[type(obj)](self, obj)

    def _list(self, obj: list[Any]) -> Steps:
        self.write(pickle.EMPTY_LIST)
        self.memoize(obj)
        yield from self._items(obj, pickle.APPENDS)

    def _items(self, items: Iterable[Any], add: bytes) -> Steps:
        items = iter(items)
        while part := list(itertools.islice(items, _BATCH)):
            self.write(pickle.MARK)
            yield from part
            self.write(add)

    def _dict(self, obj: dict[Any, Any]) -> Steps:
        self.write(pickle.EMPTY_DICT)
        self.memoize(obj)
        yield from self._pairs(obj.items())

    def _pairs(self, pairs: Iterable[tuple[Any, Any]]) -> Steps:
        pairs = iter(pairs)
        while part := list(itertools.islice(pairs, _BATCH)):
            self.write(pickle.MARK)
            for pair in part:
                yield from pair
            self.write(pickle.SETITEMS)

    def _set(self, obj: set[Any]) -> Steps:
        self.write(pickle.EMPTY_SET)
        self.memoize(obj)
        yield from self._items(obj, pickle.ADDITEMS)

    def _frozenset(self, obj: frozenset[Any]) -> Steps:
        self.write(pickle.MARK)
        yield from obj
        if id(obj) in self.memo:  # it leads to itself
            self.write(pickle.POP_MARK + self.get(self.memo[id(obj)][0]))
            return
        self.write(pickle.FROZENSET)
        self.memoize(obj)

    def _tuple(self, obj: tuple[Any, ...]) -> Steps:
        if not obj:
            self.write(pickle.EMPTY_TUPLE)
            return
        self.write(pickle.MARK)
        yield from obj
        if id(obj) in self.memo:  # it leads to itself
            self.write(pickle.POP_MARK + self.get(self.memo[id(obj)][0]))
            return
        self.write(pickle.TUPLE)
        self.memoize(obj)

    def _object(self, obj: Any) -> Steps:
        reduced = self._pickler.reducer_override(obj)
        if reduced is NotImplemented:
            if issubclass(type(obj), type) or type(obj) is type(_nothing):
                self.save_global(obj)
                return
            reduce = self._pickler.dispatch_table.get(type(obj))
            reduced = reduce(obj) if reduce is not None else obj.__reduce_ex__(self.proto)
        if isinstance(reduced, str):
            self.save_global(obj, reduced)
            return
        yield from self._reduced(obj, *reduced)

    def _reduced(
        self,
        obj: Any,
        function: Any,
        arguments: Any,
        state: Any = None,
        items: Any = None,
        pairs: Any = None,
        setter: Any = None,
    ) -> Steps:
        self._begin(obj)
        if getattr(function, "__name__", "") == "__newobj__":
            yield arguments[0]
            yield arguments[1:]
            self.write(pickle.NEWOBJ)
        elif getattr(function, "__name__", "") == "__newobj_ex__":
            yield from arguments
            self.write(pickle.NEWOBJ_EX)
        else:
            yield function
            yield arguments
            self.write(pickle.REDUCE)
        self._open[id(obj)] -= 1
        self._depth -= 1
        if id(obj) in self.memo:  # it was among its own arguments
            self.write(pickle.POP + self.get(self.memo[id(obj)][0]))
        else:
            self.memoize(obj)
        if items is not None:
            yield from self._items(items, pickle.APPENDS)
        if pairs is not None:
            yield from self._pairs(pairs)
        if state is not None:
            yield from self._state(obj, state, setter)

    def _begin(self, obj: Any) -> None:
        """Note that an object's arguments follow.

        An object may be among its own arguments a few times, once for each object on the way that is in the
        memo before its content is: a cell of a closure, for instance.

        Raises:
            PicklingError: it is so without an end.
        """
        self._open[id(obj)] += 1
        self._depth += 1
        kind = f"{type(obj).__module__}.{type(obj).__qualname__}".removeprefix("builtins.")
        if self._open[id(obj)] > _MAX_TIMES:
            raise pickle.PicklingError(f"a cycle through a reduction: a {kind} is made of what leads to it")
        if self._depth > _DEEPEST:
            raise pickle.PicklingError(
                f"a {kind} is made of others more than {_DEEPEST} deep, or its reduction has no end"
            )

    def _state(self, obj: Any, state: Any, setter: Any) -> Steps:
        if setter is None:
            yield state
            self.write(pickle.BUILD)
            return
        yield setter
        yield obj
        yield state
        self.write(pickle.TUPLE2 + pickle.REDUCE + pickle.POP)


def _nothing() -> None: ...
