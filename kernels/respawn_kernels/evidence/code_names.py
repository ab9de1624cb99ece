"""The global names in a code object, by what its instructions do with them."""

from __future__ import annotations

import dis
from dataclasses import dataclass
from types import CodeType

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_STORES = {"STORE_GLOBAL", "DELETE_GLOBAL"}
_LOCAL_STORES = {"STORE_NAME", "DELETE_NAME"}
_LOAD_GLOBAL = dis.opmap["LOAD_GLOBAL"]
_EXTENDED_ARG = dis.EXTENDED_ARG
_OF_INTEREST = {
    dis.opmap[name]: name for name in sorted(_LOADS | _STORES | _LOCAL_STORES) if name in dis.opmap
}
_WHOLE = frozenset({"globals", "__globals__", "__main__", "user_ns", "f_globals", "f_locals", "f_back"})
"""Names and attributes that lead to all variables."""
_NOTEBOOK = frozenset({"__main__", "user_ns", "user_global_ns"})
"""Of these, what leads to the variables of the notebook from the code of another module."""
_WHOLE_OUTSIDE_FUNCTIONS = frozenset({"locals", "vars", "dir"})
_FUNCTION = 0x01 | 0x02
"""CO_OPTIMIZED and CO_NEWLOCALS (`inspect`): set for functions, and neither for modules nor class bodies."""


@dataclass(frozen=True)
class CodeNames:
    """What one code object may do to the names of its globals."""

    reads: frozenset[str]
    writes: frozenset[str]
    everything: bool
    """Whether it reaches the namespace as a whole."""


def reaches_notebook(code: CodeType) -> bool:
    """Whether code of a module may look at the notebook's variables, as `import __main__` does."""
    return not _NOTEBOOK.isdisjoint(code.co_names) or "__main__" in code.co_consts


def is_module_level(code: CodeType) -> bool:
    """Whether names that the code binds are global ones: a cell, or text given to `exec` or `eval`."""
    return not code.co_flags & _FUNCTION and "__qualname__" not in code.co_names


def names_of(code: CodeType) -> CodeNames:
    """Return the global names that this code object loads and binds; nested code objects are not looked at.

    Attributes are not counted. A class body that binds a name before it loads it loads its own.
    """
    reads: set[str] = set()
    writes: set[str] = set()
    own: set[str] = set()
    names = code.co_names
    class_body = not code.co_flags & 0x01 and not is_module_level(code)
    extended = 0
    raw = code.co_code
    for opcode, low in zip(raw[::2], raw[1::2], strict=True):
        if opcode == _EXTENDED_ARG:
            extended = (extended | low) << 8
            continue
        argument, extended = extended | low, 0
        kind = _OF_INTEREST.get(opcode)
        if kind is None:
            continue
        name = names[argument >> 1 if opcode == _LOAD_GLOBAL else argument]
        if kind in _STORES:
            writes.add(name)
        elif kind in _LOADS:
            if name not in own:
                reads.add(name)
        elif class_body:
            own.add(name)
        else:
            writes.add(name)
    everything = not _WHOLE.isdisjoint(names) or "__main__" in code.co_consts
    if is_module_level(code):
        everything |= not _WHOLE_OUTSIDE_FUNCTIONS.isdisjoint(names)
    return CodeNames(frozenset(reads), frozenset(writes), everything)
