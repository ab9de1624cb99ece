"""What checkpoints and artifacts call when they are loaded: a frozen interface.

A pickle names functions by module and name. Those of ours are all named as `respawn_kernels.rebuild.NAME`,
wherever they are defined, so their modules may move while old checkpoints stay readable. A name and its
arguments mean the same for ever: new names are added, and a function that is not written any more stays.

This module imports none of them: the one that a pickle names is imported when the pickle is loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_BY_MODULE = {
    "artifacts.pickles": "notebook_class",
    "host.standard_streams": "own_stream",
    "pickling.borrowed_attributes": "fill_borrowed",
    "pickling.c_data": "make_in_memory",
    "pickling.classes": "make_class fill_class make_parametrised make_array_type",
    "pickling.dispatch": "make_kept",
    "pickling.enums": "fill_enum make_member make_member_of_value",
    "pickling.exceptions": "make_exception fill_exception",
    "pickling.instances": "make_raw make_known fill_raw",
    "pickling.namespace_pickler": "fill_function the_shell",
    "pickling.references": "named_value",
    "pickling.omitted_attributes": "fill_left_out",
    "pickling.replaced_functions": "make_original",
    "reducers.array_subclasses": "make_part make_record make_memmap make_changed_map make_part_of_map"
    " fill_array_attributes",
    "reducers.arrays": "make_array make_subclass make_view make_held make_tensor make_parameter",
    "reducers.borrowed_memory": "make_arrow_buffer make_image fill_image",
    "reducers.cached_functions": "make_cached fill_cached make_cached_property fill_cached_property",
    "reducers.lazy_types": "make_late_alias make_asked_alias fill_asked_alias make_late_variable",
    "reducers.locks": "make_lock make_rlock make_match",
    "reducers.mocks": "make_mock fill_mock make_call fill_call",
    "reducers.object_strings": "make_object_strings",
    "reducers.pandas_blocks": "make_second_hour make_text_index make_pandas_block make_block_references"
    " fill_index_references"
    " make_single_block_manager fill_arrow_array",
    "reducers.parsed_documents": "fill_document",
    "reducers.polars_frames": "make_polars_frame make_polars_series",
    "reducers.python_objects": "make_cell fill_cell make_memoryview fill_module fill_defaultdict",
    "reducers.session_objects": "make_context_variable fill_context_variable make_handler fill_handler"
    " make_own_process",
    "reducers.session_parts": "part_of_shell",
    "reducers.thread_locals": "make_thread_local",
    "reducers.traits": "make_observed fill_observed fill_watched",
    "reducers.typing_objects": "make_type_variable make_new_type fill_new_type make_type_alias",
    "reducers.views": "make_view_of_dict make_proxy_of_class make_dict_iterator make_set_iterator",
    "reducers.weak_references": "make_dead_reference make_weak_set fill_weak_set make_finalizer",
    "streams.set_order": "make_ordered",
}
MODULES = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
"""Where each function is defined, in `respawn_kernels`."""


def stable_name(function: _Function) -> _Function:
    """Have pickles name a function as one of this module. Raises LookupError when it is not listed here."""
    name = function.__name__
    if f"{__package__}.{MODULES[name]}" != function.__module__:
        raise LookupError(f"{function.__module__}.{name} is not what pickles mean by {name}")
    function.__module__ = __name__
    globals()[name] = function
    return function


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__package__}.{MODULES[name]}"), name)
