"""The process that waits with its imports done, and forks a kernel for each order.

    python -m respawn_environments.warm.zygote SOCKET PARENT [MODULE ...] [-- MODULE ...]

It has imported ipykernel and the modules that are named; those after `--` stay hidden from a notebook until
it imports them (`hidden_modules`). It has made nothing that two kernels must not share: no shell, no ZeroMQ
context, no event loop, no thread but those of libraries that bear a fork. Its interpreter is that of the
environment.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from respawn_environments.kernelspec_contents import LAUNCHER
from respawn_environments.warm.fork_safety import StartedByImports, Unfit, check_pools
from respawn_environments.warm.hidden_modules import HiddenModules
from respawn_environments.warm.orders import TAKE, Answer, Importing, Order, hear, mention, tell
from respawn_environments.warm.rehearsal import modules_of_a_start
from respawn_environments.warm.surroundings import surroundings_of_kernels
from respawn_kernels.host.own_process import die_with, set_name, tie_to

_IMPORTS = ("ipykernel.kernelapp", "ipykernel.zmqshell")
_ADOPTION_SECONDS = 5.0
_IDLE_SECONDS = 600.0
"""How long a zygote waits for the next order."""
_IMPORT_SECONDS = 600.0
"""How long its imports may take."""

Kernel = Callable[[], None]
"""What a process does once it is a kernel, at the bottom of its stack."""


class Zygote:
    """What is imported, and the orders that come."""

    def __init__(self, end: socket.socket, initial: Mapping[str, str], hidden: HiddenModules) -> None:
        """Begin to wait.

        Args:
            end: One end of a pair of sockets.
            initial: The variables before anything was imported.
            hidden: What is imported and does not show.
        """
        self._end = end
        self._pid = os.getpid()
        self._hidden = hidden
        self._initial = dict(initial)
        self._set_by_imports = {
            name: value for name, value in os.environ.items() if initial.get(name) != value
        }
        self._seen = dict(_files([*sys.modules.values(), *hidden.modules.values()]))
        names = {name.partition(".")[0] for name in (*sys.modules, *hidden.modules)}
        self._places = {name: place for name in names if (place := _place_of(name)) is not None}
        """The file in which each module at the top is found."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def serve(self) -> Kernel | None:
        """Carry out orders until nobody asks any more; in a kernel, return what it does."""
        while True:
            if not select.select([self._end], [], [], _IDLE_SECONDS)[0]:
                return None  # nobody has asked for long: the memory serves others better
            fields, descriptors = hear(self._end)
            if fields is None:
                return None
            *outputs, number = descriptors
            with socket.socket(fileno=number) as gate:
                kernel = self._answer(fields, outputs, gate)
            for output in outputs:
                os.close(output)
            if kernel is not None:
                self._end.close()
                return kernel

    def _answer(self, fields: dict[str, Any], outputs: Sequence[int], gate: socket.socket) -> Kernel | None:
        try:
            problem = self._stale()
            order = None if "check" in fields else Order.of(fields)
        except Exception as error:  # noqa: BLE001  whoever asked is told, whatever it was
            problem, order = f"the order is not understood: {type(error).__name__}: {error}", None
        if order is None or problem is not None:
            _report(gate, problem)
            return None
        if time.monotonic() > order.until:
            return None  # whoever asked has given up
        return self._forked(order, outputs, gate)

    def _stale(self) -> str | None:
        """Return which file of what is imported is not as it was, in words."""
        for path, mark in self._seen.items():
            now = _mark(path)
            if now == mark:
                continue
            if not Path(path).is_dir() or _is_of_python(path):
                return f"{path} was changed since it was imported"
            if (name := self._found_elsewhere()) is not None:
                return f"{name} would be imported from another place, since {path} was changed"
            self._seen[path] = now  # something was written there that nothing imports from
        return None

    def _found_elsewhere(self) -> str | None:
        """Return a module that is imported and that would be found in another file now; None for none."""
        importlib.invalidate_caches()
        return next((name for name, place in self._places.items() if _place_of(name) != place), None)

    def _forked(self, order: Order, outputs: Sequence[int], gate: socket.socket) -> Kernel | None:
        """Fork a kernel; return in the zygote once it is taken or gone, and in the kernel once it is taken.

        The kernel's parent is a process between, until the kernel is taken. Then that one ends, so that
        whoever asked adopts the kernel and sees its end. A kernel that nobody takes is reaped there.
        """
        taken, take = os.pipe()
        try:
            between = os.fork()
            if between:
                os.close(take)  # else the process between would not see that the kernel is gone
                os.waitpid(between, 0)
                return None
            child = os.fork()
            if child:
                os.close(take)
                gate.close()
                if not os.read(taken, 1):
                    os.waitpid(child, 0)
                os._exit(0)
            self._be_kernel(order, outputs, gate, take)
        except BaseException as error:  # noqa: BLE001  whoever asked must be answered, and a copy of the zygote must end
            _report(gate, f"{type(error).__name__}: {error}")
            if os.getpid() == self._pid:
                return None  # there was no memory for a process between, say
            os._exit(1)
        finally:
            os.close(taken)
            with suppress(OSError):  # closed already in the zygote
                os.close(take)
        return lambda: _become(order)

    def _be_kernel(self, order: Order, outputs: Sequence[int], gate: socket.socket, take: int) -> None:
        """Become what was ordered, and wait until it is taken. Raises `OSError` if nobody does."""
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((nothing, 0), (outputs[0], 1), (outputs[-1], 2)):
            os.dup2(descriptor, number)
        os.close(nothing)
        os.chdir(order.directory)
        os.environ.clear()
        # A wrapper around the interpreter may have added some.
        os.environ.update({**self._initial, **order.environment, **self._set_by_imports})
        time.tzset()
        gc.unfreeze()
        _draw_anew(self._hidden)
        tell(gate, Answer(pid=os.getpid()))
        gate.settimeout(max(order.until - time.monotonic(), 0.001) if order.until < math.inf else None)
        if gate.recv(len(TAKE)) != TAKE:
            raise ConnectionAbortedError("nobody takes the kernel")
        os.write(take, TAKE)
        _be_adopted(order.parent)
        tell(gate, Answer(pid=os.getpid()))


def _report(gate: socket.socket, problem: str | None) -> None:
    with suppress(OSError):  # whoever asked has given up
        tell(gate, Answer(problem=problem))


def _be_adopted(parent: int) -> None:
    """Wait until whoever asked is the parent, and die with it."""
    give_up = time.monotonic() + _ADOPTION_SECONDS
    while os.getppid() != parent:
        if time.monotonic() > give_up:
            raise ProcessLookupError(f"process {parent} does not adopt the kernel")
        time.sleep(0.0005)
    set_name(Path(sys.executable).name)
    if not tie_to(parent):
        raise ProcessLookupError(f"process {parent} is gone")


def _draw_anew(hidden: HiddenModules) -> None:
    """Give the process random numbers of its own. `random` does it by itself in each fork."""
    numpy_random: Any = hidden.modules.get("numpy.random") or sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _become(order: Order) -> None:
    import runpy

    origin = importlib.util.find_spec(LAUNCHER)
    assert origin is not None  # noqa: S101  looked for at the start
    for name in [name for name in sys.modules if name.startswith(__package__.partition(".")[0])]:
        del sys.modules[name]
    sys.argv[:] = [str(origin.origin), *order.arguments]
    sys.orig_argv[:] = [sys.executable, "-m", LAUNCHER, *order.arguments]
    if not sys.flags.safe_path:
        sys.path.insert(0, order.directory)  # as `-m` does; the launcher takes it out again
    runpy.run_module(LAUNCHER, run_name="__main__", alter_sys=True)


def _mark(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  of all modules, before each fork
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _place_of(name: str) -> str | None:
    found = PathFinder.find_spec(name, sys.path)
    return found.origin if found is not None else None


def _is_of_python(directory: str) -> bool:
    """Return whether a directory is the environment's own: what is installed there has effects by itself."""
    return any(Path(directory).is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix))


def _files(modules: Iterable[ModuleType]) -> Iterator[tuple[str, tuple[int, int] | None]]:
    for module in modules:
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            yield path, _mark(path)
    for entry in sys.path:
        if Path(entry).is_dir():  # a package that was installed or removed since
            yield entry, _mark(entry)


def _imported(names: Sequence[str], hidden_names: Sequence[str], end: socket.socket) -> HiddenModules:
    """Import all that is wanted, and say which module comes next; return what is hidden. Raises `Unfit`."""
    started = StartedByImports()
    for name in (*_IMPORTS, *names):
        with _import(name, end), started.noted():
            importlib.import_module(name)
        started.check(name)
    rehearsed = modules_of_a_start()
    with started.noted():
        for name in rehearsed.modules:
            with suppress(ImportError):  # made by other ways than an import
                importlib.import_module(name)
    if importlib.util.find_spec(LAUNCHER) is None:
        raise Unfit(f"there is no module {LAUNCHER}")
    started.check("ipykernel")
    with surroundings_of_kernels():
        hidden = _hidden(rehearsed.magics, hidden_names, started, end)
    _prepare_sessions(hidden)
    return hidden


def _hidden(
    magics: Iterable[str], names: Iterable[str], started: StartedByImports, end: socket.socket
) -> HiddenModules:
    hidden, brought_by = HiddenModules(), dict[str, str]()
    for name in magics:
        with suppress(ImportError), started.noted():
            hidden.load([name])
    for name in names:
        with _import(name, end), started.noted():
            hidden.load([name])
        started.check(name)
        brought_by = {**dict.fromkeys(hidden.modules, name), **brought_by}
    check_pools(brought_by)
    return hidden


@contextmanager
def _import(name: str, end: socket.socket) -> Iterator[None]:
    """Say which module is imported, for its import may end the process. Raises `Unfit` when it fails."""
    mention(end, Importing(name))
    try:
        yield
    except (Exception, SystemExit) as error:  # an import may raise anything
        why = f"the import of {name} fails: {type(error).__name__}: {error}"
        raise Unfit(why, name, failed=True) from error


def _prepare_sessions(hidden: HiddenModules) -> None:
    """Have the agent note here what it would else note in each kernel; an older one cannot."""
    prepare = getattr(sys.modules.get("respawn_kernels.agent"), "prepare", None)
    if prepare is not None:
        hidden.around = prepare(hidden.modules) or hidden.around


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def main(arguments: list[str]) -> Kernel | None:
    """Import, and wait for orders; return what to do in a kernel."""
    end, initial = socket.socket(fileno=int(arguments[0])), dict(os.environ)
    die_with(int(arguments[1]))
    if not sys.flags.safe_path:
        del sys.path[0]
    try:
        names, hidden_names = _split(arguments[2:])
        hidden = _imported(names, hidden_names, end)
    except Unfit as error:
        tell(end, Answer(problem=str(error), module=error.module, failed=error.failed))
        return None
    except Exception as error:  # noqa: BLE001  whoever asked is told, whatever it was
        tell(end, Answer(problem=f"{type(error).__name__}: {error}"))
        return None
    zygote = Zygote(end, initial, hidden)
    gc.collect()
    gc.freeze()  # a collection in a kernel would otherwise write to, and so copy, every page of objects
    tell(end, Answer())
    return zygote.serve()


if __name__ == "__main__":
    # An import that hangs must not stay for ever: the signal ends the process.
    signal.setitimer(signal.ITIMER_REAL, _IMPORT_SECONDS)
    become = main(sys.argv[1:])
    if become is not None:
        become()
