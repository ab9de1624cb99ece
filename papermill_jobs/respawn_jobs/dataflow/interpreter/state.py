"""What the abstract execution remembers: who holds which objects, and what the present cell did to them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

from respawn_jobs.dataflow.interpreter.followed_calls import Repeats
from respawn_jobs.dataflow.interpreter.scopes import ClassInfo, Function, Scope, mentioned, shape_of
from respawn_jobs.dataflow.interpreter.trace import Opaque, Trace
from respawn_jobs.dataflow.interpreter.values import (
    PLAIN,
    UNKNOWN,
    WORLD,
    Kind,
    Note,
    Regions,
    Value,
    join,
    text_of,
)
from respawn_jobs.dataflow.libraries import library_facts
from respawn_jobs.dataflow.libraries.file_effects import READ, WRITE, state_of
from respawn_jobs.dataflow.libraries.state_effects import THINGS
from respawn_jobs.model.hidden_state import (
    ANYTHING,
    CWD,
    ENV,
    FILES,
    NETWORK,
    RANDOM_STATES,
    WORLD_STATE,
)

_GIVEN_BY_IPYTHON = {"display": "IPython.display.display"}
_BUILTINS = frozenset({*dir(builtins), *_GIVEN_BY_IPYTHON})
_MAX_STEPS = 40_000
_DEEPEST = 12


class Machine:
    """The abstract namespace of a notebook."""

    def __init__(self, own: frozenset[str], attributes: frozenset[str], *, properties: bool) -> None:
        """Start with an empty namespace.

        Args:
            own: names that the notebook binds anywhere.
            attributes: names of attributes that it sets anywhere.
            properties: whether one of its classes runs code when an attribute is read.
        """
        self.own = own
        self.attributes = attributes
        self.properties = properties
        self.regions = Regions()
        self.repeats = Repeats(self.regions)
        self.globals: dict[str, Value] = {WORLD_STATE: UNKNOWN}
        self.trace = Trace()
        self.uncertain = 0
        """How deep we are in code that may or may not run."""
        self.scope: Scope | None = None
        self.stack: list[Hashable] = []
        self.active: list[Function] = []
        self.set_elsewhere: set[str] = set()
        """Attributes that something else than an instance of a class of the notebook may have got."""
        self.moves = False
        """Whether the working directory may be another than the one in which the notebook started."""
        self.lists_subclasses = False
        """Whether a cell asks a class for its subclasses: each that is made changes its bases."""
        self.statement: ast.expr | None = None
        """The call whose result nobody takes, while it is made."""
        self.running: set[str] = set()
        """What of libraries is being called because something given leads to it."""
        self._of_state: dict[str, set[int]] = {}
        self._sites: dict[Hashable, ast.AST] = {}
        self.trusted = True
        """Whether Python's names still mean Python's own."""

    # Names

    def load(self, name: str) -> Value:
        """Return the value of a name, seen from the present scope."""
        scope, inner = self.scope, False
        while scope is not None:
            if name in scope.local and not (scope.is_class and (inner or name not in scope.names)):
                return scope.names.get(name, PLAIN)
            if name in scope.globals:
                break
            inner = inner or not scope.is_comprehension
            scope = scope.parent
        return self.load_global(name)

    def load_global(self, name: str) -> Value:
        """Return the value of a global name, and note that it was read.

        Raises:
            Opaque: the notebook does not bind it, and IPython or Python lets code reach anything through it.
        """
        if name.startswith("%"):
            return Value(Kind.LIBRARY, what=name)
        if name not in self.trace.sure:
            self.trace.reads.add(name)
        if name in self.globals:
            return self.globals[name]
        if name not in self.own:
            if (
                name in library_facts.OPAQUE_NAMES
                or name.startswith(("_i", "_oh"))
                or name.strip("_").isdigit()
            ):
                raise Opaque(f"it uses {name}")
            if name in _BUILTINS and self.trusted:
                return Value(Kind.LIBRARY, what=_GIVEN_BY_IPYTHON.get(name, f"builtins.{name}"))
        return UNKNOWN

    def bind(self, name: str, value: Value, scope: Scope | None = None) -> None:
        """Give a name a value, in the scope where it belongs.

        Args:
            name: as the source has it.
            value: in a function it joins those that the name had.
            scope: where the name stands; None for the present scope.
        """
        scope = scope or self.scope
        while scope is not None and name not in scope.local and name not in scope.globals:
            scope = scope.parent
        if scope is None or name in scope.globals:
            self.bind_global(name, value)
            return
        scope.names[name] = join(scope.names[name], value) if name in scope.names else value
        if name in scope.kept:
            keeper = Value(Kind.ANY, frozenset({scope.region}))
            self.regions.put(keeper, value)
            self.repeats.learn(("scope", scope.region, name), scope.names[name])
            if scope is not self._calling():
                self.mutate(keeper)

    def _calling(self) -> Scope | None:
        scope = self.scope
        while scope is not None and scope.is_comprehension:
            scope = scope.parent
        return scope

    def bind_global(self, name: str, value: Value) -> None:
        """Give a global name a value."""
        self.trace.binds.add(name)
        if self.scope is None and not self.active:
            self.trace.sure.add(name)
        if self.scope is None and not self.uncertain and not self.active:
            self.globals[name] = value
        elif name in self.globals:
            self.globals[name] = join(self.globals[name], value)
        else:
            self.globals[name] = value
        self.repeats.learn(("global", name), self.globals[name])

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """Run code that may not run, or not to its end: what it binds is bound for sure only inside."""
        sure = set(self.trace.sure)
        self.uncertain += 1
        try:
            yield
        finally:
            self.uncertain -= 1
            self.trace.sure = sure

    def unbind(self, name: str, *, there: bool = True) -> None:
        """Delete a name, which is `there` before."""
        if there:
            self.load(name)
        if self.scope is None or name not in self.scope.local:
            self.trace.binds.add(name)
            self.trace.sure.discard(name)
            if self.scope is None and not self.uncertain and not self.active:
                self.globals.pop(name, None)
                self.repeats.learn(("global", name), value=False)

    # Objects

    def fresh(self, node: object, *more: Hashable) -> int:
        """Return the region of what a node makes, in the present chain of calls."""
        return self.regions.fresh((tuple(self.stack), id(node), *more))

    def holding(self, value: Value) -> frozenset[int]:
        """Return all regions whose change a holder of the value may notice."""
        if isinstance(value.what, ClassInfo):
            return value.regions | {value.what.region}
        return value.regions

    def mutate(self, *values: Value) -> None:
        """Note that the objects of values may be changed."""
        for value in values:
            if value.kind is Kind.LIBRARY:
                self.change_library(str(value.what))
            else:
                self.trace.changed |= value.regions
                for state in sorted(self.regions.notes(value.regions, "state")):
                    self.change_state(state)

    def change_library(self, path: str) -> None:
        """Note that something in a library is changed: its options, or else anything may follow.

        Raises:
            Opaque: it is none of the options that are known.
        """
        for thing, state in THINGS.items():
            if path == thing or path.startswith(thing + "."):
                self.change_state(state)
                return
        raise Opaque(f"it changes {path}")

    # What is no variable

    def change_state(self, state: str, *, anew: bool = False) -> None:
        """Note that a cell changes what is no variable; `anew` when it does not matter what that was."""
        certain = anew and self.scope is None and not self.uncertain and not self.active
        if state not in self.trace.sure and not certain:
            self.trace.reads.add(state)
        self.trace.binds.add(state)
        self.trace.changed |= self._of_state.get(state, set())
        if certain:
            self.trace.sure.add(state)

    def read_state(self, state: str) -> None:
        """Note that a cell depends on it."""
        if state not in self.trace.sure:
            self.trace.reads.add(state)

    def handle(self, value: Value, state: str) -> Value:
        """Return a value that stands for a part of the state: who changes the one changes the other."""
        self._of_state.setdefault(state, set()).update(value.regions)
        self.regions.note(value.regions, Note("state", state))
        self.read_state(state)
        return value

    def of_state(self, state: str) -> Value:
        """Return all objects that stand for a part of the state."""
        return Value(Kind.ANY, frozenset(self._of_state.get(state, ())))

    def use(self, *modules: str) -> None:
        """Note that code or values of modules are used."""
        self.trace.uses.update(modules)

    def use_value(self, value: Value) -> None:
        """Note that something is done with a value: what its objects come from is used.

        Raises:
            Opaque: it is something of a library that is not followed.
        """
        if value.kind is Kind.LIBRARY:
            if library_facts.opaque(str(value.what)):
                raise Opaque(f"it uses {value.what}")
            self.use(str(value.what))
            return
        regions = self.regions.roots(self.holding(value))
        if not regions:
            return
        tags = self.regions.notes(regions, "tag") | self.regions.notes(regions, "path")
        if value.kind is Kind.DATA and not tags:
            tags = {"numpy.ndarray", "pandas.DataFrame"}
        self.use(*tags, *([ANYTHING] if WORLD in regions else []))
        for state in self.regions.notes(regions, "state") | self.regions.notes(regions, "read"):
            self.read_state(state)

    def copy_tags(self, source: Value, made: Value) -> None:
        """Let a copy be known to come from where its original does."""
        self.regions.note(
            made.regions, *(Note("tag", tag) for tag in self.regions.notes(source.regions, "tag"))
        )

    def use_file(self, path: Value | None, how: str) -> str:
        """Note that a cell reads or writes a file; return the file's name among the parts of the state.

        Args:
            path: what names it; None when that is not known.
            how: `READ`, `WRITE` anew, or `BOTH`.
        """
        text = text_of(path) if path is not None else None
        state = state_of(text)
        absolute = text is not None and text.startswith("/")
        if state != NETWORK and not absolute:
            self.read_state(CWD)
            state = FILES if self.moves else state
        if how == READ:
            self.read_state(state)
        else:
            self.change_state(state, anew=how == WRITE and state not in (FILES, NETWORK))
        return state

    def read_process(self) -> None:
        """Note that a cell depends on the working directory or the environment."""
        self.read_state(CWD)
        self.read_state(ENV)

    def read_everything(self, why: str) -> None:
        """Note that every variable may matter to the cell."""
        self.trace.reads_all = self.trace.reads_all or why

    def call_world(self) -> None:
        """Note that code ran which may use and change all that libraries keep."""
        self.load_global(WORLD_STATE)
        self.use(ANYTHING)
        self.change_state(WORLD_STATE)
        self.trace.changed.add(WORLD)

    # Calls with anything

    def known_now(self) -> Hashable:
        """Return what stands for all that the outcome of a call depends on."""
        return self.repeats.known((frozenset(self.trace.sure), len(self.set_elsewhere)))

    def site(self, *what: Hashable) -> ast.AST:
        """Return the place in code that stands for a call which no code makes: one for each such call."""
        return self._sites.setdefault(what, ast.Pass())

    # What is held where

    def pool(self, values: Iterable[Value], *more: int) -> Value:
        """Merge all that values lead to; return something of it. What is not known joins the world."""
        regions, paths = set(more), list[Note]()
        for value in values:
            regions |= self.holding(value)
            if value.kind is Kind.LIBRARY and not known(str(value.what)):
                regions.add(WORLD)
            elif value.kind is Kind.LIBRARY:
                paths.append(Note("path", str(value.what)))
        pooled = Value(Kind.ANY, frozenset(regions))
        region = self.regions.merge(regions)
        if region is not None:
            self.regions.put(pooled, pooled)
            self.regions.note([region], *paths)
        return pooled

    def keep(self, into: Value, value: Value) -> None:
        """Let an object hold a value, whatever that is."""
        if value.kind is Kind.LIBRARY:
            # What lies in a library has no region of its own; the holder's says that it may be found there.
            self.regions.put(into, self.pool([value], *into.regions))
        else:
            self.regions.put(into, Value(value.kind, self.holding(value), value.what))

    def kept_by(self, path: str) -> Value:
        """Return what the library of a path may have been given to keep, such as accessors and handlers."""
        root = path.partition(".")[0]
        return Value(Kind.ANY, frozenset({self.regions.fresh(("kept by", root))}))

    def worldly(self, value: Value) -> bool:
        """Return whether unknown code may hold, or lie in, what a value leads to."""
        return WORLD in self.regions.roots(value.regions)

    def havoc(self, values: Iterable[Value], functions: Iterable[Function] = ()) -> Value:
        """Assume the worst of functions: all they mention is read and changed."""
        pooled = self.pool(values, *(function.region for function in functions))
        waiting, seen = [*functions, *self.regions.functions(pooled.regions)], set[Function]()
        while waiting:
            function = waiting.pop()
            if function in seen:
                continue
            seen.add(function)
            self.step()
            # A name that no cell binds is one of the function's own, as long as all cells are understood.
            known_names = self.own | self.globals.keys() | library_facts.OPAQUE_NAMES
            reached = [
                self.load_global(name)
                for name in sorted(mentioned(function.node))
                if name in known_names or name.startswith("_") or not self.trusted
            ]
            for name in shape_of(function.node).globals:
                self.bind_global(name, UNKNOWN)
            pooled = self.pool([pooled, *reached], function.region)
            waiting += self.regions.functions(pooled.regions)
        self.mutate(pooled)
        self.draw()
        if self.worldly(pooled):
            self.call_world()
        return pooled

    def draw(self, states: Iterable[str] = RANDOM_STATES) -> None:
        """Note that random numbers may be drawn."""
        for state in states:
            self.change_state(state)

    def step(self) -> None:
        """Count what was looked at. Raises `Opaque` for code that is too much to follow."""
        self.trace.steps += 1
        if self.trace.steps > _MAX_STEPS:
            raise Opaque("it is too long to follow")

    @property
    def deep(self) -> bool:
        """Whether calls are nested so deeply that the worst is assumed of the next one."""
        return len(self.active) >= _DEEPEST


def known(path: str) -> bool:
    """Return whether what a library does with its arguments is known well enough."""
    return path.startswith(("builtins.", "%")) or library_facts.curated(path)
