"""Kernels that come from a zygote, for a runner of many attempts and for a server of a person.

When an attempt is over, or a moment after a server has started a kernel, a zygote is started for the kernel
that was used: the next one like it begins with its imports done. It runs as the account of runner or server,
and ends with it, or when nobody has asked it for some minutes. Whatever is odd ends in a plain start, as
Jupyter does it; after a pause, which grows from one failure to the next, a zygote is tried again.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respawn_environments.kernel_variables import relative_place
from respawn_environments.kernelspec_contents import launcher_at, ours
from respawn_environments.warm.adoption import adopting
from respawn_environments.warm.orders import Order
from respawn_environments.warm.zygote_process import (
    NeverWarm,
    NoAnswer,
    NotWarm,
    StillImporting,
    ZygoteProcess,
)

log = logging.getLogger(__name__)

_PARENT = "JPY_PARENT_PID"
"""By it a kernel watches its parent: jupyter_client sets it beside all other variables."""
_OF_ONE_KERNEL = frozenset({_PARENT, "JPY_SESSION_NAME"})
"""Variables that differ from kernel to kernel, and that nothing reads while it is imported."""
IMPORTS = ("respawn_kernels.agent", "respawn")
"""What every zygote imports beside ipykernel."""
SETTING = "RESPAWN_WARM_KERNELS"
"""The variable that says how many zygotes a runner or server has at most; `no` for plain starts alone."""
_MAX_ZYGOTES = 3
_FIRST_PAUSE, _MAX_PAUSE = 5.0, 3600.0
"""Seconds after which a zygote is tried again that failed, but for one whose imports raised."""
_MAX_SILENCES = 3
"""How many orders in a row a zygote may leave without an answer: a busy machine is no fault of its own."""
_MAX_FORKS = 200
"""What one zygote forks at most: a kernel of a new process now and then shows what only such ones have."""


@dataclass(frozen=True)
class _Want:
    """What kernels must have in common to come from one zygote."""

    interpreter: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    preload: tuple[str, ...]
    """Modules that the environment's kernels find imported once they import them."""
    kernel: str
    """The kernelspec's name in a server, which has one zygote for each; empty in a runner."""


@dataclass
class _Refusal:
    """Why no zygote is asked, or started, for a while."""

    reason: str
    pause: float
    """Seconds."""
    until: float
    """By `time.monotonic`; infinite for ever."""


def _nothing(_pid: int) -> None: ...


def max_zygotes(environ: Mapping[str, str]) -> int:
    """Return how many zygotes a process may have, 0 for none, as `RESPAWN_WARM_KERNELS` says.

    Args:
        environ: The variables of the process.

    Raises:
        ValueError: The variable is neither `no` nor `yes` nor a number.
    """
    given = environ.get(SETTING, "").strip().lower()
    if given in ("", "yes"):
        return _MAX_ZYGOTES
    if given == "no":
        return 0
    if not given.isascii() or not given.isdigit() or len(given) > 3:
        raise ValueError(f"{SETTING} is yes, no or a number of zygotes, not {environ[SETTING]!r}")
    return int(given)


class WarmKernels:
    """The zygotes of one process, a runner or a person's server: which there are, and which are wanted."""

    def __init__(self) -> None:
        """Begin without zygotes, and without wish for any: see `enable`."""
        self._enabled = False
        self._started: Callable[[int], object] = _nothing
        self._lock = threading.RLock()
        self._zygotes: dict[_Want, ZygoteProcess] = {}
        """Those that were used least recently come first."""
        self._wanted: list[_Want] = []
        self._refused: dict[_Want, _Refusal] = {}
        self._max = _MAX_ZYGOTES
        self.latest: ZygoteProcess | None = None
        """The zygote that the last kernel came from."""

    def enable(self, started: Callable[[int], object] | None = None) -> None:
        """Remember from now on which kernels are used.

        Args:
            started: Called with the process id of each zygote, and of each kernel that was forked; None to
                leave that as it is.
        """
        self._started = started or self._started
        if not self._enabled:
            try:
                self._max = max_zygotes(os.environ)
            except ValueError as error:
                log.warning("%s: %d are used", error, self._max)
            self._enabled = True
            atexit.register(self.close)

    def check(
        self, command: list[str], environment: Mapping[str, str], preload: Sequence[str], kernel: str = ""
    ) -> None:
        """Raise `NotWarm` at once where `fork` would do so without asking a zygote.

        Args:
            command, environment, preload, kernel: As `fork` takes them.
        """
        self._zygote(command, environment, preload, kernel)

    def fork(
        self,
        command: list[str],
        directory: str,
        environment: Mapping[str, str],
        output: int,
        errors: int | None = None,
        preload: Sequence[str] = (),
        kernel: str = "",
    ) -> int:
        """Fork a kernel; it is a child of this process. A thread of its own may do it.

        Args:
            command: Its whole command line, as for a plain start.
            directory: Where it works.
            environment: All its variables.
            output: A descriptor that takes what its process writes to its standard output.
            errors: One for its standard error; None for the same.
            preload: The modules that its environment lists as wanted by most notebooks.
            kernel: The kernelspec's name where it has one zygote at most; empty where it may have several.

        Returns:
            Its process id.

        Raises:
            NotWarm: It must be started plainly; the message says why.
        """
        want, arguments, zygote = self._zygote(command, environment, preload, kernel)
        order = Order(arguments, directory, {**environment, _PARENT: str(os.getpid())}, os.getpid())
        try:
            with adopting():
                pid = zygote.fork(order, output, errors)
                self._started(pid)
        except StillImporting:
            raise
        except NeverWarm as error:
            log.warning("kernels of %s start plainly: %s", command[0], error)
            # With a cause it has ended before it answered: it was killed, or there was no memory, say.
            gone = NotWarm(zygote.with_last_words(error)) if error.__cause__ is not None else None
            self._refuse(want, str(gone or error), for_good=gone is None)
            self._dismiss(want, zygote)
            raise gone or error from None
        except NoAnswer as error:
            log.info("a kernel starts plainly: %s", error)
            self._refuse(want, str(error))
            if zygote.silences >= _MAX_SILENCES:
                self._dismiss(want, zygote)
            raise
        except NotWarm as error:
            log.info("a kernel starts plainly: %s", error)
            self._dismiss(want, zygote)
            raise
        self.latest = zygote
        with self._lock:
            self._refused.pop(want, None)
            if want in self._zygotes:
                self._zygotes[want] = self._zygotes.pop(want)  # it is the one that was used last now
        return pid

    def prepare(self) -> None:
        """Start zygotes for the kernels that were used since the last call, and return while they import."""
        if threading.current_thread() is not threading.main_thread():
            return  # a zygote dies with the thread that starts it: prctl(2), PR_SET_PDEATHSIG
        with self._lock:
            for want, zygote in list(self._zygotes.items()):
                if zygote.forked >= _MAX_FORKS or zygote.ended or shutil.which(want.interpreter[0]) is None:
                    self._dismiss(want)
            for want in self._wanted:
                if want not in self._zygotes and self._refusal(want) is None:
                    for other in [one for one in self._zygotes if want.kernel and one.kernel == want.kernel]:
                        self._dismiss(other)  # the kernelspec or the server's variables have changed
                    self._start(want)
            self._wanted.clear()

    def close(self) -> None:
        """End the zygotes; kernels that came from them go on."""
        for want in list(self._zygotes):
            self._dismiss(want)

    def _zygote(
        self, command: list[str], environment: Mapping[str, str], preload: Sequence[str], kernel: str
    ) -> tuple[_Want, list[str], ZygoteProcess]:
        want, arguments = self._want(command, environment, preload, kernel)
        if (refusal := self._refusal(want)) is not None:
            raise NeverWarm(refusal.reason) if math.isinf(refusal.until) else NotWarm(refusal.reason)
        zygote = self._zygotes.get(want)
        if zygote is None:
            raise NotWarm("no kernel like it was used here before")
        return want, arguments, zygote

    def _refusal(self, want: _Want) -> _Refusal | None:
        """Return why no zygote is asked or started now; None where one may be."""
        found = self._refused.get(want)
        return found if found is not None and time.monotonic() < found.until else None

    def _refuse(self, want: _Want, reason: str, *, for_good: bool = False) -> None:
        """Start kernels plainly for a while, twice as long as the last time."""
        before = self._refused.get(want)
        pause = _FIRST_PAUSE if before is None else min(2 * before.pause, _MAX_PAUSE)
        until = math.inf if for_good else time.monotonic() + pause
        self._refused[want] = _Refusal(reason, pause, until)

    def _want(
        self, command: list[str], environment: Mapping[str, str], preload: Sequence[str], kernel: str
    ) -> tuple[_Want, list[str]]:
        """Return what is wanted, and the arguments of the kernel's program. Raises `NotWarm`."""
        if not self._enabled:
            raise NotWarm("this process executes one notebook")
        if not self._max:
            raise NeverWarm(f"warm kernels are switched off ({SETTING})")
        at = launcher_at(command)
        if at is None:
            raise NeverWarm("it is not started as ipykernel is")
        if (name := relative_place(environment)) is not None:  # a zygote works in another directory
            raise NeverWarm(f"{name} has a path that is relative to the directory of the kernel")
        variables = {name: value for name, value in environment.items() if name not in _OF_ONE_KERNEL}
        want = _Want(tuple(command[:at]), tuple(sorted(variables.items())), tuple(preload), kernel)
        with self._lock:
            if want not in self._wanted:
                self._wanted.append(want)
        return want, command[at + 2 :]

    def _start(self, want: _Want) -> None:
        while len(self._zygotes) >= self._max:
            self._dismiss(next(iter(self._zygotes)))
        try:
            # ipykernel reads the parent's id when it is imported, and so it must be there.
            environment = {**dict(want.environment), _PARENT: str(os.getpid())}
            zygote = ZygoteProcess(want.interpreter, environment, IMPORTS, want.preload)
            self._zygotes[want] = zygote
            self._started(zygote.pid)
        except OSError as error:
            log.info("kernels of %s start plainly: %s", want.interpreter[0], error)
            self._refuse(want, str(error))

    def _dismiss(self, want: _Want, failed: ZygoteProcess | None = None) -> None:
        """End the zygote for a kernel; only the one that has failed, where it is named."""
        with self._lock:
            # Race: while that one was asked, the main thread has put another into its place.
            if failed is not None and self._zygotes.get(want) is not failed:
                return
            zygote = self._zygotes.pop(want, None)
        if zygote is not None:
            zygote.close()


def preloaded(spec: Any) -> list[str]:
    """Return which modules an environment of ours lists to be preloaded.

    Args:
        spec: The kernelspec as jupyter_client read it.
    """
    return [name for name in ours(spec.metadata).get("preload") or () if isinstance(name, str)]


warm_kernels = WarmKernels()
"""Those of this process."""
