"""How parts of an address are told from the fixed names beside them."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class VersionNumber(Convertor[int]):
    """The number of a version: `versions/3`, but not `versions/current`.

    Starlette's own convertor for integers takes digits without end, and more than Python reads.
    """

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return the number as it stands in an address."""
        return str(value)


def register_convertors() -> None:
    """Let paths name the convertors of this module, before a route is made of such a path."""
    register_url_convertor("version", VersionNumber())
