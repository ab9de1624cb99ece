"""Which calls were followed already, so that none is followed again before something new is learnt.

Code that cannot be seen may call every function that it can reach, each of these the others again. What such
a call does depends on what is known when it begins; where that is the same, the outcome is. Knowledge only
grows, so this comes to an end; following each chain of calls would take a time exponential in their number.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from respawn_jobs.dataflow.interpreter.values import Regions, Value


@dataclass
class Repeats:
    """The calls of one cell that were followed, each with what was known before."""

    regions: Regions
    _news: int = 0
    _facts: dict[Hashable, Hashable] = field(default_factory=dict)
    _followed: dict[Hashable, tuple[Hashable, Value]] = field(default_factory=dict)

    def begin_cell(self) -> None:
        """Forget the calls: what they did was noted for the cell before."""
        self._followed.clear()

    def learn(self, key: Hashable, value: Value | bool) -> None:
        """Note something that calls may depend on, besides what regions know.

        Args:
            key: what it is about.
            value: what is known of it now.
        """
        fact: Hashable = value
        if isinstance(value, Value):
            fact = (value.kind, self.regions.roots(value.regions), value.what)
        if self._facts.get(key) != fact:
            self._facts[key] = fact
            self._news += 1

    def known(self, more: Hashable) -> Hashable:
        """Return what stands for all that is known now, and for `more`."""
        return self.regions.version, self._news, more

    def outcome(self, call: Hashable, known: Hashable) -> Value | None:
        """Return what a call gave when exactly this was known before it; None when it was not followed so."""
        before = self._followed.get(call)
        return before[1] if before is not None and before[0] == known else None

    def followed(self, call: Hashable, known: Hashable, outcome: Value) -> None:
        """Note the outcome of a call.

        Args:
            call: what was called with what.
            known: what was known before it.
            outcome: what it gave.
        """
        self._followed[call] = (known, outcome)
