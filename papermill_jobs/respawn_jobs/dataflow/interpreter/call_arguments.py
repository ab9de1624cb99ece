"""The arguments of a call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from respawn_jobs.dataflow.interpreter.values import NONE, Constant, Kind, Value, text_of

_WORD = re.compile(r"[^\W\d]\w*")


@dataclass
class Given:
    """The arguments of a call."""

    positional: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)
    more: Value | None = None
    """What `*` and `**` unpack."""
    texts: set[str] = field(default_factory=set)
    """Texts that stand anywhere among the arguments."""

    @property
    def values(self) -> list[Value]:
        """All of them."""
        return [*self.positional, *self.named.values(), *([self.more] if self.more is not None else [])]

    @property
    def words(self) -> set[str]:
        """Names in the texts that are given: some libraries look them up where they are called."""
        texts = {text for text in map(text_of, self.values) if text is not None}
        return {word for text in self.texts | texts for word in _WORD.findall(text)}

    @property
    def constants(self) -> set[str]:
        """Names of keywords that are given a constant other than None."""
        return {
            name
            for name, value in self.named.items()
            if value.kind is Kind.PLAIN and isinstance(value.what, Constant) and value != NONE
        }

    def after(self, *first: Value) -> Given:
        """Return the same arguments with others before them."""
        return Given([*first, *self.positional], self.named, self.more, self.texts)
