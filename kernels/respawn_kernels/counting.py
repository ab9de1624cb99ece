"""A number before a noun, in the form that the number wants: the one place where messages count something."""

from __future__ import annotations


def how_many(number: float, one: str, many: str | None = None) -> str:
    """Return a number with its noun: "1 line", "1,200 lines", "1 cell is", "2 cells are".

    Args:
        number: how many there are.
        one: the words after the number for exactly one.
        many: the words for any other number; None for `one` with an s.
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.12g}"
    return f"{shown} {noun(number, one, many)}"


def noun(number: float, one: str, many: str | None = None) -> str:
    """Return a noun, or any words, in the form that goes with a number, without the number.

    Args:
        number: how many there are.
        one: the words for exactly one.
        many: the words for any other number; None for `one` with an s.
    """
    if number == 1:
        return one
    return f"{one}s" if many is None else many
