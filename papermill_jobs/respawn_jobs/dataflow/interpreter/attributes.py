"""Reading, setting and deleting attributes, which may run code of the notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from respawn_jobs.dataflow.interpreter.callbacks import given_to_keep
from respawn_jobs.dataflow.interpreter.scopes import ClassInfo
from respawn_jobs.dataflow.interpreter.state import Machine, known
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import DRAWS, PLAIN, Kind, Value
from respawn_jobs.dataflow.libraries import library_facts
from respawn_jobs.dataflow.libraries.state_effects import FIGURES, THINGS
from respawn_jobs.model.hidden_state import WORLD_STATE


class Attributes(ABC):
    """Follows attributes of values."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @abstractmethod
    def anything(self, values: Sequence[Value]) -> Value:
        """Assume the worst of a call."""

    def attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a value.

        Raises:
            Opaque: it is a special attribute, through which code may reach anything, or one of a library that
                is not followed.
        """
        if owner.kind is Kind.PLAIN:
            return PLAIN
        if owner.kind is Kind.LIBRARY:
            return self._of_library(str(owner.what), name)
        self.machine.use_value(owner)
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__", "__len__"):
            raise Opaque(f"it uses {name}")
        if self._computed(owner):
            return self.anything([Value(Kind.ANY, self.machine.holding(owner))])
        if owner.kind is Kind.DATA and name in library_facts.RANDOM_DATA_METHODS:
            self.machine.regions.note(owner.regions, DRAWS)
        if owner.kind is Kind.DATA and name in ("plot", "hist", "boxplot"):
            self.machine.use("matplotlib.*")
            self.machine.change_state(FIGURES)
        if owner.kind in (Kind.DATA, Kind.DRAWING):
            added = given_to_keep(self.machine, owner)  # accessors are made when they are read
            return self.anything([owner, *added]) if added else owner
        info = owner.what
        if owner.kind is Kind.INSTANCE and name in info.own - info.names - self.machine.set_elsewhere:
            holds = self.machine.regions.holds(owner)
            return PLAIN if holds is Kind.PLAIN else Value(holds, owner.regions)
        return Value(Kind.ANY, self.machine.holding(owner))

    def _computed(self, owner: Value) -> bool:
        """Return whether reading or setting an attribute may run code of the notebook."""
        if not self.machine.properties or owner.kind is Kind.PLAIN:
            return False
        found = self.machine.regions.functions(self.machine.holding(owner))
        return bool(found or (isinstance(owner.what, ClassInfo) and owner.what.methods))

    def attribute_set(self, owner: Value, *given: Value) -> None:
        """Run what setting or deleting an attribute may run: a property's setter, an observer."""
        if owner.kind is not Kind.LIBRARY and self._computed(owner):
            self.anything([Value(Kind.ANY, self.machine.holding(owner)), *given])

    def _of_library(self, path: str, name: str) -> Value:
        whole = f"{path}.{name}"
        if library_facts.opaque(whole) and not library_facts.SHOWING.startswith(whole):
            raise Opaque(f"it uses {whole}")
        self.machine.use(whole)
        for thing, state in THINGS.items():
            if whole == thing or whole.startswith(thing + "."):
                self.machine.read_state(state)
        if not known(whole):
            self.machine.load_global(WORLD_STATE)
        return Value(Kind.LIBRARY, what=whole)
