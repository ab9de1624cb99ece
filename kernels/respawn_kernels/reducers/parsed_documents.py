"""How documents of Beautiful Soup are taken apart: as the tree that they are.

The library stores the markup and parses it again, so that a tag which a variable holds would belong to no
document any more. Only a large document of which nobody holds a part is left to the library, since its tree
is deep and slow to store.

Streams call the function with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling.instances import make_raw
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

LARGE = 1000
"""How many tags and texts make a document large."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions when the library is loaded in this process."""
    document = getattr(sys.modules.get("bs4"), "BeautifulSoup", None)
    return {} if document is None else {document: _document}


def _document(document: Any, _pickler: NamespacePickler) -> Any:
    nodes = list(document.descendants)
    if len(nodes) > LARGE and not _held(document, nodes):
        return NotImplemented
    inside = dict(vars(document))
    builder = inside.get("builder")
    if builder is not None and not builder.picklable:
        inside["builder"] = type(builder)
    return make_raw, (type(document), object, None), inside, None, None, fill_document


def _held(document: Any, nodes: list[Any]) -> bool:
    """Return whether anybody but the document and its other parts refers to a part of it."""
    inner = _inner_references([document, *nodes])
    (ours,) = _references([object()])  # to a part while it is asked, which differs by version of Python
    return any(count - inner[id(node)] > ours for node, count in zip(nodes, _references(nodes), strict=True))


def _inner_references(nodes: list[Any]) -> Counter[int]:
    """Return how often the parts of a document refer to each other, by their ids."""
    found: Counter[int] = Counter()
    for node in nodes:
        for value in vars(node).values():
            found.update(map(id, value) if type(value) is list else (id(value),))
    return found


def _references(nodes: list[Any]) -> list[int]:
    return [sys.getrefcount(node) for node in nodes]


@stable_name
def fill_document(document: Any, inside: dict[str, Any]) -> None:
    """Set the attributes of a document; a parser that could not be stored is made anew."""
    vars(document).update(inside)
    if isinstance(document.builder, type):
        document.builder = document.builder()
