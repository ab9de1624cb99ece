"""Names of things that exist, a little changed: what a person mistypes, and what an attacker tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from hypothesis import strategies as st

from support.access.things import Things

_LOOK_ALIKE = str.maketrans(
    {"a": "а", "e": "е", "o": "о", "-": "‐", "/": "∕", "0": "０", "1": "١", "r": "ｒ"}
)
"""Letters of other scripts, a hyphen, a slash and digits that look like the plain ones."""
_ENDS = [
    "\0",
    "\n",
    " ",
    "\t",
    "/",
    "/..",
    "%",
    "%00",
    "%2f",
    "\\",
    "'",
    '"',
    ";",
    "?",
    "#",
    "*",
    "\u202e",
    "é",
    "\ud800",
]
_STRANGE = ["", ".", "..", "~", "null", "None", "-1", "0", "1e9", "9" * 30, "true", "[]", "{}", "%", "_"]


@st.composite
def one_changed(draw: st.DrawFn, value: str) -> str:
    """Draw a text with one character of `value` changed, removed or doubled."""
    place = draw(st.integers(0, max(len(value) - 1, 0)))
    put = draw(
        st.sampled_from(["", "0", "a", "z", "A", "/", "\0", "٣", "é", "..", value[place : place + 1] * 2])
    )
    return value[:place] + put + value[place + 1 :]


def altered(value: str, others: list[str]) -> st.SearchStrategy[str]:
    """Draw `value`, or something like it, or another name that exists."""
    same = st.sampled_from(
        [
            value,
            value.upper(),
            value.swapcase(),
            value.translate(_LOOK_ALIKE),
            quote(value, safe="").replace("-", "%2D"),
            quote(quote(value + "/", safe=""), safe=""),
            value[:-1],
            value * 40,
            value + "0" * 5000,
            f"../{value}",
            f"{value}/../{value}",
            f" {value}",
        ]
    )
    ends = st.sampled_from(_ENDS).map(lambda end: value + end)
    begins = st.sampled_from(_ENDS).map(lambda begin: begin + value)
    exist = st.sampled_from(others)
    return st.one_of(same, one_changed(value), ends, begins, st.sampled_from(_STRANGE), exist, exist)


@st.composite
def like(draw: st.DrawFn, mine: Things, theirs: Things) -> Things:
    """Draw the things of one namespace, some of whose names are changed, or somebody else's.

    What is secret, of attempts and of the webhook, stays `mine`.
    """
    base = draw(st.sampled_from([mine, mine, theirs]))
    everything = [*mine.ids.values(), *theirs.ids.values(), mine.namespace, theirs.namespace]
    names = draw(st.lists(st.sampled_from(sorted(base.ids)), min_size=1, max_size=3, unique=True))
    ids: Mapping[str, str] = {
        name: draw(altered(base.ids[name], _of_kind(name, mine, theirs, everything))) for name in names
    }
    namespace = base.namespace
    if draw(st.booleans()):
        namespace = draw(altered(namespace, [mine.namespace, theirs.namespace, f"{mine.namespace}/.."]))
    return replace(base, namespace=namespace, ids={**base.ids, **ids}, hook_secret=mine.hook_secret)


def _of_kind(name: str, mine: Things, theirs: Things, everything: list[str]) -> list[str]:
    """Return names that may stand for one: mostly of the same kind."""
    return [theirs.ids[name], theirs.ids[name], mine.ids[name], *everything]
